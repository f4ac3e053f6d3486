//! `xsd:dateTime`, `xsd:date` and `xsd:time`: points on the time line of XSD 1.1, with or without a timezone.
//!
//! Years have up to nine digits, seconds up to 18 after the point; a literal beyond that has no value. The order of a point
//! with a timezone and one without is known only if they are more than 14 hours apart.

use super::calendar::Day;
use super::decimal::Decimal;
use super::duration::Duration;
use super::wide::Wide;
use std::cmp::Ordering;
use std::fmt::Write;

/// Units in a second.
pub const SECOND: i128 = 1_000_000_000_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;
/// A timezone is at most so many minutes away from UTC.
const ZONE_MAX: i16 = 14 * 60;
const YEAR_MAX: i64 = 999_999_999;

/// Which of the three datatypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstantKind {
    DateTime,
    /// The first moment of the day.
    Date,
    /// From midnight.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instant {
    pub kind: InstantKind,
    /// By the clock of the place: units since 1970-01-01T00:00:00, or since midnight.
    local: Wide,
    /// Minutes east of UTC.
    zone: Option<i16>,
}

impl Instant {
    fn new(kind: InstantKind, local: i128, zone: Option<i16>) -> Option<Self> {
        let instant = Self { kind, local: Wide::new(local), zone };
        let is_known = kind == InstantKind::Time || i64::try_from(local.div_euclid(DAY)).is_ok();
        (is_known && (-YEAR_MAX..=YEAR_MAX).contains(&instant.day().year)).then_some(instant)
    }

    /// A day without a timezone, if there is such a day.
    pub fn date(year: i64, month: u8, day: u8) -> Option<Self> {
        let day = Day { year, month, day };
        day.is_valid().then(|| Self::new(InstantKind::Date, i128::from(day.number()) * DAY, None)).flatten()
    }

    /// A dateTime in UTC.
    pub fn utc(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let local = i128::from(seconds) * SECOND + i128::from(nanoseconds) * (SECOND / 1_000_000_000);
        Self::new(InstantKind::DateTime, local, Some(0))
    }

