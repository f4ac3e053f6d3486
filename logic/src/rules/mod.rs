//! The rule language: W3C SPARQL 1.2 RL (working draft of August 2026), from text to checked rules.
//!
//! ```text
//! text ──lexer──► tokens ──parser──► Ast ──check──► RuleSet ──► the planner
//!                                     │
//!                                     └── check_wellformed, check_stratified: the draft's conditions, whole language
//! ```
//!
//! [`parse_syntax`] accepts the whole grammar; [`check`] then refuses by name each feature that this version does not
//! evaluate. So users can distinguish an error in the text (`Syntax`) from a missing feature (`Unsupported`). Pure: no
//! clock, no randomness, equal texts give equal rules. Everything that is built from a text has a limit, below.

mod ast;
mod builtin;
mod check;
mod expression;
mod lexer;
mod name;
mod parser;
mod path;
mod print;
mod quoted;
mod rule;
mod stratify;
mod term;
#[cfg(test)]
mod tests;
mod token;
mod triples;
mod unify;
pub mod walk;
mod wellformed;

pub use ast::{Ast, Blank, Constraint, Element, Negation, Node, Pattern, RuleText, Value};
pub use check::check;
pub use print::expression_text;
pub use rule::{Filter, Rule, RuleSet};
pub use stratify::check_stratified;
pub use token::Spot;
pub use wellformed::check_wellformed;

use entail_model::term::HashKey;
use entail_model::{Fault, Reason};

/// The most bytes of a rule text.
pub const TEXT_BYTES_MAX: usize = 16 << 20;
/// The most levels of nested brackets of any kind, and of an expression tree.
pub const DEPTH_MAX: u32 = 128;
/// The most rules in one text.
pub const RULES_MAX: usize = 10_000;
/// The most triples and filters in a head, a body or a NOT, with abbreviations and paths written out.
pub const ELEMENTS_MAX: usize = 1_000;
/// The most memory that a text may take with prefixes, lists and paths written out.
pub const EXPANDED_BYTES_MAX: usize = 256 << 20;

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
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("a rule text of {} bytes; at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(Fault::new(Reason::LimitExceeded, message));
    }
    let fingerprint = HashKey([0; 16]).hash(text.as_bytes()).0 as u64;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    parser::Parser::new(text)?.document(fingerprint)
}
