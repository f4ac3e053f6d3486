//! The broadcast relations of an attempt.

use super::State;
use crate::columns::{Pair, Run, pairs};
use crate::fixpoint::broadcast::BroadcastRelation;
use crate::plan::extent::{self, Extent};
use entail_model::{Direction, Fault, Mark, Relation};
use std::collections::BTreeSet;
use std::sync::Arc;

impl State {
    /// This node's facts of a relation that are in one of the extents, as (subject, object), in order.
    pub fn own_facts(&self, relation: Relation, extents: &[Extent]) -> Result<Vec<Pair>, Fault> {
        let objects = extent::objects(extents, relation);
        let mut all = Vec::new();
        for run in self.runs_of(relation, Direction::Forward) {
            let mut of_run = Vec::new();
            run.for_each_piece(|piece| {
                match &objects {
                    None => of_run.extend_from_slice(piece),
                    Some(objects) => of_run.extend(piece.iter().filter(|pair| objects.contains(&pair.1))),
                }
                Ok(())
            })?;
            all = pairs::unite(all, of_run);
        }
        Ok(all)
    }

    /// The broadcast facts of a relation.
    pub(super) fn broadcast_runs(&self, relation: Relation, copy: Direction) -> Vec<Arc<Run>> {
        self.broadcast.get(&relation).and_then(|broadcast| broadcast.run(copy)).cloned().into_iter().collect()
    }

    /// Keeps another node's facts of a broadcast relation, as (subject, object).
    pub fn keep_broadcast(&mut self, relation: Relation, pairs: &[Pair]) {
        self.broadcast.entry(relation).or_default().arrived.extend_from_slice(pairs);
        self.measure_broadcast();
    }

    /// Called when every peer's broadcast facts have arrived: sorts them and this node's own facts for each copy that plans
    /// read.
    pub fn finish_broadcast(
        &mut self,
        extents: &[Extent],
        copies: &BTreeSet<(Relation, Direction)>,
    ) -> Result<(), Fault> {
        let relations: BTreeSet<Relation> = extents.iter().map(|extent| extent.relation).collect();
        for relation in relations {
            let mut all = self.own_facts(relation, extents)?;
            all.append(&mut self.broadcast.entry(relation).or_default().arrived);
            for copy in Direction::BOTH.into_iter().filter(|copy| copies.contains(&(relation, *copy))) {
                let mut pairs: Vec<Pair> = all.iter().map(|(s, o)| copy.pair(*s, *o)).collect();
                pairs::sort_distinct(&mut pairs);
                let run = Run::resident(Mark::Asserted, pairs).map(|run| self.spill.place(run)).transpose()?;
                self.broadcast.entry(relation).or_default().runs[copy as usize] = run;
            }
        }
        self.measure_broadcast();
        self.fit()
    }

    fn measure_broadcast(&mut self) {
        self.held_in_broadcast = self.broadcast.values().map(BroadcastRelation::held).sum();
    }
}
