//! Dates and times (XSD 1.1): a moment is a count of nanoseconds, with a time zone or without.

use crate::number::Decimal;
use std::cmp::Ordering;

/// A dateTime or a date, with its parts as they are written.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub nanoseconds: i64,
    /// Minutes east of UTC.
    pub zone: Option<i64>,
}

const SECOND: i128 = 1_000_000_000;

/// XSD compares a time without a zone with one that has one as if the zone could be any between these.
const ZONE_MAX: i128 = 14 * 3600 * SECOND;

fn number(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Moment {
    /// `yyyy-mm-dd`, then for a dateTime `Thh:mm:ss` with a fraction, then a zone. Years have four digits here.
    pub fn parse(form: &str, has_time: bool) -> Option<Self> {
        let (body, zone) = split_zone(form, if has_time { 19 } else { 10 })?;
        let (date, time) = if has_time { body.split_once('T')? } else { (body, "00:00:00") };
        let mut parts = date.split('-');
        let (year, month) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?);
        let day = number(parts.next()?, 2).filter(|_| parts.next().is_none())?;
        let mut parts = time.split(':');
        let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
        let nanoseconds = seconds(parts.next().filter(|_| parts.next().is_none())?)?;
        // The end of a day is the begin of the next.
        let is_end = hour == 24 && minute == 0 && nanoseconds == 0;
        let is_valid = (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day)
            && (hour < 24 || is_end)
            && minute < 60;
        is_valid.then_some(Self { year, month, day, hour, minute, nanoseconds, zone })
    }

    /// Nanoseconds since the year 0 in the moment's own zone.
    fn local(self) -> i128 {
        let mut days = i128::from(self.day);
        for year in 0..self.year {
            days += 365 + i128::from(is_leap(year));
        }
        for month in 1..self.month {
            days += i128::from(days_of_month(self.year, month));
        }
        let minutes = i128::from(self.hour * 60 + self.minute);
        (days * 86_400 + minutes * 60) * SECOND + i128::from(self.nanoseconds)
    }

    /// The order of XSD; `None` where it depends on a zone that is missing.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let utc = |moment: Self, zone: i64| moment.local() - i128::from(zone) * 60 * SECOND;
        match (self.zone, other.zone) {
            (Some(one), Some(two)) => Some(utc(self, one).cmp(&utc(other, two))),
            (None, None) => Some(self.local().cmp(&other.local())),
            (Some(_), None) => other.compare(self).map(Ordering::reverse),
            (None, Some(zone)) => {
                let (one, two) = (self.local(), utc(other, zone));
                let (earliest, latest) = (one - ZONE_MAX, one + ZONE_MAX);
                if latest < two {
                    Some(Ordering::Less)
                } else if earliest > two {
                    Some(Ordering::Greater)
                } else {
                    None
                }
            }
        }
    }

    pub fn seconds(self) -> Decimal {
        Decimal { mantissa: self.nanoseconds.into(), scale: 9 }
    }
}

/// The seconds of a time as nanoseconds.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = number(whole, 2).filter(|whole| *whole < 60)?;
    let digits = number(fraction, fraction.len()).filter(|_| (1..=9).contains(&fraction.len()))?;
    Some(whole * 1_000_000_000 + digits * 10_i64.pow(9 - fraction.len() as u32))
}

/// What stands before the zone, which begins no earlier than at `least`; the zone in minutes.
fn split_zone(form: &str, least: usize) -> Option<(&str, Option<i64>)> {
    if let Some(body) = form.strip_suffix('Z') {
        return Some((body, Some(0)));
    }
    let rest = form.get(least..)?;
    let Some(start) = rest.find(['+', '-']) else { return Some((form, None)) };
    let (body, zone) = form.split_at(least + start);
    let (hours, minutes) = zone[1..].split_once(':')?;
    let minutes = number(hours, 2)? * 60 + number(minutes, 2).filter(|minutes| *minutes < 60)?;
    let zone = if zone.starts_with('-') { -minutes } else { minutes };
    (minutes <= 14 * 60).then_some((body, Some(zone)))
}

/// The text of a zone, as TZ gives it.
pub fn zone_text(form: &str) -> &str {
    if form.ends_with('Z') {
        "Z"
    } else {
        form.get(form.len() - 6..)
            .filter(|zone| zone.contains(':'))
            .filter(|zone| zone.starts_with(['+', '-']))
            .unwrap_or("")
    }
}
