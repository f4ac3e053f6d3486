//! The interface of a node: one trait, for nodes of this process and of others.
//!
//! ```text
//! coordinator ──┐                                 ┌── node in this process: by reference, nothing is encoded
//!               ├──► Connections ──► dyn NodeApi ─┤
//! other nodes ──┘                                 └── Remote: gRPC, with a deadline and the id of the node
//! ```
//! [`Connections`] chooses, once for each node; callers do not know which they have. The crate `node` implements the trait
//! for local nodes, over the operations that its gRPC service calls.
//!
//! [`AtOnce`] is the fast path of small queries: on the caller's thread, without a future. docs/performance-notes.md has
//! the measurements (point queries).

mod connections;
mod encoded;
mod message;
mod remote;
pub mod wire;

pub use connections::{Connections, LocalEntry, LocalNodes};
pub use encoded::Encoded;
pub use message::{
    Answered, Ask, Block, Blocks, Exchange, Execute, FirstRound, FlowId, OperationFacts, Part, Parts, Profile,
    RelationChange, RoundAnswer, RoundRequest, Rows, Scan, SealAnswer, Staged, StagedChange, StagedFacts, Summary,
};
pub use remote::{MESSAGE_BYTES_MAX, Remote};

use bytes::Bytes;
use entail_model::term::TermHash;
use entail_model::{Attempt, ClusterId, Epoch, Fault, Relation, Secret, TermId};
use entail_proto::internal::RelationSize;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The time after a query's deadline at which the node ends it, if the coordinator has not ended it before.
const GRACE: Duration = Duration::from_secs(1);

/// The parameters of every call: the cluster, the deadline, and the secret of its attempt.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub cluster: ClusterId,
    /// The deadline of the query that the call is for; calls of changes have none.
    pub until: Option<Instant>,
    /// The secret of the attempt that the call is for; calls of queries have none.
    pub secret: Secret,
}

impl Call {
    /// The time that a node may take: the query's remaining time and `GRACE`.
    pub fn time_left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()) + GRACE)
    }
}

/// A callback that gets the canonical bytes of terms, one term after the other.
pub type Show<'s> = &'s mut (dyn FnMut(&[u8]) + Send);

/// A node. Faults are the node's own, or say that it cannot be reached; they do not have its address.
#[tonic::async_trait]
pub trait NodeApi: Send + Sync + Debug {
    /// The ids of terms, given as canonical bytes with their hashes; new terms are interned for the attempt.
    async fn intern(
        &self,
        call: Call,
        attempt: Attempt,
        terms: &[&[u8]],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault>;

    /// The ids of committed terms, given as canonical bytes.
    async fn lookup(&self, call: Call, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault>;

    /// Calls `show` with the canonical bytes of dictionary ids, in order, up to the text with which they have more than
    /// `bytes_max` bytes; sorted ids cost least.
    ///
    /// # Errors
    /// `Corrupt` for an id that the node did not give.
    async fn texts(&self, call: Call, ids: &[TermId], bytes_max: u64, show: Show<'_>) -> Result<(), Fault>;

    /// Stages changes of asserted facts for an attempt.
    async fn stage(&self, call: Call, staged: Staged) -> Result<(), Fault>;

    /// Runs a round of reasoning; answers when it is closed at the node.
    async fn reason(&self, call: Call, request: RoundRequest) -> Result<RoundAnswer, Fault>;

    /// Makes an attempt's runs durable.
    async fn seal(&self, call: Call, attempt: Attempt) -> Result<SealAnswer, Fault>;

    /// What a seal of the attempt would change, by relation; nothing is made durable.
    async fn preview(&self, call: Call, attempt: Attempt) -> Result<Vec<(Relation, RelationChange)>, Fault>;

    /// Applies the outcome of an attempt: its epoch if it was committed, `None` if it was aborted.
    async fn decide(&self, call: Call, attempt: Attempt, epoch: Option<Epoch>) -> Result<(), Fault>;

    /// Starts a query's part; dropping the stream stops it.
    async fn execute(&self, call: Call, request: Execute) -> Result<Parts, Fault>;

    /// The sizes of all relations at an epoch.
    async fn sizes(&self, call: Call, epoch: Epoch) -> Result<Vec<RelationSize>, Fault>;

    /// Streams the forward copies of the node's facts.
    async fn scan(&self, call: Call, scan: Scan) -> Result<Blocks, Fault>;

    /// The spans of a trace that the node's process still has, as OTLP.
    async fn trace(&self, call: Call, trace: [u8; 16]) -> Result<Bytes, Fault>;

    /// Delivers a message of another node; returns its bytes. Completes when the message is in the node's memory or on its
    /// disk, which never waits for work.
    async fn exchange(&self, call: Call, exchange: Exchange) -> Result<u64, Fault>;

    /// The node's fast path, if it is in this process.
    fn at_once(&self) -> Option<&dyn AtOnce> {
        None
    }
}

/// A node that answers on the caller's thread, which may be one of the async runtime, and waits for nothing but the disk.
pub trait AtOnce {
    /// The rows of a plan that this node can answer alone.
    fn answer(&self, call: Call, ask: Ask) -> Result<Answered, Fault>;

    /// The ids of committed terms, as [`NodeApi::lookup`] gives them.
    fn lookup(&self, call: Call, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault>;

    /// Calls `show` with the canonical bytes of ids, as [`NodeApi::texts`] does.
    fn texts(&self, call: Call, ids: &[TermId], bytes_max: u64, show: &mut dyn FnMut(&[u8])) -> Result<(), Fault>;
}
