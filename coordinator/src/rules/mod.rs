//! Rule sets: parsed once, kept with the version of the rules, compiled to programs.
//!
//! ```text
//! metadata log: name, graph, text ──RuleBook──► parsed sets ──program──► plans over ids
//! ```

mod book;
mod program;

pub use book::{ParsedSet, RuleBook};
pub use program::{Ids, constants, program};
