//! One copy of one relation: its committed facts, and those that the attempt adds and deletes.

use super::wave::Wave;
use crate::columns::spine::Spill;
use crate::columns::{Pair, Run, Spine, pairs};
use crate::fixpoint::base::Copies;
use crate::fixpoint::phase::Phase;
use entail_model::{Fault, Mark};
use std::sync::Arc;

/// One copy of one relation.
#[derive(Debug, Default)]
pub(in crate::fixpoint) struct CopyState {
    /// Committed facts, without those that this attempt has deleted so far.
    pub base: Vec<Arc<Run>>,
    /// Committed promotions (marks, not facts), without those that this attempt has taken back.
    pub base_promoted: Vec<Arc<Run>>,
    /// Facts that this attempt adds.
    pub added: Wave,
    /// Facts that this attempt has deleted, some of which it adds again.
    pub deleted: Wave,
    /// Staged facts that rules had derived before.
    pub promoted: Spine,
    /// Facts of asserted runs that are no longer asserted.
    pub removed_asserted: Spine,
    /// Facts of promoted runs that are no longer asserted.
    pub removed_promoted: Spine,
    /// Inverse copies that no plan reads until the round is over, in the order in which they were found.
    pub later: Vec<Pair>,
    /// Inverse copies that other nodes have sent, to be published in the next round: unsorted ones, and stored ones.
    pub arrived: Vec<Pair>,
    pub arrived_runs: Spine,
}

impl CopyState {
    pub fn new(committed: &[Arc<Run>], rebuild: bool) -> Self {
        // The attempt has runs of its own, so that indexes built on them are dropped with it.
        let own = |run: &Arc<Run>| Arc::new(Run::clone(run));
        let of = |mark: Mark| committed.iter().filter(move |run| run.mark == mark).map(own);
        if rebuild {
            return Self { base: of(Mark::Asserted).collect(), ..Self::default() };
        }
        let base = of(Mark::Asserted).chain(of(Mark::Derived)).collect();
        Self { base, base_promoted: of(Mark::Promoted).collect(), ..Self::default() }
    }

    /// The wave that a phase changes.
    pub fn wave(&self, phase: Phase) -> &Wave {
        match phase {
            Phase::Delete => &self.deleted,
            Phase::Insert | Phase::Recompute => &self.added,
        }
    }

    /// The wave that a phase changes.
    pub fn wave_mut(&mut self, phase: Phase) -> &mut Wave {
        match phase {
            Phase::Delete => &mut self.deleted,
            Phase::Insert | Phase::Recompute => &mut self.added,
        }
    }

    /// Drops known facts from sorted candidates.
    pub fn subtract_known(&self, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        self.base
            .iter()
            .chain(self.added.runs())
            .try_fold(candidates, |rest, run| if rest.is_empty() { Ok(rest) } else { run.subtract_from(rest) })
    }

    /// Makes runs of staged pairs, which are sorted and distinct: new facts, and promotions of derived ones.
    pub fn take_staged(&mut self, staged: Vec<Pair>, spill: &Spill) -> Result<(), Fault> {
        if staged.is_empty() {
            return Ok(());
        }
        let derived: Vec<Arc<Run>> = self.base.iter().filter(|run| run.mark == Mark::Derived).cloned().collect();
        let not_derived = if derived.is_empty() {
            staged
        } else {
            let not_derived = subtract_all(staged.clone(), derived.iter())?;
            let promoted = pairs::subtract(&staged, &not_derived);
            let promoted = subtract_all(promoted, self.base_promoted.iter().chain(&self.promoted.runs))?;
            if let Some(run) = Run::resident(Mark::Promoted, promoted) {
                self.promoted.push(run, spill)?;
            }
            not_derived
        };
        let asserted = self.base.iter().filter(|run| run.mark == Mark::Asserted);
        let new = subtract_all(not_derived, asserted.chain(&self.added.published.runs))?;
        if let Some(run) = Run::resident(Mark::Asserted, new) {
            self.added.published.push(run, spill)?;
        }
        Ok(())
    }

    /// Sorts the inverse copies that no plan has read. They are distinct, since each fact was found once.
    pub fn sort_later(&mut self, spill: &Spill) -> Result<(), Fault> {
        let mut pairs = std::mem::take(&mut self.later);
        pairs::sort_distinct(&mut pairs);
        match Run::resident(Mark::Derived, pairs) {
            Some(run) => self.added.pending.push(run, spill),
            None => Ok(()),
        }
    }

    /// Sorts the inverse copies that other nodes have sent. They are distinct, since only the home of a fact's subject
    /// accepts and sends it.
    pub fn sort_arrived(&mut self, spill: &Spill) -> Result<(), Fault> {
        let mut pairs = std::mem::take(&mut self.arrived);
        pairs::sort_distinct(&mut pairs);
        match Run::resident(Mark::Derived, pairs) {
            Some(run) => self.arrived_runs.push(run, spill),
            None => Ok(()),
        }
    }

    /// Drops the facts that the attempt has found and that no plan will read again; returns their number.
    pub fn forget_found(&mut self) -> u64 {
        let mut forgotten = std::mem::take(&mut self.later).len() as u64;
        for spine in [&mut self.added.settled, &mut self.added.published, &mut self.added.pending] {
            spine.runs.retain(|run| {
                let is_found = run.mark == Mark::Derived;
                forgotten += if is_found { run.len } else { 0 };
                !is_found
            });
        }
        forgotten
    }

    /// Pairs of the attempt that are in memory.
    pub fn held(&self) -> u64 {
        let spines = [&self.promoted, &self.removed_asserted, &self.removed_promoted, &self.arrived_runs];
        let unsorted = self.later.capacity() + self.arrived.capacity();
        let waves = self.added.held() + self.deleted.held();
        spines.into_iter().map(Spine::resident_pairs).sum::<u64>() + waves + unsorted as u64
    }

    /// Stores everything.
    pub fn store(&mut self, spill: &Spill) -> Result<(), Fault> {
        let all = spill.with_above(0);
        self.sort_later(&all)?;
        self.sort_arrived(&all)?;
        let spines =
            [&mut self.promoted, &mut self.removed_asserted, &mut self.removed_promoted, &mut self.arrived_runs];
        spines.into_iter().try_for_each(|spine| spine.store(&all))?;
        self.added.store(&all)?;
        self.deleted.store(&all)
    }
}

/// Committed copies, before an attempt changes anything.
pub fn copies(runs: &Copies, rebuild: bool) -> [CopyState; 2] {
    [0, 1].map(|copy| CopyState::new(&runs[copy], rebuild))
}

pub fn subtract_all<'a>(pairs: Vec<Pair>, runs: impl Iterator<Item = &'a Arc<Run>>) -> Result<Vec<Pair>, Fault> {
    runs.into_iter().try_fold(pairs, |rest, run| run.subtract_from(rest))
}
