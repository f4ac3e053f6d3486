//! Nodes of one process, called by reference by its coordinator and by each other: nothing is encoded but what an inbox
//! stores, and no thread waits for another.
//!
//! What nodes tell each other as they reason or answer goes this way. Terms and facts of a load do if all nodes are of this
//! process. Of queries only what is small is asked like this, and of one node that needs no other. Whatever turns out to be
//! larger is given up and asked again through a stream, whose rows are worked on while more are found.

use crate::columns::Pair;
use crate::eval::Batch;
use crate::exchange::Message;
use crate::plan::Plan;
use entail_model::term::TermHash;
use entail_model::{Attempt, ClusterId, Direction, Epoch, Fault, NodeId, Placement, Relation, TermId};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// A plan that one node answers alone.
#[derive(Clone, Debug)]
pub struct Ask {
    pub cluster: ClusterId,
    pub epoch: Epoch,
    pub plan: Arc<Plan>,
    pub placement: Placement,
    /// Rows that are of use at most.
    pub rows_max: Option<u64>,
    /// Rows that operators may take in, all together, if that is bounded.
    pub rows_taken_max: Option<u64>,
    /// Rows of an answer.
    pub rows_given_max: usize,
    /// Set by whoever wants the work to end.
    pub stop: Arc<AtomicBool>,
}

/// Asserted facts for one node.
#[derive(Clone, Debug)]
pub struct Staged {
    pub cluster: ClusterId,
    pub attempt: Attempt,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    /// Among all that is staged at the node for the attempt.
    pub sequence: u64,
    pub facts: Vec<StagedFacts>,
}

/// Facts of one relation.
#[derive(Clone, Debug)]
pub struct StagedFacts {
    pub relation: Relation,
    /// Which of their copies the node keeps.
    pub copies: &'static [Direction],
    /// Subjects and objects.
    pub pairs: Vec<Pair>,
}

/// What a message between nodes belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowId {
    Attempt(Attempt),
    Query(u64),
}

/// A node that is called by reference. Questions are answered at once, but for the disk; what changes something takes its
/// time, and is not for a thread of the async runtime.
pub trait Near: Send + Sync + Debug {
    /// The rows of a plan; `None` if they are too many, or the epoch is not (yet) here.
    fn answer(&self, ask: Ask) -> Result<Option<Vec<Batch>>, Fault>;

    /// The ids of committed terms, by their canonical bytes.
    fn lookup(&self, cluster: ClusterId, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault>;

    /// The ids of terms, of which the hashes are known: new ones are interned for the attempt.
    fn intern(
        &self,
        cluster: ClusterId,
        attempt: Attempt,
        terms: &[&[u8]],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault>;

    /// Stages facts for an attempt.
    fn stage(&self, staged: Staged) -> Result<(), Fault>;

    /// Takes a message of another node, as its inbox does: into memory, or onto the disk.
    fn receive(&self, cluster: ClusterId, owner: FlowId, from: NodeId, message: Message) -> Result<(), Fault>;

    /// Shows the canonical bytes of each dictionary id, in order; sorted ids cost least.
    ///
    /// # Errors
    /// `Corrupt` for an id that was not given here.
    fn texts(&self, cluster: ClusterId, ids: &[TermId], show: &mut dyn FnMut(&[u8])) -> Result<(), Fault>;
}

/// The nodes of this process.
#[derive(Debug, Default)]
pub struct Nearby(Mutex<BTreeMap<NodeId, Arc<dyn Near>>>);

impl Nearby {
    /// A node can be called until the guard is dropped.
    pub fn enter(self: &Arc<Self>, id: NodeId, node: Arc<dyn Near>) -> Presence {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, node);
        Presence { nearby: Arc::clone(self), id }
    }

    /// The node, if it is in this process.
    pub fn find(&self, id: NodeId) -> Option<Arc<dyn Near>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// A node's presence in this process.
#[derive(Debug)]
pub struct Presence {
    nearby: Arc<Nearby>,
    id: NodeId,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.nearby.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
