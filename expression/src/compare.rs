//! How values compare: `=` and `<`.
//!
//! Equality and order are those of the operator mapping (17.3) over values, and RDFterm-equal over terms whose values are
//! not known. The order is partial.

use crate::value::{Typed, View};
use entail_model::{Fault, TermId, TermKind};
use entail_syntax::ast::Comparison;
use oxrdf::{Term, Triple};
use std::cmp::Ordering;
use std::str::FromStr;

/// `<operator>` of two values; `None` is an error.
///
/// # Errors
/// `Internal` if only the id of one is known, `Corrupt` for bytes that are no term.
#[inline]
pub fn compare(operator: Comparison, one: View<'_>, other: View<'_>) -> Result<Option<bool>, Fault> {
    let by_order = |holds: fn(Ordering) -> bool| {
        // What is not a number is in no order: every comparison with it is false.
        Ok(order(one, other)?.map(|order| order.is_some_and(holds)))
    };
    match operator {
        Comparison::Equal => equal(one, other),
        Comparison::NotEqual => Ok(equal(one, other)?.map(|equal| !equal)),
        Comparison::Less => by_order(Ordering::is_lt),
        Comparison::LessOrEqual => by_order(Ordering::is_le),
        Comparison::Greater => by_order(Ordering::is_gt),
        Comparison::GreaterOrEqual => by_order(Ordering::is_ge),
    }
}

/// `=`; `None` is an error.
///
/// # Errors
/// `Internal` if only the id of one is known, `Corrupt` for bytes that are no term.
pub fn equal(one: View<'_>, other: View<'_>) -> Result<Option<bool>, Fault> {
    if let Some(same) = decided_by_bytes(one, other) {
        return Ok(Some(same));
    }
    let (left, right) = (one.typed()?, other.typed()?);
    Ok(match (left, right) {
        (Typed::Error, _) | (_, Typed::Error) => None,
        (Typed::Number(one), Typed::Number(other)) => Some(one.compare(other) == Some(Ordering::Equal)),
        (Typed::Boolean(one), Typed::Boolean(other)) => Some(one == other),
        (Typed::String(one), Typed::String(other)) => Some(one == other),
        (Typed::Instant(one), Typed::Instant(other)) if one.kind == other.kind => {
            one.compare(other).map(|order| order == Ordering::Equal)
        }
        (Typed::Duration(one), Typed::Duration(other)) => Some(one == other),
        (Typed::Triple(one), Typed::Triple(other)) => return triples(one, other),
        _ if has_value(left) && has_value(right) => one.is_same(other)?,
        // A value that is not known may be any, but not what is no literal, nor a string with a language.
        _ if is_apart(left) || is_apart(right) => Some(false),
        _ => one.is_same(other)?.filter(|same| *same),
    })
}

/// Equality of what is not looked into: IRIs and blank nodes, and two strings. Reads no more than the first byte of a term
/// that differs.
#[inline]
fn decided_by_bytes(one: View<'_>, other: View<'_>) -> Option<bool> {
    if let (View::Stored { id: one, .. }, View::Stored { id: other, .. }) = (one, other) {
        let is_node = |id: TermId| matches!(id.kind(), TermKind::Iri | TermKind::BlankNode);
        return (is_node(one) || is_node(other)).then_some(one == other);
    }
    let (one, other) = (one.text()?, other.text()?);
    match (one.first()?, other.first()?) {
        (b'I' | b'B', _) | (_, b'I' | b'B') | (b'S', b'S') => Some(one == other),
        _ => None,
    }
}

/// Is the value known?
fn has_value(value: Typed<'_>) -> bool {
    !matches!(value, Typed::Unknown | Typed::Invalid | Typed::InvalidCondition | Typed::TooLarge)
}

fn is_apart(value: Typed<'_>) -> bool {
    !value.is_literal() || matches!(value, Typed::Language { .. })
}

/// Two triple terms: the same subject and predicate, and objects that are equal.
fn triples(one: &str, other: &str) -> Result<Option<bool>, Fault> {
    if one == other {
        // The objects are the same term, and only an object that is not a number is not equal to itself.
        let object = parse(one)?.object;
        return if matches!(object, Term::Literal(_)) { equal_terms(&object, &object) } else { Ok(Some(true)) };
    }
    let (one, other) = (parse(one)?, parse(other)?);
    if one.subject != other.subject || one.predicate != other.predicate {
        return Ok(Some(false));
    }
    equal_terms(&one.object, &other.object)
}

fn equal_terms(one: &Term, other: &Term) -> Result<Option<bool>, Fault> {
    let (one, other) = (crate::Value::of(one.as_ref()), crate::Value::of(other.as_ref()));
    equal(one.view(), other.view())
}

/// The parts of a triple term.
pub(crate) fn parse(triple: &str) -> Result<Triple, Fault> {
    Triple::from_str(triple).map_err(|_| Fault::corrupt("a triple term that does not parse"))
}

