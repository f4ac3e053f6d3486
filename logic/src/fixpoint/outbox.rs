//! The outbox: what leaves this node in a round, gathered by destination so that messages are large.
//!
//! Whatever is put in goes out when it fills a message, or at the latest when its level is closed. Rows and pairs leave
//! without duplicates, and sorted but for heads that are known to be here once.

use super::reasoner::{Effect, Emit};
use crate::columns::blocks::Blocks;
use crate::columns::{Pair, pairs};
use crate::eval::Batch;
use crate::exchange::{Flow, Payload, PlanKey};
use entail_model::{Fault, NodeId, Relation};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

/// Pairs or rows for one destination that make a message.
const MESSAGE_ROWS: usize = 32_768;

/// The level of what is spread, in a round that begins with that.
pub(super) const SPREAD_LEVEL: usize = 1;

/// Bytes of blocks for one destination that make a message.
pub(super) const BLOCKS_BYTES: u64 = 128 << 10;

/// What waits to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    heads: BTreeMap<(NodeId, usize, Relation), Vec<Pair>>,
    /// Heads that nobody has sent before: each is here once.
    claimed: BTreeMap<(NodeId, usize, Relation), Vec<Pair>>,
    copies: BTreeMap<(NodeId, Relation), Vec<Pair>>,
    rows: BTreeMap<(NodeId, PlanKey, usize), Batch>,
    /// Levels of this round before those of rows.
    pub(super) ahead: usize,
}

impl Outbox {
    /// A rule's heads in one relation whose subjects are at home at a node.
    pub(super) fn heads(&mut self, to: NodeId, rule: usize, relation: Relation) -> &mut Vec<Pair> {
        self.heads.entry((to, rule, relation)).or_default()
    }

    /// The same for heads that have not been sent before, and will not be again.
    pub(super) fn claimed(&mut self, to: NodeId, rule: usize, relation: Relation) -> &mut Vec<Pair> {
        self.claimed.entry((to, rule, relation)).or_default()
    }

    /// The in copies, as (object, subject), that are at home at a node.
    pub(super) fn copies(&mut self, to: NodeId, relation: Relation) -> &mut Vec<Pair> {
        self.copies.entry((to, relation)).or_default()
    }

    /// Adds rows that go on with a stage at a node.
    pub(super) fn add_rows(&mut self, to: NodeId, plan: PlanKey, stage: usize, rows: &Batch) {
        let empty = || Batch::empty(rows.columns.len());
        self.rows.entry((to, plan, stage)).or_insert_with(empty).append(rows);
    }

    /// Sends a relation's facts to every peer.
    pub(super) fn spread(relation: Relation, facts: &[Pair], flow: &mut Flow, emit: Emit<'_>) -> Result<(), Fault> {
        for piece in facts.chunks(MESSAGE_ROWS) {
            let payload = Arc::new(Payload::Spread { relation, pairs: piece.to_vec() });
            for to in flow.peers().to_vec() {
                let message = flow.send(to, SPREAD_LEVEL, Arc::clone(&payload));
                emit(Effect::Send { to, message })?;
            }
        }
        Ok(())
    }

    /// Sends what fills messages of heads that go once.
    pub(super) fn flush_claimed(&mut self, flow: &mut Flow, emit: Emit<'_>) -> Result<(), Fault> {
        for ((to, rule, relation), pairs) in &mut self.claimed {
            let full = pairs.len() - pairs.len() % MESSAGE_ROWS;
            if full > 0 {
                let now: Vec<Pair> = pairs.drain(..full).collect();
                send_claimed(*to, *rule, *relation, now, flow, emit)?;
            }
        }
        Ok(())
    }

    /// Sends what fills messages. Copies wait for the end of the round: nobody works on them before.
    pub(super) fn flush_full(&mut self, flow: &mut Flow, emit: Emit<'_>) -> Result<(), Fault> {
        for ((to, plan, stage), batch) in take(&mut self.rows) {
            match batch.rows >= MESSAGE_ROWS {
                true => send_rows(to, (plan, stage), stage + self.ahead, batch, flow, emit)?,
                false => _ = self.rows.insert((to, plan, stage), batch),
            }
        }
        for ((to, rule, relation), pairs) in take(&mut self.heads) {
            match pairs.len() >= 2 * MESSAGE_ROWS {
                true => send_heads(to, rule, relation, pairs, flow, emit)?,
                false => _ = self.heads.insert((to, rule, relation), pairs),
            }
        }
        Ok(())
    }

