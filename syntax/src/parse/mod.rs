//! The parser: recursive descent over one grammar for three languages.
//!
//! `parser` has the state, the movement through the tokens and the limits; the other files each add the methods for one part
//! of the grammar. `place` says what triples may hold where they stand.

mod aggregate;
mod call;
mod expression;
mod modifiers;
mod parser;
mod path;
mod pattern;
mod place;
mod prologue;
mod quads;
mod query;
mod rules;
mod similar;
mod term;
mod triples;
mod update;
mod values;

use crate::ast::{Query, RuleDocument, Update};
use crate::{Language, Nesting, scope};
use entail_model::Fault;
use oxiri::Iri;
use parser::Parser;

/// A checked tree, and how deep recursion over its text may get.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    pub tree: T,
    pub nesting: Nesting,
}

/// Parses and checks a query. `base` holds until a BASE of the text.
///
/// # Errors
/// `Syntax` for a text that is not in the language, `LimitExceeded` for one that is too large or too deep; both with line and
/// column.
pub fn parse_query(text: &str, base: Option<Iri<String>>) -> Result<Parsed<Query>, Fault> {
    let mut parser = Parser::new(text, Language::Query, base)?;
    let query = parser.query_unit()?;
    scope::check_query(&query)?;
    Ok(Parsed { tree: query, nesting: parser.nesting() })
}

/// Parses and checks an update. `base` holds until a BASE of the text.
///
/// # Errors
/// `Syntax` and `LimitExceeded`, as in [`parse_query`].
pub fn parse_update(text: &str, base: Option<Iri<String>>) -> Result<Parsed<Update>, Fault> {
    let mut parser = Parser::new(text, Language::Update, base)?;
    let update = parser.update_unit()?;
    scope::check_update(&update)?;
    Ok(Parsed { tree: update, nesting: parser.nesting() })
}

/// Parses a rule text by the whole grammar of SPARQL-RL, without any check of its meaning.
///
/// # Errors
/// `Syntax` and `LimitExceeded`, as in [`parse_query`].
pub fn parse_rules(text: &str) -> Result<RuleDocument, Fault> {
    Parser::new(text, Language::Rules, None)?.document()
}
