//! The parser: texts become syntax trees; errors have a line and a column.

use crate::text::stack::with_parser_stack;
use entail_model::{Fault, Reason};
use entail_syntax::{Parsed, ast};
use oxiri::Iri;

#[cfg(test)]
thread_local! {
    /// Query texts that the parser was given on this thread.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Parses a query.
///
/// # Errors
/// `Syntax` and `LimitExceeded` with line and column; `InvalidRequest` if the base is no IRI.
pub(crate) fn query(text: &str, base: Option<&str>) -> Result<Parsed<ast::Query>, Fault> {
    #[cfg(test)]
    PARSED.set(PARSED.get() + 1);
    let base = base_iri(base)?;
    with_parser_stack(|| entail_syntax::parse_query(text, base))
}

/// Parses an update; errors as for [`query`].
pub(crate) fn update(text: &str, base: Option<&str>) -> Result<Parsed<ast::Update>, Fault> {
    let base = base_iri(base)?;
    with_parser_stack(|| entail_syntax::parse_update(text, base))
}

fn base_iri(base: Option<&str>) -> Result<Option<Iri<String>>, Fault> {
    let Some(base) = base.filter(|base| !base.is_empty()) else { return Ok(None) };
    Iri::parse(base.to_owned())
        .map(Some)
        .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the base {base} is not an IRI: {error}")))
}