    /// Sends everything for a level, and that nothing more comes for it.
    pub(super) fn close_level(&mut self, level: usize, flow: &mut Flow, emit: Emit<'_>) -> Result<(), Fault> {
        let (now, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            take(&mut self.rows).into_iter().partition(|((_, _, stage), _)| *stage + self.ahead <= level);
        self.rows = later;
        for ((to, plan, stage), batch) in now {
            send_rows(to, (plan, stage), stage + self.ahead, batch, flow, emit)?;
        }
        if level == flow.levels() {
            for ((to, rule, relation), pairs) in take(&mut self.heads) {
                send_heads(to, rule, relation, pairs, flow, emit)?;
            }
            for ((to, rule, relation), pairs) in take(&mut self.claimed) {
                send_claimed(to, rule, relation, pairs, flow, emit)?;
            }
            for ((to, relation), pairs) in take(&mut self.copies) {
                // Each is here once: there is nothing to gain from an order of all.
                for pairs in sorted_pieces(&pairs) {
                    send(to, level, Payload::Copies { relation, pairs }, flow, emit)?;
                }
            }
        }
        for (to, message) in flow.close(level) {
            emit(Effect::Send { to, message })?;
        }
        Ok(())
    }
}

fn send_rows(
    to: NodeId,
    (plan, stage): (PlanKey, usize),
    level: usize,
    mut batch: Batch,
    flow: &mut Flow,
    emit: Emit<'_>,
) -> Result<(), Fault> {
    batch.distinct();
    let mut first = 0;
    while first < batch.rows {
        let rows: Vec<u32> = (first..batch.rows.min(first + MESSAGE_ROWS)).map(|row| row as u32).collect();
        first += rows.len();
        send(to, level, Payload::Rows { plan, stage, batch: batch.take_rows(&rows) }, flow, emit)?;
    }
    Ok(())
}

fn send_heads(
    to: NodeId,
    rule: usize,
    relation: Relation,
    mut pairs: Vec<Pair>,
    flow: &mut Flow,
    emit: Emit<'_>,
) -> Result<(), Fault> {
    pairs::sort_distinct(&mut pairs);
    send_claimed(to, rule, relation, pairs, flow, emit)
}

fn send_claimed(
    to: NodeId,
    rule: usize,
    relation: Relation,
    pairs: Vec<Pair>,
    flow: &mut Flow,
    emit: Emit<'_>,
) -> Result<(), Fault> {
    let level = flow.levels();
    if pairs.len() <= MESSAGE_ROWS && !pairs.is_empty() {
        return send(to, level, Payload::Heads { rule, relation, pairs }, flow, emit);
    }
    let mut pieces = pairs.chunks(MESSAGE_ROWS);
    pieces.try_for_each(|piece| send(to, level, Payload::Heads { rule, relation, pairs: piece.to_vec() }, flow, emit))
}

/// Sends blocks of in copies.
pub(super) fn send_blocks(
    to: NodeId,
    relation: Relation,
    blocks: Blocks,
    flow: &mut Flow,
    emit: Emit<'_>,
) -> Result<(), Fault> {
    let level = flow.levels();
    send(to, level, Payload::Blocks { relation, blocks }, flow, emit)
}

/// What fills a message each, in order: sorted pairs take less room.
fn sorted_pieces(pairs: &[Pair]) -> impl Iterator<Item = Vec<Pair>> {
    pairs.chunks(MESSAGE_ROWS).map(|piece| {
        let mut piece = piece.to_vec();
        pairs::sort_distinct(&mut piece);
        piece
    })
}

fn send(to: NodeId, level: usize, payload: Payload, flow: &mut Flow, emit: Emit<'_>) -> Result<(), Fault> {
    let message = flow.send(to, level, Arc::new(payload));
    emit(Effect::Send { to, message })
}
