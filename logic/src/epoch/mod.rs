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
//! - A round closes when every node has reported it and, for each pair of nodes, the number of sent messages equals the
//!   number of received ones: on counts, never on silence.
//! - A step ends when no node has work in it. All nodes work in the same step: the round says which. When a node gives up, the
//!   next round begins to recompute, at all nodes.
//! - A commit is requested from the log only with the seal of every node that holds shards.
//! - Nodes learn an outcome only after the log has it: `Decide` follows `Committed(Ok)` or `Aborted(Ok)`, never both.
//! - There is one answer. After a commit was requested from the log, only the log decides the outcome.
//! - A message that is repeated, late, or of another attempt or round changes nothing.
//! - A node takes part only in an attempt that the coordinator has told it of: [`BegunAttempts`].
//!
//! # What happens when something fails
//! | where | what is known | what happens |
//! |---|---|---|
//! | before the request to begin | nothing happened | the fault is the answer |
//! | `Begun` fails, or the client leaves meanwhile | the attempt may be open in the log | the fault is the answer; an attempt that did begin is aborted: by this process, or by the coordinator after its restart |
//! | staging, a round, a seal; a node restarts; a deadline passes or the client leaves | no commit was requested | abort in the log, then `Decide(None)` to all nodes, and the fault is the answer at once: a node that misses it asks with its heartbeats |
//! | the counts of a round disagree | a defect | the same, with an `Internal` fault that names the pair |
//! | more rounds than allowed | the rules do not end, or not soon | the same, with `LimitExceeded` |
//! | the log breaks at the abort | no commit was requested, so the restarted coordinator aborts | the fault is the answer; no node gets the outcome, they ask with their heartbeats |
//! | the log cannot write the abort now: a full disk | the attempt is open, and no other can begin | requested again with every tick; then as above |
//! | the log refuses the commit | nothing was written | abort, as above |
//! | the log breaks at the commit | the outcome is unknown | `OutcomeUnknown` is the answer; the restarted coordinator answers a retry of the request from the log |
//! | a node fails or the deadline passes after the commit | the epoch is committed | the answer is success, as soon as each node has applied the outcome or cannot be reached; a disconnected node learns it when it registers, or from a heartbeat's answer |
//!
//! The shell delivers: it makes the calls, retries those that may succeed later, and reports final failures as
//! [`Event::Failed`]. It must also report a node of the attempt that registers again before the commit, since unsealed
//! work is lost when a node restarts.

mod begun;
mod machine;
mod reports;

#[cfg(test)]
mod tests;

pub use begun::{Begun, BegunAttempts, Verdict};
pub use machine::EpochMachine;

use crate::fixpoint::{Report, Step};
use entail_model::{Attempt, Epoch, Fault, NodeId, Round};
use std::collections::BTreeMap;

/// The inputs of an epoch.
#[derive(Clone, Debug)]
pub struct EpochSetup {
    /// Every node that holds shards; at least one.
    pub nodes: Vec<NodeId>,
    /// The last committed epoch.
    pub previous: Epoch,
    /// The most rounds, at least one; with more, the attempt fails.
    pub rounds_max: u32,
}

/// The number of `Stage` messages to each node; nodes without any may be missing.
pub type StagedCount = BTreeMap<NodeId, u64>;

/// What staging has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    pub messages: StagedCount,
    /// The steps of the attempt, in order; none stands for additions to a single stratum.
    pub steps: Vec<Step>,
}

/// A node's confirmation that its part of an attempt is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSeal {
    /// The incarnation of the node that sealed.
    pub incarnation: u64,
    /// A digest over all facts of the node at the new epoch.
    pub digest: u64,
    /// Asserted facts at home at the node at the new epoch.
    pub asserted: u64,
    /// Facts at home at the node at the new epoch that are only derived.
    pub derived: u64,
}

/// The result of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub epoch: Epoch,
    pub rounds: u32,
    /// New facts by rule, over all rounds and nodes; among them facts that were deleted and came back.
    pub derived: Vec<u64>,
    /// Facts that were deleted, over all rounds and nodes; some of them have come back.
    pub over_deleted: u64,
    /// Did the attempt end by recomputing all derived facts?
    pub is_recomputed: bool,
    /// Asserted facts in the whole cluster at this epoch.
    pub asserted: u64,
}

/// An input of the epoch machine.
#[derive(Clone, Debug)]
pub enum Event {
    Start,
    /// The log has written the attempt's beginning, or has failed to.
    Begun(Result<Attempt, Fault>),
    /// Every staged fact is at the nodes of its copies.
    Staged(Result<Staged, Fault>),
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
    /// A call of this attempt finally failed, at a node if one is named; or the attempt's deadline has passed, or its
    /// caller has disconnected.
    Failed {
        node: Option<NodeId>,
        fault: Fault,
    },
    /// The log has written the commit, or has failed to.
    Committed(Result<Epoch, Fault>),
    /// The log has written the abort, or has failed to.
    Aborted(Result<(), Fault>),
    /// A node has applied the outcome.
    Decided {
        node: NodeId,
        attempt: Attempt,
    },
    /// Time has passed: messages without an answer are to be sent again. Nodes accept repeated messages.
    Tick,
}

/// An output of the epoch machine, for its shell to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Log that an attempt begins, then pass in [`Event::Begun`].
    LogBegin,
    /// Give ids to terms, send the facts to the nodes of their copies, then pass in [`Event::Staged`]. A node whose last
    /// committed epoch is not `previous` must refuse: its part would lack an epoch.
    Stage { attempt: Attempt, previous: Epoch },
    /// Ask a node to open a round; in the first one it needs the program, and `staged` messages must have arrived.
    OpenRound { node: NodeId, attempt: Attempt, previous: Epoch, round: Round, step: Step, first: bool, staged: u64 },
    /// Ask a node to make its part durable.
    Seal { node: NodeId, attempt: Attempt },
    /// Log the commit, then pass in [`Event::Committed`].
    LogCommit { attempt: Attempt, epoch: Epoch, seals: BTreeMap<NodeId, NodeSeal>, outcome: Outcome },
    /// Log the abort, then pass in [`Event::Aborted`].
    LogAbort { attempt: Attempt, fault: Fault },
    /// Send a node the outcome; `None` is an abort.
    Decide { node: NodeId, attempt: Attempt, epoch: Option<Epoch> },
    /// Answer the caller that requested the epoch.
    Answer(Result<Outcome, Fault>),
}
