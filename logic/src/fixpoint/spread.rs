//! Relations that are spread: every node has all facts of them, or of those with some objects, its own and those of the
//! others, before the rules fire that read them everywhere.
//!
//! Invariant: what is there when they are sent is all there is. Of what no rule derives that is so when the first round
//! begins. What rules derive from nothing else is so when the second one does: each instance has fired in the first, and
//! its head is at its home.

use super::state::State;
use crate::columns::{Pair, Run, pairs};
use crate::plan::extent::{self, Extent};
use entail_model::{Copy, Fault, Mark, Relation};
use std::collections::BTreeSet;
use std::sync::Arc;

/// All facts of a relation.
#[derive(Debug, Default)]
pub struct Spread {
    /// What other nodes have sent, as (subject, object), until all has come.
    arrived: Vec<Pair>,
    /// By copy, where it is read.
    runs: [Option<Arc<Run>>; 2],
}

impl Spread {
    fn held(&self) -> u64 {
        let runs = self.runs.iter().flatten().map(|run| run.resident_bytes()).sum::<u64>();
        runs / size_of::<Pair>() as u64 + self.arrived.len() as u64
    }

    /// A copy as it is read.
    pub fn run(&self, copy: Copy) -> Option<&Arc<Run>> {
        self.runs[copy as usize].as_ref()
    }
}

impl State {
    /// This node's own facts of a relation that are in these extents, as (subject, object), in order.
    pub fn own_facts(&self, relation: Relation, extents: &[Extent]) -> Result<Vec<Pair>, Fault> {
        let objects = extent::objects(extents, relation);
        let mut all = Vec::new();
        for run in self.runs_of(relation, Copy::Out) {
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

    /// What every node has of a relation.
    pub(super) fn spread_runs(&self, relation: Relation, copy: Copy) -> Vec<Arc<Run>> {
        self.spread.get(&relation).and_then(|spread| spread.run(copy)).cloned().into_iter().collect()
    }

    /// Keeps what another node has of a relation, as (subject, object).
    pub fn keep_spread(&mut self, relation: Relation, pairs: &[Pair]) {
        self.spread.entry(relation).or_default().arrived.extend_from_slice(pairs);
        self.measure_spread();
    }

    /// Puts everything that has come of these extents, and what is here, in the order of the copies that are read.
    pub fn finish_spread(&mut self, extents: &[Extent], copies: &BTreeSet<(Relation, Copy)>) -> Result<(), Fault> {
        let relations: BTreeSet<Relation> = extents.iter().map(|extent| extent.relation).collect();
        for relation in relations {
            let mut all = self.own_facts(relation, extents)?;
            all.append(&mut self.spread.entry(relation).or_default().arrived);
            for copy in Copy::BOTH.into_iter().filter(|copy| copies.contains(&(relation, *copy))) {
                let mut pairs: Vec<Pair> = all.iter().map(|(s, o)| copy.pair(*s, *o)).collect();
                pairs::sort_distinct(&mut pairs);
                let run = Run::resident(Mark::Asserted, pairs).map(|run| self.spill.place(run)).transpose()?;
                self.spread.entry(relation).or_default().runs[copy as usize] = run;
            }
        }
        self.measure_spread();
        self.fit()
    }

    fn measure_spread(&mut self) {
        self.held_in_spread = self.spread.values().map(Spread::held).sum();
    }
}
