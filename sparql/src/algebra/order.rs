//! ORDER BY as a total order.
//!
//! SPARQL 1.1 §15.1 orders unbound values before blank nodes, IRIs and literals, and literals by the operator `<`,
//! which leaves most pairs of literals of different types undecided. The evaluator's own comparison decides those by
//! their lexical forms, one pair at a time, which makes cycles (2 < 10 by value, 10 < "1a" < 2 by lexical form), and a
//! sort over cycles may give any order or fail. So each ORDER BY expression becomes a *sort key*: a string, computed
//! once per row, with an order by code point that extends `<`:
//!
//! | kind of term | within the kind |
//! |---|---|
//! | blank nodes, then IRIs | by label, by text |
//! | numbers of all types | by value, NaN last |
//! | strings with and without language | by text, then language, then direction |
//! | booleans | false before true |
//! | dateTime, date, time, gYear... (each its own kind) | on the time line, without a zone as UTC |
//! | durations of all types | by their end after 1969-09-01, one of the four dates of XML Schema |
//! | other literals | by text, then datatype |
//! | triples | by subject, predicate, object |

use crate::algebra::INTERNAL;
use oxrdf::vocab::xsd;
use oxrdf::{Literal, NamedNode, Term, Variable};
use oxsdatatypes::{DateTime, Decimal, Double, Duration, GDay, GMonth, GMonthDay, GYear, GYearMonth};
use spareval::{ExpressionTerm, QueryEvaluator};
use spargebra::algebra::{Expression, Function, GraphPattern, OrderExpression};

/// Sorts `inner` by sort keys; `fresh` returns variables that are used nowhere else.
pub fn sorted(inner: GraphPattern, by: Vec<OrderExpression>, mut fresh: impl FnMut() -> Variable) -> GraphPattern {
    let mut inner = inner;
    let mut expression = Vec::with_capacity(by.len());
    for by in by {
        let (by, direction): (_, fn(Expression) -> OrderExpression) = match by {
            OrderExpression::Asc(by) => (by, OrderExpression::Asc),
            OrderExpression::Desc(by) => (by, OrderExpression::Desc),
        };
        let variable = fresh();
        expression.push(direction(Expression::Variable(variable.clone())));
        let key = Expression::FunctionCall(Function::Custom(function()), vec![by]);
        inner = GraphPattern::Extend { inner: Box::new(inner), variable, expression: key };
    }
    GraphPattern::OrderBy { inner: Box::new(inner), expression }
}

/// The operand of an expression that makes a sort key.
pub fn keyed(expression: &Expression) -> Option<&Expression> {
    match expression {
        Expression::FunctionCall(Function::Custom(name), operands) if *name == function() => operands.first(),
        _ => None,
    }
}

/// Registers the function that makes sort keys.
pub fn with_sort_keys(evaluator: QueryEvaluator) -> QueryEvaluator {
    evaluator.with_custom_function(function(), |terms| {
        terms.first().map(|term| Literal::new_simple_literal(sort_key(term.clone())).into())
    })
}

fn function() -> NamedNode {
    NamedNode::new_unchecked(format!("{INTERNAL}sort-key"))
}

/// The sort key of a term: keys have the order of the terms.
pub fn sort_key(term: Term) -> String {
    match ExpressionTerm::from(term) {
        ExpressionTerm::BlankNode(node) => format!("b{}", node.as_str()),
        ExpressionTerm::NamedNode(node) => format!("c{}", node.as_str()),
        ExpressionTerm::IntegerLiteral(value) => number(value.into(), Some(value.into())),
        ExpressionTerm::DecimalLiteral(value) => number(value.into(), Some(value)),
        ExpressionTerm::FloatLiteral(value) => number(value.into(), None),
        ExpressionTerm::DoubleLiteral(value) => number(value, None),
        ExpressionTerm::StringLiteral(value) => format!("e{value}"),
        ExpressionTerm::LangStringLiteral { value, language } => format!("e{value}\0{language}"),
        ExpressionTerm::DirLangStringLiteral { value, language, direction } => {
            format!("e{value}\0{language}\0{direction}")
        }
        ExpressionTerm::BooleanLiteral(value) => format!("f{}", u8::from(bool::from(value))),
        ExpressionTerm::DateTimeLiteral(value) => moment("g", value.to_be_bytes()),
        ExpressionTerm::DateLiteral(value) => moment("h", value.to_be_bytes()),
        ExpressionTerm::TimeLiteral(value) => moment("i", value.to_be_bytes()),
        ExpressionTerm::DurationLiteral(value) => duration(value),
        ExpressionTerm::YearMonthDurationLiteral(value) => duration(value.into()),
        ExpressionTerm::DayTimeDurationLiteral(value) => duration(value.into()),
        ExpressionTerm::OtherTypedLiteral { value, datatype } => other(&value, &datatype),
        ExpressionTerm::Triple(triple) => format!(
            "m{}\0{}\0{}",
            sort_key(triple.subject.into()),
            triple.predicate.as_str(),
            sort_key(Term::from(triple.object))
        ),
    }
}

