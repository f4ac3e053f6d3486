//! Messages between nodes, and how a round of them closes.
//!
//! ```text
//! level 0: local work ──rows──► level 1 ──rows──► … ──heads, copies──► last level
//! ```
//! Where relations are spread, that is level 1 of the first or the second round, and all others come after it.
//!
//! Every node works at level 0 first; what it sends is tagged with the level that it is work for. When a node has done
//! all work of the levels below l it sends each peer `Close { level: l, messages: n }`; when every peer's Close has come
//! and n messages of each have been received, level l is complete and, since work is done as it arrives, done.
//!
//! Invariants: a message counts once however often it arrives (sequence numbers); a level completes on counts, never
//! on silence; nothing is sent for a level after its Close.

pub mod route;
pub mod wire;

use crate::columns::Pair;
use crate::columns::blocks::Blocks;
use crate::eval::Batch;
use entail_model::{NodeId, Relation, Round};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What a message carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Rows for a stage of a plan: the rule's index, which of its plans, and the stage.
    Rows { plan: PlanKey, stage: usize, batch: Batch },
    /// Candidates, in any order, for facts that are at home at the receiver, as (subject, object).
    Heads { rule: usize, relation: Relation, pairs: Vec<Pair> },
    /// In copies, as sorted (object, subject), of facts that the sender found to be new.
    Copies { relation: Relation, pairs: Vec<Pair> },
    /// The same where nobody reads them before the end, with objects as keys.
    Blocks { relation: Relation, blocks: Blocks },
    /// Facts of the sender, as sorted (subject, object), of a relation that every node is to have.
    Spread { relation: Relation, pairs: Vec<Pair> },
    /// Nothing more comes for this level: this many messages were sent.
    Close { messages: u64 },
}

/// Names a plan of a program; queries have only one.
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

/// The messages of one round, or of one query, as one node sees them.
#[derive(Debug)]
pub struct Flow {
    round: Round,
    peers: Vec<NodeId>,
    /// The last level.
    levels: usize,
    /// The level whose messages complete next.
    current: usize,
    next_sequence: HashMap<NodeId, u64>,
    sent: HashMap<(NodeId, usize), u64>,
    received: HashMap<(NodeId, usize), u64>,
    closed: HashMap<(NodeId, usize), u64>,
    seen: HashMap<NodeId, HashSet<u64>>,
    unacknowledged: BTreeMap<(NodeId, u64), Message>,
}

impl Flow {
    /// A flow between this node and `peers` (without this node) over `levels` levels.
    pub fn new(round: Round, peers: Vec<NodeId>, levels: usize) -> Self {
        Self {
            round,
            peers,
            levels,
            current: 1,
            next_sequence: HashMap::new(),
            sent: HashMap::new(),
            received: HashMap::new(),
            closed: HashMap::new(),
            seen: HashMap::new(),
            unacknowledged: BTreeMap::new(),
        }
    }

    /// The last level.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// The other nodes of the flow.
    pub fn peers(&self) -> &[NodeId] {
        &self.peers
    }

    /// Makes the message that carries `payload` to a peer.
    ///
    /// # Panics
    /// If the level is closed already: nothing is sent after a Close.
    pub fn send(&mut self, to: NodeId, level: usize, payload: Arc<Payload>) -> Message {
        assert!(level >= self.current && level <= self.levels, "level {level} is closed or does not exist");
        if !matches!(*payload, Payload::Close { .. }) {
            *self.sent.entry((to, level)).or_default() += 1;
        }
        let sequence = self.next_sequence.entry(to).or_default();
        let message = Message { round: self.round, level, sequence: *sequence, payload };
        *sequence += 1;
        self.unacknowledged.insert((to, message.sequence), message.clone());
        message
    }

    /// The Close messages of a level, one for each peer.
    pub fn close(&mut self, level: usize) -> Vec<(NodeId, Message)> {
        let peers = self.peers.clone();
        let closes = peers.into_iter().map(|peer| {
            let messages = self.sent.get(&(peer, level)).copied().unwrap_or(0);
            (peer, self.send(peer, level, Arc::new(Payload::Close { messages })))
        });
        closes.collect()
    }

    /// Notes a message that came; false when it is a repetition.
    pub fn receive(&mut self, from: NodeId, message: &Message) -> bool {
        if !self.seen.entry(from).or_default().insert(message.sequence) && !crate::guard::is_broken("deduplicate") {
            return false;
        }
        match *message.payload {
            Payload::Close { messages } => _ = self.closed.insert((from, message.level), messages),
            _ => *self.received.entry((from, message.level)).or_default() += 1,
        }
        true
    }

    /// Has everything for the current level come? Then moves to the next one and returns the level that is done.
    pub fn complete_level(&mut self) -> Option<usize> {
        let level = self.current;
        if level > self.levels || !self.peers.iter().all(|peer| self.has_all(*peer, level)) {
            return None;
        }
        self.current += 1;
        Some(level)
    }

    fn has_all(&self, peer: NodeId, level: usize) -> bool {
        let Some(messages) = self.closed.get(&(peer, level)) else { return false };
        let received = self.received.get(&(peer, level)).copied().unwrap_or(0);
        crate::guard::is_broken("count-messages") || *messages == received
    }

    /// Is every level done?
    pub fn is_done(&self) -> bool {
        self.current > self.levels
    }

    /// The peer has the message; it need not be sent again.
    pub fn acknowledge(&mut self, peer: NodeId, sequence: u64) {
        self.unacknowledged.remove(&(peer, sequence));
    }

    /// What was sent and not acknowledged, to send again.
    pub fn unacknowledged(&self) -> impl Iterator<Item = (NodeId, &Message)> {
        self.unacknowledged.iter().map(|((peer, _), message)| (*peer, message))
    }

    /// Messages (without Closes) sent to each peer.
    pub fn sent_counts(&self) -> BTreeMap<NodeId, u64> {
        self.totals(&self.sent)
    }

    /// Messages (without Closes) received from each peer.
    pub fn received_counts(&self) -> BTreeMap<NodeId, u64> {
        self.totals(&self.received)
    }

    fn totals(&self, counts: &HashMap<(NodeId, usize), u64>) -> BTreeMap<NodeId, u64> {
        let total = |peer: NodeId| (1..=self.levels).filter_map(|level| counts.get(&(peer, level))).sum();
        self.peers.iter().map(|peer| (*peer, total(*peer))).collect()
    }
}
