//! Numbers that the parser converts to other literals than JSON-LD 1.1 asks for: integers of 21 digits, which are
//! `xsd:integer` below 10^21 (API, section 8.2.2), and minus zero as an `xsd:double`.
//!
//! What a number becomes depends on its context: an integer, a double, a literal of the type in the context, or a part of a
//! JSON literal. So such a number is replaced by a *stand-in* before parsing, an integer that the parser handles as it
//! should, and the stand-in by the number in the literals that come out.
//!
//! Invariant: a stand-in is in no text in which it stands for a number, in any of its forms.

use memchr::memmem;
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{Literal, Quad, Term};
use std::borrow::Cow;

/// Integers of so many digits are converted correctly.
const DIGITS_SAFE: usize = 20;
/// The stand-ins are this and multiples of the step above it: a double represents each of them exactly, and writes it with
/// other digits than its neighbours.
const FIRST: u128 = 1 << 66;
const STEP: u128 = 1 << 20;

/// The forms of a number in literals.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Forms {
    /// Of an `xsd:integer`, and of every type but a double.
    integer: String,
    /// Of an `xsd:double`.
    double: String,
    /// Within a JSON literal.
    json: String,
}

impl Forms {
    /// The forms of an integer in decimal digits.
    fn of_integer(sign: &str, digits: &str) -> Self {
        let (first, rest) = digits.split_at(1);
        let fraction = match rest.trim_end_matches('0') {
            "" => "0",
            fraction => fraction,
        };
        let integer = format!("{sign}{digits}");
        let json = integer.parse::<f64>().map_or_else(|_| integer.clone(), |value| value.to_string());
        Self { integer, double: format!("{sign}{first}.{fraction}E{}", rest.len()), json }
    }

    fn minus_zero() -> Self {
        Self { integer: "0".to_owned(), double: "-0.0E0".to_owned(), json: "0".to_owned() }
    }
}

/// The numbers of a text that have stand-ins.
#[derive(Default)]
pub(crate) struct StandIns {
    /// Each number, as the parser would write its stand-in, and as it is.
    forms: Vec<(Forms, Forms)>,
    /// The offset in the new text after a replaced number, and how much longer the text is there.
    shifts: Vec<(usize, isize)>,
}

/// The text with stand-ins for some of its numbers.
pub(crate) fn replaced(text: &[u8]) -> (Cow<'_, [u8]>, StandIns) {
    let mut stand_ins = StandIns::default();
    let mut new = Vec::new();
    let mut copied = 0;
    let mut free = (0..).map(|step| FIRST + step * STEP).map(|number| Forms::of_integer("", &number.to_string()));
    for (start, token) in numbers(text) {
        let Some(forms) = mistaken(token) else { continue };
        let unused = |stand_in: &Forms| {
            [&stand_in.integer, &stand_in.double, &stand_in.json]
                .iter()
                .all(|form| memmem::find(text, form.as_bytes()).is_none())
        };
        let Some(stand_in) = free.find(unused) else { break };
        new.extend_from_slice(&text[copied..start]);
        new.extend_from_slice(stand_in.integer.as_bytes());
        copied = start + token.len();
        stand_ins.shifts.push((new.len(), new.len() as isize - copied as isize));
        stand_ins.forms.push((stand_in, forms));
    }
    if stand_ins.forms.is_empty() {
        return (Cow::Borrowed(text), stand_ins);
    }
    new.extend_from_slice(&text[copied..]);
    (Cow::Owned(new), stand_ins)
}

impl StandIns {
    /// The offset in the text before replacement.
    pub(crate) fn offset_before(&self, offset: usize) -> usize {
        let shift = self.shifts.iter().rev().find(|(after, _)| *after <= offset).map_or(0, |(_, shift)| *shift);
        offset.saturating_add_signed(-shift)
    }

    /// The quad with the numbers themselves.
    pub(crate) fn restored(&self, mut quad: Quad) -> Quad {
        if let Term::Literal(literal) = &quad.object
            && let Some(literal) = self.restored_literal(literal)
        {
            quad.object = literal.into();
        }
        quad
    }

