//! The requests to nodes and their answers, as values. [`wire`](crate::wire) has their encoding.

use crate::Encoded;
use bytes::Bytes;
use entail_logic::columns::Pair;
use entail_logic::eval::Batch;
use entail_logic::eval::meter::Report as Work;
use entail_logic::exchange::Message;
use entail_logic::exchange::wire::{decode_batch, encode_batch};
use entail_logic::fixpoint::{FoldCounts, Graphs, Mode, Report, Step};
use entail_logic::plan::{Plan, Program};
use entail_model::{Attempt, Direction, Epoch, Fault, NodeId, Placement, Relation, Round, TermId};
use entail_proto::internal::PlacementMap;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A plan that one node is to answer alone, on the caller's thread.
#[derive(Clone, Debug)]
pub struct Ask {
    pub epoch: Epoch,
    pub plan: Arc<Plan>,
    pub placement: Placement,
    /// The most rows that are needed.
    pub rows_max: Option<u64>,
    /// The most rows that all operators together may take in, if that is bounded.
    pub rows_taken_max: Option<u64>,
    /// The most rows of the answer.
    pub rows_given_max: u64,
    /// Set by the caller to end the work.
    pub stop: Arc<AtomicBool>,
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Answered {
    /// All rows of the plan.
    Rows(Vec<Batch>),
    /// The rows are too many, or the node does not have the epoch (yet): to be sent as
    /// [`execute`](crate::NodeApi::execute).
    Fallback,
}

/// A query's part at a node.
#[derive(Clone, Debug)]
pub struct Execute {
    /// The query's number, by which nodes assign messages to queries.
    pub query: u64,
    pub epoch: Epoch,
    pub plan: Encoded<Plan>,
    pub placement: Arc<PlacementMap>,
    /// The nodes that take part.
    pub participants: Vec<NodeId>,
    /// The most rows that are needed from one node.
    pub rows_max: Option<u64>,
    /// Set to measure the work.
    pub profile: Option<Profile>,
}

/// The settings for measuring a query's work.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The id of `rdf:type`, if the dictionary knows it.
    pub rdf_type: Option<TermId>,
}

/// The answer of a query's part: rows, and at the end the summary.
pub type Parts = BoxStream<'static, Result<Part, Fault>>;

/// One piece of the answer of a query's part.
#[derive(Debug)]
pub enum Part {
    Rows(Rows),
    Done(Summary),
}

/// Rows as a batch of a local node, or as encoded by a remote one.
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

    /// The encoded rows.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Batch(batch) => encode_batch(&batch).into(),
            Self::Encoded(bytes) => bytes,
        }
    }
}

/// A node's summary of its finished part.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub rows: u64,
    /// The time from start to end, waiting included.
    pub nanoseconds: u64,
    /// The work of the operators, if it was measured.
    pub work: Work,
}

/// Changes of asserted facts at one node.
#[derive(Clone, Debug)]
pub struct Staged {
    pub attempt: Attempt,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    /// The message's number among all staged messages of the attempt at the node.
    pub sequence: u64,
    /// The number of the operation, in the attempt's request, that the message belongs to. `None`: every message of the
    /// attempt only adds facts, so their order does not matter.
    pub operation: Option<u32>,
    pub change: StagedChange,
}

/// The change of one message.
#[derive(Clone, Debug)]
pub enum StagedChange {
    /// Facts that the operation removes and adds: first it removes all of its messages, then it adds.
    Facts { removed: Vec<StagedFacts>, added: Vec<StagedFacts> },
    /// The few facts of several operations, each with its own number; the node counts what each of them changes.
    Group(Vec<OperationFacts>),
    /// Removes every asserted fact of some graphs.
    Clear(Graphs),
    /// Adds every asserted fact of one graph to another.
    Transfer { from: TermId, to: TermId },
}

/// Facts that one operation removes and adds.
#[derive(Clone, Debug, Default)]
pub struct OperationFacts {
    pub operation: u32,
    pub removed: Vec<StagedFacts>,
    pub added: Vec<StagedFacts>,
}

/// Facts of one relation.
#[derive(Clone, Debug)]
pub struct StagedFacts {
    pub relation: Relation,
    /// The copies of the facts that the node keeps.
    pub copies: &'static [Direction],
    /// The facts, as (subject, object).
    pub pairs: Vec<Pair>,
}

/// A request to begin a round of reasoning.
#[derive(Clone, Debug)]
pub struct RoundRequest {
    pub attempt: Attempt,
    pub round: Round,
    pub step: Step,
    /// Set in the first round.
    pub first: Option<FirstRound>,
}

/// The additional inputs of an attempt's first round.
#[derive(Clone, Debug)]
pub struct FirstRound {
    pub mode: Mode,
    pub program: Encoded<Program>,
    pub placement: Arc<PlacementMap>,
    /// The number of messages with facts that were staged at the node.
    pub staged: u64,
    /// The most new facts at the node; with more, the attempt fails.
    pub facts_max: u64,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    /// The time after which the node gives up, so that the attempt recomputes all derived facts.
    pub effort_max: Option<Duration>,
}

/// The result of a round at a node.
#[derive(Clone, Debug, Default)]
pub struct RoundAnswer {
    pub report: Report,
    /// New facts that were staged at the node.
    pub asserted: u64,
    /// What was staged to be removed, and what each operation changes if they were counted.
    pub staged: FoldCounts,
    /// Bytes that the round sent to other nodes.
    pub bytes_sent: u64,
}

impl RoundAnswer {
    /// New facts of the round, of all rules.
    pub fn new_facts(&self) -> u64 {
        self.report.derived.iter().sum()
    }
}

/// The result of a seal: a digest over the node's facts after the commit, and their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealAnswer {
    pub digest: u64,
    pub asserted: u64,
    pub derived: u64,
    /// Derived facts that have come and gone; none if everything was derived anew.
    pub derived_added: u64,
    pub derived_removed: u64,
}

/// What an attempt changes in the facts of a relation whose subjects are at the node. A fact that is asserted counts as
/// asserted, whether or not rules derive it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationChange {
    pub asserted: u64,
    pub removed: u64,
    pub derived: u64,
    pub derived_removed: u64,
}

/// The facts of a node that are to be read.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// The number of the dump, among those of the coordinator's queries.
    pub query: u64,
    pub epoch: Epoch,
    pub asserted: bool,
    pub derived: bool,
    /// Only this graph; `None` is all of them.
    pub graph: Option<TermId>,
}

/// Facts of one relation, as sorted (subject, object).
#[derive(Clone, Debug)]
pub struct Block {
    pub relation: Relation,
    pub pairs: Vec<Pair>,
}

/// The facts that a scan finds.
pub type Blocks = BoxStream<'static, Result<Block, Fault>>;

/// The query or attempt of a message between nodes.
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
