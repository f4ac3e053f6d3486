//! Flow: numbers the messages of one round and counts them, level by level.

use super::endpoint::{Deliver, Kind};
use super::{Message, Payload};
use entail_model::{Fault, NodeId, Round};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The messages of one round, or of one query, between this node and its peers.
#[derive(Debug)]
pub struct Flow {
    kind: Kind,
    round: Round,
    peers: Vec<NodeId>,
    /// The last level.
    levels: usize,
    /// The level that completes next.
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
    pub fn new(kind: Kind, round: Round, peers: Vec<NodeId>, levels: usize) -> Self {
        Self {
            kind,
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
        if self.kind == Kind::Attempt {
            self.unacknowledged.insert((to, message.sequence), message.clone());
        }
        message
    }

    /// Makes the message that carries `payload` to a peer, and delivers it.
    ///
    /// # Panics
    /// If the level is closed already.
    pub fn deliver(
        &mut self,
        to: NodeId,
        level: usize,
        payload: Arc<Payload>,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        let message = self.send(to, level, payload);
        deliver(to, message)
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

    /// Counts a received message; false when it is a repetition.
    pub fn receive(&mut self, from: NodeId, message: &Message) -> bool {
        if !self.seen.entry(from).or_default().insert(message.sequence) && !crate::failpoints::is_broken("deduplicate")
        {
            return false;
        }
        match *message.payload {
            Payload::Close { messages } => _ = self.closed.insert((from, message.level), messages),
            _ => *self.received.entry((from, message.level)).or_default() += 1,
        }
        true
    }

    /// Moves to the next level if all messages of the current one have arrived; returns the completed level.
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
        crate::failpoints::is_broken("count-messages") || *messages == received
    }

    /// Is every level done?
    pub fn is_done(&self) -> bool {
        self.current > self.levels
    }

    /// Records that the peer has the message, which need not be sent again.
    pub fn acknowledge(&mut self, peer: NodeId, sequence: u64) {
        self.unacknowledged.remove(&(peer, sequence));
    }

    /// Messages that were sent and not acknowledged, to be sent again.
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
