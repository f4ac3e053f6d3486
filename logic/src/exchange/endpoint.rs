//! Endpoint: one node's end of an exchange. It decides which received message is worked on now, and when a level is closed.
//!
//! Both exchange machines hold one: a query's part ([`answer`](crate::answer)), which has one round, and the
//! [reasoner](crate::fixpoint), which has many. The machine evaluates; the endpoint checks, counts, defers and closes.
//!
//! Invariants: a message is handed to the machine once, in its round, and not before the broadcast that its round begins
//! with is complete; a level is closed as soon as all levels before it are done; a round ends once.

use super::outbox::Outbox;
use super::{Flow, Message, Payload, PlanKey};
use crate::columns::Pair;
use crate::columns::blocks::BitBlocks;
use crate::eval::Batch;
use crate::plan::Plan;
use entail_model::{Fault, NodeId, Relation, Round};
use std::sync::Arc;

/// The number of later rounds whose messages are kept: a peer can be one round ahead, never two.
const ROUNDS_AHEAD: u32 = 1;

/// The level of broadcast facts, in a round that begins with a broadcast.
pub const BROADCAST_LEVEL: usize = 1;

/// Delivers a message to a peer.
pub type Deliver<'d> = &'d mut dyn FnMut(NodeId, Message) -> Result<(), Fault>;

/// The kind of an exchange, which decides how repetitions and failed deliveries are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows are a bag, in one round. A message that cannot be delivered fails the query, so none is kept to be sent again.
    Query,
    /// Rows are a set, in many rounds. A message is kept until its receiver has acknowledged it.
    Attempt,
}

/// The first step of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Each node's own work.
    Work,
    /// A broadcast of facts, which takes one more level; the work begins when it is complete.
    Broadcast,
}

/// The next step of the machine after [`Endpoint::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Wait for messages.
    Waiting,
    /// Begin the round's work: all broadcast facts have arrived. Then advance again.
    BroadcastComplete,
    /// The round has just ended.
    Closed,
}

/// One node's end of an exchange.
#[derive(Debug)]
pub struct Endpoint {
    kind: Kind,
    peers: Vec<NodeId>,
    round: Round,
    flow: Flow,
    outbox: Outbox,
    /// Messages of the next round, from peers that are ahead, and messages of this round that overtook its broadcast. They
    /// are outside of the memory budget: one slow peer's broadcast delays the messages of all others.
    deferred_messages: Vec<(NodeId, Message)>,
    is_open: bool,
    is_broadcasting: bool,
}

impl Endpoint {
    /// An endpoint between this node and `peers` (without this node), before its first round.
    pub fn new(kind: Kind, peers: Vec<NodeId>) -> Self {
        Self {
            kind,
            peers,
            round: Round(0),
            flow: Flow::new(kind, Round(0), Vec::new(), 0),
            outbox: Outbox::new(kind),
            deferred_messages: Vec::new(),
            is_open: false,
            is_broadcasting: false,
        }
    }

    /// The current round; 0 before the first one.
    pub fn round(&self) -> Round {
        self.round
    }

    /// Is the current round under way?
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Does the round's work wait for broadcast facts?
    pub fn is_broadcasting(&self) -> bool {
        self.is_broadcasting
    }

    /// The round's counts.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Rows, heads and copies that wait to be sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Opens a round whose work has `levels` levels.
    pub fn open(&mut self, round: Round, levels: usize, opening: Opening) {
        self.round = round;
        self.is_open = true;
        self.is_broadcasting = opening == Opening::Broadcast;
        self.outbox.level_offset = usize::from(self.is_broadcasting);
        self.flow = Flow::new(self.kind, round, self.peers.clone(), levels + self.outbox.level_offset);
    }

    /// Takes a message from a peer. Returns its level and payload if it is to be handled now: not if it is a repetition, if
    /// its round is over, or if it is deferred.
    ///
    /// # Errors
    /// `Corrupt` for a message of a round or level that no peer can be in.
    pub fn receive(&mut self, from: NodeId, message: Message) -> Result<Option<(usize, Payload)>, Fault> {
        if message.round < self.round || (message.round == self.round && !self.is_open) {
            return Ok(None);
        }
        if message.round > self.round {
            if message.round > self.last_round_ahead() {
                return Err(Fault::corrupt(format!("a message of round {} in round {}", message.round, self.round)));
            }
            self.deferred_messages.push((from, message));
            return Ok(None);
        }
        if message.level == 0 || message.level > self.flow.levels() {
            return Err(Fault::corrupt(format!("a message of level {}", message.level)));
        }
        if self.is_broadcasting && message.level > BROADCAST_LEVEL {
            self.deferred_messages.push((from, message));
            return Ok(None);
        }
        if !self.flow.receive(from, &message) {
            return Ok(None);
        }
        // A message from another process has one owner; a node of this process also keeps it until acknowledged.
        Ok(Some((message.level, Arc::unwrap_or_clone(message.payload))))
    }

