//! The index entries of the terms that an attempt adds, found by their hashes.
//!
//! ```text
//! high 64 bits of the hash ─ × homes / 2⁶⁴ ─► slot: the entry is here, or in one of the next few before a free one
//! ```
//! Hashes are spread evenly, so an entry is at most a few slots after its home, and one memory access finds it. Entries
//! are in order, so the table is a sorted run with gaps: without the gaps it is a run, and it is enlarged in one pass.
//! (Linear probing in order: Amble and Knuth, "Ordered hash tables", 1974.)
//!
//! Invariant: every slot between an entry's home and the entry has a lesser entry; the last slot is free.

use entail_logic::columns::{Pair, Run};
use entail_model::{Mark, TermId};
use std::sync::Arc;

/// Greater than any entry: no local index has all its bits set.
const FREE: Pair = (TermId(u64::MAX), TermId(u64::MAX));

const HOMES_MIN: usize = 32;
/// Slots after the last home, as a part of the homes: for entries that find no free slot at the end.
const AFTER_SHARE: usize = 8;

/// Entries in the order of their hashes: high half, then tag and local index.
#[derive(Debug, Default)]
pub struct Index {
    slots: Vec<Pair>,
    homes: usize,
    len: usize,
}

impl Index {
    /// The number of entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        (self.slots.len() * size_of::<Pair>()) as u64
    }

    /// The least entry that is not less than `least` and has its high half.
    pub fn find(&self, least: Pair) -> Option<Pair> {
        if self.len == 0 {
            return None;
        }
        let entry = self.slots[self.place(least)];
        (entry.0 == least.0 && entry != FREE).then_some(entry)
    }

    /// Adds an entry that the table does not have.
    pub fn insert(&mut self, entry: Pair) {
        debug_assert!(entry < FREE);
        loop {
            if (self.len + 1) * 4 <= self.homes * 3 {
                let place = self.place(entry);
                let free = place + self.slots[place..].iter().position(|other| *other == FREE).expect("the last is");
                if free + 1 < self.slots.len() {
                    self.slots.copy_within(place..free, place + 1);
                    self.slots[place] = entry;
                    self.len += 1;
                    return;
                }
            }
            self.rebuild(self.homes + self.homes / 2, |_| true);
        }
    }

    /// Drops the entries for which `keeps` is false.
    pub fn retain(&mut self, keeps: impl Fn(Pair) -> bool) {
        self.rebuild(self.homes, keeps);
    }

    /// Takes all entries as a run, which empties the table.
    pub fn take(&mut self) -> Option<Arc<Run>> {
        let run = self.run();
        *self = Self::default();
        run
    }

    /// All entries as a run.
    pub fn run(&self) -> Option<Arc<Run>> {
        let mut entries = Vec::with_capacity(self.len);
        entries.extend(self.slots.iter().filter(|entry| **entry != FREE));
        Run::resident(Mark::Asserted, entries)
    }

    /// The slot of the entry, or the one at which it would be inserted.
    fn place(&self, entry: Pair) -> usize {
        let home = home(entry, self.homes);
        home + self.slots[home..].iter().position(|other| *other >= entry).expect("the last is free")
    }

    /// Rebuilds the table with at least `homes` homes, with the entries for which `keeps` is true.
    fn rebuild(&mut self, homes: usize, keeps: impl Fn(Pair) -> bool) {
        self.homes = homes.max(HOMES_MIN);
        let old = std::mem::take(&mut self.slots);
        let entries = || old.iter().filter(|entry| **entry != FREE && keeps(**entry));
        loop {
            let mut slots = vec![FREE; self.homes + self.homes / AFTER_SHARE];
            let (mut next, mut len) = (0, 0);
            for entry in entries() {
                let place = home(*entry, self.homes).max(next);
                next = place + 1;
                match slots.get_mut(place) {
                    Some(slot) => *slot = *entry,
                    None => break,
                }
                len += 1;
            }
            if next < slots.len() {
                (self.slots, self.len) = (slots, len);
                return;
            }
            self.homes *= 2;
        }
    }
}

fn home(entry: Pair, homes: usize) -> usize {
    ((u128::from(entry.0.0) * homes as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn entries() -> impl Strategy<Value = Vec<Pair>> {
        let spread = any::<u64>();
        let near = prop_oneof![0u64..40, (0u64..40).prop_map(|n| u64::MAX - n)];
        let entry =
            |high: BoxedStrategy<u64>| (high, 0u64..1 << 40).prop_map(|(high, rest)| (TermId(high), TermId(rest)));
        prop_oneof![
            4 => prop::collection::vec(entry(spread.boxed()), 0..3000),
            1 => prop::collection::vec(entry(near.boxed()), 0..200),
        ]
    }

    proptest! {
        #[test]
        fn an_index_is_an_ordered_set(entries in entries(), others in entries(), odd in any::<bool>()) {
            let (mut index, mut set) = (Index::default(), BTreeSet::new());
            for entry in entries {
                if set.insert(entry) {
                    index.insert(entry);
                }
                prop_assert_eq!(index.find(entry), Some(entry));
            }
            let check = |index: &Index, set: &BTreeSet<Pair>| {
                assert_eq!(index.len(), set.len());
                let run = index.run().map_or(Vec::new(), |run| run.to_vec().expect("in memory"));
                assert!(run.iter().eq(set));
                for least in others.iter().chain(set.iter().take(100)) {
                    assert_eq!(index.find(*least), set.range(least..).next().filter(|entry| entry.0 == least.0).copied());
                }
            };
            check(&index, &set);
            let keeps = |entry: &Pair| (entry.1.0 % 2 == 1) == odd;
            index.retain(|entry| keeps(&entry));
            set.retain(keeps);
            check(&index, &set);
            let run = index.take().map_or(Vec::new(), |run| run.to_vec().expect("in memory"));
            prop_assert!(run.iter().eq(&set));
            check(&index, &BTreeSet::new());
        }
    }
}
