//! ORDER BY as a total order.
//!
//! SPARQL 1.1 §15.1 orders unbound values before blank nodes, IRIs and literals, and literals by the operator `<`,
//! which leaves most pairs of literals of different types undecided. To decide those by their lexical forms, one pair at a
//! time, would make cycles (2 < 10 by value, 10 < "1a" < 2 by lexical form), and a sort over cycles may give any order or
//! fail. So each value of ORDER BY becomes a *sort key*: a string, computed once per row, with an order by code point
//! that extends `<`. Unbound cells and errors have none and come first.
//!
//! | kind of term | within the kind |
//! |---|---|
//! | blank nodes, then IRIs | by label, by text |
//! | numbers of all types | by value, NaN last |
//! | strings with and without language | by text, then language, then direction |
//! | booleans | false before true |
//! | dateTime, date, time, gYear... (each its own kind) | on the time line, without a zone as UTC |
//! | durations of all types | by their end after 1696-09-01, one of the four dates of XML Schema, then months and seconds |
//! | other literals | by text, then datatype |
//! | triples | by subject, predicate, object |

use entail_expression::Value;
use entail_expression::value::duration::Duration;
use entail_expression::value::float;
use entail_expression::value::gregorian::Gregorian;
use entail_expression::value::instant::{Instant, InstantKind};
use entail_expression::value::number::Number;
use entail_expression::value::{Lexical, LiteralKind, Typed, View};
use oxrdf::{Term, Triple};
use std::str::FromStr;

/// The sort key of a term: keys have the order of the terms.
pub fn sort_key(view: View<'_>) -> String {
    if let Ok(Typed::Number(value)) = view.typed() {
        return number(value);
    }
    match view.lexical() {
        Ok(Lexical::Blank(label)) => format!("b{label}"),
        Ok(Lexical::Iri(iri)) => format!("c{iri}"),
        Ok(Lexical::Literal { form, kind }) => match kind {
            LiteralKind::String => format!("e{form}"),
            LiteralKind::Language(tag, "") => format!("e{form}\0{tag}"),
            LiteralKind::Language(tag, direction) => format!("e{form}\0{tag}\0{direction}"),
            LiteralKind::Typed(datatype) => typed(view, &form, datatype),
        },
        Ok(Lexical::Triple(triple)) => match Triple::from_str(triple) {
            Ok(triple) => format!(
                "m{}\0{}\0{}",
                key_of(&triple.subject.into()),
                triple.predicate.as_str(),
                key_of(&triple.object)
            ),
            Err(_) => format!("m{triple}"),
        },
        Ok(Lexical::Error) | Err(_) => String::new(),
    }
}

fn key_of(term: &Term) -> String {
    sort_key(Value::of(term.as_ref()).view())
}

fn typed(view: View<'_>, form: &str, datatype: &str) -> String {
    let is_too_large = match view.typed() {
        Ok(Typed::Boolean(value)) => return format!("f{}", u8::from(value)),
        Ok(Typed::Instant(value)) => return instant(value),
        Ok(Typed::Duration(value)) => return duration(value),
        Ok(Typed::TooLarge) => true,
        _ => false,
    };
    let key = match Gregorian::of(datatype) {
        Some(kind) => kind.first_day(form).map(|day| format!("j{}{}", kind as u8, signed(day.utc_units()))),
        // A number with more digits than arithmetic has.
        None if is_too_large => float::parse(form).map(|value| number(Number::Double(value))),
        None => None,
    };
    key.unwrap_or_else(|| format!("l{form}\0{datatype}"))
}

/// By the nearest double, then, as several exact numbers have the same one, by the digits.
fn number(number: Number) -> String {
    let Number::Double(nearest) = number.cast_double() else { return String::new() };
    // One zero and one NaN.
    let nearest = if nearest.is_nan() { f64::NAN.abs() } else { nearest + 0.0 };
    let bits = nearest.to_bits();
    let bits = if nearest.is_sign_negative() { !bits } else { bits | 1 << 63 };
    let digits = match number {
        Number::Integer(_) | Number::Decimal(_) => digits(&number.canonical()),
        Number::Float(_) | Number::Double(_) if nearest.is_finite() => digits(&nearest.to_string()),
        Number::Float(_) | Number::Double(_) => String::new(),
    };
    format!("d{bits:016x}{digits}")
}

