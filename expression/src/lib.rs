//! The expressions of Entail: FILTER, BIND, SELECT expressions, aggregates, ORDER BY, HAVING, and filters of rules.
//!
//! ```text
//! syntax tree ──compile──► Program ──(travels)──► Evaluator ──┐
//! Columns: ids with texts, or values ─────────────────────────┴─► Column: truths or values
//! ```
//!
//! - `value`: terms as they are stored, with their parsed value: numbers, dates, durations.
//! - `compare`: `=` and `<`.
//! - `regex`: the regular expressions and replacements of XPath.
//! - `function`: every function of SPARQL that needs no network, one row at a time.
//! - `program`: expressions over slots, in the form that travels.
//! - `evaluate`: programs over columns.
//!
//! Pure: time, seeds and the base come in with the [`Context`]. Invariant: an error of an expression is a value of its column;
//! a `Fault` ends the request. Everything that is built is counted by a [`Budget`], which also tells when to stop.

mod budget;
mod column;
pub mod compare;
mod context;
mod evaluate;
mod function;
mod program;
pub mod regex;
pub mod value;

pub use budget::{Budget, LITERAL_BYTES_MAX};
pub use column::{Column, Columns, Slot, Source, Truth};
pub use context::Context;
pub use evaluate::Evaluator;
pub use program::{Builder, DEPTH_MAX, Index, Program, Scope, Step};
pub use value::Value;