    fn last_round_ahead(&self) -> Round {
        match self.kind {
            Kind::Query => Round(1),
            Kind::Attempt => Round(self.round.0 + ROUNDS_AHEAD),
        }
    }

    /// Takes the deferred messages, to be received again.
    pub fn take_deferred(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.deferred_messages)
    }

    /// Checks that received rows fit their stage of the plan.
    ///
    /// # Errors
    /// `Corrupt` if they do not.
    pub fn check_rows(&self, plan: &Plan, level: usize, stage: usize, batch: &Batch) -> Result<(), Fault> {
        let is_stage = (1..plan.stages.len()).contains(&stage) && stage + self.outbox.level_offset == level;
        if is_stage && batch.columns.len() == plan.width {
            Ok(())
        } else {
            Err(Fault::corrupt("rows that do not fit their plan"))
        }
    }

    /// Records that a peer has a message, which need not be sent again.
    pub fn acknowledge(&mut self, peer: NodeId, round: Round, sequence: u64) {
        if round == self.round {
            self.flow.acknowledge(peer, sequence);
        }
    }

    /// Sends unacknowledged messages again.
    pub fn send_again(&self, deliver: Deliver<'_>) -> Result<(), Fault> {
        self.flow.unacknowledged().try_for_each(|(to, message)| deliver(to, message.clone()))
    }

    /// Adds rows for a stage at a node, and sends them once there are enough for a message.
    pub fn add_rows(
        &mut self,
        to: NodeId,
        (plan, stage): (PlanKey, usize),
        rows: &Batch,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        self.outbox.add_rows(to, (plan, stage), rows, &mut self.flow, deliver)
    }

    /// Sends the heads that fill messages.
    pub fn flush_heads(&mut self, deliver: Deliver<'_>) -> Result<(), Fault> {
        self.outbox.flush_heads(&mut self.flow, deliver)
    }

    /// Sends the claimed heads that fill messages.
    pub fn flush_claimed(&mut self, deliver: Deliver<'_>) -> Result<(), Fault> {
        self.outbox.flush_claimed(&mut self.flow, deliver)
    }

    /// Sends blocks of inverse copies.
    pub fn send_blocks(
        &mut self,
        to: NodeId,
        relation: Relation,
        blocks: BitBlocks,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        let level = self.flow.levels();
        self.flow.deliver(to, level, Arc::new(Payload::Blocks { relation, blocks }), deliver)
    }

    /// Sends a relation's facts to every peer.
    pub fn broadcast(&mut self, relation: Relation, facts: &[Pair], deliver: Deliver<'_>) -> Result<(), Fault> {
        self.outbox.broadcast(relation, facts, &mut self.flow, deliver)
    }

    /// Closes the broadcast's level.
    pub fn end_broadcast(&mut self, deliver: Deliver<'_>) -> Result<(), Fault> {
        self.outbox.close_level(BROADCAST_LEVEL, &mut self.flow, deliver)
    }

    /// Closes the first level of the round's work, after the work that begins at this node.
    pub fn end_own_work(&mut self, deliver: Deliver<'_>) -> Result<(), Fault> {
        let level = self.outbox.level_offset + 1;
        if level > self.flow.levels() { Ok(()) } else { self.outbox.close_level(level, &mut self.flow, deliver) }
    }

    /// Closes each level whose input is complete; after the last one, the round.
    pub fn advance(&mut self, deliver: Deliver<'_>) -> Result<Progress, Fault> {
        while self.is_open {
            if self.flow.is_done() && !self.is_broadcasting {
                self.is_open = false;
                return Ok(Progress::Closed);
            }
            let Some(done) = self.flow.complete_level() else { break };
            if self.is_broadcasting {
                self.is_broadcasting = false;
                return Ok(Progress::BroadcastComplete);
            }
            if done < self.flow.levels() {
                self.outbox.close_level(done + 1, &mut self.flow, deliver)?;
            }
        }
        Ok(Progress::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;

    const HERE: NodeId = NodeId(1);
    const THERE: NodeId = NodeId(2);
    const RELATION: Relation = Relation { graph: TermId(0), predicate: TermId(1) };
    const PLAN: PlanKey = PlanKey { rule: 0, pivot: None };

    fn pairs(count: u64) -> Vec<Pair> {
        (0..count).map(|n| (TermId(n), TermId(n))).collect()
    }

    fn into(sent: &mut Vec<Message>) -> impl FnMut(NodeId, Message) -> Result<(), Fault> {
        move |_, message| {
            sent.push(message);
            Ok(())
        }
    }

    /// A round of a sender that broadcasts facts and then finds heads: facts, Close, heads, Close.
    fn messages_of_a_round() -> Vec<Message> {
        let (mut sent, mut sender) = (Vec::new(), Endpoint::new(Kind::Attempt, vec![HERE]));
        sender.open(Round(1), 1, Opening::Broadcast);
        sender.broadcast(RELATION, &pairs(3), &mut into(&mut sent)).expect("it is delivered");
        sender.end_broadcast(&mut into(&mut sent)).expect("it is delivered");
        sender.outbox().heads(HERE, 0, RELATION).extend(pairs(2));
        sender.end_own_work(&mut into(&mut sent)).expect("it is delivered");
        sent
    }

    #[test]
    fn messages_wait_for_their_round_and_for_its_broadcast() {
        let messages = messages_of_a_round();
        assert_eq!(messages.iter().map(|message| message.level).collect::<Vec<_>>(), [1, 1, 2, 2]);
        let mut receiver = Endpoint::new(Kind::Attempt, vec![THERE]);
        for message in messages.iter().rev() {
            assert_eq!(receiver.receive(THERE, message.clone()), Ok(None), "its round has not begun");
        }
        let deliver = &mut |_: NodeId, _: Message| -> Result<(), Fault> { Ok(()) };
        receiver.open(Round(1), 1, Opening::Broadcast);
        receiver.end_broadcast(deliver).expect("it is delivered");
        let mut taken = Vec::new();
        for (from, message) in receiver.take_deferred() {
            taken.extend(receiver.receive(from, message).expect("sound").map(|(level, _)| level));
        }
        assert_eq!(taken, [1, 1], "heads wait for the broadcast");
        assert_eq!(receiver.advance(deliver), Ok(Progress::BroadcastComplete));
        for (from, message) in receiver.take_deferred() {
            taken.extend(receiver.receive(from, message).expect("sound").map(|(level, _)| level));
        }
        assert_eq!(taken, [1, 1, 2, 2]);
        assert_eq!(receiver.receive(THERE, messages[2].clone()), Ok(None), "it came before");
        receiver.end_own_work(deliver).expect("it is delivered");
        assert_eq!(receiver.advance(deliver), Ok(Progress::Closed));
        assert_eq!(receiver.advance(deliver), Ok(Progress::Waiting));
        assert_eq!(receiver.receive(THERE, messages[0].clone()), Ok(None), "the round is over");
    }

    #[test]
    fn messages_of_rounds_that_no_peer_can_be_in_are_refused() {
        let message = |round| Message { round: Round(round), ..messages_of_a_round().remove(0) };
        for (kind, allowed) in [(Kind::Query, 1), (Kind::Attempt, 1)] {
            let mut endpoint = Endpoint::new(kind, vec![THERE]);
            assert_eq!(endpoint.receive(THERE, message(allowed)), Ok(None), "{kind:?}");
            assert!(endpoint.receive(THERE, message(allowed + 1)).is_err(), "{kind:?}");
        }
        let mut query = Endpoint::new(Kind::Query, vec![THERE]);
        query.open(Round(1), 1, Opening::Work);
        assert!(query.receive(THERE, message(2)).is_err(), "a query has one round");
    }

    #[test]
    fn rows_leave_in_full_messages_and_attempts_send_each_once() {
        let column: Vec<TermId> = (0..40_000).map(|row| TermId(row / 2)).collect();
        let batch = Batch { rows: column.len(), columns: vec![column], ..Batch::default() };
        for (kind, expected) in [(Kind::Query, vec![32_768, 7_232]), (Kind::Attempt, vec![20_000])] {
            let (mut sent, mut endpoint) = (Vec::new(), Endpoint::new(kind, vec![THERE]));
            endpoint.open(Round(1), 1, Opening::Work);
            endpoint.add_rows(THERE, (PLAN, 1), &batch, &mut into(&mut sent)).expect("it is delivered");
            let rows = sent.iter().map(|message| match &*message.payload {
                Payload::Rows { batch, .. } => batch.rows,
                other => panic!("{other:?}"),
            });
            assert_eq!(rows.collect::<Vec<_>>(), expected, "{kind:?}");
            assert_eq!(endpoint.flow().unacknowledged().count(), if kind == Kind::Query { 0 } else { sent.len() });
        }
    }
}
