//! Parses and formats times, sizes and counts.

use entail_model::ShardCount;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const MEMORY_MIN: u64 = 1 << 20;

/// A time limit; `none` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            text => match time(text)? {
                time if time.is_zero() => Err(format!("`{text}` is zero; `none` sets no limit")),
                time => Ok(Self(Some(time))),
            },
        }
    }
}

/// Parses a time: `500ms`, `30s`, `1.5m`, `2h`, `7d`; a number without a unit means seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time such as 500ms, 30s, 5m, 2h");
    let (number, unit) = split(text).ok_or_else(bad)?;
    let millis = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1.0,
        "" | "s" | "sec" | "second" | "seconds" => 1e3,
        "m" | "min" | "minute" | "minutes" => 60e3,
        "h" | "hour" | "hours" => 3_600e3,
        "d" | "day" | "days" => 86_400e3,
        _ => return Err(bad()),
    };
    let time = (number * millis).round();
    // gRPC timeouts have at most eight digits; the limit in hours is the lowest.
    if time > 1e6 * 3_600e3 { Err(bad()) } else { Ok(Duration::from_millis(time as u64)) }
}

/// Parses a size: `2GiB`, `512M` (also a power of two), `1.5GiB`, `100MB` (a power of ten), `4096`.
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
    let size = number * factor as f64;
    // Up to here an f64 represents every whole number of bytes exactly; no machine has more.
    if size > (1u64 << 53) as f64 { Err(bad()) } else { Ok(size.round() as u64) }
}

/// Parses a time that is not zero.
pub fn some_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err(format!("`{text}` must be positive")) } else { Ok(time) })
}

/// Parses a memory size, with the smallest usable one as its minimum.
pub fn memory(text: &str) -> Result<u64, String> {
    match size(text)? {
        size if size >= MEMORY_MIN => Ok(size),
        _ if split(text).is_some_and(|(number, unit)| unit.is_empty() && number >= 1.0) => {
            Err(format!("`{text}` without a unit is bytes, and less than 1MiB: did you mean {text}MiB?"))
        }
        _ => Err(format!("`{text}` is less than 1MiB")),
    }
}

/// Parses a number of shards.
pub fn shards(text: &str) -> Result<u32, String> {
    let number = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    ShardCount::new(number).map(|_| number)
}

/// Splits a text into a non-negative number, optionally with decimals, and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A count with thousands separators: `1,234,567`.
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

/// A count with its noun: `1 round`, `2 rounds`.
pub fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// A size in binary units: `1.5 GiB`.
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

/// A duration: `3.2 ms`, `12.34 s`, `5 min 07 s`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        s if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

/// A rate per second; `None` if no time has passed.
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
        assert_eq!("5".parse(), Ok(Timeout(Some(Duration::from_secs(5)))));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("5 days"), Ok(Duration::from_secs(5 * 86_400)));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("512m"), Ok(512 << 20));
        assert_eq!(size("100MB"), Ok(100_000_000));
        assert_eq!(size("7"), Ok(7));
        assert_eq!(size("1.5 GiB"), Ok(3 << 29));
        for bad in ["", "s", ".", "1.2.3s", "-1s", "5 elephants", "99999999999999h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        for bad in ["0", "0s", "0.1ms"] {
            assert!(bad.parse::<Timeout>().is_err() && some_time(bad).is_err(), "{bad}");
        }
        assert_eq!(memory("512MiB"), Ok(512 << 20));
        assert!(memory("512").unwrap_err().contains("did you mean 512MiB?"));
        assert!(memory("0").unwrap_err().contains("less than 1MiB"));
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
