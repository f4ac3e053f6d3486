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
//! Pure: the same text gives the same tree. Invariants: everything that a text can make this crate build has a limit, and
//! no text can overflow a stack.

pub mod ast;
mod spot;

pub use spot::Spot;
