//! Routing: the node that each row goes to.

use crate::columns::Pair;
use crate::eval::Batch;
use crate::plan::{Plan, Route};
use entail_model::{Fault, NodeId, Placement, Reason, ShardId, TermId};
use std::collections::BTreeMap;

/// This node, the nodes that take part, and which of them holds each shard.
#[derive(Clone, Debug)]
pub struct ShardMap {
    pub me: NodeId,
    pub placement: Placement,
    /// Every node that takes part, this one included, in order.
    pub nodes: Vec<NodeId>,
}

impl ShardMap {
    /// The shard map of all holders of a placement.
    pub fn of_all_holders(me: NodeId, placement: Placement) -> Self {
        let mut nodes = placement.holders.clone();
        nodes.sort_unstable();
        nodes.dedup();
        Self { me, placement, nodes }
    }

    /// The other nodes.
    pub fn peers(&self) -> Vec<NodeId> {
        self.nodes.iter().copied().filter(|node| *node != self.me).collect()
    }

    /// The node that holds a shard.
    ///
    /// # Errors
    /// `ShardsUnavailable` when no node that takes part holds it.
    pub fn holder(&self, shard: ShardId) -> Result<NodeId, Fault> {
        self.placement.holder(shard).ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }

    /// Does this node hold the shard?
    pub fn is_mine(&self, shard: ShardId) -> bool {
        self.placement.holder(shard) == Some(self.me)
    }

    /// Are the subjects of all these facts at home at this node?
    pub fn are_mine(&self, pairs: &[Pair]) -> Result<bool, Fault> {
        for group in pairs.chunk_by(|a, b| a.0.home() == b.0.home()) {
            if self.home_node(group[0].0)? != Some(self.me) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does stage 0 of the plan start at this node?
    pub fn starts(&self, plan: &Plan) -> bool {
        match &plan.stages[0].route {
            Route::Shard(shard) => self.is_mine(*shard),
            _ => true,
        }
    }

    /// Splits rows by the nodes that a route takes them to.
    pub fn split(&self, route: &Route, batch: Batch) -> Result<BTreeMap<NodeId, Batch>, Fault> {
        let by_slot = |slot: usize, inline: Inline| self.split_by_home(&batch, slot, inline);
        Ok(match route {
            Route::Everywhere | Route::Broadcast => self.nodes.iter().map(|node| (*node, batch.clone())).collect(),
            Route::Shard(shard) => BTreeMap::from([(self.holder(*shard)?, batch)]),
            Route::Subject(slot) => by_slot(*slot, Inline::Drop)?,
            Route::Object(slot) => by_slot(*slot, Inline::Everywhere)?,
            Route::Texts(slot) => by_slot(*slot, Inline::Stay)?,
            Route::Next => BTreeMap::from([(self.next()?, batch)]),
        })
    }

    /// The node after this one.
    fn next(&self) -> Result<NodeId, Fault> {
        let mut around = self.nodes.iter().chain(self.nodes.first()).skip_while(|node| **node != self.me);
        around.nth(1).copied().ok_or_else(|| Fault::internal(format!("{} takes no part", self.me)))
    }

    fn split_by_home(&self, batch: &Batch, slot: usize, inline: Inline) -> Result<BTreeMap<NodeId, Batch>, Fault> {
        let mut rows: BTreeMap<NodeId, Vec<u32>> = BTreeMap::new();
        for (row, term) in batch.columns[slot].iter().enumerate() {
            let row = row as u32;
            match (term.home(), inline) {
                (Some(home), _) => rows.entry(self.holder(home)?).or_default().push(row),
                (None, Inline::Drop) => {}
                (None, Inline::Stay) => rows.entry(self.me).or_default().push(row),
                (None, Inline::Everywhere) => {
                    self.nodes.iter().for_each(|node| rows.entry(*node).or_default().push(row));
                }
            }
        }
        Ok(rows.into_iter().map(|(node, rows)| (node, batch.take_rows(&rows))).collect())
    }

    /// The node that holds a term's home; `None` for inline values.
    pub fn home_node(&self, term: TermId) -> Result<Option<NodeId>, Fault> {
        term.home().map(|home| self.holder(home)).transpose()
    }
}

/// The treatment of rows whose term is an inline value.
#[derive(Clone, Copy)]
enum Inline {
    Drop,
    Stay,
    Everywhere,
}
