//! The languages of Entail, from text to a checked syntax tree: SPARQL 1.2 Query, SPARQL 1.2 Update and SPARQL-RL.
//!
//! ```text
//! text ──lexer──► tokens ──parse──► ast ──scope──► checked ast
//! ```
//!
//! One lexer and one grammar serve all three languages. The tree is syntax: group graph patterns with their elements in
//! order, paths as paths, chains of operators as flat lists. Names are resolved, and abbreviations (lists, `[...]`,
//! collections, reified triples, annotations) are written out.
//!
//! Pure: equal texts give equal trees. Invariants: everything that a text can make this crate build has a limit, and no text
//! can overflow a stack.

pub mod algebra;
pub mod ast;
pub mod lexer;
pub mod limits;
mod parse;
mod print;
mod scope;
mod spot;
#[cfg(test)]
mod tests;

pub use limits::Nesting;
pub use parse::{Parsed, parse_query, parse_rules, parse_update};
pub use spot::Spot;

/// A language that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// SPARQL 1.2 Query.
    Query,
    /// SPARQL 1.2 Update.
    Update,
    /// SPARQL-RL.
    Rules,
}
