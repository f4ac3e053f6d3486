//! Times, sizes and counts, as people write and read them.

use entail_model::ShardCount;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const MEMORY_MIN: u64 = 1 << 20;

/// How long something may take; `none` is as long as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            text => time(text).map(|time| Self(Some(time))),
        }
    }
}

/// Reads a time: `500ms`, `30s`, `5m`, `2h`.
pub fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time such as 500ms, 30s, 5m, 2h");
    let (number, unit) = split(text).ok_or_else(bad)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    // gRPC counts deadlines in at most eight digits, which hours reach first.
    let time = number.checked_mul(millis).filter(|time| *time <= 1_000_000 * 3_600_000).ok_or_else(bad)?;
    Ok(Duration::from_millis(time))
}

/// Reads a size: `2GiB`, `512M` (a power of two as well), `100MB` (a power of ten), `4096`.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size such as 2GiB, 512MiB, 100MB");
    let (number, unit) = split(text).ok_or_else(bad)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).ok_or_else(bad)
}

/// Reads a time that is not nothing.
pub fn some_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err("no time at all".to_owned()) } else { Ok(time) })
}

/// Reads the size of a memory that one can work with.
pub fn memory(text: &str) -> Result<u64, String> {
    size(text).and_then(|size| if size < MEMORY_MIN { Err("less than 1MiB".to_owned()) } else { Ok(size) })
}

/// Reads a number of shards.
pub fn shards(text: &str) -> Result<u32, String> {
    let number = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    ShardCount::new(number).map(|_| number)
}

/// A whole number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A count with its thousands apart: `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what it counts: `1 round`, `2 rounds`.
pub fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// A size in powers of two: `1.5 GiB`.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB"].into_iter();
    let mut unit = None;
    while size >= 1024.0 {
        let Some(next) = units.next() else { break };
        size /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{size:.1} {unit}"),
    }
}

/// A time that something took: `3.2 ms`, `12.34 s`, `5 min 07 s`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        s if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

/// How many there are in a second; nothing when it took no time.
pub fn rate(number: u64, seconds: f64, what: impl Display) -> Option<String> {
    (seconds > 0.0).then(|| format!("{} {what}/s", count((number as f64 / seconds) as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!("none".parse(), Ok(Timeout(None)));
        assert_eq!("30s".parse(), Ok(Timeout(Some(Duration::from_secs(30)))));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("512m"), Ok(512 << 20));
        assert_eq!(size("100MB"), Ok(100_000_000));
        assert_eq!(size("7"), Ok(7));
        for bad in ["", "5", "-1s", "1.5s", "5 days", "99999999999999h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        for bad in ["", "GiB", "-1", "1 elephant", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_written() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1023, 1024, 1 << 40].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.0 TiB"]);
        assert_eq!([0.0032, 12.345, 307.0, 7260.0].map(seconds), ["3.2 ms", "12.35 s", "5 min 07 s", "2 h 01 min"]);
        assert_eq!((counted(1, "round"), counted(2, "round")), ("1 round".into(), "2 rounds".into()));
        assert_eq!(rate(10, 0.0, "x"), None);
    }
}
