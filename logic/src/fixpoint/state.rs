//! The facts of one attempt at one node: a committed snapshot and what the attempt adds.

use crate::columns::spine::Spill;
use crate::columns::{Pair, Run, Spine, pairs};
use crate::eval::Facts;
use crate::plan::View;
use entail_model::{Copy, Fault, Mark, Relation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Staged pairs are sorted into runs of at least this many.
const STAGE_PAIRS: usize = 1 << 20;

/// The committed runs of every relation's two copies, of all marks.
pub type Base = BTreeMap<Relation, [Vec<Arc<Run>>; 2]>;

/// One copy of one relation.
#[derive(Debug, Default)]
struct CopyState {
    /// Committed facts.
    base: Vec<Arc<Run>>,
    /// Committed promotions: marks, not facts.
    base_promoted: Vec<Arc<Run>>,
    /// Facts of this attempt by the round that publishes them: see the module's table.
    settled: Spine,
    published: Spine,
    pending: Spine,
    /// What came last, not yet read by a local step: published (from others, or staged) and pending (found here).
    recent_published: Vec<Arc<Run>>,
    recent_pending: Option<Arc<Run>>,
    /// Staged facts that rules had derived before.
    promoted: Spine,
    /// Pairs as they were staged.
    unsorted: Vec<Pair>,
}

impl CopyState {
    fn new(committed: &[Arc<Run>], rebuild: bool) -> Self {
        let of = |mark: Mark| committed.iter().filter(move |run| run.mark == mark).cloned();
        if rebuild {
            return Self { base: of(Mark::Asserted).collect(), ..Self::default() };
        }
        let base = of(Mark::Asserted).chain(of(Mark::Derived)).collect();
        Self { base, base_promoted: of(Mark::Promoted).collect(), ..Self::default() }
    }

    fn recent(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.recent_published.iter().chain(&self.recent_pending)
    }

    fn earlier(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.base.iter().chain(&self.settled.runs).chain(&self.published.runs).chain(&self.pending.runs)
    }

    /// Drops from sorted candidates what is known.
    fn subtract_known(&self, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        self.earlier().chain(self.recent()).try_fold(candidates, |rest, run| match rest.is_empty() {
            true => Ok(rest),
            false => run.subtract_from(rest),
        })
    }

    /// Sorts what was staged into runs: new facts, and promotions of derived ones.
    fn sort_staged(&mut self, spill: &Spill) -> Result<(), Fault> {
        let mut staged = std::mem::take(&mut self.unsorted);
        pairs::sort_distinct(&mut staged);
        let derived: Vec<Arc<Run>> = self.base.iter().filter(|run| run.mark == Mark::Derived).cloned().collect();
        let not_derived = subtract_all(staged.clone(), derived.iter())?;
        let promoted = pairs::subtract(&staged, &not_derived);
        let promoted = subtract_all(promoted, self.base_promoted.iter().chain(&self.promoted.runs))?;
        if let Some(run) = Run::resident(Mark::Promoted, promoted) {
            self.promoted.push(run, spill)?;
        }
        let asserted = self.base.iter().filter(|run| run.mark == Mark::Asserted);
        let new = subtract_all(not_derived, asserted.chain(&self.published.runs))?;
        if let Some(run) = Run::resident(Mark::Asserted, new) {
            self.published.push(run, spill)?;
        }
        Ok(())
    }
}

fn subtract_all<'a>(pairs: Vec<Pair>, runs: impl Iterator<Item = &'a Arc<Run>>) -> Result<Vec<Pair>, Fault> {
    runs.into_iter().try_fold(pairs, |rest, run| run.subtract_from(rest))
}

/// All facts of an attempt at one node.
#[derive(Debug)]
pub struct State {
    relations: BTreeMap<Relation, [CopyState; 2]>,
    spill: Spill,
}

impl State {
    /// The state before an attempt changes anything. With `rebuild`, only what users asserted is kept.
    pub fn new(base: &Base, rebuild: bool, spill: Spill) -> Result<Self, Fault> {
        let copies = |runs: &[Vec<Arc<Run>>; 2]| [0, 1].map(|copy| CopyState::new(&runs[copy], rebuild));
        let relations = base.iter().map(|(relation, runs)| (*relation, copies(runs))).collect();
        let mut state = Self { relations, spill };
        if rebuild {
            state.assert_promoted(base)?;
        }
        Ok(state)
    }

