//! SPARQL: from a query's text to the bytes of its answer.
//!
//! ```text
//! text ──parse──► algebra ──rewrite──► leaves (bodies) ──compile─► plans ─► cluster
//!                    │                                                        │ rows of ids
//!                    └──────► residual ──► operators over leaves ◄────────────┤
//!                                             │                               │
//!                                             └──► blocks ◄── direct ◄────────┘
//!                                                    │ decode, write
//!                                                    ▼
//!                                                  parts
//! ```
//!
//! Basic graph patterns with their filters, their joins and unions run in the cluster, as large as possible; the
//! residual algebra runs on the coordinator's operators, on codes of 64 bits. If only DISTINCT, LIMIT and a projection
//! remain, these are bypassed.
//!
//! Folders, each of which uses only those before it: `text` and `algebra` (the input), `rewrite` (bodies, leaves and
//! residual algebra), `session` (the state of one query), `plan` (bodies as plans over ids), `fold` (groups and first
//! rows), `evaluate` (solutions), `results` (bytes), `query` (requests).
//!
//! Invariants: an answer is complete or an error; only terms that are output or that expressions read are decoded; a
//! text is parsed once and rewritten once; no text can overflow a stack; a query that is cancelled or past its deadline
//! ends at any stage.

mod algebra;
pub mod cluster;
mod evaluate;
mod fold;
mod plan;
mod query;
mod results;
mod rewrite;
mod session;
mod text;

pub use cluster::{Cluster, Interrupt, NodeProfile, OperatorWork, Rows, Texts, Wanted};
pub use entail_expression::value::instant::Instant;
pub use entail_logic::eval::meter::Clock;
pub use plan::cache::PlanCache;
pub use query::run::{LocalOutcome, Mode, Request, RequestClock, Summary, run, run_local, run_tuned};
pub use query::update;
pub use results::output::{Format, PART_BYTES_MAX, Part};
pub use rewrite::catalog::Tuning;

use oxrdf::NamedNode;

/// Which graphs a query reads, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetClause {
    pub default: DefaultGraph,
    /// `None`: every named graph of the store.
    pub named: Option<Vec<NamedNode>>,
}

/// The default graph of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultGraph {
    /// The store's own default graph.
    Own,
    /// The merge of every graph.
    UnionOfAll,
    /// The merge of these graphs.
    Merge(Vec<NamedNode>),
}
