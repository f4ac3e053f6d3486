//! `xsd:float` and `xsd:double`: how they are written.

use std::fmt::LowerExp;
use std::str::FromStr;

/// The number of a lexical form; `None` if it is not in the lexical space of XSD 1.1.
pub fn parse<F: FromStr + From<f32>>(text: &str) -> Option<F> {
    match text {
        "INF" | "+INF" => return Some(f32::INFINITY.into()),
        "-INF" => return Some(f32::NEG_INFINITY.into()),
        "NaN" => return Some(f32::NAN.into()),
        _ => {}
    }
    // Rust reads more than XSD has: `inf`, `nan`, `infinity`.
    let is_numeral = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(is_numeral) { None } else { text.parse().ok() }
}

/// The canonical form of XSD: `1.0E0`.
pub fn canonical<F: LowerExp>(number: F) -> String {
    let text = format!("{number:e}");
    match special(&text) {
        Some(special) => special.to_owned(),
        None => {
            let (digits, exponent) = text.split_once('e').expect("a finite float is written with an exponent");
            let point = if digits.contains('.') { "" } else { ".0" };
            format!("{digits}{point}E{exponent}")
        }
    }
}

/// The form that a cast to `xsd:string` gives (XPath Functions 3.1, 19.1.2): without an exponent between a millionth and a
/// million.
pub fn plain<F: LowerExp + std::fmt::Display + Copy + Into<f64>>(number: F) -> String {
    let magnitude = number.into().abs();
    if magnitude == 0.0 {
        return if number.into().is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if (1e-6..1e6).contains(&magnitude) { number.to_string() } else { canonical(number) }
}

fn special(text: &str) -> Option<&'static str> {
    match text {
        "inf" => Some("INF"),
        "-inf" => Some("-INF"),
        "NaN" => Some("NaN"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_xsd() {
        for text in ["inf", "nan", "Infinity", "1e", "", "+", ".", "1 ", "0x1", "e5", "1_0", "+NaN"] {
            assert_eq!(parse::<f64>(text), None, "{text}");
        }
        for (text, canonical_form) in [
            ("1", "1.0E0"),
            ("+33.3300", "3.333E1"),
            ("-10.2E3", "-1.02E4"),
            ("0E1", "0.0E0"),
            ("-0", "-0.0E0"),
            (".5", "5.0E-1"),
            ("5.", "5.0E0"),
            ("INF", "INF"),
            ("-INF", "-INF"),
            ("NaN", "NaN"),
            ("1e400", "INF"),
        ] {
            assert_eq!(canonical(parse::<f64>(text).unwrap()), canonical_form, "{text}");
        }
        assert_eq!(canonical(parse::<f32>("0.1").unwrap()), "1.0E-1");
        for (number, form) in [(1.0, "1"), (-7.875, "-7.875"), (1e6, "1.0E6"), (0.000001, "0.000001"), (-0.0, "-0")] {
            assert_eq!(plain::<f64>(number), form);
        }
        assert_eq!(plain(f64::NAN), "NaN");
        assert_eq!(plain(1.25f32), "1.25");
    }
}
