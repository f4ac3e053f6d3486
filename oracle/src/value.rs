//! What terms mean to operators: their values, `=`, `<`, and the effective boolean value (17.2, 17.3, 17.4.1).
//!
//! `=` is that of SPARQL 1.2, whose sameValue is false where RDFterm-equal of SPARQL 1.1 was an error although both
//! values are known. A string with a language is known to differ from every other literal.

use crate::number::{self, Number};
use crate::time::Moment;
use crate::{Fail, undecided};
use oxrdf::{Literal, Term};
use std::cmp::Ordering;

const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// Types of XSD whose values are not reckoned with here.
const OTHER_TYPES: [&str; 9] =
    ["time", "duration", "dayTimeDuration", "yearMonthDuration", "gYear", "gYearMonth", "gMonthDay", "gDay", "gMonth"];

#[derive(Clone, Debug)]
pub enum Value<'t> {
    Number(Number),
    Boolean(bool),
    Text(&'t str),
    /// A text with a language.
    Language(&'t str),
    DateTime(Moment),
    Date(Moment),
    /// A literal of a datatype that is not known.
    Unknown,
    /// A literal of a known datatype with a form that it does not have.
    IllTyped,
    Iri(&'t str),
    Blank,
    Triple(&'t oxrdf::Triple),
}

/// The local name of a datatype of XSD.
pub fn xsd_name(literal: &Literal) -> Option<&str> {
    literal.datatype().as_str().strip_prefix(XSD)
}

impl<'t> Value<'t> {
    pub fn of(term: &'t Term) -> Result<Self, Fail> {
        Ok(match term {
            Term::NamedNode(node) => Self::Iri(node.as_str()),
            Term::BlankNode(_) => Self::Blank,
            Term::Triple(triple) => Self::Triple(triple),
            Term::Literal(literal) => return Self::of_literal(literal),
        })
    }

    fn of_literal(literal: &'t Literal) -> Result<Self, Fail> {
        if literal.language().is_some() {
            return Ok(Self::Language(literal.value()));
        }
        let form = literal.value();
        let Some(name) = literal.datatype().as_str().strip_prefix(XSD) else { return Ok(Self::Unknown) };
        let value = match name {
            "string" => Some(Self::Text(form)),
            "boolean" => match form {
                "true" | "1" => Some(Self::Boolean(true)),
                "false" | "0" => Some(Self::Boolean(false)),
                _ => None,
            },
            "dateTime" => Moment::parse(form, true).map(Self::DateTime),
            "date" => Moment::parse(form, false).map(Self::Date),
            name if number::is_numeric(name) => number::parse(form, name).map(Self::Number),
            name if OTHER_TYPES.contains(&name) => return Err(undecided("a datatype that the oracle does not know")),
            _ => return Ok(Self::Unknown),
        };
        Ok(value.unwrap_or(Self::IllTyped))
    }
}

/// The effective boolean value (17.2.2).
pub fn is_true(term: &Term) -> Result<bool, Fail> {
    match Value::of(term)? {
        Value::Boolean(value) => Ok(value),
        Value::Text(text) => Ok(!text.is_empty()),
        Value::Number(number) => Ok(!number.is_zero_or_nan()),
        Value::IllTyped if is_condition(term) => {
            Err(undecided("a condition that is ill-typed: false in 1.1, an error in 1.2"))
        }
        Value::Language(_) => Err(undecided("a condition with a language: true in 1.1, an error in 1.2")),
        _ => Err(Fail::Error),
    }
}

fn is_condition(term: &Term) -> bool {
    let Term::Literal(literal) = term else { return false };
    xsd_name(literal).is_some_and(|name| name == "boolean" || number::is_numeric(name))
}

/// sameTerm: language tags are compared without their case.
pub fn same_term(one: &Term, other: &Term) -> bool {
    match (one, other) {
        (Term::Literal(one), Term::Literal(other)) => {
            let tag = |literal: &Literal| literal.language().map(str::to_lowercase);
            one.value() == other.value()
                && one.datatype() == other.datatype()
                && tag(one) == tag(other)
                && one.direction() == other.direction()
        }
        (Term::Triple(one), Term::Triple(other)) => {
            one.subject == other.subject && one.predicate == other.predicate && same_term(&one.object, &other.object)
        }
        _ => one == other,
    }
}

/// `=`.
pub fn equal(one: &Term, other: &Term) -> Result<bool, Fail> {
    use Value::*;
    match (Value::of(one)?, Value::of(other)?) {
        (Number(one), Number(other)) => Ok(one.compare(other)? == Some(Ordering::Equal)),
        (Text(one), Text(other)) => Ok(one == other),
        (Boolean(one), Boolean(other)) => Ok(one == other),
        (DateTime(one), DateTime(other)) | (Date(one), Date(other)) => {
            one.compare(other).map(Ordering::is_eq).ok_or(Fail::Error)
        }
        (Triple(one), Triple(other)) => {
            // The components are compared with `=`, and joined with `&&`.
            let are_same = one.subject == other.subject && one.predicate == other.predicate;
            if are_same { equal(&one.object, &other.object) } else { Ok(false) }
        }
        _ if same_term(one, other) => Ok(true),
        (Iri(_) | Blank, _) | (_, Iri(_) | Blank) | (Triple(_), _) | (_, Triple(_)) => Ok(false),
        (IllTyped, Language(_)) | (Language(_), IllTyped) => Err(undecided(
            "an ill-typed literal beside a text with a language: different in the tests of 1.0, an error in 1.2",
        )),
        (IllTyped, _) | (_, IllTyped) => Err(Fail::Error),
        (Language(_), _) | (_, Language(_)) => Ok(false),
        (Unknown, _) | (_, Unknown) => Err(Fail::Error),
        _ => Ok(false),
    }
}

/// The order of `<`; the inner `None` is that of a number that is none.
pub fn order(one: &Term, other: &Term) -> Result<Option<Ordering>, Fail> {
    use Value::*;
    match (Value::of(one)?, Value::of(other)?) {
        (Number(one), Number(other)) => one.compare(other),
        // By code points, which is the order of the bytes of UTF-8.
        (Text(one), Text(other)) => Ok(Some(one.cmp(other))),
        (Boolean(one), Boolean(other)) => Ok(Some(one.cmp(&other))),
        (DateTime(one), DateTime(other)) | (Date(one), Date(other)) => one.compare(other).map(Some).ok_or(Fail::Error),
        _ => Err(Fail::Error),
    }
}

/// The order of ORDER BY (15.1); the inner `None` is an order that the standard leaves open.
pub fn sort_order(one: Option<&Term>, other: Option<&Term>) -> Result<Option<Ordering>, Fail> {
    let rank = |term: Option<&Term>| match term {
        None => 0,
        Some(Term::BlankNode(_)) => 1,
        Some(Term::NamedNode(_)) => 2,
        Some(Term::Literal(_)) => 3,
        Some(Term::Triple(_)) => 4,
    };
    Ok(match (one, other) {
        (Some(one), Some(other)) if same_term(one, other) => Some(Ordering::Equal),
        (Some(Term::NamedNode(one)), Some(Term::NamedNode(other))) => Some(one.as_str().cmp(other.as_str())),
        (Some(one @ Term::Literal(_)), Some(other @ Term::Literal(_))) => match order(one, other) {
            // Equal values of different terms are in no order.
            Ok(order) => order.filter(|order| order.is_ne()),
            Err(Fail::Error) => None,
            Err(undecided) => return Err(undecided),
        },
        (one, other) if rank(one) != rank(other) || rank(one) == 0 => Some(rank(one).cmp(&rank(other))),
        _ => None,
    })
}
