//! Asserted facts as they come, until they are sorted.
//!
//! ```text
//! messages ──► columns, unsorted ──► sorted, side by side ──► the attempt's state
//! ```
//! A message names subject and object once, and which copies of the fact belong here. Sorting waits until there is much,
//! or nothing more comes: then each column is sorted once, and all threads are busy.

use entail_logic::columns::{Pair, pairs};
use entail_model::{Copy, Fault, Relation};
use entail_proto::convert;
use entail_proto::internal::StagedBlock;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem;

/// Fewer pairs are sorted where they are.
const PAIRS_SHARED_MIN: usize = 1 << 14;

/// Facts of both copies that are not sorted yet.
#[derive(Debug, Default)]
pub struct Columns {
    columns: BTreeMap<(Relation, Copy), Vec<Pair>>,
    /// Pairs that there is room for.
    held: usize,
}

/// A column: sorted, without repetitions.
pub type Sorted = ((Relation, Copy), Vec<Pair>);

impl Columns {
    /// Adds a message's facts.
    ///
    /// # Errors
    /// `Corrupt` for pairs that are cut off, and for copies that there are not.
    pub fn add(&mut self, block: &StagedBlock) -> Result<(), Fault> {
        let relation = convert::relation(block.graph, block.predicate);
        for copy in convert::copies(block.copies)? {
            let facts = convert::pairs(&block.pairs)?;
            let column = self.columns.entry((relation, copy)).or_default();
            let before = column.capacity();
            column.extend(facts.map(|(subject, object)| copy.pair(subject, object)));
            self.held += column.capacity() - before;
        }
        Ok(())
    }

    /// Pairs that there is room for: what the columns take of the memory.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes all columns.
    pub fn take_sorted(&mut self, pool: &rayon::ThreadPool) -> Vec<Sorted> {
        self.held = 0;
        let mut columns: Vec<Sorted> = mem::take(&mut self.columns).into_iter().collect();
        if columns.iter().map(|(_, pairs)| pairs.len()).sum::<usize>() < PAIRS_SHARED_MIN {
            columns.iter_mut().for_each(|(_, pairs)| pairs::sort_distinct(pairs));
            return columns;
        }
        // The largest first, so that nobody has to wait long for the last.
        columns.sort_by_key(|(_, pairs)| Reverse(pairs.len()));
        pool.install(|| columns.par_iter_mut().with_max_len(1).for_each(|(_, pairs)| pairs::sort_distinct(pairs)));
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;

    #[test]
    fn each_copy_has_its_column_in_order() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
        for count in [10, 50_000] {
            let mut columns = Columns::default();
            let relation = |number: u64| Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(number) };
            let pair = |n: u64| (TermId(n * 7919 % 1000), TermId(n / 2));
            let pairs: Vec<Pair> = (0..count).map(pair).collect();
            columns.add(&convert::staged_block(relation(4), &[Copy::Out, Copy::In], &pairs)).expect("whole");
            columns.add(&convert::staged_block(relation(4), &[Copy::In], &[(TermId(1), TermId(2))])).expect("whole");
            columns.add(&convert::staged_block(relation(8), &[Copy::Out], &pairs[..1])).expect("whole");
            assert!(columns.held() >= count as usize * 2 + 2);
            let found: BTreeMap<_, _> = columns.take_sorted(&pool).into_iter().collect();
            let sorted = |mut pairs: Vec<Pair>| {
                pairs.sort();
                pairs.dedup();
                pairs
            };
            let mut swapped: Vec<Pair> = pairs.iter().map(|(subject, object)| (*object, *subject)).collect();
            swapped.push((TermId(2), TermId(1)));
            let expected = BTreeMap::from([
                ((relation(4), Copy::Out), sorted(pairs.clone())),
                ((relation(4), Copy::In), sorted(swapped)),
                ((relation(8), Copy::Out), pairs[..1].to_vec()),
            ]);
            assert_eq!(found, expected);
            assert_eq!(columns.held(), 0);
            assert!(columns.take_sorted(&pool).is_empty());
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
        let whole = convert::staged_block(relation, &[Copy::Out], &[(TermId(1), TermId(2))]);
        let cut = StagedBlock { pairs: whole.pairs.slice(..15), ..whole.clone() };
        for damaged in [cut, StagedBlock { copies: 0, ..whole.clone() }, StagedBlock { copies: 4, ..whole }] {
            assert!(Columns::default().add(&damaged).is_err(), "{damaged:?}");
        }
    }
}
