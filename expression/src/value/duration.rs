//! `xsd:duration` and its two derived types: months and seconds apart, both with the same sign.
//!
//! Seconds have up to 18 digits after the point. Two durations are equal if both parts are; one is less if it ends sooner
//! from each of the four moments that XSD 1.1 names (3.3.6.2), and otherwise their order is not known.

use super::calendar::Day;
use super::instant::SECOND;
use super::wide::Wide;
use std::cmp::Ordering;
use std::fmt::Write;

/// Which of the three datatypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationKind {
    /// `xsd:duration`.
    Any,
    YearMonth,
    DayTime,
}

/// Two durations are the same value if their months and seconds are, whatever their kinds.
#[derive(Clone, Copy, Debug)]
pub struct Duration {
    pub kind: DurationKind,
    months: i64,
    units: Wide,
}

const DAY_SECONDS: i128 = 86_400;

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.months == other.months && self.units == other.units
    }
}

impl Duration {
    fn new(kind: DurationKind, months: i64, units: i128) -> Option<Self> {
        let is_mixed = (months < 0 && units > 0) || (months > 0 && units < 0);
        let fits = match kind {
            DurationKind::Any => !is_mixed,
            DurationKind::YearMonth => units == 0,
            DurationKind::DayTime => months == 0,
        };
        fits.then_some(Self { kind, months, units: Wide::new(units) })
    }

    /// So many units of [`SECOND`].
    pub fn day_time(units: i128) -> Self {
        Self { kind: DurationKind::DayTime, months: 0, units: Wide::new(units) }
    }

    pub fn months(self) -> i64 {
        self.months
    }

    /// In units of [`SECOND`].
    pub fn units(self) -> i128 {
        self.units.get()
    }

    /// The value of a lexical form.
    pub fn parse(kind: DurationKind, text: &str) -> Option<Self> {
        let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let rest = rest.strip_prefix('P')?;
        let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
        if time == Some("") || (date.is_empty() && time.is_none()) {
            return None;
        }
        let mut parts = Parts { rest: date };
        let (years, months, days) = (parts.whole('Y')?, parts.whole('M')?, parts.whole('D')?);
        parts.end()?;
        let mut parts = Parts { rest: time.unwrap_or("") };
        let (hours, minutes, seconds) = (parts.whole('H')?, parts.whole('M')?, parts.seconds()?);
        parts.end()?;
        let is_written = |part: &Option<_>| part.is_some();
        let fits = match kind {
            DurationKind::Any => true,
            DurationKind::YearMonth => !is_written(&days) && time.is_none(),
            DurationKind::DayTime => !is_written(&years) && !is_written(&months),
        };
        let months = years.unwrap_or(0).checked_mul(12)?.checked_add(months.unwrap_or(0))?;
        let add = |sum: i128, part: Option<i128>, factor: i128| {
            sum.checked_add(part.unwrap_or(0).checked_mul(factor)?.checked_mul(SECOND)?)
        };
        let units = add(seconds.unwrap_or(0), days, DAY_SECONDS)?;
        let units = add(add(units, hours, 3600)?, minutes, 60)?;
        if fits { Self::new(kind, sign * i64::try_from(months).ok()?, i128::from(sign) * units) } else { None }
    }

    /// The sum; its kind is that of both, or `xsd:duration`. `None` for an overflow, and for parts with different signs.
    pub fn plus(self, other: Self) -> Option<Self> {
        let kind = if self.kind == other.kind { self.kind } else { DurationKind::Any };
        let (months, units) = (self.months.checked_add(other.months)?, self.units().checked_add(other.units())?);
        Self::new(kind, months, units)
    }

    pub fn checked_neg(self) -> Option<Self> {
        Self::new(self.kind, self.months.checked_neg()?, self.units().checked_neg()?)
    }

    /// The order; `None` when it is not known.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        if self.months == other.months {
            return Some(self.units.cmp(&other.units));
        }
        let ends = REFERENCES.map(|from| Some((from.after(self)?, from.after(other)?)));
        let orders = ends.map(|ends| ends.map(|(one, other)| one.cmp(&other)));
        let first = orders[0]?;
        orders.iter().all(|order| *order == Some(first)).then_some(first)
    }

    /// Numbers whose order is a total one that extends [`Self::compare`]: the end after the first moment of the standard,
    /// then months and seconds. Equal durations, and no others, have equal numbers.
    pub fn order_key(self) -> [i128; 3] {
        let beyond = if self.months < 0 { i128::MIN } else { i128::MAX };
        let end = REFERENCES[0].after(self).unwrap_or(beyond);
        [end, self.months.into(), self.units()]
    }

    /// The same duration as another kind, without the parts that the kind does not have (XPath Functions 3.1, 19.1.4).
    pub fn cast(self, kind: DurationKind) -> Self {
        let (months, units) = match kind {
            DurationKind::Any => (self.months, self.units),
            DurationKind::YearMonth => (self.months, Wide::new(0)),
            DurationKind::DayTime => (0, self.units),
        };
        Self { kind, months, units }
    }

    /// The canonical lexical form.
    pub fn canonical(self) -> String {
        let is_negative = self.months < 0 || self.units() < 0;
        let mut text = String::from(if is_negative { "-P" } else { "P" });
        let months = self.months.unsigned_abs();
        let mut part = |number: u128, letter: char| {
            if number != 0 {
                let _ = write!(text, "{number}{letter}");
            }
        };
        part((months / 12).into(), 'Y');
        part((months % 12).into(), 'M');
        let (seconds, fraction) =
            (self.units().unsigned_abs() / SECOND as u128, self.units().unsigned_abs() % SECOND as u128);
        part(seconds / 86_400, 'D');
        let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        if hours + minutes + seconds + fraction != 0 {
            text.push('T');
            let mut part = |number: u128, letter: char| {
                if number != 0 {
                    let _ = write!(text, "{number}{letter}");
                }
            };
            part(hours, 'H');
            part(minutes, 'M');
            if fraction != 0 {
                let _ = write!(text, "{seconds}.{}S", format!("{fraction:018}").trim_end_matches('0'));
            } else {
                part(seconds, 'S');
            }
        }
        if self.months == 0 && self.units() == 0 {
            text.push_str(if self.kind == DurationKind::YearMonth { "0M" } else { "T0S" });
        }
        text
    }
}

