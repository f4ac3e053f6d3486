//! Broadcast relations: before the rules fire that read them at every node, every node has all their facts, or all facts
//! with certain objects.
//!
//! Invariant: when a relation is broadcast, it is complete. A relation that no rule derives is complete when the first round
//! begins. One that rules derive only from such relations is complete when the second round begins: every instance has
//! fired in the first, and its head has reached its home.

use crate::columns::{Pair, Run};
use entail_model::Direction;
use std::sync::Arc;

/// All facts of a broadcast relation.
#[derive(Debug, Default)]
pub struct BroadcastRelation {
    /// The facts of other nodes, as (subject, object), until all have arrived.
    pub(super) arrived: Vec<Pair>,
    /// By direction, where a plan reads it.
    pub(super) runs: [Option<Arc<Run>>; 2],
}

impl BroadcastRelation {
    /// Pairs in memory.
    pub(super) fn held(&self) -> u64 {
        let runs = self.runs.iter().flatten().map(|run| run.resident_bytes()).sum::<u64>();
        runs / size_of::<Pair>() as u64 + self.arrived.len() as u64
    }

    /// The run of one direction, if a plan reads it.
    pub fn run(&self, copy: Direction) -> Option<&Arc<Run>> {
        self.runs[copy as usize].as_ref()
    }
}
