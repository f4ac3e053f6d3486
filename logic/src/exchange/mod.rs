//! Messages between nodes, and the closing of rounds.
//!
//! A query ([`answer`](crate::answer)) and an attempt ([`fixpoint`](crate::fixpoint)) exchange rows by the same mechanism:
//!
//! ```text
//! work ──rows, heads, copies──► Outbox ──full messages──► Flow (numbers, counts) ──► deliver
//! work ◄──checked, each once── Endpoint (deferred_messages) ◄── Flow ◄── received
//! ```
//!
//! # Levels
//!
//! ```text
//! level 0: local work ──rows──► level 1 ──rows──► … ──heads, copies──► last level
//! ```
//! In a round that begins with a broadcast, the broadcast is level 1, and all other levels come after it.
//!
//! Every node works at level 0 first; each message is tagged with the level at which its receiver handles it. When a node
//! has done all work of the levels below l it sends each peer `Close { level: l, messages: n }`; when every peer's Close
//! and n messages of each have been received, level l is complete and, since messages are handled as they arrive, done.
//!
//! Invariants: a repeated message counts once (sequence numbers); a level completes on counts, never on silence;
//! nothing is sent for a level after its Close.

pub mod endpoint;
pub mod flow;
pub mod outbox;
pub mod route;
pub mod wire;

pub use endpoint::Endpoint;
pub use flow::Flow;

use crate::columns::Pair;
use crate::columns::blocks::BitBlocks;
use crate::eval::Batch;
use entail_model::{Relation, Round};
use std::sync::Arc;

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Rows for a stage of a plan.
    Rows { plan: PlanKey, stage: usize, batch: Batch },
    /// Candidates, in any order, for facts that are at home at the receiver, as (subject, object).
    Heads { rule: usize, relation: Relation, pairs: Vec<Pair> },
    /// Inverse copies, as sorted (object, subject), of facts that the sender found to be new.
    Copies { relation: Relation, pairs: Vec<Pair> },
    /// Inverse copies that no plan reads before the end of the attempt, as bit blocks with objects as keys.
    Blocks { relation: Relation, blocks: BitBlocks },
    /// Facts of the sender, as sorted (subject, object), of a relation that is broadcast.
    Broadcast { relation: Relation, pairs: Vec<Pair> },
    /// The last message of this level, with the number of messages before it.
    Close { messages: u64 },
}

/// Identifies a plan of a program; queries have only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanKey {
    pub rule: usize,
    /// The body atom whose delta the plan reads; `None` for the plan that reads everything.
    pub pivot: Option<usize>,
}

/// One message between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub round: Round,
    pub level: usize,
    /// Distinct among the messages of one sender to one receiver in one round.
    pub sequence: u64,
    pub payload: Arc<Payload>,
}