/// A moment from which durations are compared: the first of a month.
struct Reference(i64, u8);

const REFERENCES: [Reference; 4] = [Reference(1696, 9), Reference(1697, 2), Reference(1903, 3), Reference(1903, 7)];

impl Reference {
    /// The end of a duration that begins here, in units.
    fn after(&self, duration: Duration) -> Option<i128> {
        let day = Day { year: self.0, month: self.1, day: 1 }.plus_months(duration.months)?;
        // The units of later years are more than 128 bits hold.
        if day.year.abs() > 1 << 42 {
            return None;
        }
        (i128::from(day.number()) * DAY_SECONDS * SECOND).checked_add(duration.units())
    }
}

/// Numbers, each with its letter.
struct Parts<'t> {
    rest: &'t str,
}

impl Parts<'_> {
    /// The number before this letter, if it comes next. The outer `None` is an error.
    fn whole(&mut self, letter: char) -> Option<Option<i128>> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || !self.rest[digits..].starts_with(letter) {
            return Some(None);
        }
        let number = self.rest[..digits].parse().ok()?;
        self.rest = &self.rest[digits + 1..];
        Some(Some(number))
    }

    /// The seconds, in units.
    fn seconds(&mut self) -> Option<Option<i128>> {
        let Some(number) = self.rest.strip_suffix('S') else { return Some(None) };
        self.rest = "";
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
            None => (number, ""),
        };
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 18 || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let fraction: i128 = format!("{fraction:0<18}").parse().ok()?;
        whole.parse::<i128>().ok()?.checked_mul(SECOND)?.checked_add(fraction).map(Some)
    }

    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DurationKind::{Any, DayTime, YearMonth};

    fn of(kind: DurationKind, text: &str) -> Duration {
        Duration::parse(kind, text).unwrap_or_else(|| panic!("{text} has a value"))
    }

    #[test]
    fn forms_are_read_and_written() {
        for (kind, text, canonical) in [
            (Any, "P1Y2M3DT4H5M6.70S", "P1Y2M3DT4H5M6.7S"),
            (Any, "-P13M", "-P1Y1M"),
            (Any, "PT0.5S", "PT0.5S"),
            (Any, "P0D", "PT0S"),
            (YearMonth, "P0Y", "P0M"),
            (YearMonth, "P12M", "P1Y"),
            (DayTime, "PT86400S", "P1D"),
            (DayTime, "-PT5H", "-PT5H"),
            (DayTime, "PT61M1S", "PT1H1M1S"),
        ] {
            assert_eq!(of(kind, text).canonical(), canonical, "{text}");
        }
        for (kind, text) in [
            (Any, "P"),
            (Any, "PT"),
            (Any, "P1DT"),
            (Any, "1Y"),
            (Any, "P1M1Y"),
            (Any, "P1S"),
            (Any, "PT1.S"),
            (Any, "PT.5S"),
            (Any, "PT1.5M"),
            (Any, "P-1Y"),
            (Any, "P1YT1H1H"),
            (Any, "P99999999999999999999999Y"),
            (YearMonth, "P1D"),
            (YearMonth, "P1YT0S"),
            (DayTime, "P1M"),
        ] {
            assert_eq!(Duration::parse(kind, text), None, "{text}");
        }
    }

    #[test]
    fn the_order_is_partial() {
        let order = |one: &str, other: &str| of(Any, one).compare(of(Any, other));
        assert_eq!(order("P1Y", "P364D"), Some(Ordering::Greater));
        assert_eq!(order("P1Y", "P365D"), None);
        assert_eq!(order("P1Y", "P367D"), Some(Ordering::Less));
        assert_eq!(order("P1M", "P30D"), None);
        assert_eq!(order("P5M", "P154D"), Some(Ordering::Less));
        assert_eq!(order("PT36H", "P1DT12H"), Some(Ordering::Equal));
        assert_eq!(order("P999999999999Y", "P1D"), Some(Ordering::Greater));
        let (far, farther) = (of(Any, "P99999999999999Y"), of(Any, "P999999999999999Y"));
        assert_eq!(far.compare(farther), None);
        assert!(far.order_key() < farther.order_key());
        assert!(of(Any, "P30D").order_key() < of(Any, "P1M").order_key());
        assert_eq!(of(Any, "P1D").order_key(), of(DayTime, "PT24H").order_key());
    }

    #[test]
    fn sums_keep_one_sign() {
        let plus = |one: Duration, other: Duration| one.plus(other).map(Duration::canonical);
        assert_eq!(plus(of(DayTime, "P1D"), of(DayTime, "-PT1H")).as_deref(), Some("PT23H"));
        assert_eq!(plus(of(YearMonth, "P1Y"), of(DayTime, "P1D")).as_deref(), Some("P1Y1D"));
        assert_eq!(plus(of(YearMonth, "P1Y"), of(DayTime, "-P1D")), None);
        assert_eq!(of(Any, "P1YT1S").cast(DayTime).canonical(), "PT1S");
    }
}