/// By the nearest double, as several exact numbers have the same one then by the exact value.
fn number(nearest: Double, exact: Option<Decimal>) -> String {
    let exact = exact.or_else(|| Decimal::try_from(nearest).ok()).unwrap_or_default();
    let nearest = f64::from(nearest);
    // One zero and one NaN.
    let nearest = if nearest.is_nan() { f64::NAN.abs() } else { nearest + 0.0 };
    let bits = nearest.to_bits();
    let bits = if nearest.is_sign_negative() { !bits } else { bits | 1 << 63 };
    format!("d{bits:016x}{}", signed(exact.to_be_bytes()))
}

/// Seconds on the time line; the two bytes of the zone do not count.
fn moment(kind: &str, bytes: [u8; 18]) -> String {
    let mut seconds = [0; 16];
    seconds.copy_from_slice(&bytes[..16]);
    format!("{kind}{}", signed(seconds))
}

fn duration(duration: Duration) -> String {
    let start = "1969-09-01T00:00:00".parse::<DateTime>().ok();
    match start.and_then(|start| start.checked_add_duration(duration)) {
        Some(end) => moment("k", end.to_be_bytes()),
        // Out of the time line's range: before or after everything.
        None if duration.months() < 0 || duration.seconds() < Decimal::from(0) => "k!".to_owned(),
        None => "k~".to_owned(),
    }
}

fn other(value: &str, datatype: &NamedNode) -> String {
    let is_number = [xsd::INTEGER, xsd::DECIMAL, xsd::NON_NEGATIVE_INTEGER, xsd::POSITIVE_INTEGER]
        .into_iter()
        .chain([xsd::NON_POSITIVE_INTEGER, xsd::NEGATIVE_INTEGER])
        .any(|number| number == datatype.as_ref());
    // Numbers that are too long for the evaluator.
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    let key = match datatype.as_ref() {
        _ if is_number && is_plain => value.parse::<Double>().ok().map(|value| number(value, None)),
        xsd::G_YEAR => value.parse::<GYear>().ok().map(|value| moment("j0", value.to_be_bytes())),
        xsd::G_YEAR_MONTH => value.parse::<GYearMonth>().ok().map(|value| moment("j1", value.to_be_bytes())),
        xsd::G_MONTH => value.parse::<GMonth>().ok().map(|value| moment("j2", value.to_be_bytes())),
        xsd::G_MONTH_DAY => value.parse::<GMonthDay>().ok().map(|value| moment("j3", value.to_be_bytes())),
        xsd::G_DAY => value.parse::<GDay>().ok().map(|value| moment("j4", value.to_be_bytes())),
        _ => None,
    };
    key.unwrap_or_else(|| format!("l{value}\0{}", datatype.as_str()))
}

/// A two's complement number as text in the order of the numbers.
fn signed(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes) ^ 1 << 127)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::{BlankNode, Triple};
    use spargebra::SparqlParser;
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
            one(typed("2025-12-31", "date")),
            one(typed("2026-01-01", "date")),
            one(typed("01:00:00", "time")),
            one(typed("12:00:00", "time")),
            one(typed("-0044", "gYear")),
            one(typed("2026", "gYear")),
            one(typed("12026", "gYear")),
            one(typed("2026-02", "gYearMonth")),
            one(typed("-P1Y", "yearMonthDuration")),
            vec![typed("PT0S", "dayTimeDuration"), typed("P0M", "yearMonthDuration"), typed("P0D", "duration")],
            one(typed("PT36H", "dayTimeDuration")),
            one(typed("P2D", "duration")),
            one(typed("P1M", "yearMonthDuration")),
            one(typed("P1M1D", "duration")),
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
                let found = sort_key(term.clone()).cmp(&sort_key(other.clone()));
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
                let is_less = |left: &Term, right: &Term| {
                    let (Term::Literal(left), Term::Literal(right)) = (left, right) else { return None };
                    let query =
                        SparqlParser::new().parse_query(&format!("ASK {{ FILTER({left} < {right}) }}")).unwrap();
                    let evaluator = QueryEvaluator::new();
                    let dataset = oxrdf::Dataset::new();
                    let result = evaluator.prepare(&query).execute(&dataset).unwrap();
                    let spareval::QueryResults::Boolean(is_less) = result else { panic!("an ASK") };
                    Some(is_less)
                };
                if is_less(left, right) == Some(true) {
                    decided += 1;
                    let found = sort_key(left.clone()).cmp(&sort_key(right.clone()));
                    assert_eq!(found, Ordering::Less, "{left} < {right}");
                }
            }
        }
        assert!(decided > 200, "{decided} pairs decided");
    }
}