    fn restored_literal(&self, literal: &Literal) -> Option<Literal> {
        if self.forms.is_empty() || literal.language().is_some() {
            return None;
        }
        let (value, datatype) = (literal.value(), literal.datatype());
        if datatype == rdf::JSON {
            let replace = |text: String, (stand_in, forms): &(Forms, Forms)| text.replace(&stand_in.json, &forms.json);
            return Some(Literal::new_typed_literal(self.forms.iter().fold(value.to_owned(), replace), datatype));
        }
        let value = self.forms.iter().find_map(|(stand_in, forms)| match datatype {
            xsd::DOUBLE => (stand_in.double == value).then_some(&forms.double),
            _ => (stand_in.integer == value).then_some(&forms.integer),
        })?;
        Some(Literal::new_typed_literal(value, datatype))
    }
}

/// The numbers of a text outside of strings, with their offsets.
fn numbers(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            match text[at] {
                b'"' => at += string_len(&text[at..]),
                b'-' | b'0'..=b'9' => {
                    let length = text[at..].iter().take_while(|byte| is_number(**byte)).count();
                    at += length;
                    return Some((at - length, &text[at - length..at]));
                }
                _ => at += 1,
            }
        }
        None
    })
}

fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// The length of a string with its quotes.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// The forms of a number that the parser would convert wrongly.
fn mistaken(token: &[u8]) -> Option<Forms> {
    let text = std::str::from_utf8(token).ok()?;
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return (sign == "-").then(Forms::minus_zero);
    }
    // The number of digits before the point.
    let length = i64::try_from(significant.len() as i128 - fraction.len() as i128 + i128::from(exponent)).ok()?;
    let trimmed = significant.trim_end_matches('0');
    let is_integer = i64::try_from(trimmed.len()).is_ok_and(|trimmed| trimmed <= length);
    let has_21_digits = usize::try_from(length).is_ok_and(|length| length == DIGITS_SAFE + 1);
    (is_integer && has_21_digits).then(|| Forms::of_integer(sign, &format!("{trimmed:0<21}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_of_21_digits_and_minus_zero_are_mistaken() {
        let integers = [
            ("100000000000000000000", "100000000000000000000", "1.0E20"),
            ("-123456789012345678901", "-123456789012345678901", "-1.23456789012345678901E20"),
            ("999999999999999999999", "999999999999999999999", "9.99999999999999999999E20"),
            ("1e20", "100000000000000000000", "1.0E20"),
            ("1.5E+20", "150000000000000000000", "1.5E20"),
            ("0.1e21", "100000000000000000000", "1.0E20"),
            ("1000000000000000000000e-1", "100000000000000000000", "1.0E20"),
            ("-0", "0", "-0.0E0"),
            ("-0.0e5", "0", "-0.0E0"),
        ];
        for (token, integer, double) in integers {
            let forms = mistaken(token.as_bytes()).unwrap_or_else(|| panic!("{token}"));
            assert_eq!((&*forms.integer, &*forms.double), (integer, double), "{token}");
        }
        for other in [
            "0",
            "1",
            "99999999999999999999",
            "1e19",
            "1e21",
            "100000000000000000000.5",
            "1E-20",
            "1e",
            "-",
            "1.2.3e19",
        ] {
            assert_eq!(mistaken(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn stand_ins_are_not_in_the_text_and_offsets_come_back() {
        let text = format!("[\"1e20\", 1e20, \"{FIRST}\", -0, \"\\\"\", 3, 1.0e20]");
        let (new, stand_ins) = replaced(text.as_bytes());
        let new = String::from_utf8(new.into_owned()).expect("digits");
        assert_eq!(stand_ins.forms.len(), 3);
        assert!(stand_ins.forms.iter().all(|(stand_in, _)| !text.contains(&stand_in.integer)));
        for (part, at) in [("\"1e20\"", 1), (" -0", 0), ("3,", 0), ("]", 0)] {
            if part != " -0" {
                let (before, after) = (text.rfind(part).expect("there"), new.rfind(part).expect("there"));
                assert_eq!(stand_ins.offset_before(after + at), before + at, "{part}");
            }
        }
        assert!(matches!(replaced(b"[1, \"x\"]").0, Cow::Borrowed(_)));
    }
}