    /// What was asserted after it had been derived is simply asserted, when derivations are drawn anew.
    fn assert_promoted(&mut self, base: &Base) -> Result<(), Fault> {
        for (relation, runs) in base {
            for copy in Copy::BOTH {
                for run in runs[copy as usize].iter().filter(|run| run.mark == Mark::Promoted) {
                    let run = Arc::new(Run { mark: Mark::Asserted, ..Run::clone(run) });
                    let run = Run::resident(Mark::Asserted, run.to_vec()?).expect("runs are not empty");
                    self.copy(*relation, copy).settled.push(run, &Spill::default())?;
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, relation: Relation, copy: Copy) -> &mut CopyState {
        &mut self.relations.entry(relation).or_default()[copy as usize]
    }

    fn copies(&mut self) -> impl Iterator<Item = &mut CopyState> {
        self.relations.values_mut().flatten()
    }

    /// Adds asserted facts of one copy, unsorted.
    pub fn stage(&mut self, relation: Relation, copy: Copy, pairs: &[Pair]) -> Result<(), Fault> {
        let spill = self.spill.clone();
        let state = self.copy(relation, copy);
        state.unsorted.extend_from_slice(pairs);
        if state.unsorted.len() >= STAGE_PAIRS { state.sort_staged(&spill) } else { Ok(()) }
    }

    /// Ends staging: what is new is published, and the first local step's delta.
    pub fn finish_staging(&mut self) -> Result<(), Fault> {
        let spill = self.spill.clone();
        for copy in self.copies() {
            copy.sort_staged(&spill)?;
            copy.recent_published = std::mem::take(&mut copy.published.runs);
        }
        Ok(())
    }

    /// New facts that users asserted, by the out copies.
    pub fn staged_facts(&self) -> u64 {
        let out = self.relations.values().map(|copies| &copies[Copy::Out as usize]);
        out.map(|copy| copy.recent_published.iter().map(|run| run.len).sum::<u64>() + copy.promoted.len()).sum()
    }

    /// Is there something that no local step has read?
    pub fn has_recent(&self) -> bool {
        self.relations.values().flatten().any(|copy| copy.recent().next().is_some())
    }

    /// Is there something that no shipped rule has read?
    pub fn has_unpublished(&self) -> bool {
        self.has_recent() || self.relations.values().flatten().any(|copy| !copy.pending.is_empty())
    }

    /// Drops from candidates for out copies what is known.
    pub fn subtract_known(&self, relation: Relation, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        match self.relations.get(&relation) {
            Some(copies) => copies[Copy::Out as usize].subtract_known(candidates),
            None => Ok(candidates),
        }
    }

    /// After a local step: what it read is not recent any more, and what it found is.
    pub fn step(&mut self, mut found: BTreeMap<(Relation, Copy), Vec<Pair>>) -> Result<(), Fault> {
        let spill = self.spill.clone();
        for ((relation, copy), pairs) in &mut found {
            pairs::sort_distinct(pairs);
            self.copy(*relation, *copy);
        }
        for (relation, copies) in &mut self.relations {
            for (copy, state) in Copy::BOTH.into_iter().zip(copies) {
                for run in std::mem::take(&mut state.recent_published) {
                    state.published.push(run, &spill)?;
                }
                if let Some(run) = state.recent_pending.take() {
                    state.pending.push(run, &spill)?;
                }
                if let Some(pairs) = found.remove(&(*relation, copy)) {
                    state.recent_pending = Run::resident(Mark::Derived, pairs);
                }
            }
        }
        Ok(())
    }

    /// Adds facts that were just accepted from other nodes' heads: found in this round.
    pub fn add_recent(&mut self, found: BTreeMap<(Relation, Copy), Vec<Pair>>) -> Result<(), Fault> {
        for ((relation, copy), mut pairs) in found {
            pairs::sort_distinct(&mut pairs);
            self.copy(relation, copy).recent_pending = Run::resident(Mark::Derived, pairs);
        }
        Ok(())
    }

    /// At the end of a round: everything found is published in the next one.
    pub fn next_round(&mut self) -> Result<(), Fault> {
        let spill = self.spill.clone();
        for copy in self.copies() {
            debug_assert!(copy.recent().next().is_none(), "a round ends after its local steps");
            for run in std::mem::take(&mut copy.published.runs) {
                copy.settled.push(run, &spill)?;
            }
            copy.published = std::mem::take(&mut copy.pending);
        }
        Ok(())
    }

    /// Takes in copies from other nodes, published in the new round.
    pub fn receive_copies(&mut self, relation: Relation, mut pairs: Vec<Pair>) {
        pairs::sort_distinct(&mut pairs);
        let run = Run::resident(Mark::Derived, pairs);
        self.copy(relation, Copy::In).recent_published.extend(run);
    }

    /// Every run that the attempt adds.
    pub fn added(&self) -> Vec<(Relation, Copy, Arc<Run>)> {
        let mut added = Vec::new();
        for (relation, copies) in &self.relations {
            for copy in Copy::BOTH {
                let state = &copies[copy as usize];
                let spines = [&state.settled, &state.published, &state.pending, &state.promoted];
                let runs = spines.into_iter().flat_map(|spine| &spine.runs).chain(state.recent());
                added.extend(runs.map(|run| (*relation, copy, Arc::clone(run))));
            }
        }
        added
    }

    /// What local rules read.
    pub fn local(&self) -> LocalFacts<'_> {
        LocalFacts(self)
    }

    /// What shipped rules read.
    pub fn shared(&self) -> SharedFacts<'_> {
        SharedFacts(self)
    }
}

/// Everything that this node knows; the delta is what no local step has read.
pub struct LocalFacts<'a>(&'a State);

impl Facts for LocalFacts<'_> {
    fn runs(&self, relation: Relation, copy: Copy, view: View) -> Vec<Arc<Run>> {
        let Some(copies) = self.0.relations.get(&relation) else { return Vec::new() };
        let state = &copies[copy as usize];
        match view {
            View::Old => state.earlier().cloned().collect(),
            View::Delta => state.recent().cloned().collect(),
            View::All => state.earlier().chain(state.recent()).cloned().collect(),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        self.0.relations.keys().copied().collect()
    }
}

/// What all nodes agree on in this round; the delta is what is published in it.
pub struct SharedFacts<'a>(&'a State);

impl Facts for SharedFacts<'_> {
    fn runs(&self, relation: Relation, copy: Copy, view: View) -> Vec<Arc<Run>> {
        let Some(copies) = self.0.relations.get(&relation) else { return Vec::new() };
        let state = &copies[copy as usize];
        let old = state.base.iter().chain(&state.settled.runs);
        let delta = state.published.runs.iter().chain(&state.recent_published);
        match view {
            View::Old => old.cloned().collect(),
            View::Delta => delta.cloned().collect(),
            View::All => old.chain(delta).cloned().collect(),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        self.0.relations.keys().copied().collect()
    }
}
