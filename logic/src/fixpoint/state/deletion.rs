//! How facts leave a state.

use super::State;
use super::copy::CopyState;
use super::staged::Staging;
use super::{StagedColumn, subtract_all};
use crate::columns::spine::{Spill, merge_runs};
use crate::columns::{Pair, Run, pairs};
use crate::fixpoint::phase::{Phase, Step};
use entail_model::{Direction, Fault, Mark, Relation};
use std::sync::Arc;

/// Deletes sorted pairs from the runs of a mark; returns those that were there, in order.
fn delete_from(runs: &mut Vec<Arc<Run>>, mark: Mark, pairs: &[Pair]) -> Result<Vec<Pair>, Fault> {
    let mut removed = Vec::new();
    let mut rest = Vec::with_capacity(runs.len());
    for run in runs.drain(..) {
        if run.mark != mark || pairs.is_empty() {
            rest.push(run);
            continue;
        }
        let without = run.without(pairs)?;
        rest.extend(without.rest);
        removed = match removed.is_empty() {
            true => without.removed,
            false => pairs::merge(&removed, &without.removed),
        };
    }
    *runs = rest;
    Ok(removed)
}

impl CopyState {
    /// Takes sorted pairs back: those that are asserted are no longer, and are deleted until they are derived again.
    pub fn take_removed(&mut self, pairs: &[Pair], spill: &Spill) -> Result<(), Fault> {
        let asserted = delete_from(&mut self.base, Mark::Asserted, pairs)?;
        let promoted = delete_from(&mut self.base_promoted, Mark::Promoted, pairs)?;
        let derived = delete_from(&mut self.base, Mark::Derived, &promoted)?;
        if derived.len() != promoted.len() {
            return Err(Fault::corrupt("a fact is marked as asserted and derived, but is not derived"));
        }
        let all = if derived.is_empty() { asserted.clone() } else { pairs::merge(&asserted, &derived) };
        if let Some(run) = Run::resident(Mark::Asserted, asserted) {
            self.removed_asserted.push(run, spill)?;
        }
        if let Some(run) = Run::resident(Mark::Promoted, promoted) {
            self.removed_promoted.push(run, spill)?;
        }
        if let Some(run) = Run::resident(Mark::Derived, all) {
            self.deleted.recent_published.push(spill.place(run)?);
        }
        Ok(())
    }

    /// Deletes those of sorted candidates that are derived and not asserted; returns them, in order.
    pub fn delete_derived(&mut self, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        let candidates = subtract_all(candidates, self.base_promoted.iter().chain(&self.promoted.runs))?;
        delete_from(&mut self.base, Mark::Derived, &candidates)
    }

    /// Deletes the inverse copies of derived facts that their home has deleted.
    pub fn delete_copies(&mut self, pairs: &[Pair]) -> Result<(), Fault> {
        let deleted = delete_from(&mut self.base, Mark::Derived, pairs)?;
        if deleted.len() == pairs.len() {
            Ok(())
        } else {
            Err(Fault::corrupt("an inverse copy is missing of a fact that is deleted"))
        }
    }

    /// The state of the copy if only asserted facts are left, among them the staged ones.
    fn restarted(self, spill: &Spill) -> Result<Self, Fault> {
        let mut base = self.base;
        base.retain(|run| run.mark == Mark::Asserted);
        let mut next = Self { base, removed_asserted: self.removed_asserted, ..Self::default() };
        let staged = self.added.runs().filter(|run| run.mark == Mark::Asserted);
        for run in staged.chain(&self.base_promoted).chain(&self.promoted.runs) {
            let mut run = Run::clone(run);
            run.mark = Mark::Asserted;
            // Written anew: a committed run is freed with its chunks, and a part of it may be deleted.
            next.added.settled.push(Arc::new(merge_runs(&[&Arc::new(run)], spill)?), spill)?;
        }
        Ok(next)
    }
}

impl State {
    /// Takes back the assertion of many columns' facts, each given once. They must not be staged as well.
    pub fn remove_all(&mut self, columns: Vec<StagedColumn<'_>>, pool: &rayon::ThreadPool) -> Result<(), Fault> {
        self.stage_columns(columns, Staging::Remove, pool)
    }

    /// Begins a step, in which everything is new that was staged, or that lower strata have changed.
    pub(in crate::fixpoint) fn begin(&mut self, step: Step) -> Result<(), Fault> {
        // The facts of matrices are listed as those of the step that ends.
        self.list_all()?;
        let before = std::mem::replace(&mut self.phase, step.phase);
        match step.phase {
            Phase::Recompute if before != Phase::Recompute => self.restart(),
            // Each rule of the stratum is evaluated over everything.
            Phase::Recompute => self.change_all(|state, spill| state.added.settle(spill)),
            Phase::Delete => self.change_all(|state, _| {
                state.deleted.renew();
                Ok(())
            }),
            Phase::Insert => self.change_all(|state, spill| {
                state.deleted.settle(spill)?;
                state.added.renew();
                Ok(())
            }),
        }
    }

    /// Drops everything but asserted facts.
    fn restart(&mut self) -> Result<(), Fault> {
        self.dense.clear();
        self.offered.clear();
        self.owed.clear();
        self.broadcast.clear();
        (self.held_in_matrices, self.held_in_broadcast) = (0, 0);
        for relation in self.all_relations() {
            self.open(relation);
            for copy in Direction::BOTH {
                self.change(relation, copy, |state, spill| {
                    *state = std::mem::take(state).restarted(spill)?;
                    Ok(())
                })?;
            }
        }
        // Every relation is open; none is opened with its derived facts later.
        self.base = super::Base::default();
        Ok(())
    }

    /// Deletes those of sorted candidates, at their subjects' home, that are derived and not asserted; returns them.
    pub fn delete_derived(&mut self, relation: Relation, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        let mut deleted = Vec::new();
        self.change_one(relation, Direction::Forward, |state, _| {
            deleted = state.delete_derived(candidates)?;
            Ok(())
        })?;
        Ok(deleted)
    }

    /// Has the attempt deleted anything here?
    pub(in crate::fixpoint) fn has_deleted(&self) -> bool {
        self.relations.values().flatten().any(|copy| !copy.deleted.is_empty())
    }

    /// Facts at home here whose assertion is taken back.
    pub fn removed_facts(&self) -> u64 {
        let forward = self.relations.values().map(|copies| &copies[Direction::Forward as usize]);
        forward.map(|copy| copy.removed_asserted.len() + copy.removed_promoted.len()).sum()
    }
}
