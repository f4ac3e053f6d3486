//! The syntax tree of the three languages.
//!
//! Files: `term` (nodes and triples), `path`, `function` (the table of functions), `expression`, `pattern` (groups and
//! their elements), `query`, `update`, `rules`.
//!
//! Invariants: IRIs are absolute; the tree is never higher than the parser's limit on nesting, so code that walks or drops
//! it may recurse.

mod expression;
mod function;
mod path;
mod pattern;
mod query;
mod rules;
mod term;
mod update;

pub use expression::{
    Aggregate, AggregateFunction, Arithmetic, Comparison, Expression, ExpressionKind, Membership, Presence, Unary,
};
pub use function::{Function, Signature};
pub use path::{NegatedStep, Path, Repetition};
pub use pattern::{Element, Filter, Group, PathPattern, Values};
pub use query::{
    Column, Columns, Dataset, Described, Duplicates, Form, GroupKey, Modifiers, Projection, Query, Select, Solutions,
    SortDirection, SortKey,
};
pub use rules::{BodyElement, Negation, RuleDocument, RuleText};
pub use term::{Blank, Node, Pattern, Value, VariableAt};
pub use update::{GraphTarget, Loudness, Operation, OperationKind, Quad, Transfer, Update};
