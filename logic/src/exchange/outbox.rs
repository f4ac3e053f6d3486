//! The outbox: rows and pairs that leave this node in a round, collected by destination so that messages are large.
//!
//! They leave when they fill a message, or at the latest when their level is closed. Rows of an attempt and pairs leave
//! sorted and without duplicates, except for claimed heads, which have none; rows of a query leave as they are.

use super::endpoint::{BROADCAST_LEVEL, Deliver, Kind};
use super::{Flow, Payload, PlanKey};
use crate::columns::{Pair, pairs};
use crate::eval::Batch;
use entail_model::{Fault, NodeId, Relation};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

/// A message has at most this many pairs or rows.
const MESSAGE_ROWS_MAX: usize = 32_768;

/// The number of rows for one destination from which they leave: the next batch then still fits the message.
const MESSAGE_ROWS: usize = MESSAGE_ROWS_MAX / 2;

/// The bytes of blocks for one destination that fill a message.
pub const BLOCKS_BYTES: u64 = 128 << 10;

/// Rows and pairs to be sent.
#[derive(Debug)]
pub struct Outbox {
    kind: Kind,
    heads: BTreeMap<(NodeId, usize, Relation), Vec<Pair>>,
    /// Heads that have not been sent before: each is in these lists once.
    claimed: BTreeMap<(NodeId, usize, Relation), Vec<Pair>>,
    copies: BTreeMap<(NodeId, Relation), Vec<Pair>>,
    rows: BTreeMap<(NodeId, PlanKey, usize), Batch>,
    /// Levels of this round before the level of the plans' stage 1.
    pub(super) level_offset: usize,
}

