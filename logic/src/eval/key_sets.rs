//! Hash sets of the keys with a given value (the members of a class), built once a step has probed often enough, while
//! the facts do not change.
//!
//! `?y a :Course` with `?y` bound is probed for many rows, in any order. Each search in the runs costs a logarithm, and
//! either the rows have to be sorted twice or each search misses the cache; a set of the members costs one pass over
//! the copy.

use crate::columns::hash_index::{HashIndex, INDEX_PAIRS_MAX};
use crate::columns::{Pair, Run};
use crate::plan::View;
use entail_model::{Direction, Fault, Relation, TermId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The facts of a pass that costs as much as one search.
const FACTS_A_SEARCH: u64 = 16;

/// The copy and value that a set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub relation: Relation,
    pub copy: Direction,
    /// Never the delta: its morsels differ.
    pub view: View,
    pub value: TermId,
}

/// The sets that have been probed often enough. All together have at most a fixed number of members.
#[derive(Debug)]
pub struct KeySets {
    sets: Mutex<HashMap<Asked, Arc<Mutex<Set>>>>,
    room: AtomicU64,
}

impl Default for KeySets {
    fn default() -> Self {
        Self { sets: Mutex::default(), room: AtomicU64::new(INDEX_PAIRS_MAX) }
    }
}

#[derive(Debug, Default)]
struct Set {
    searches: u64,
    keys: Option<Arc<HashIndex>>,
    /// Are there too many members for a set?
    is_too_large: bool,
}

impl KeySets {
    /// The keys with the value, for `searches` more searches; `None` while all searches so far cost less than a pass over
    /// the runs, or if the copy is too large.
    pub fn of(&self, asked: Asked, searches: u64, runs: &[Arc<Run>]) -> Result<Option<Arc<HashIndex>>, Fault> {
        let set = {
            let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.entry(asked).or_default())
        };
        // Threads that ask while the set is built wait for it.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        set.searches += searches;
        let facts: u64 = runs.iter().map(|run| run.len).sum();
        if set.keys.is_none() && !set.is_too_large && set.searches.saturating_mul(FACTS_A_SEARCH) >= facts {
            match self.keys_with(asked.value, runs)? {
                Some(keys) => set.keys = Some(Arc::new(keys)),
                None => set.is_too_large = true,
            }
        }
        Ok(set.keys.clone())
    }

    /// The keys with the value; `None` if there are too many.
    fn keys_with(&self, value: TermId, runs: &[Arc<Run>]) -> Result<Option<HashIndex>, Fault> {
        let room = self.room.load(Ordering::Relaxed);
        let mut found: Vec<Pair> = Vec::new();
        for run in runs {
            run.for_each_piece(|piece| {
                if found.len() as u64 <= room {
                    found.extend(piece.iter().filter(|pair| pair.1 == value));
                }
                Ok(())
            })?;
        }
        let takes = |left: u64| left.checked_sub(found.len() as u64);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_err() {
            return Ok(None);
        }
        found.sort_unstable();
        Ok(Some(HashIndex::new(&found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Mark;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn members_are_those_of_the_runs(pairs in prop::collection::btree_set((0u64..80, 0u64..4), 1..200)) {
            let pairs: Vec<Pair> = pairs.into_iter().map(|(key, value)| (TermId(key), TermId(value))).collect();
            let (even, odd): (Vec<Pair>, Vec<Pair>) = pairs.iter().partition(|pair| pair.0.0 % 2 == 0);
            let runs: Vec<Arc<Run>> =
                [even, odd].into_iter().filter_map(|pairs| Run::resident(Mark::Asserted, pairs)).collect();
            let members = KeySets::default();
            let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(1) };
            for value in (0..5).map(TermId) {
                let asked = Asked { relation, copy: Direction::Forward, view: View::All, value };
                let too_few = (pairs.len() as u64 - 1) / FACTS_A_SEARCH;
                prop_assert!(members.of(asked, too_few, &runs).expect("in memory").is_none());
                let keys = members.of(asked, 1, &runs).expect("in memory").expect("asked for often enough");
                for key in (0..81).map(TermId) {
                    prop_assert_eq!(!keys.get(key).is_empty(), pairs.contains(&(key, value)));
                }
            }
        }
    }
}
