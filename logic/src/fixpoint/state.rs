//! The facts of one attempt at one node: a committed snapshot and the facts that the attempt adds.
//!
//! Invariant: the pairs and runs of all relations that stay in memory are within one budget, the `above` of the state's
//! [`Spill`]: beyond it, the largest columns are stored. Matrices and broadcast relations take from the same budget,
//! down to a quarter of it. Outside of the budget is the working memory of a step: columns that are being sorted,
//! candidates, and copies that a relation still owes other nodes.

mod broadcast;
mod changes;
mod copy;
mod deletion;
mod matrices;
mod staged;
mod views;
mod wave;

pub use changes::Changes;
pub use staged::StagedColumn;
pub use views::{LocalFacts, SharedFacts};

use super::base::Base;
use super::broadcast::BroadcastRelation;
use super::dense::{CANDIDATES_MIN, CandidateHistory, Dense};
use super::phase::Phase;
use crate::columns::spine::{Spill, merge_runs};
use crate::columns::{Pair, Run, pairs};
use crate::eval::Facts;
use crate::plan::View;
use copy::{CopyState, copies, subtract_all};
use entail_model::{Direction, Fault, Mark, Relation};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Inverse copies that no rule reads before the end of the round are sorted into runs of at least this many pairs.
const LATER_PAIRS: usize = 1 << 20;

/// One run may take at most this part of the budget, so that a merge holds only a small part of it in memory.
const RUN_SHARE: u64 = 4;

/// All facts of an attempt at one node.
#[derive(Debug)]
pub struct State {
    phase: Phase,
    /// The committed facts of relations that are not [open](Self::open).
    base: Base,
    /// The copies of relations that the attempt reads or changes.
    relations: BTreeMap<Relation, [CopyState; 2]>,
    /// The limit for a single run.
    spill: Spill,
    /// The limit for all pairs in memory.
    held_max: u64,
    /// Pairs in memory: the sum over all copies.
    held: u64,
    /// The relations that are kept as matrices, and the memory of all matrices, in pairs.
    pub(super) dense: BTreeMap<Relation, Dense>,
    held_in_matrices: u64,
    offered: BTreeMap<Relation, CandidateHistory>,
    /// Inverse copies, as (object, subject), that dissolved matrices owed.
    owed: Vec<(Relation, Vec<Pair>)>,
    /// A relation with fewer candidates does not become dense.
    dense_from: u64,
    /// The number of nodes, among which candidates are divided.
    pub(super) nodes: u64,
    /// The broadcast relations, and the memory that they take, in pairs.
    broadcast: BTreeMap<Relation, BroadcastRelation>,
    held_in_broadcast: u64,
}

impl State {
    /// The state at the start of an attempt, which keeps at most `spill.above` pairs in memory. With `rebuild`, only
    /// asserted facts are kept.
    pub fn new(base: &Base, rebuild: bool, spill: Spill) -> Result<Self, Fault> {
        let (held_max, spill) = (spill.above, spill.with_above(spill.above / RUN_SHARE));
        let mut state = Self {
            phase: if rebuild { Phase::Recompute } else { Phase::Insert },
            base: base.clone(),
            relations: BTreeMap::new(),
            spill,
            held_max,
            held: 0,
            dense: BTreeMap::new(),
            held_in_matrices: 0,
            offered: BTreeMap::new(),
            owed: Vec::new(),
            dense_from: CANDIDATES_MIN,
            nodes: 1,
            broadcast: BTreeMap::new(),
            held_in_broadcast: 0,
        };
        if rebuild {
            state.base = Base::default();
            state.relations = base.iter().map(|(relation, runs)| (relation, copies(runs, true))).collect();
            state.assert_promoted(base)?;
        }
        Ok(state)
    }

    /// Opens a relation: gives it copies of its own in this attempt. Only open relations have indexes on committed
    /// runs, and steps that look at all relations cost nothing for closed ones.
    pub(super) fn open(&mut self, relation: Relation) -> &mut [CopyState; 2] {
        let base = &self.base;
        let committed = || base.get(relation).map(|runs| copies(runs, false)).unwrap_or_default();
        self.relations.entry(relation).or_insert_with(committed)
    }

