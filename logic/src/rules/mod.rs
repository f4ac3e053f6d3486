//! The rule language: W3C SPARQL 1.2 RL (working draft of August 2026), from text to checked rules.
//!
//! ```text
//! text ──entail_syntax──► Ast ──check──► RuleSet ──► the planner
//!                          │
//!                          └── check_wellformed, check_stratified: the draft's conditions, whole language
//! ```
//!
//! [`parse_syntax`] accepts the whole grammar; [`check`] then refuses by name each feature that this version does not
//! evaluate. So users can distinguish an error in the text (`Syntax`) from a missing feature (`Unsupported`). Pure: no
//! clock, no randomness, equal texts give equal rules. Everything that is built from a text has a limit, below.

mod check;
mod condition;
mod names;
mod negation;
mod print;
mod rule;
mod stratify;
#[cfg(test)]
mod tests;
mod unify;
mod wellformed;

pub use check::check;
pub use entail_syntax::Spot;
pub use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
pub use print::expression_text;
pub use rule::{Filter, Negated, Rule, RuleSet};
pub use stratify::{check_stratified, describe_cycle};
pub use wellformed::check_wellformed;

use entail_model::term::HashKey;
use entail_model::{Fault, Reason};
use entail_syntax::ast::RuleDocument;
use entail_syntax::{limits, parse_rules};

/// The most levels of nested brackets of any kind, and of an expression tree.
pub const DEPTH_MAX: u32 = limits::RULE_DEPTH_MAX as u32;

/// A parsed rule text.
#[derive(Clone, Debug)]
pub struct Ast {
    document: RuleDocument,
    /// A hash of the text, part of the labels of its blank nodes; equal texts have equal fingerprints in every process.
    fingerprint: u64,
}

/// Parses and checks a rule text.
///
/// # Errors
/// `Syntax` for a text that is not in the language or not well-formed, `Unsupported` for a feature that this version
/// does not evaluate, `LimitExceeded` for a text that is too large or too deep; all with line and column.
pub fn parse(text: &str) -> Result<RuleSet, Fault> {
    check(parse_syntax(text)?)
}

/// Parses and checks the bytes of a file.
///
/// # Errors
/// Those of [`parse`]; bytes that are not UTF-8 are `Syntax`, at the first wrong byte.
pub fn parse_bytes(bytes: &[u8]) -> Result<RuleSet, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = valid.matches('\n').count() as u64 + 1;
            let column = valid.chars().rev().take_while(|&c| c != '\n').count() as u64 + 1;
            Err(Fault::new(Reason::Syntax, "the text is not UTF-8").at(line, column))
        }
    }
}

/// Parses a rule text by the whole grammar of the draft, without any check of its meaning.
///
/// # Errors
/// `Syntax` and `LimitExceeded`, as in [`parse`].
pub fn parse_syntax(text: &str) -> Result<Ast, Fault> {
    let document = parse_rules(text)?;
    Ok(Ast { document, fingerprint: HashKey([0; 16]).hash(text.as_bytes()).0 as u64 })
}