/// A number without an exponent as text in the order of the numbers.
fn digits(text: &str) -> String {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.is_empty() && fraction.is_empty() {
        return "0000.!".to_owned();
    }
    let key = format!("{:04}{whole}.{fraction}", whole.len());
    if !is_negative {
        return key + "!";
    }
    let complement = |c: char| c.to_digit(10).and_then(|digit| char::from_digit(9 - digit, 10)).unwrap_or(c);
    key.chars().map(complement).collect::<String>() + "~"
}

fn instant(instant: Instant) -> String {
    let kind = match instant.kind {
        InstantKind::DateTime => 'g',
        InstantKind::Date => 'h',
        InstantKind::Time => 'i',
    };
    format!("{kind}{}", signed(instant.utc_units()))
}

fn duration(duration: Duration) -> String {
    let [end, months, units] = duration.order_key().map(signed);
    format!("k{end}{months}{units}")
}

/// A number as text in the order of the numbers.
fn signed(number: i128) -> String {
    format!("{:032x}", number.cast_unsigned() ^ 1 << 127)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_expression::compare::compare;
    use entail_syntax::ast::Comparison;
    use oxrdf::{BlankNode, Literal, NamedNode};
    use std::cmp::Ordering;

    fn literal(value: &str, datatype: &str) -> Term {
        Literal::new_typed_literal(value, NamedNode::new_unchecked(datatype)).into()
    }

    fn typed(value: &str, datatype: &str) -> Term {
        literal(value, &format!("http://www.w3.org/2001/XMLSchema#{datatype}"))
    }

    /// Terms of all kinds, many of them not comparable by `<`, in their order; those in one list are equal.
    fn in_order() -> Vec<Vec<Term>> {
        let iri = |text: &str| Term::from(NamedNode::new_unchecked(text));
        let one = |term: Term| vec![term];
        vec![
            one(BlankNode::new_unchecked("a").into()),
            one(BlankNode::new_unchecked("b").into()),
            one(iri("http://example.org/a")),
            one(iri("http://example.org/b")),
            one(typed("-INF", "double")),
            one(typed("-100000000000000000000000000000000000000000", "integer")),
            one(typed("-9007199254740993", "integer")),
            vec![typed("-9007199254740992", "integer"), typed("-9007199254740992.0", "decimal")],
            one(typed("-1.5", "float")),
            vec![typed("-0", "double"), typed("0", "integer"), typed("+0.0", "decimal"), typed("-0.0", "float")],
            one(typed("4.9e-324", "double")),
            one(typed("0.000000000000000001", "decimal")),
            vec![typed("2", "integer"), typed("2.0", "double"), typed("02", "byte"), typed("2", "float")],
            one(typed("2.000000000000000001", "decimal")),
            vec![typed("10", "integer"), typed("1e1", "double")],
            one(typed("9007199254740992", "integer")),
            one(typed("9007199254740993", "long")),
            one(typed("1e300", "double")),
            vec![typed("INF", "double"), typed("INF", "float")],
            vec![typed("NaN", "double"), typed("NaN", "float")],
            one(Literal::new_simple_literal("").into()),
            one(Literal::new_simple_literal("10").into()),
            one(Literal::new_simple_literal("9").into()),
            one(Literal::new_simple_literal("a").into()),
            one(Literal::new_language_tagged_literal_unchecked("a", "de").into()),
            one(Literal::new_language_tagged_literal_unchecked("a", "en").into()),
            one(Literal::new_simple_literal("ab").into()),
            one(Literal::new_simple_literal("\u{10FFFF}").into()),
            vec![typed("false", "boolean"), typed("0", "boolean")],
            one(typed("true", "boolean")),
            one(typed("-0044-03-15T00:00:00Z", "dateTime")),
            vec![typed("2026-01-01T00:00:00Z", "dateTime"), typed("2026-01-01T00:00:00", "dateTime")],
            one(typed("2026-01-01T02:00:00+01:00", "dateTime")),
            one(typed("2026-01-01T02:00:00.000000000000000001", "dateTime")),
            one(typed("2026-01-01T02:00:00.000000000000000002Z", "dateTimeStamp")),
            one(typed("999999999-12-31T23:59:59.999999999999999998Z", "dateTime")),
            one(typed("999999999-12-31T23:59:59.999999999999999999Z", "dateTime")),
            one(typed("-999999999-01-01", "date")),
            one(typed("2025-12-31", "date")),
            one(typed("2026-01-01", "date")),
            one(typed("20260-01-01", "date")),
            one(typed("999999999-01-01", "date")),
            one(typed("01:00:00", "time")),
            one(typed("12:00:00", "time")),
            one(typed("-0044", "gYear")),
            one(typed("2026+01:00", "gYear")),
            vec![typed("2026", "gYear"), typed("2026Z", "gYear")],
            one(typed("2026-01:00", "gYear")),
            one(typed("12026", "gYear")),
            one(typed("999999999", "gYear")),
            one(typed("2026-02", "gYearMonth")),
            one(typed("12026-01", "gYearMonth")),
            one(typed("--02", "gMonth")),
            one(typed("--12", "gMonth")),
            one(typed("--02-29", "gMonthDay")),
            one(typed("--03-01", "gMonthDay")),
            one(typed("---09", "gDay")),
            one(typed("---31", "gDay")),
            one(typed("-P99999999999999Y", "yearMonthDuration")),
            one(typed("-P300000000000D", "dayTimeDuration")),
            one(typed("-P1Y", "yearMonthDuration")),
            vec![typed("PT0S", "dayTimeDuration"), typed("P0M", "yearMonthDuration"), typed("P0D", "duration")],
            one(typed("PT36H", "dayTimeDuration")),
            one(typed("P2D", "duration")),
            one(typed("P1M", "yearMonthDuration")),
            one(typed("P1M1D", "duration")),
            one(typed("P300000000000D", "duration")),
            one(typed("P300000000000DT0.000000000000000001S", "dayTimeDuration")),
            one(typed("P99999999999999Y", "yearMonthDuration")),
            one(typed("P999999999999999Y", "duration")),
            one(literal("a", "http://example.org/type")),
            one(typed("a", "integer")),
            one(literal("b", "http://example.org/type")),
            one(Triple::new(
                BlankNode::new_unchecked("s"),
                NamedNode::new_unchecked("http://example.org/p"),
                NamedNode::new_unchecked("http://example.org/z"),
            )
            .into()),
            one(Triple::new(
                BlankNode::new_unchecked("s"),
                NamedNode::new_unchecked("http://example.org/p"),
                Literal::from(2),
            )
            .into()),
            one(Triple::new(
                BlankNode::new_unchecked("s"),
                NamedNode::new_unchecked("http://example.org/p"),
                Literal::from(10),
            )
            .into()),
        ]
    }

    #[test]
    fn keys_are_ordered_as_the_terms() {
        let terms: Vec<(usize, Term)> = in_order()
            .into_iter()
            .enumerate()
            .flat_map(|(place, terms)| terms.into_iter().map(move |t| (place, t)))
            .collect();
        for (place, term) in &terms {
            for (other_place, other) in &terms {
                let found = key_of(term).cmp(&key_of(other));
                assert_eq!(found, place.cmp(other_place), "{term} and {other}");
            }
        }
    }

    /// If SPARQL's operator `<` orders two terms, their keys have the same order.
    #[test]
    fn keys_extend_the_operator() {
        let terms: Vec<Term> = in_order().into_iter().flatten().collect();
        let mut decided = 0;
        for left in &terms {
            for right in &terms {
                let (one, other) = (Value::of(left.as_ref()), Value::of(right.as_ref()));
                let is_less = compare(Comparison::Less, one.view(), other.view()).unwrap();
                if is_less == Some(true) {
                    decided += 1;
                    let found = key_of(left).cmp(&key_of(right));
                    assert_eq!(found, Ordering::Less, "{left} < {right}");
                }
            }
        }
        assert!(decided > 200, "{decided} pairs decided");
    }
}
