//! The parser: texts within the limits become algebra; errors have a line and a column.

use crate::text::limits::Checked;
use crate::text::select_star;
use entail_model::{Fault, Reason};
use spargebra::{Query, SparqlParser, SparqlSyntaxError, Update};

#[cfg(test)]
thread_local! {
    /// The number of query texts that were parsed on this thread.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Parses a query.
///
/// # Errors
/// `Syntax` with line and column; `InvalidRequest` if the base is no IRI.
pub(crate) fn parse_query(text: Checked<'_>, base: Option<&str>) -> Result<Query, Fault> {
    let text = text.as_str();
    parsed(parser(base)?, text, text).map_err(|error| {
        let is_update = parser(base).is_ok_and(|parser| parser.parse_update(text).is_ok());
        if is_update { misplaced("an update", "a query") } else { syntax_fault(text, &error) }
    })
}

/// Parses a query that has `marked` in place of its text, with markers for parameters; `None` if it cannot be parsed.
pub(crate) fn parse_marked(text: Checked<'_>, marked: &str) -> Option<Query> {
    parsed(SparqlParser::new(), marked, text.as_str()).ok()
}

fn parsed(parser: SparqlParser, text: &str, original: &str) -> Result<Query, SparqlSyntaxError> {
    #[cfg(test)]
    PARSED.set(PARSED.get() + 1);
    let mut query = parser.parse_query(text)?;
    select_star::order_columns(&mut query, original);
    Ok(query)
}

/// Parses an update; errors as for [`parse_query`].
pub(crate) fn parse_update(text: Checked<'_>, base: Option<&str>) -> Result<Update, Fault> {
    let text = text.as_str();
    parser(base)?.parse_update(text).map_err(|error| {
        let is_query = parser(base).is_ok_and(|parser| parser.parse_query(text).is_ok());
        if is_query { misplaced("a query", "an update") } else { syntax_fault(text, &error) }
    })
}

fn misplaced(found: &str, wanted: &str) -> Fault {
    Fault::new(Reason::Syntax, format!("this is {found}, not {wanted}"))
}

fn parser(base: Option<&str>) -> Result<SparqlParser, Fault> {
    let Some(base) = base.filter(|base| !base.is_empty()) else { return Ok(SparqlParser::new()) };
    SparqlParser::new()
        .with_base_iri(base)
        .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the base {base} is not an IRI: {error}")))
}

/// Characters of the text that an error shows.
const SHOWN_CHARS_MAX: usize = 30;

/// The fault of a syntax error. The parser reports the position only in its message: "error at LINE:COLUMN: expected
/// ..".
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

/// The message of a syntax error: the text at its position, and the parser's list of expected tokens without its
/// classes of characters, which come last.
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

/// The message for an undeclared prefix: the parser reports it after the whole name.
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
