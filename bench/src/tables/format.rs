//! Formats numbers for tables.

/// A function that formats a number.
pub type Number = fn(f64) -> String;

/// An integer with thousands separators.
pub fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let mut parts: Vec<&str> = Some(head).filter(|head| !head.is_empty()).into_iter().collect();
    parts.extend((0..tail.len() / 3).map(|part| &tail[3 * part..3 * part + 3]));
    format!("{sign}{}", parts.join(","))
}

/// Seconds with two decimals, or three for small values.
pub fn seconds(number: f64) -> String {
    if number < 0.1 { format!("{number:.3}") } else { format!("{number:.2}") }
}

/// Seconds as milliseconds.
pub fn millis(number: f64) -> String {
    let millis = number * 1e3;
    if millis < 1.0 { format!("{millis:.3}") } else { format!("{millis:.1}") }
}

/// Seconds as microseconds.
pub fn micros(number: f64) -> String {
    ratio(number * 1e6)
}

/// Bytes in millions.
pub fn bytes(number: f64) -> String {
    let millions = number / 1e6;
    if millions < 100.0 { format!("{millions:.1}") } else { count(millions) }
}

/// A ratio; a dash if it is not a number.
pub fn ratio(number: f64) -> String {
    if number.is_finite() { format!("{number:.2}") } else { "–".to_owned() }
}

/// A value divided by `of`; empty if there is no value.
pub fn per(value: Option<f64>, of: f64) -> String {
    value.map_or_else(String::new, |value| ratio(value / of))
}