/// The order of two values by `<`: the outer `None` is an error, the inner one a number that is none.
fn order(one: View<'_>, other: View<'_>) -> Result<Option<Option<Ordering>>, Fault> {
    if let (Some(&[b'S', ref one @ ..]), Some(&[b'S', ref other @ ..])) = (one.text(), other.text()) {
        // The order of the bytes of UTF-8 is that of the characters.
        return Ok(Some(Some(one.cmp(other))));
    }
    Ok(match (one.typed()?, other.typed()?) {
        (Typed::Number(one), Typed::Number(other)) => Some(one.compare(other)),
        (Typed::String(one), Typed::String(other)) => Some(Some(one.cmp(other))),
        (Typed::Boolean(one), Typed::Boolean(other)) => Some(Some(one.cmp(&other))),
        (Typed::Instant(one), Typed::Instant(other)) if one.kind == other.kind => one.compare(other).map(Some),
        (Typed::Duration(one), Typed::Duration(other)) => one.compare(other).map(Some),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn value(text: &str) -> Value {
        Value::of(Term::from_str(&text.replace("xsd:", "http://www.w3.org/2001/XMLSchema#")).unwrap().as_ref())
    }

    fn literal(form: &str, datatype: &str) -> Value {
        value(&format!("\"{form}\"^^<xsd:{datatype}>"))
    }

    #[test]
    fn equality_knows_values_and_terms() {
        let is = |one: &Value, other: &Value| equal(one.view(), other.view()).unwrap();
        let (seven, other_seven) = (literal("7", "integer"), literal("007", "integer"));
        let text = value("\"7\"");
        for (one, other, expected) in [
            (&seven, &other_seven, Some(true)),
            (&seven, &literal("7.0", "decimal"), Some(true)),
            (&seven, &literal("8", "int"), Some(false)),
            (&seven, &text, Some(false)),
            (&text, &value("\"7\"@en"), Some(false)),
            (&seven, &literal("seven", "integer"), None),
            (&literal("seven", "integer"), &literal("seven", "integer"), Some(true)),
            (&value("\"a\"^^<urn:t>"), &value("\"a\"^^<urn:t>"), Some(true)),
            (&value("\"a\"^^<urn:t>"), &value("\"b\"^^<urn:t>"), None),
            (&value("\"a\"^^<urn:t>"), &value("\"b\"@en"), Some(false)),
            (&value("\"a\"^^<urn:t>"), &value("<urn:a>"), Some(false)),
            (&value("<urn:a>"), &value("<urn:a>"), Some(true)),
            (&value("<urn:a>"), &value("_:a"), Some(false)),
            (&literal("NaN", "double"), &literal("NaN", "double"), Some(false)),
            (&literal("2006-08-23", "date"), &literal("2006-08-23Z", "date"), None),
            (&literal("2006-08-23", "date"), &literal("2001-01-01Z", "date"), Some(false)),
            (&literal("2006-08-23", "date"), &literal("2006-08-23T00:00:00", "dateTime"), Some(false)),
            (&literal("2024-02-31", "date"), &literal("2024-03-02", "date"), None),
            (&literal("P1Y", "yearMonthDuration"), &literal("P12M", "duration"), Some(true)),
            (&Value::Error, &seven, None),
        ] {
            assert_eq!(is(one, other), expected, "{one:?} {other:?}");
            assert_eq!(is(other, one), expected, "{other:?} {one:?}");
        }
        let triple = |object: &str| value(&format!("<<( <urn:a> <urn:b> {object} )>>"));
        let nan = triple("\"NaN\"^^<xsd:double>");
        assert_eq!(is(&triple("\"7\"^^<xsd:integer>"), &triple("\"07\"^^<xsd:integer>")), Some(true));
        assert_eq!(is(&triple("\"7\"^^<urn:t>"), &triple("\"8\"^^<urn:t>")), None);
        assert_eq!(is(&nan, &nan), Some(false));
        assert_eq!(is(&triple("<urn:c>"), &triple("<urn:d>")), Some(false));
    }

    #[test]
    fn order_needs_values_that_have_one() {
        let less = |one: &Value, other: &Value| compare(Comparison::LessOrEqual, one.view(), other.view()).unwrap();
        let iri = value("<urn:a>");
        assert_eq!(less(&iri, &iri), None);
        assert_eq!(less(&value("\"a\"@en"), &value("\"a\"@en")), None);
        assert_eq!(less(&literal("NaN", "double"), &literal("1", "integer")), Some(false));
        assert_eq!(less(&literal("false", "boolean"), &literal("1", "boolean")), Some(true));
        assert_eq!(less(&value("\"a\""), &literal("1", "integer")), None);
        assert_eq!(less(&value("\"Z\""), &value("\"a\"")), Some(true));
    }
}
