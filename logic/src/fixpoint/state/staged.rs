//! Stages many columns at once: they are made in parallel, and stored immediately if memory does not hold them.

use super::{CopyState, State};
use crate::columns::Pair;
use crate::columns::spine::Spill;
use entail_model::{Direction, Fault, Relation};
use rayon::prelude::*;
use std::cmp::Reverse;

/// The part of the budget that stays in memory when columns must be stored: they are not read soon.
const LEFT_SHARE: u64 = 4;

/// Fewer pairs are sorted on the calling thread.
const PAIRS_SHARED_MIN: u64 = 1 << 14;

/// A column of asserted facts whose pairs have not been made yet.
pub struct StagedColumn<'a> {
    pub relation: Relation,
    pub copy: Direction,
    /// The number of pairs, with repetitions.
    pub len: u64,
    /// Makes the pairs, sorted and without repetitions, on at most the given number of threads.
    pub pairs: Box<dyn FnOnce(usize) -> Vec<Pair> + Send + 'a>,
}

/// What happens to the facts of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staging {
    /// They are asserted.
    Add,
    /// They are no longer asserted.
    Remove,
}

/// A column that is being made.
struct Work<'a> {
    staging: Staging,
    /// The threads for this column: sharing a column while other threads have columns of their own costs more than it
    /// saves.
    threads: usize,
    column: StagedColumn<'a>,
    state: CopyState,
    spill: Spill,
}

impl State {
    /// Adds asserted facts of many columns, each given once, on the threads of `pool` if they are many.
    ///
    /// Columns that would not stay in memory are stored when they are made: the largest first.
    pub fn stage_all(&mut self, incoming: Vec<StagedColumn<'_>>, pool: &rayon::ThreadPool) -> Result<(), Fault> {
        self.stage_columns(incoming, Staging::Add, pool)
    }

    pub(super) fn stage_columns(
        &mut self,
        incoming: Vec<StagedColumn<'_>>,
        staging: Staging,
        pool: &rayon::ThreadPool,
    ) -> Result<(), Fault> {
        let mut incoming = incoming;
        // The largest column first, so that threads do not wait long for the last one.
        incoming.sort_by_key(|column| Reverse(column.len));
        let new = incoming.iter().map(|column| column.len).sum::<u64>();
        let held_max = self.held_max.saturating_sub(self.held_in_matrices);
        let is_much = self.spill.store.is_some() && self.held + new > held_max;
        let mut left = self.held + new;
        let share = new / pool.current_num_threads() as u64;
        let mut work = Vec::with_capacity(incoming.len());
        for column in incoming {
            let is_stored = is_much && left > held_max / LEFT_SHARE;
            left -= if is_stored { column.len } else { 0 };
            let spill = if is_stored { self.spill.with_above(0) } else { self.spill.clone() };
            let copies = self.open(column.relation);
            let state = std::mem::take(&mut copies[column.copy as usize]);
            self.held -= state.held();
            let threads = if column.len > share { pool.current_num_threads() } else { 1 };
            work.push(Work { staging, threads, column, state, spill });
        }
        let done: Vec<_> = if new < PAIRS_SHARED_MIN {
            work.into_iter().map(Work::run).collect()
        } else {
            pool.install(|| work.into_par_iter().with_max_len(1).map(Work::run).collect())
        };
        let mut outcome = Ok(());
        for (relation, copy, state, result) in done {
            self.held += state.held();
            self.open(relation)[copy as usize] = state;
            outcome = outcome.and(result);
        }
        outcome.and_then(|()| self.fit())
    }
}

impl Work<'_> {
    fn run(self) -> (Relation, Direction, CopyState, Result<(), Fault>) {
        let Self { staging, threads, column, mut state, spill } = self;
        let staged = (column.pairs)(threads);
        debug_assert!(staged.is_sorted_by(|a, b| a < b));
        let result = match staging {
            Staging::Add => state.take_staged(staged, &spill),
            Staging::Remove => state.take_removed(&staged, &spill),
        };
        (column.relation, column.copy, state, result)
    }
}
