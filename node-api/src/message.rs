//! What nodes are asked and what they answer, as values. [`wire`](crate::wire) has their form on the wire.

use crate::Encoded;
use bytes::Bytes;
use entail_logic::columns::Pair;
use entail_logic::eval::Batch;
use entail_logic::eval::meter::Report as Work;
use entail_logic::exchange::Message;
use entail_logic::exchange::wire::{decode_batch, encode_batch};
use entail_logic::fixpoint::{Mode, Report};
use entail_logic::plan::{Plan, Program};
use entail_model::{Attempt, Direction, Epoch, Fault, NodeId, Placement, Relation, Round, TermId};
use entail_proto::internal::PlacementMap;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A plan that one node answers alone, at once.
#[derive(Clone, Debug)]
pub struct Ask {
    pub epoch: Epoch,
    pub plan: Arc<Plan>,
    pub placement: Placement,
    /// Rows that are of use at most.
    pub rows_max: Option<u64>,
    /// Rows that operators may take in, all together, if that is bounded.
    pub rows_taken_max: Option<u64>,
    /// Rows of an answer.
    pub rows_given_max: u64,
    /// Set by the caller to end the work.
    pub stop: Arc<AtomicBool>,
}

/// What came of an [`Ask`].
#[derive(Debug)]
pub enum Answered {
    /// All rows of the plan.
    Rows(Vec<Batch>),
    /// The rows are too many, or the epoch is not (yet) here: to be asked again with [`execute`](crate::NodeApi::execute).
    Fallback,
}

/// A query's part at a node.
#[derive(Clone, Debug)]
pub struct Execute {
    /// The query's number, by which nodes know whose messages they get.
    pub query: u64,
    pub epoch: Epoch,
    pub plan: Encoded<Plan>,
    pub placement: Arc<PlacementMap>,
    /// The nodes that take part.
    pub participants: Vec<NodeId>,
    /// Rows that are of use at most from one node.
    pub rows_max: Option<u64>,
    /// Set if the work is to be measured.
    pub profile: Option<Profile>,
}

/// Measures a query's work.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The id of `rdf:type`, if the dictionary knows it.
    pub rdf_type: Option<TermId>,
}

/// What comes of a query's part: rows, and in the end the summary.
pub type Parts = BoxStream<'static, Result<Part, Fault>>;

/// One piece of what comes of a query's part.
#[derive(Debug)]
pub enum Part {
    Rows(Rows),
    Done(Summary),
}

/// Rows as they were found, or as they came.
#[derive(Debug)]
pub enum Rows {
    Batch(Batch),
    Encoded(Bytes),
}

impl Rows {
    /// The rows.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn into_batch(self) -> Result<Batch, Fault> {
        match self {
            Self::Batch(batch) => Ok(batch),
            Self::Encoded(bytes) => decode_batch(&bytes),
        }
    }

    /// The rows as they go over the wire.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Batch(batch) => encode_batch(&batch).into(),
            Self::Encoded(bytes) => bytes,
        }
    }
}

/// What a node says when its part is done.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub rows: u64,
    /// From the start to the end, waiting included.
    pub nanoseconds: u64,
    /// What the operators did, if that was asked for.
    pub work: Work,
}

/// Asserted facts for one node.
#[derive(Clone, Debug)]
pub struct Staged {
    pub attempt: Attempt,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    /// The message's number among all that are staged at the node for the attempt.
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

/// A round of reasoning that is to begin.
#[derive(Clone, Debug)]
pub struct RoundRequest {
    pub attempt: Attempt,
    pub round: Round,
    /// In the first round.
    pub first: Option<FirstRound>,
}

/// What the first round of an attempt needs beside.
#[derive(Clone, Debug)]
pub struct FirstRound {
    pub mode: Mode,
    pub program: Encoded<Program>,
    pub placement: Arc<PlacementMap>,
    /// How many messages with facts were staged at the node.
    pub staged: u64,
    /// New facts at the node beyond which the attempt is given up.
    pub facts_max: u64,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
}

/// What a round came to at a node.
#[derive(Clone, Debug, Default)]
pub struct RoundAnswer {
    pub report: Report,
    /// New facts that were staged at the node.
    pub asserted: u64,
    /// Bytes that the round sent to other nodes.
    pub bytes_sent: u64,
}

impl RoundAnswer {
    /// New facts of the round, of all rules.
    pub fn new_facts(&self) -> u64 {
        self.report.derived.iter().sum()
    }
}

/// What a node has sealed: a digest of it, and the facts that the node has once the attempt is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealAnswer {
    pub digest: u64,
    pub asserted: u64,
    pub derived: u64,
}

/// Which facts of a node are read.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    pub epoch: Epoch,
    pub asserted: bool,
    pub derived: bool,
    /// Only this graph; `None` is all of them.
    pub graph: Option<TermId>,
}

/// Facts of one relation, as subjects and objects in order.
#[derive(Clone, Debug)]
pub struct Block {
    pub relation: Relation,
    pub pairs: Vec<Pair>,
}

/// The facts that a scan finds.
pub type Blocks = BoxStream<'static, Result<Block, Fault>>;

/// What a message between nodes belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowId {
    Attempt(Attempt),
    Query(u64),
}

/// A message from one node to another.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub flow: FlowId,
    pub from: NodeId,
    pub message: Message,
}
