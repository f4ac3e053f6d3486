//! What a query needs of the cluster: the seam between the SPARQL front and everything that talks.
//!
//! One value serves one query: it pins one epoch, so that everything it answers is of one committed state. Calls block
//! and run on blocking threads.

pub use crate::evaluate::texts::Texts;
use entail_logic::eval::Batch;
pub use entail_logic::eval::meter::Work;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Fault, NodeId, Reason, TermId, term};
use oxrdf::Term;
use std::sync::Arc;

/// The cluster at one epoch.
pub trait Cluster: Send + Sync {
    /// Placement facts and statistics of the epoch, for the compiler.
    fn context(&self) -> Result<Arc<Context>, Fault>;

    /// The ids of terms, given as canonical bytes; `None` for terms that the dictionary does not know.
    ///
    /// Never asked for terms with an inline id.
    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Fault>;

    /// The canonical bytes of dictionary ids, in order. Sorted ids without repetitions cost least.
    fn texts(&self, ids: &[TermId]) -> Result<Texts, Fault>;

    /// The terms of dictionary and inline ids, in order.
    fn decode(&self, ids: &[TermId]) -> Result<Vec<Term>, Fault> {
        let asked: Vec<TermId> = ids.iter().copied().filter(|id| term::inline_term(*id).is_none()).collect();
        let texts = self.texts(&asked)?;
        if texts.len() != asked.len() {
            return Err(Fault::internal("not every term was decoded"));
        }
        let mut next = 0;
        let mut decode = |id: &TermId| match term::inline_term(*id) {
            Some(term) => Ok(term),
            None => {
                next += 1;
                term::decode(texts.get(next - 1))
            }
        };
        ids.iter().map(&mut decode).collect()
    }

    /// Starts a plan on all nodes.
    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Fault>;

    /// The named graphs that have facts.
    fn graphs(&self) -> Result<Vec<TermId>, Fault>;

    /// Is everything that may be asked for here, so that nobody waits for the first rows of an answer?
    fn is_at_hand(&self) -> bool {
        false
    }

    /// The name of each shard's holder, for explanations; empty where there are no names.
    fn holders(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Not a failure: says that a cluster which [is at hand](Cluster::is_at_hand) would have to wait for something, so that
/// it has to be asked in another way.
pub fn elsewhere() -> Fault {
    Fault::new(Reason::NotReady, "what is asked for is not at hand")
}

/// What is wanted of a running plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many rows are of use at most: nodes may stop after that many.
    pub rows_max: Option<u64>,
    /// Is the work to be measured?
    pub profile: bool,
}

/// The rows of a running plan. Dropping it cancels the work everywhere.
pub trait Rows: Send {
    /// The next batch, with the columns of the plan's gathered slots bound; `None` at the end.
    fn next(&mut self) -> Result<Option<Batch>, Fault>;

    /// What each node did, where that was wanted; complete after the end.
    fn profile(&mut self) -> Vec<NodeProfile>;
}

/// What one node did for a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeProfile {
    pub node: NodeId,
    pub name: String,
    /// Rows of the answer that the node gave.
    pub rows: u64,
    /// From the start to the end, waiting included.
    pub seconds: f64,
    pub work: Vec<OperatorWork>,
}

/// What one operator did for one shard at one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatorWork {
    pub stage: usize,
    /// The position in the stage; one past the last is the handing on of rows.
    pub operator: usize,
    /// `None` for rows that belong to no shard.
    pub shard: Option<u16>,
    pub work: Work,
}