    /// Every relation that may have facts.
    pub(super) fn all_relations(&self) -> Vec<Relation> {
        let mut all: Vec<Relation> = self.base.iter().map(|(relation, _)| relation).collect();
        all.extend(self.relations.keys());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Committed runs of a relation that is not open.
    fn committed(&self, relation: Relation, copy: Direction) -> Vec<Arc<Run>> {
        self.base.get(relation).map_or(Vec::new(), |runs| CopyState::new(&runs[copy as usize], false).base)
    }

    /// The runs, of a relation that is not open, that rules read.
    fn closed_runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>> {
        match view {
            View::Old | View::All => self.committed(relation, copy),
            View::Delta | View::Deleted | View::Added => Vec::new(),
            View::Broadcast => self.broadcast_runs(relation, copy),
        }
    }

    /// For a rebuild: makes each promoted fact (asserted after it had been derived) a plain asserted one, in runs of the
    /// attempt, since the promoted runs are freed with their chunks.
    fn assert_promoted(&mut self, base: &Base) -> Result<(), Fault> {
        for (relation, runs) in base.iter() {
            for copy in Direction::BOTH {
                for run in runs[copy as usize].iter().filter(|run| run.mark == Mark::Promoted) {
                    let mut run = Run::clone(run);
                    run.mark = Mark::Asserted;
                    let run = Arc::new(run);
                    self.change(relation, copy, |state, spill| {
                        state.added.settled.push(Arc::new(merge_runs(&[&run], spill)?), spill)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Changes one copy, and keeps all copies within the budget.
    fn change(
        &mut self,
        relation: Relation,
        copy: Direction,
        change: impl FnOnce(&mut CopyState, &Spill) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.change_one(relation, copy, change)?;
        self.fit()
    }

    fn change_one(
        &mut self,
        relation: Relation,
        copy: Direction,
        change: impl FnOnce(&mut CopyState, &Spill) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let spill = self.spill.clone();
        let state = &mut self.open(relation)[copy as usize];
        let before = state.held();
        change(state, &spill)?;
        let after = state.held();
        self.held = self.held + after - before;
        Ok(())
    }

    /// Changes every copy, in parallel. The change must not hold more pairs than before.
    fn change_all(&mut self, change: impl Fn(&mut CopyState, &Spill) -> Result<(), Fault> + Sync) -> Result<(), Fault> {
        self.change_some(|_, _| true, change)
    }

    /// Changes the chosen copies, in parallel. The change must not hold more pairs than before.
    fn change_some(
        &mut self,
        is_chosen: impl Fn(Relation, Direction) -> bool,
        change: impl Fn(&mut CopyState, &Spill) -> Result<(), Fault> + Sync,
    ) -> Result<(), Fault> {
        let copies = self.relations.iter_mut().flat_map(|(relation, copies)| {
            Direction::BOTH.into_iter().zip(copies).map(|(copy, state)| (*relation, copy, state))
        });
        let (chosen, others): (Vec<_>, Vec<_>) = copies.partition(|(relation, copy, _)| is_chosen(*relation, *copy));
        let others: u64 = others.iter().map(|(_, _, state)| state.held()).sum();
        let one = |(_, _, state): (Relation, Direction, &mut CopyState)| {
            change(state, &self.spill)?;
            Ok(state.held())
        };
        let held = chosen.into_par_iter().with_max_len(1).map(one).try_reduce(|| 0, |a, b| Ok(a + b))?;
        self.held = others + held;
        Ok(())
    }

    /// Stores the largest columns when memory is above the budget, until half of the budget is used, so that this is
    /// seldom needed.
    fn fit(&mut self) -> Result<(), Fault> {
        // Matrices and broadcast relations take from the budget; without a remainder, every change would store small
        // columns.
        let others = self.held_in_matrices + self.held_in_broadcast;
        let held_max = self.held_max.saturating_sub(others).max(self.held_max / RUN_SHARE);
        if self.spill.store.is_none() || self.held <= held_max {
            return Ok(());
        }
        let mut largest: Vec<(u64, Relation, Direction)> = Vec::new();
        for (relation, copies) in &self.relations {
            largest.extend(Direction::BOTH.map(|copy| (copies[copy as usize].held(), *relation, copy)));
        }
        largest.sort_unstable_by_key(|(held, ..)| std::cmp::Reverse(*held));
        let mut left = self.held;
        let chosen = largest.into_iter().take_while(|(held, ..)| {
            let is_chosen = left > held_max / 2;
            left = left.saturating_sub(*held);
            is_chosen
        });
        let chosen: BTreeSet<(Relation, Direction)> = chosen.map(|(_, relation, copy)| (relation, copy)).collect();
        self.change_some(|relation, copy| chosen.contains(&(relation, copy)), CopyState::store)
    }

    /// Ends staging: new facts are published, and become the first local step's delta.
    pub fn finish_staging(&mut self) -> Result<(), Fault> {
        self.change_all(|state, _| {
            state.added.recent_published = std::mem::take(&mut state.added.published.runs);
            Ok(())
        })
    }

    /// Pairs of the attempt in memory.
    pub fn held_pairs(&self) -> u64 {
        self.held + self.held_in_matrices + self.held_in_broadcast
    }

    /// Sets the number of candidates from which relations may become dense; with zero every relation with candidates does.
    #[cfg(test)]
    pub(super) fn set_dense_from(&mut self, candidates: u64) {
        self.dense_from = candidates;
    }

    /// New asserted facts, counted in the forward copies.
    pub fn staged_facts(&self) -> u64 {
        let out = self.relations.values().map(|copies| &copies[Direction::Forward as usize]);
        out.map(|copy| copy.added.recent_published.iter().map(|run| run.len).sum::<u64>() + copy.promoted.len()).sum()
    }

    /// Are there facts that no local step has read?
    pub fn has_recent(&self) -> bool {
        self.relations.values().flatten().any(|copy| copy.wave(self.phase).recent().next().is_some())
    }

    /// Are there facts that no shipped rule has read?
    pub fn has_unpublished(&self) -> bool {
        self.has_recent() || self.relations.values().flatten().any(|copy| !copy.wave(self.phase).pending.is_empty())
    }

    /// Drops known facts from candidates for forward copies.
    pub fn subtract_known(&self, relation: Relation, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        match self.relations.get(&relation) {
            Some(copies) => copies[Direction::Forward as usize].subtract_known(candidates),
            None => subtract_all(candidates, self.committed(relation, Direction::Forward).iter()),
        }
    }

    /// Ends a local step: the facts that it read are no longer recent; the facts that it found become recent.
    pub fn step(&mut self, found: BTreeMap<(Relation, Direction), Vec<Pair>>) -> Result<(), Fault> {
        self.forget_recent();
        let phase = self.phase;
        self.change_all(|state, spill| state.wave_mut(phase).step(spill))?;
        self.add_recent(found)
    }

    /// Drops the facts of a copy that the attempt has found, except for recent ones; returns their number.
    fn forget_found(&mut self, relation: Relation, copy: Direction) -> Result<u64, Fault> {
        let mut forgotten = 0;
        self.change_one(relation, copy, |state, _| {
            forgotten = state.forget_found();
            Ok(())
        })?;
        Ok(forgotten)
    }

    /// Adds a run of facts that were found earlier.
    fn add_pending(&mut self, relation: Relation, copy: Direction, run: Arc<Run>) -> Result<(), Fault> {
        self.change(relation, copy, |state, spill| state.added.pending.push(run, spill))
    }

    /// All runs of a copy's facts.
    fn runs_of(&self, relation: Relation, copy: Direction) -> Vec<Arc<Run>> {
        self.local().runs(relation, copy, View::All)
    }

    /// Adds facts that were just accepted, from this node's local step or from other nodes' heads, as found in this round.
    pub fn add_recent(&mut self, found: BTreeMap<(Relation, Direction), Vec<Pair>>) -> Result<(), Fault> {
        let phase = self.phase;
        for ((relation, copy), mut pairs) in found {
            self.change(relation, copy, |state, spill| {
                pairs::sort_distinct(&mut pairs);
                if phase == Phase::Delete && copy == Direction::Inverse {
                    state.delete_copies(&pairs)?;
                }
                let run = Run::resident(Mark::Derived, pairs);
                state.wave_mut(phase).recent_pending = run.map(|run| spill.place(run)).transpose()?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds inverse copies of facts that were just accepted, which no plan reads until the round is over.
    pub fn add_later(&mut self, relation: Relation, pairs: &[Pair]) -> Result<(), Fault> {
        self.change(relation, Direction::Inverse, |state, spill| {
            state.later.extend_from_slice(pairs);
            if state.later.len() >= LATER_PAIRS { state.sort_later(spill) } else { Ok(()) }
        })
    }

    /// Ends a round: sorts the inverse copies that no plan has read.
    pub fn sort_later(&mut self) -> Result<(), Fault> {
        self.change_all(CopyState::sort_later)
    }

    /// Begins the next round, which publishes all facts found so far.
    pub fn next_round(&mut self) -> Result<(), Fault> {
        let phase = self.phase;
        self.change_all(|state, spill| state.wave_mut(phase).next_round(spill))
    }

    /// Keeps inverse copies from other nodes until the next round.
    pub fn keep_copies(&mut self, relation: Relation, pairs: &[Pair]) -> Result<(), Fault> {
        self.change(relation, Direction::Inverse, |state, _| {
            state.arrived.extend_from_slice(pairs);
            Ok(())
        })
    }

    /// Are there inverse copies to be published in the next round?
    pub fn has_arrivals(&self) -> bool {
        let mut copies = self.relations.values().flatten();
        copies.any(|copy| !copy.arrived.is_empty() || !copy.arrived_runs.is_empty())
    }

    /// Takes the inverse copies, as (object, subject), that are owed by relations whose matrices have been dissolved.
    pub fn take_owed(&mut self) -> Vec<(Relation, Vec<Pair>)> {
        std::mem::take(&mut self.owed)
    }

    /// Publishes the inverse copies from other nodes, in the round that begins.
    pub fn take_copies(&mut self) -> Result<(), Fault> {
        let phase = self.phase;
        self.change_all(|state, spill| {
            state.sort_arrived(spill)?;
            let arrived = std::mem::take(&mut state.arrived_runs.runs);
            if phase == Phase::Delete {
                arrived.iter().try_for_each(|run| run.for_each_piece(|piece| state.delete_copies(piece)))?;
            }
            state.wave_mut(phase).recent_published.extend(arrived);
            Ok(())
        })
    }

    /// The facts as local rules read them.
    pub fn local(&self) -> LocalFacts<'_> {
        LocalFacts(self)
    }

    /// The facts as shipped rules read them.
    pub fn shared(&self) -> SharedFacts<'_> {
        SharedFacts(self)
    }
}

#[cfg(test)]
mod tests;
