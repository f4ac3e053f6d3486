//! Evaluation at the coordinator: rows of leaves become solutions, directly or through operators.
//!
//! ```text
//! residual algebra ──compile──► Operator (a tree) ──open──► Stream ──► batches of codes ──► blocks ──► cells
//!                                  leaf, table               │
//!                                  facts, path ──lookups─────┘  expression: filters and new columns, exists
//!                                  join, optional, minus, lateral, union, sort, group, ...
//! ```
//!
//! Streams pull: a LIMIT or an ASK reads no more than it needs. Memory that grows with the input is reserved, and every long
//! loop looks at the query's cancellation.

pub(crate) mod answer;
pub(crate) mod batch;
pub(crate) mod cells;
pub(crate) mod compile;
pub(crate) mod counted;
pub(crate) mod describe;
pub(crate) mod expression;
pub(crate) mod lookups;
pub(crate) mod operator;
pub(crate) mod run;
pub(crate) mod table;
