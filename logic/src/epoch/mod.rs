//! The epoch: the coordinator's side of one attempt to change the whole cluster, as a machine.
//!
//! ```text
//!        Begun         Staged            no node active     all sealed           Committed
//! Begin ───────► stage ───────► rounds ────────────────► seal ─────────► commit ───────────► decide ──► over
//!   │              │              │                        │               │ refused           ▲
//!   │ failed       └──────────────┴──── any failure ───────┴───────► abort ◄┘  Aborted         │
//!   └────────► over                                                    └──────────────────────┘
//! ```
//!
//! # Invariants
//! - A round closes when every node has reported it and what each node sent to each other equals what that one received
//!   of it: on counts, never on silence.
//! - A commit is asked of the log only with the seal of every node that holds shards.
//! - Nodes hear of an outcome only after the log has it: `Decide` follows `Committed(Ok)` or `Aborted(Ok)`, never both.
//! - There is one answer. After a commit was asked of the log, only the log says what became of it.
//! - A message that is repeated, late, or of another attempt or round changes nothing.
//!
//! # What happens when something fails
//! | where | what is known | what happens |
//! |---|---|---|
//! | before the log was asked to begin | nothing happened | the fault is the answer |
//! | `Begun` fails, or the client leaves meanwhile | the attempt may be open in the log | the fault is the answer; an attempt that did begin is aborted: here, or by the coordinator's next life |
//! | staging, a round, a seal; a node restarts; a deadline or the client's own end | no commit was asked for | abort in the log, then `Decide(None)` to all nodes, and the fault is the answer at once: a node that misses it asks with its heartbeats |
//! | the counts of a round disagree | a defect | the same, with an `Internal` fault that names the pair |
//! | more rounds than allowed | the rules do not end, or not soon | the same, with `LimitExceeded` |
//! | the log breaks at the abort | no commit was asked for, so the next life of the coordinator aborts | the fault is the answer; no node is told, they ask with their heartbeats |
//! | the log cannot write the abort now: a full disk | the attempt is open, and no other can begin | asked again with every tick; then as above |
//! | the log refuses the commit | nothing was written | abort, as above |
//! | the log breaks at the commit | the outcome is unknown | `OutcomeUnknown` is the answer; the next life answers a
//! retry of the request from the log |
//! | a node or the deadline fails after the commit | the epoch is committed | the answer is its success, no later than when each node has applied it or is out of reach; a node that was away learns the outcome when it registers, or from a heartbeat's answer |
//!
//! The shell delivers: it makes the calls, retries those that may succeed later, and reports final failures as
//! [`Event::Failed`]. It must also report a node of the attempt that registers again before the commit, since its
//! unsealed work is lost with its old life.

mod machine;
mod reports;

#[cfg(test)]
mod tests;

pub use machine::EpochMachine;

use crate::fixpoint::Report;
use entail_model::{Attempt, Epoch, Fault, NodeId, Round};
use std::collections::BTreeMap;

/// What an epoch starts from.
#[derive(Clone, Debug)]
pub struct EpochSetup {
    /// Every node that holds shards; at least one.
    pub nodes: Vec<NodeId>,
    /// The last committed epoch.
    pub previous: Epoch,
    /// Rounds after which the attempt is given up; at least one.
    pub rounds_max: u32,
}

/// How many `Stage` messages each node was sent; nodes without any may be left out.
pub type StagedCount = BTreeMap<NodeId, u64>;

/// A node's word that its part of an attempt is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSeal {
    /// The life of the node that gave the word.
    pub incarnation: u64,
    /// A digest of the facts that the attempt adds at the node.
    pub digest: u64,
    /// Facts at home at the node at the new epoch that a user said.
    pub asserted: u64,
    /// Facts at home at the node at the new epoch that only rules say.
    pub derived: u64,
}

/// What an epoch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub epoch: Epoch,
    pub rounds: u32,
    /// New facts by rule, over all rounds and nodes.
    pub derived: Vec<u64>,
    /// Facts in the whole cluster at this epoch that a user said.
    pub asserted: u64,
}

/// What happens to an epoch.
#[derive(Clone, Debug)]
pub enum Event {
    Start,
    /// The log has the attempt's beginning, or not.
    Begun(Result<Attempt, Fault>),
    /// Every staged fact is at the nodes of its copies.
    Staged(Result<StagedCount, Fault>),
    /// A round has closed at a node.
    RoundClosed {
        node: NodeId,
        attempt: Attempt,
        report: Report,
    },
    /// A node's part is durable.
    Sealed {
        node: NodeId,
        attempt: Attempt,
        seal: NodeSeal,
    },
    /// A call of this attempt failed for good, at a node if one is named; or the attempt's time is over, or its
    /// caller has gone.
    Failed {
        node: Option<NodeId>,
        fault: Fault,
    },
    /// The log has the commit, or not.
    Committed(Result<Epoch, Fault>),
    /// The log has the abort, or not.
    Aborted(Result<(), Fault>),
    /// A node has applied the outcome.
    Decided {
        node: NodeId,
        attempt: Attempt,
    },
    /// Time has passed: messages without an answer are to be sent again. Nodes accept each any number of times.
    Tick,
}

/// What an epoch asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Log that an attempt begins, and say [`Event::Begun`].
    LogBegin,
    /// Give ids to terms, send the facts to the nodes of their copies, and say [`Event::Staged`]. A node whose last
    /// committed epoch is not `previous` must refuse: its part would lack an epoch.
    Stage { attempt: Attempt, previous: Epoch },
    /// Ask a node to open a round; in the first one it needs the program, and `staged` messages must have come.
    OpenRound { node: NodeId, attempt: Attempt, previous: Epoch, round: Round, first: bool, staged: u64 },
    /// Ask a node to make its part durable.
    Seal { node: NodeId, attempt: Attempt },
    /// Log the commit, and say [`Event::Committed`].
    LogCommit { attempt: Attempt, epoch: Epoch, seals: BTreeMap<NodeId, NodeSeal>, outcome: Outcome },
    /// Log the abort, and say [`Event::Aborted`].
    LogAbort { attempt: Attempt, fault: Fault },
    /// Tell a node the outcome; `None` is an abort.
    Decide { node: NodeId, attempt: Attempt, epoch: Option<Epoch> },
    /// Tell the caller that asked for the epoch.
    Answer(Result<Outcome, Fault>),
}
