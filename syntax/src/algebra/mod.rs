//! The algebra of SPARQL 1.1 and 1.2 (SPARQL 1.1 Query, section 18): what a text means, without its places and abbreviations.
//!
//! Terms and triple patterns are in `term`, expressions in `expression`, patterns in `pattern`, whole queries and updates in
//! `query`; `lower` makes expressions of syntax trees, `walk` has the traversals that every pass uses, and `print` the text of expressions and patterns.

mod expression;
mod lower;
mod pattern;
mod print;
mod query;
mod term;
mod walk;

pub use expression::{AggregateExpression, Expression, OrderExpression};
pub use lower::{Outside, lower_expression};
pub use pattern::{GraphPattern, PropertyPathExpression};
pub use query::{GraphTarget, GraphUpdateOperation, Query, QueryDataset, Update};
pub use term::{GraphNamePattern, NamedNodePattern, QuadPattern, TermPattern, TriplePattern};
pub use walk::{any, children, exists_patterns, expressions, map, operands, variables};

pub use crate::ast::{AggregateFunction, Function};
