//! Rule sets: parsed once, kept with the version of the rules, compiled to programs.
//!
//! ```text
//! metadata log: name, graph, text ──RuleBook──► parsed sets ──program──► plans over ids
//! ```

mod book;
mod influence;
mod program;

pub use book::{ParsedSet, RuleBook};
pub use influence::influences;
pub use program::{Ids, bodies, constants, program};
