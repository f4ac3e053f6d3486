//! Texts to algebra: limits first, then the parser, with errors that have a place.

use crate::text::limits;
use crate::text::select_star;
use entail_model::{Fault, Reason};
use oxrdf::Term;
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{NamedNodePattern, TermPattern};
use spargebra::{Query, SparqlParser, SparqlSyntaxError, Update};

/// Parses a query.
///
/// # Errors
/// `Syntax` and `LimitExceeded`, with line and column where there are any.
pub fn parse_query(text: &str, base: Option<&str>) -> Result<Query, Fault> {
    limits::check_text(text)?;
    let mut query = parser(base)?.parse_query(text).map_err(|error| {
        let is_update = parser(base).is_ok_and(|parser| parser.parse_update(text).is_ok());
        if is_update { misplaced("an update", "a query") } else { syntax_fault(text, &error) }
    })?;
    select_star::order_columns(&mut query, text);
    Ok(query)
}

/// Parses an update; errors as for [`parse_query`].
pub fn parse_update(text: &str, base: Option<&str>) -> Result<Update, Fault> {
    limits::check_text(text)?;
    parser(base)?.parse_update(text).map_err(|error| {
        let is_query = parser(base).is_ok_and(|parser| parser.parse_query(text).is_ok());
        if is_query { misplaced("a query", "an update") } else { syntax_fault(text, &error) }
    })
}

fn misplaced(found: &str, wanted: &str) -> Fault {
    Fault::new(Reason::Syntax, format!("this is {found}, where {wanted} is wanted"))
}

fn parser(base: Option<&str>) -> Result<SparqlParser, Fault> {
    let Some(base) = base.filter(|base| !base.is_empty()) else { return Ok(SparqlParser::new()) };
    SparqlParser::new()
        .with_base_iri(base)
        .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the base {base} is not an IRI: {error}")))
}

/// Characters of the text that an error shows.
const SHOWN_CHARS_MAX: usize = 30;

/// The parser tells the place only in its message: "error at LINE:COLUMN: expected ..".
fn syntax_fault(text: &str, error: &SparqlSyntaxError) -> Fault {
    let message = error.to_string();
    let place = message.strip_prefix("error at ").and_then(|rest| {
        let (place, expected) = rest.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, expected))
    });
    match place {
        Some((line, column, expected)) => {
            Fault::new(Reason::Syntax, unexpected(text, line, column, expected)).at(line, column)
        }
        None => Fault::new(Reason::Syntax, message),
    }
}

/// What stands at a place, and what the parser would rather see: its list of tokens without its classes of characters,
/// which come last.
fn unexpected(text: &str, line: u64, column: u64, expected: &str) -> String {
    if expected.contains("Prefix not found") {
        return undeclared(text, line, column);
    }
    let nth = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let rest = text.split('\n').nth(nth(line)).unwrap_or_default().chars().skip(nth(column));
    let found: String = rest.take_while(|char| !char.is_whitespace()).take(SHOWN_CHARS_MAX).collect();
    let wanted = expected.split(", [").next().unwrap_or(expected).trim();
    match found.is_empty() {
        true => format!("unexpected end of the line, {wanted}"),
        false => format!("unexpected {found}, {wanted}"),
    }
}

/// The parser finds out about a prefix when it has read the whole name.
fn undeclared(text: &str, line: u64, column: u64) -> String {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let read: String = text.split('\n').nth(index(line)).unwrap_or_default().chars().take(index(column)).collect();
    let is_in_name = |char: char| char.is_alphanumeric() || matches!(char, ':' | '_' | '-' | '.');
    let name = read.trim_end().rsplit(|char: char| !is_in_name(char)).next().unwrap_or_default();
    match name.split_once(':') {
        Some((prefix, _)) => format!("the prefix `{prefix}:` is not declared"),
        None => "a prefix is not declared".to_owned(),
    }
}

/// Every constant of a pattern, so that all can be looked up together.
pub fn constants(pattern: &GraphPattern, found: &mut Vec<Term>) {
    match pattern {
        GraphPattern::Bgp { patterns } => {
            for triple in patterns {
                found.extend(ground(&triple.subject));
                found.extend(named(&triple.predicate));
                found.extend(ground(&triple.object));
            }
        }
        GraphPattern::Path { subject, object, .. } => found.extend(ground(subject).into_iter().chain(ground(object))),
        GraphPattern::Values { bindings, .. } => {
            found.extend(bindings.iter().flatten().flatten().map(crate::rewrite::body::ground_term));
        }
        GraphPattern::Graph { name, .. } => found.extend(named(name)),
        _ => {}
    }
    crate::rewrite::exists::expressions(pattern).into_iter().for_each(|expression| in_expression(expression, found));
    crate::rewrite::exists::children(pattern).into_iter().for_each(|child| constants(child, found));
}

fn in_expression(expression: &Expression, found: &mut Vec<Term>) {
    match expression {
        Expression::NamedNode(node) => found.push(node.clone().into()),
        Expression::Literal(literal) => found.push(literal.clone().into()),
        Expression::Exists(pattern) => constants(pattern, found),
        _ => {}
    }
    crate::rewrite::expression::operands(expression).into_iter().for_each(|operand| in_expression(operand, found));
}

fn ground(term: &TermPattern) -> Option<Term> {
    match term {
        TermPattern::NamedNode(node) => Some(node.clone().into()),
        TermPattern::Literal(literal) => Some(literal.clone().into()),
        TermPattern::BlankNode(_) | TermPattern::Variable(_) | TermPattern::Triple(_) => None,
    }
}

fn named(name: &NamedNodePattern) -> Option<Term> {
    match name {
        NamedNodePattern::NamedNode(node) => Some(node.clone().into()),
        NamedNodePattern::Variable(_) => None,
    }
}