impl Outbox {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            heads: BTreeMap::new(),
            claimed: BTreeMap::new(),
            copies: BTreeMap::new(),
            rows: BTreeMap::new(),
            level_offset: 0,
        }
    }

    /// A rule's heads in one relation whose subjects are at home at a node.
    pub fn heads(&mut self, to: NodeId, rule: usize, relation: Relation) -> &mut Vec<Pair> {
        self.heads.entry((to, rule, relation)).or_default()
    }

    /// A rule's heads in one relation that have not been sent to the node before and will not be sent again.
    pub fn claimed(&mut self, to: NodeId, rule: usize, relation: Relation) -> &mut Vec<Pair> {
        self.claimed.entry((to, rule, relation)).or_default()
    }

    /// The inverse copies, as (object, subject), that are at home at a node. They leave at the end of the round, since no
    /// node works on them before.
    pub fn copies(&mut self, to: NodeId, relation: Relation) -> &mut Vec<Pair> {
        self.copies.entry((to, relation)).or_default()
    }

    pub(super) fn add_rows(
        &mut self,
        to: NodeId,
        (plan, stage): (PlanKey, usize),
        rows: &Batch,
        flow: &mut Flow,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        let waiting = self.rows.entry((to, plan, stage)).or_insert_with(|| Batch::empty(rows.columns.len()));
        waiting.append(rows);
        if waiting.rows < MESSAGE_ROWS {
            return Ok(());
        }
        let batch = self.rows.remove(&(to, plan, stage)).expect("it was just added to");
        self.send_rows(to, (plan, stage), batch, flow, deliver)
    }

    pub(super) fn broadcast(
        &mut self,
        relation: Relation,
        facts: &[Pair],
        flow: &mut Flow,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        for piece in facts.chunks(MESSAGE_ROWS_MAX) {
            let payload = Arc::new(Payload::Broadcast { relation, pairs: piece.to_vec() });
            for to in flow.peers().to_vec() {
                flow.deliver(to, BROADCAST_LEVEL, Arc::clone(&payload), deliver)?;
            }
        }
        Ok(())
    }

    pub(super) fn flush_claimed(&mut self, flow: &mut Flow, deliver: Deliver<'_>) -> Result<(), Fault> {
        for ((to, rule, relation), pairs) in &mut self.claimed {
            let full = pairs.len() - pairs.len() % MESSAGE_ROWS_MAX;
            if full > 0 {
                let now: Vec<Pair> = pairs.drain(..full).collect();
                send_claimed(*to, (*rule, *relation), now, flow, deliver)?;
            }
        }
        Ok(())
    }

    /// Sends heads in lists that fill two messages: sorting may shorten them.
    pub(super) fn flush_heads(&mut self, flow: &mut Flow, deliver: Deliver<'_>) -> Result<(), Fault> {
        for ((to, rule, relation), pairs) in &mut self.heads {
            if pairs.len() >= 2 * MESSAGE_ROWS_MAX {
                send_heads(*to, (*rule, *relation), take(pairs), flow, deliver)?;
            }
        }
        Ok(())
    }

    /// Sends everything for a level, and its Close.
    pub(super) fn close_level(&mut self, level: usize, flow: &mut Flow, deliver: Deliver<'_>) -> Result<(), Fault> {
        let is_now = |(_, _, stage): &(NodeId, PlanKey, usize)| stage + self.level_offset <= level;
        let (now, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            take(&mut self.rows).into_iter().partition(|(key, _)| is_now(key));
        self.rows = later;
        for ((to, plan, stage), batch) in now {
            self.send_rows(to, (plan, stage), batch, flow, deliver)?;
        }
        if level == flow.levels() {
            self.send_facts(level, flow, deliver)?;
        }
        flow.close(level).into_iter().try_for_each(|(to, message)| deliver(to, message))
    }

    fn send_facts(&mut self, level: usize, flow: &mut Flow, deliver: Deliver<'_>) -> Result<(), Fault> {
        for ((to, rule, relation), pairs) in take(&mut self.heads) {
            send_heads(to, (rule, relation), pairs, flow, deliver)?;
        }
        for ((to, rule, relation), pairs) in take(&mut self.claimed) {
            send_claimed(to, (rule, relation), pairs, flow, deliver)?;
        }
        for ((to, relation), pairs) in take(&mut self.copies) {
            // The copies have no duplicates: sorting all of them together would save nothing.
            for pairs in sorted_pieces(&pairs) {
                flow.deliver(to, level, Arc::new(Payload::Copies { relation, pairs }), deliver)?;
            }
        }
        Ok(())
    }

    fn send_rows(
        &self,
        to: NodeId,
        (plan, stage): (PlanKey, usize),
        mut batch: Batch,
        flow: &mut Flow,
        deliver: Deliver<'_>,
    ) -> Result<(), Fault> {
        let level = stage + self.level_offset;
        if self.kind == Kind::Attempt {
            batch.distinct();
        }
        let mut send = |batch| flow.deliver(to, level, Arc::new(Payload::Rows { plan, stage, batch }), deliver);
        if batch.rows <= MESSAGE_ROWS_MAX {
            return send(batch);
        }
        let rows: Vec<u32> = (0..batch.rows as u32).collect();
        rows.chunks(MESSAGE_ROWS_MAX).try_for_each(|rows| send(batch.take_rows(rows)))
    }
}

fn send_heads(
    to: NodeId,
    head: (usize, Relation),
    mut pairs: Vec<Pair>,
    flow: &mut Flow,
    deliver: Deliver<'_>,
) -> Result<(), Fault> {
    pairs::sort_distinct(&mut pairs);
    send_claimed(to, head, pairs, flow, deliver)
}

fn send_claimed(
    to: NodeId,
    (rule, relation): (usize, Relation),
    pairs: Vec<Pair>,
    flow: &mut Flow,
    deliver: Deliver<'_>,
) -> Result<(), Fault> {
    let level = flow.levels();
    let mut send = |pairs| flow.deliver(to, level, Arc::new(Payload::Heads { rule, relation, pairs }), deliver);
    if !pairs.is_empty() && pairs.len() <= MESSAGE_ROWS_MAX {
        return send(pairs);
    }
    pairs.chunks(MESSAGE_ROWS_MAX).try_for_each(|piece| send(piece.to_vec()))
}

/// Pieces that fill a message each, with the pairs of each in order: sorted pairs take fewer bytes.
fn sorted_pieces(pairs: &[Pair]) -> impl Iterator<Item = Vec<Pair>> {
    pairs.chunks(MESSAGE_ROWS_MAX).map(|piece| {
        let mut piece = piece.to_vec();
        pairs::sort_distinct(&mut piece);
        piece
    })
}