    /// The value of a lexical form.
    pub fn parse(kind: InstantKind, text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text.as_bytes() };
        let days = match kind {
            InstantKind::Time => 0,
            InstantKind::DateTime | InstantKind::Date => i128::from(reader.day()?.number()),
        };
        let time = match kind {
            InstantKind::Date => 0,
            InstantKind::DateTime => reader.expect(b'T').and_then(|()| reader.time())?,
            // 24:00:00 is the same as 00:00:00.
            InstantKind::Time => reader.time()? % DAY,
        };
        let zone = reader.zone()?;
        Self::new(kind, days * DAY + time, zone)
    }

    /// The place on the time line of its kind, in units of [`SECOND`]; without a timezone as if in UTC.
    pub fn utc_units(self) -> i128 {
        self.local.get() - i128::from(self.zone.unwrap_or(0)) * MINUTE
    }

    /// The order of two instants of one kind; `None` when the timezone that one lacks decides.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let (left, right) = (self.utc_units(), other.utc_units());
        if self.zone.is_some() == other.zone.is_some()
            || left.abs_diff(right) > i128::from(ZONE_MAX).unsigned_abs() * MINUTE.unsigned_abs()
        {
            Some(left.cmp(&right))
        } else {
            None
        }
    }

    pub fn day(self) -> Day {
        Day::of(self.local.get().div_euclid(DAY) as i64)
    }

    fn time(self) -> i128 {
        self.local.get().rem_euclid(DAY)
    }

    pub fn hours(self) -> i128 {
        self.time() / HOUR
    }

    pub fn minutes(self) -> i128 {
        self.time() % HOUR / MINUTE
    }

    pub fn seconds(self) -> Decimal {
        Decimal::scaled(self.time() % MINUTE, 18)
    }

    /// The timezone as a duration.
    pub fn timezone(self) -> Option<Duration> {
        self.zone.map(|zone| Duration::day_time(i128::from(zone) * MINUTE))
    }

    /// Later by a duration: months first, then seconds. `None` for an overflow, and for a time and months.
    pub fn plus(self, duration: Duration) -> Option<Self> {
        let (months, units) = (duration.months(), duration.units());
        match self.kind {
            InstantKind::Time if months != 0 => None,
            InstantKind::Time => {
                let local = self.local.get().checked_add(units % DAY)?.rem_euclid(DAY);
                Self::new(self.kind, local, self.zone)
            }
            InstantKind::DateTime | InstantKind::Date => {
                let day = if months == 0 { self.day() } else { self.day().plus_months(months)? };
                if day.year.abs() > YEAR_MAX {
                    return None;
                }
                let local = (i128::from(day.number()) * DAY + self.time()).checked_add(units)?;
                let local = if self.kind == InstantKind::Date { local.div_euclid(DAY) * DAY } else { local };
                Self::new(self.kind, local, self.zone)
            }
        }
    }

    /// The time from another instant of the same kind to this one; `None` if only one has a timezone.
    pub fn since(self, other: Self) -> Option<Duration> {
        if self.zone.is_some() != other.zone.is_some() {
            return None;
        }
        Some(Duration::day_time(self.utc_units().checked_sub(other.utc_units())?))
    }

    /// The same moment in another timezone; without one, the same clock in that timezone. `None` for a duration that is no
    /// timezone.
    pub fn adjusted(self, zone: Duration) -> Option<Self> {
        let minutes = zone.units() / MINUTE;
        if zone.months() != 0 || zone.units() % MINUTE != 0 || minutes.unsigned_abs() > ZONE_MAX.unsigned_abs().into() {
            return None;
        }
        let local = match self.zone {
            None => self.local.get(),
            Some(old) => self.local.get() + (minutes - i128::from(old)) * MINUTE,
        };
        let local = match self.kind {
            InstantKind::DateTime => local,
            InstantKind::Date => local.div_euclid(DAY) * DAY,
            InstantKind::Time => local.rem_euclid(DAY),
        };
        Self::new(self.kind, local, Some(minutes as i16))
    }

    /// The date or the time of a dateTime, the first moment of a date; `None` for other casts.
    pub fn cast(self, kind: InstantKind) -> Option<Self> {
        match (self.kind, kind) {
            _ if self.kind == kind => Some(self),
            (InstantKind::DateTime, InstantKind::Date) => Self::new(kind, self.local.get() - self.time(), self.zone),
            (InstantKind::DateTime, InstantKind::Time) => Self::new(kind, self.time(), self.zone),
            (InstantKind::Date, InstantKind::DateTime) => Self::new(kind, self.local.get(), self.zone),
            _ => None,
        }
    }

    /// The canonical lexical form, in the timezone that the instant has.
    pub fn canonical(self) -> String {
        let mut text = String::with_capacity(32);
        if self.kind != InstantKind::Time {
            let Day { year, month, day } = self.day();
            let sign = if year < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs());
        }
        if self.kind == InstantKind::DateTime {
            text.push('T');
        }
        if self.kind != InstantKind::Date {
            let units = self.time() % MINUTE;
            let _ = write!(text, "{:02}:{:02}:{:02}", self.hours(), self.minutes(), units / SECOND);
            if units % SECOND != 0 {
                let fraction = format!("{:018}", units % SECOND);
                let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
            }
        }
        if let Some(zone) = self.zone {
            text.push_str(&zone_text(zone));
        }
        text
    }
}

fn zone_text(zone: i16) -> String {
    match zone {
        0 => "Z".to_owned(),
        _ => format!("{}{:02}:{:02}", if zone < 0 { '-' } else { '+' }, zone.abs() / 60, zone.abs() % 60),
    }
}

/// The timezone at the end of a lexical form that has a value.
pub fn zone_of(text: &str) -> &str {
    if text.ends_with('Z') {
        return &text[text.len() - 1..];
    }
    // `-08:00` at the end of a date could only be a timezone: a day has no colon.
    match text.len().checked_sub(6).and_then(|start| text.get(start..)) {
        Some(zone) if zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':' => zone,
        _ => "",
    }
}

struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn two_digits(&mut self) -> Option<u8> {
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = self.rest else { return None };
        self.rest = rest;
        Some((tens - b'0') * 10 + (ones - b'0'))
    }

    fn day(&mut self) -> Option<Day> {
        let is_negative = self.expect(b'-').is_some();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // A year of more than four digits does not begin with zero.
        if !(4..=9).contains(&digits) || (digits > 4 && self.rest[0] == b'0') {
            return None;
        }
        let (year, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let year = year.iter().fold(0i64, |year, digit| year * 10 + i64::from(digit - b'0'));
        self.expect(b'-')?;
        let month = self.two_digits()?;
        self.expect(b'-')?;
        let day = Day { year: if is_negative { -year } else { year }, month, day: self.two_digits()? };
        day.is_valid().then_some(day)
    }

    /// Units since midnight; 24:00:00 is the next midnight.
    fn time(&mut self) -> Option<i128> {
        let hours = self.two_digits()?;
        self.expect(b':')?;
        let minutes = self.two_digits()?;
        self.expect(b':')?;
        let seconds = self.two_digits()?;
        let mut units = i128::from(hours) * HOUR + i128::from(minutes) * MINUTE + i128::from(seconds) * SECOND;
        if self.expect(b'.').is_some() {
            units += self.fraction()?;
        }
        let is_end = hours == 24 && units == DAY;
        (minutes < 60 && seconds < 60 && (hours < 24 || is_end)).then_some(units)
    }

    fn fraction(&mut self) -> Option<i128> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let significant = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        if digits == 0 || significant > 18 {
            return None;
        }
        let number = fraction[..significant].iter().fold(0i128, |number, digit| number * 10 + i128::from(digit - b'0'));
        Some(number * 10i128.pow(18 - significant as u32))
    }

    /// The timezone, and the end of the text.
    fn zone(&mut self) -> Option<Option<i16>> {
        let sign = match self.rest {
            [] => return Some(None),
            b"Z" => return Some(Some(0)),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = i16::from(self.two_digits()?);
        self.expect(b':')?;
        let minutes = i16::from(self.two_digits()?);
        let zone = hours * 60 + minutes;
        (self.rest.is_empty() && minutes < 60 && zone <= ZONE_MAX).then_some(Some(sign * zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstantKind::{Date, DateTime, Time};

    fn at(kind: InstantKind, text: &str) -> Instant {
        Instant::parse(kind, text).unwrap_or_else(|| panic!("{text} has a value"))
    }

    #[test]
    fn forms_are_read_and_written() {
        for (kind, text, canonical) in [
            (DateTime, "2010-06-21T11:28:01Z", "2010-06-21T11:28:01Z"),
            (DateTime, "2010-12-21T15:38:02.500-08:00", "2010-12-21T15:38:02.5-08:00"),
            (DateTime, "-0044-03-15T24:00:00", "-0044-03-16T00:00:00"),
            (DateTime, "0000-01-01T00:00:00+00:00", "0000-01-01T00:00:00Z"),
            (DateTime, "12345-01-01T00:00:00.000000000000000001", "12345-01-01T00:00:00.000000000000000001"),
            (Date, "2006-08-23+14:00", "2006-08-23+14:00"),
            (Date, "2004-02-29", "2004-02-29"),
            (Time, "24:00:00", "00:00:00"),
            (Time, "23:59:59.10Z", "23:59:59.1Z"),
        ] {
            assert_eq!(at(kind, text).canonical(), canonical, "{text}");
        }
        for (kind, text) in [
            (DateTime, "2010-06-21"),
            (DateTime, "2010-06-21T11:28"),
            (DateTime, "2010-06-21T25:00:00"),
            (DateTime, "2010-06-21T24:00:01"),
            (DateTime, "2010-06-21T11:60:00"),
            (DateTime, "2010-06-21T11:28:01."),
            (DateTime, "2010-06-21T11:28:01 Z"),
            (DateTime, "2010-06-21T11:28:01-14:01"),
            (DateTime, "2010-06-21T11:28:01.0000000000000000001"),
            (Date, "2006-02-29"),
            (Date, "2006-13-01"),
            (Date, "206-01-01"),
            (Date, "02006-01-01"),
            (Date, "2006-01-01-0800"),
            (Date, "+2006-01-01"),
            (Date, "1000000000-01-01"),
            (Time, "1:00:00"),
        ] {
            assert_eq!(Instant::parse(kind, text), None, "{text}");
        }
    }

    #[test]
    fn the_order_needs_timezones_that_decide() {
        let order = |one: &str, other: &str| at(DateTime, one).compare(at(DateTime, other));
        assert_eq!(order("2000-01-15T12:00:00", "2000-01-16T12:00:00Z"), Some(Ordering::Less));
        assert_eq!(order("2000-01-15T00:00:00", "2000-01-15T12:00:00Z"), None);
        assert_eq!(order("2000-01-16T00:00:00Z", "2000-01-15T10:00:00"), None);
        assert_eq!(order("2000-01-16T00:00:00Z", "2000-01-15T09:59:59"), Some(Ordering::Greater));
        assert_eq!(order("2000-01-15T12:00:00Z", "2000-01-15T13:00:00+01:00"), Some(Ordering::Equal));
        let date = |one: &str, other: &str| at(Date, one).compare(at(Date, other));
        assert_eq!(date("2006-08-23", "2006-08-23Z"), None);
        assert_eq!(date("2001-01-01Z", "2006-08-23"), Some(Ordering::Less));
        assert_eq!(date("2006-08-23Z", "2006-08-23+00:00"), Some(Ordering::Equal));
    }

    #[test]
    fn durations_are_added() {
        let plus = |kind, text: &str, duration: &str| {
            let duration = Duration::parse(super::super::duration::DurationKind::Any, duration).unwrap();
            at(kind, text).plus(duration).map(Instant::canonical)
        };
        assert_eq!(
            plus(DateTime, "2000-01-12T12:13:14Z", "P1Y3M5DT7H10M3.3S").as_deref(),
            Some("2001-04-17T19:23:17.3Z")
        );
        assert_eq!(plus(Date, "2000-01-31", "P1M").as_deref(), Some("2000-02-29"));
        assert_eq!(plus(Date, "2000-01-01", "-PT1S").as_deref(), Some("1999-12-31"));
        assert_eq!(plus(Time, "11:12:00", "P3DT1H15M").as_deref(), Some("12:27:00"));
        assert_eq!(plus(Time, "11:12:00", "P1M"), None);
        // Far away at once: nothing counts months or days one by one.
        assert_eq!(plus(Date, "2000-01-01", "P1000000000000D"), None);
        assert_eq!(plus(Date, "2000-01-01", "P300000000000D").as_deref(), Some("821374102-02-05"));
        let since = at(DateTime, "2002-03-06T00:00:00Z").since(at(DateTime, "2002-03-05T00:00:00+05:00"));
        assert_eq!(since.map(Duration::canonical).as_deref(), Some("P1DT5H"));
        assert_eq!(at(Date, "2002-03-06").since(at(Date, "2002-03-05Z")), None);
    }

    #[test]
    fn timezones_are_adjusted() {
        let adjusted = |kind, text: &str, zone: i128| {
            at(kind, text).adjusted(Duration::day_time(zone * SECOND)).map(Instant::canonical)
        };
        assert_eq!(adjusted(DateTime, "2002-03-07T10:00:00", -36000).as_deref(), Some("2002-03-07T10:00:00-10:00"));
        assert_eq!(
            adjusted(DateTime, "2002-03-07T10:00:00-07:00", -36000).as_deref(),
            Some("2002-03-07T07:00:00-10:00")
        );
        assert_eq!(adjusted(Date, "2002-03-07-07:00", -36000).as_deref(), Some("2002-03-06-10:00"));
        assert_eq!(adjusted(Time, "10:00:00-07:00", 36000).as_deref(), Some("03:00:00+10:00"));
        assert_eq!(adjusted(Time, "10:00:00", 1), None);
        assert_eq!(adjusted(Time, "10:00:00", 15 * 3600), None);
        assert_eq!(
            (zone_of("2002-03-07+00:00"), zone_of("10:00:00"), zone_of("2002-03-07"), zone_of("10:00:00Z")),
            ("+00:00", "", "", "Z")
        );
    }
}
