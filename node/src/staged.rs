//! Asserted facts as they come, until they are sorted.
//!
//! ```text
//! messages ──► pieces of relations, packed ──► columns, sorted side by side ──► the attempt's state
//! ```
//! A message names subject and object once, and which copies of the fact belong here; it is kept like that until there is
//! much, or nothing more comes. Then each column is made and sorted once, and all threads are busy.

use entail_logic::columns::{Packed, Pair};
use entail_logic::fixpoint::state::Incoming;
use entail_model::{Copy, Fault, Relation};
use entail_proto::convert;
use entail_proto::internal::StagedBlock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Facts of both copies that are not sorted yet.
#[derive(Debug, Default)]
pub struct Columns {
    relations: BTreeMap<Relation, Pieces>,
    /// Bytes of all pieces, and of those of the relation that has most.
    held_bytes: usize,
    largest_bytes: usize,
}

/// A relation's pieces, and their bytes.
#[derive(Debug, Default)]
struct Pieces {
    pieces: Vec<Piece>,
    bytes: usize,
}

/// Facts of a message, with the copies of them that belong here.
#[derive(Debug)]
struct Piece {
    copies: [bool; 2],
    /// Subjects and objects.
    pairs: Packed,
}

impl Piece {
    fn has(&self, copy: Copy) -> bool {
        self.copies[copy as usize]
    }
}

impl Columns {
    /// Adds a message's facts.
    ///
    /// # Errors
    /// `Corrupt` for pairs that are cut off, and for copies that there are not.
    pub fn add_block(&mut self, block: &StagedBlock) -> Result<(), Fault> {
        let copies: Vec<Copy> = convert::copies(block.copies)?.collect();
        let relation = convert::relation(block.graph, block.predicate);
        self.add(relation, &copies, convert::pairs(&block.pairs)?);
        Ok(())
    }

    /// Adds facts of a relation, as subject and object, of which these copies belong here.
    pub fn add(&mut self, relation: Relation, copies: &[Copy], facts: impl Iterator<Item = Pair> + Clone) {
        let pairs = Packed::new(facts);
        let copies = Copy::BOTH.map(|copy| copies.contains(&copy));
        let of = self.relations.entry(relation).or_default();
        of.bytes += pairs.bytes();
        self.held_bytes += pairs.bytes();
        self.largest_bytes = self.largest_bytes.max(of.bytes);
        of.pieces.push(Piece { copies, pairs });
    }

    /// Pairs that there would be room for in their memory.
    pub fn held(&self) -> u64 {
        self.held_bytes.div_ceil(size_of::<Pair>()) as u64
    }

    /// The same, of the largest relation.
    pub fn largest(&self) -> u64 {
        self.largest_bytes.div_ceil(size_of::<Pair>()) as u64
    }

    /// Takes all columns, each with a way to get its pairs. The pieces go when the last of their columns is made.
    pub fn take(&mut self) -> Vec<Incoming<'static>> {
        (self.held_bytes, self.largest_bytes) = (0, 0);
        let mut columns = Vec::new();
        for (relation, Pieces { pieces, .. }) in std::mem::take(&mut self.relations) {
            let pieces = Arc::new(pieces);
            for copy in Copy::BOTH {
                let len = pieces.iter().filter(|piece| piece.has(copy)).map(|piece| piece.pairs.len()).sum::<usize>();
                if len > 0 {
                    let pieces = Arc::clone(&pieces);
                    let pairs = Box::new(move |threads| column(&pieces, copy, threads));
                    columns.push(Incoming { relation, copy, len: len as u64, pairs });
                }
            }
        }
        columns
    }
}

/// The pairs of a column, in order.
fn column(pieces: &[Piece], copy: Copy, threads: usize) -> Vec<Pair> {
    let packed: Vec<&Packed> = pieces.iter().filter(|piece| piece.has(copy)).map(|piece| &piece.pairs).collect();
    Packed::sorted(&packed, copy, threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;
    use std::collections::BTreeSet;

    #[test]
    fn each_copy_has_its_column() {
        let mut columns = Columns::default();
        let relation = |number: u64| Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(number) };
        let pair = |n: u64| (TermId(n * 7919 % 1000), TermId(n / 2));
        let pairs: Vec<Pair> = (0..1000).map(pair).collect();
        columns.add_block(&convert::staged_block(relation(4), &[Copy::Out, Copy::In], &pairs)).expect("whole");
        columns.add_block(&convert::staged_block(relation(4), &[Copy::In], &[(TermId(1), TermId(2))])).expect("whole");
        columns.add_block(&convert::staged_block(relation(8), &[Copy::Out], &pairs[..1])).expect("whole");
        columns.add_block(&convert::staged_block(relation(8), &[Copy::In], &[])).expect("whole");
        assert!(columns.held() >= 1002 / 2);
        assert!(columns.largest() >= 1001 / 2 && columns.largest() < columns.held());
        let found = columns.take().into_iter().map(|column| {
            let pairs = (column.pairs)(1);
            assert!(pairs.len() as u64 <= column.len);
            ((column.relation, column.copy), pairs)
        });
        let found: BTreeMap<_, _> = found.collect();
        let sorted =
            |pairs: Vec<Pair>| pairs.into_iter().collect::<BTreeSet<Pair>>().into_iter().collect::<Vec<Pair>>();
        let mut swapped: Vec<Pair> = pairs.iter().map(|(subject, object)| (*object, *subject)).collect();
        swapped.push((TermId(2), TermId(1)));
        let expected = BTreeMap::from([
            ((relation(4), Copy::Out), sorted(pairs.clone())),
            ((relation(4), Copy::In), sorted(swapped)),
            ((relation(8), Copy::Out), pairs[..1].to_vec()),
        ]);
        assert_eq!(found, expected);
        assert_eq!((columns.held(), columns.largest()), (0, 0));
        assert!(columns.take().is_empty());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
        let whole = convert::staged_block(relation, &[Copy::Out], &[(TermId(1), TermId(2))]);
        let cut = StagedBlock { pairs: whole.pairs.slice(..15), ..whole.clone() };
        for damaged in [cut, StagedBlock { copies: 0, ..whole.clone() }, StagedBlock { copies: 4, ..whole }] {
            assert!(Columns::default().add_block(&damaged).is_err(), "{damaged:?}");
        }
    }
}
