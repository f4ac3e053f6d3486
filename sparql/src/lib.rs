//! SPARQL: from a query's text to the bytes of its answer.
//!
//! ```text
//! text ──parse──► algebra ──rewrite──► leaves (bodies) ──piece──► plans ──► cluster
//!                    │                                                        │ rows of ids
//!                    └──────► the rest ──► spareval over leaves ◄─────────────┤
//!                                             │                               │
//!                                             └──► blocks ◄── direct ◄────────┘
//!                                                    │ decode, write
//!                                                    ▼
//!                                                  parts
//! ```
//!
//! Basic graph patterns with their filters, their joins and unions run in the cluster, as large as can be; the remaining
//! algebra runs on spareval, on ids. When nothing remains but DISTINCT, LIMIT and a projection, spareval is left out.
//!
//! Invariants: an answer is complete or an error; nothing is decoded that is not shown or looked into; no text can
//! overflow a stack; a query that is cancelled or late ends, whatever it is doing.

pub mod cluster;
mod evaluate;
mod fold;
mod plan;
mod results;
mod rewrite;
mod text;

pub use cluster::{Cluster, NodeProfile, OperatorWork, Rows, Texts, Wanted};
pub use evaluate::run::{Mode, Request, Summary, run, run_at_hand, run_tuned};
pub use evaluate::session::Stop;
pub use evaluate::update;
pub use plan::estimate::Tuning;
pub use results::output::{Format, PART_BYTES_MAX, Part};
pub use text::limits::{self, run_on_big_stack};
pub use text::plan_cache::Plans;

use oxrdf::NamedNode;

/// Which graphs a query reads, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetClause {
    pub default: DefaultGraph,
    /// `None`: every named graph there is.
    pub named: Option<Vec<NamedNode>>,
}

/// What the default graph of a query is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultGraph {
    /// The store's own default graph.
    Own,
    /// The merge of every graph.
    UnionOfAll,
    /// The merge of these graphs.
    Merge(Vec<NamedNode>),
}
