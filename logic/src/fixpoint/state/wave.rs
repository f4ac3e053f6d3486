//! Waves: the facts that a phase has changed, by the round that publishes them.

use crate::columns::spine::Spill;
use crate::columns::{Pair, Run, Spine};
use entail_model::Fault;
use std::sync::Arc;

/// The facts of one copy that an attempt has added, or deleted: see the table in [`fixpoint`](crate::fixpoint). All runs
/// are pairwise disjoint.
#[derive(Debug, Default)]
pub(in crate::fixpoint) struct Wave {
    pub settled: Spine,
    pub published: Spine,
    pub pending: Spine,
    /// The facts that arrived last, not yet read by a local step: published (from other nodes, or staged) and pending
    /// (found here).
    pub recent_published: Vec<Arc<Run>>,
    pub recent_pending: Option<Arc<Run>>,
}

impl Wave {
    /// The facts that no local step has read.
    pub fn recent(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.recent_published.iter().chain(&self.recent_pending)
    }

    /// The facts that local steps have read.
    pub fn earlier(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.settled.runs.iter().chain(&self.published.runs).chain(&self.pending.runs)
    }

    /// All facts.
    pub fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.earlier().chain(self.recent())
    }

    /// The facts that are published in this round.
    pub fn delta(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.published.runs.iter().chain(&self.recent_published)
    }

    /// The facts that will be published in the next round.
    pub fn unpublished(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.pending.runs.iter().chain(&self.recent_pending)
    }

    /// Are there no facts?
    pub fn is_empty(&self) -> bool {
        self.runs().next().is_none()
    }

    /// Ends a local step: recent facts have been read.
    pub fn step(&mut self, spill: &Spill) -> Result<(), Fault> {
        for run in std::mem::take(&mut self.recent_published) {
            self.published.push(run, spill)?;
        }
        match self.recent_pending.take() {
            Some(run) => self.pending.push(run, spill),
            None => Ok(()),
        }
    }

    /// Begins a round, which publishes all facts found so far.
    pub fn next_round(&mut self, spill: &Spill) -> Result<(), Fault> {
        debug_assert!(self.recent().next().is_none(), "a round ends after its local steps");
        for run in std::mem::take(&mut self.published.runs) {
            self.settled.push(run, spill)?;
        }
        self.published = std::mem::take(&mut self.pending);
        Ok(())
    }

    /// Makes all facts recent.
    pub fn renew(&mut self) {
        let spines = [&mut self.settled, &mut self.published, &mut self.pending];
        let all =
            spines.into_iter().flat_map(|spine| std::mem::take(&mut spine.runs)).chain(self.recent_pending.take());
        self.recent_published.extend(all);
    }

    /// Ends a phase: every rule has read all facts.
    pub fn settle(&mut self, spill: &Spill) -> Result<(), Fault> {
        self.step(spill)?;
        self.next_round(spill)?;
        self.next_round(spill)
    }

    /// Pairs in memory.
    pub fn held(&self) -> u64 {
        let spines = [&self.settled, &self.published, &self.pending];
        let recent = self.recent().map(|run| run.resident_bytes()).sum::<u64>() / size_of::<Pair>() as u64;
        spines.into_iter().map(Spine::resident_pairs).sum::<u64>() + recent
    }

    /// Stores everything.
    pub fn store(&mut self, all: &Spill) -> Result<(), Fault> {
        let spines = [&mut self.settled, &mut self.published, &mut self.pending];
        spines.into_iter().try_for_each(|spine| spine.store(all))?;
        for run in self.recent_published.iter_mut().chain(&mut self.recent_pending) {
            *run = all.place(Arc::clone(run))?;
        }
        Ok(())
    }
}
