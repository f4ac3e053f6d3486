//! What a query needs of the cluster: the seam between the SPARQL front and everything that talks.
//!
//! One value serves one query: it pins one epoch, so that everything it answers is of one committed state. Calls block
//! and run on blocking threads.

use entail_logic::eval::Batch;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Fault, NodeId, TermId};
use oxrdf::Term;
use serde::Serialize;
use std::sync::Arc;

/// The cluster at one epoch.
pub trait Cluster: Send + Sync {
    /// Placement facts and statistics of the epoch, for the compiler.
    fn context(&self) -> Result<Arc<Context>, Fault>;

    /// The ids of terms, given as canonical bytes; `None` for terms that the dictionary does not know.
    ///
    /// Never asked for terms with an inline id.
    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Fault>;

    /// The terms of dictionary and inline ids, in order.
    fn decode(&self, ids: &[TermId]) -> Result<Vec<Term>, Fault>;

    /// Starts a plan on all nodes. `rows_max` is how many rows are of use at most: nodes may stop after that many.
    fn execute(&self, plan: Arc<Plan>, rows_max: Option<u64>) -> Result<Box<dyn Rows>, Fault>;

    /// The named graphs that have facts.
    fn graphs(&self) -> Result<Vec<TermId>, Fault>;
}

/// The rows of a running plan. Dropping it cancels the work everywhere.
pub trait Rows: Send {
    /// The next batch, with the columns of the plan's gathered slots bound; `None` at the end.
    fn next(&mut self) -> Result<Option<Batch>, Fault>;

    /// What each stage did at each node; complete after the end.
    fn profile(&mut self) -> Vec<StageProfile>;
}

/// What one stage did at one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageProfile {
    pub node: NodeId,
    /// The shards that the node holds.
    pub shards: Vec<u16>,
    pub stage: usize,
    pub rows_in: u64,
    pub rows_out: u64,
    pub bytes_sent: u64,
    pub messages_sent: u64,
    pub seconds: f64,
}
