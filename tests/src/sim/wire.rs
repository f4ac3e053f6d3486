//! The messages between simulated processes, and the actions that they request from the simulator.

use super::store::Record;
use crate::oracle::{Placed, Triple};
use entail_coordinator::metalog::{Incarnation, RequestId};
use entail_logic::epoch::{Begun, NodeSeal, Outcome};
use entail_logic::exchange::Message;
use entail_logic::fixpoint::Base;
use entail_logic::fixpoint::{Mode, Report, Step};
use entail_logic::plan::Program;
use entail_model::{Attempt, Epoch, Fault, NodeId, Placement, Round};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// An addressable process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    Coordinator,
    Node(NodeId),
    Client(u64),
    Reader,
    /// A process that is not of the cluster, and sends what it likes to the nodes' peer ports.
    Stranger,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::Client(client) => write!(f, "client {client}"),
            Self::Reader => f.write_str("reader"),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

/// A change that a client requests.
#[derive(Clone, Debug)]
pub enum Change {
    /// Asserts facts, and takes others back.
    Facts { added: BTreeSet<Triple>, removed: BTreeSet<Triple> },
    /// Replaces a set's rules by those with these numbers, or drops the set.
    Rules { set: String, rules: Option<Vec<usize>> },
}

/// What happens to a copy that is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Staging {
    Add,
    Remove,
}

/// The data that a node needs for the first round.
#[derive(Debug)]
pub struct FirstRound {
    pub program: Arc<Program>,
    pub mode: Mode,
    pub placement: Placement,
    /// The nodes give up in this round.
    pub gives_up_in: u32,
}

/// A message. `call` and `life` associate a response with its request, as a connection does.
#[derive(Clone, Debug)]
pub enum Wire {
    // Between clients and the coordinator.
    Write { request: RequestId, call: u64, change: Arc<Change> },
    Written { call: u64, result: Result<Epoch, Fault> },
    Cancel { request: RequestId },
    Pin { call: u64 },
    Pinned { call: u64, result: Result<(Epoch, BTreeSet<NodeId>), Fault> },
    // Between readers and nodes.
    Read { call: u64, epoch: Epoch },
    Facts { call: u64, facts: Result<Base, Fault> },
    // From nodes to the coordinator.
    Register { life: u64, undecided: Vec<Attempt> },
    Heartbeat { incarnation: Incarnation, undecided: Vec<Attempt> },
    OpenAttempt { incarnation: Incarnation, decided: Option<Attempt> },
    Staged { attempt: Attempt, sequence: u64 },
    Closed { attempt: Attempt, report: Report },
    Sealed { attempt: Attempt, seal: NodeSeal },
    Decided { attempt: Attempt },
    Refused { attempt: Attempt, fault: Fault },
    // From the coordinator to nodes.
    Registered { life: u64, incarnation: Incarnation, decisions: Vec<(Attempt, Option<Epoch>)> },
    RegisterAgain { incarnation: Incarnation },
    // The answer to a heartbeat or to `OpenAttempt`, on the node's own connection.
    Told { incarnation: Incarnation, open: Option<Begun>, decisions: Vec<(Attempt, Option<Epoch>)> },
    // From the coordinator to nodes, by their peer ports.
    Stage { begun: Begun, previous: Epoch, sequence: u64, copies: Arc<Vec<(Staging, Placed)>> },
    OpenRound { begun: Begun, previous: Epoch, round: Round, step: Step, first: Option<Arc<FirstRound>>, staged: u64 },
    Seal { begun: Begun },
    Decide { begun: Begun, epoch: Option<Epoch> },
    // Between nodes.
    Exchange { begun: Begun, message: Message },
    Received { attempt: Attempt, round: Round, sequence: u64 },
}

impl Wire {
    /// Does the message use a new connection for each call, so that it is never duplicated?
    pub fn comes_once(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Written { .. }
                | Self::Cancel { .. }
                | Self::Pin { .. }
                | Self::Pinned { .. }
                | Self::Read { .. }
                | Self::Facts { .. }
        )
    }
}

/// A decision that is being written to the log.
#[derive(Clone, Debug)]
pub enum LogStep {
    Begin,
    Commit { attempt: Attempt, epoch: Epoch, seals: BTreeMap<NodeId, NodeSeal>, outcome: Outcome },
    Abort { attempt: Attempt, fault: Fault },
}

/// The timers of a client; the number is that of the call.
#[derive(Clone, Copy, Debug)]
pub enum Timer {
    /// The next change can be sent.
    Next,
    Resend(u64),
    Timeout(u64),
    Cancel(u64),
}

/// An action that a process requests from the simulator. A crash can occur before each.
#[derive(Clone, Debug)]
pub enum Action {
    Send {
        to: Process,
        wire: Wire,
    },
    /// Appends to the node's disk; not durable yet.
    Write(Record),
    /// Makes everything written durable.
    Sync,
    /// Appends to the coordinator's log, after a delay.
    Log(LogStep),
    /// Sets a timer of this many ticks.
    Wake {
        after: u64,
        timer: Timer,
    },
    /// A client has the outcome of its request; also whether any call remained unanswered.
    Concluded {
        request: RequestId,
        result: Result<Epoch, Fault>,
        in_doubt: bool,
    },
    /// A reader has read a whole epoch.
    HasRead {
        epoch: Epoch,
        parts: BTreeMap<NodeId, Base>,
    },
    /// An impossible event occurred.
    Defect(String),
}
