//! Asserted facts as they arrive, until they are sorted.
//!
//! ```text
//! messages ──► packed blocks of relations ──► columns, sorted side by side ──► the attempt's state
//! ```
//! A message has subject and object of a fact once, and says which copies of the fact belong to this node. It is kept in
//! that form until the memory limit is reached or all facts have arrived. Then each column is made and sorted once, on all
//! threads. Requests that remove facts as well are folded first: see `changes`.

mod changes;

use super::state::StagedColumn;
use crate::columns::{PackedPairs, Pair};
use entail_model::{Direction, Relation};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use changes::{Effect, FoldCounts, Folded, Graphs, OperationCounts, RemovalCounts, Resources, StagedChanges, Step};

/// Facts of both copies that are not sorted yet.
#[derive(Debug, Default)]
pub struct StagedFacts {
    relations: BTreeMap<Relation, StagedRelation>,
    /// Bytes of all blocks.
    held_bytes: usize,
    /// Bytes of the blocks of the largest relation.
    largest_bytes: usize,
}

/// A relation's blocks, and their bytes.
#[derive(Debug, Default)]
struct StagedRelation {
    blocks: Vec<Block>,
    bytes: usize,
}

/// Facts of one message, with the copies of them that belong to this node.
#[derive(Debug)]
struct Block {
    copies: [bool; 2],
    /// Subjects and objects.
    pairs: PackedPairs,
}

impl Block {
    fn has(&self, copy: Direction) -> bool {
        self.copies[copy as usize]
    }
}

impl StagedFacts {
    /// Adds facts of a relation, as (subject, object); `copies` are the copies that belong to this node.
    pub fn add(&mut self, relation: Relation, copies: &[Direction], facts: impl Iterator<Item = Pair> + Clone) {
        let pairs = PackedPairs::new(facts);
        let copies = Direction::BOTH.map(|copy| copies.contains(&copy));
        let of = self.relations.entry(relation).or_default();
        of.bytes += pairs.bytes();
        self.held_bytes += pairs.bytes();
        self.largest_bytes = self.largest_bytes.max(of.bytes);
        of.blocks.push(Block { copies, pairs });
    }

    /// The memory of all blocks, as a number of unpacked pairs.
    pub fn held(&self) -> u64 {
        self.held_bytes.div_ceil(size_of::<Pair>()) as u64
    }

    /// The memory of the largest relation's blocks, as a number of unpacked pairs.
    pub fn largest(&self) -> u64 {
        self.largest_bytes.div_ceil(size_of::<Pair>()) as u64
    }

    /// Takes all columns, each with a function that makes its pairs. Blocks are freed when the last of their columns is made.
    pub fn take(&mut self) -> Vec<StagedColumn<'static>> {
        (self.held_bytes, self.largest_bytes) = (0, 0);
        let mut columns = Vec::new();
        for (relation, StagedRelation { blocks, .. }) in std::mem::take(&mut self.relations) {
            let blocks = Arc::new(blocks);
            for copy in Direction::BOTH {
                let len = blocks.iter().filter(|block| block.has(copy)).map(|block| block.pairs.len()).sum::<usize>();
                if len > 0 {
                    let blocks = Arc::clone(&blocks);
                    let pairs = Box::new(move |threads| column(&blocks, copy, threads));
                    columns.push(StagedColumn { relation, copy, len: len as u64, pairs });
                }
            }
        }
        columns
    }
}

/// The pairs of a column, in order.
fn column(blocks: &[Block], copy: Direction, threads: usize) -> Vec<Pair> {
    let packed: Vec<&PackedPairs> = blocks.iter().filter(|block| block.has(copy)).map(|block| &block.pairs).collect();
    PackedPairs::sorted(&packed, copy, threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;
    use std::collections::BTreeSet;

    #[test]
    fn each_copy_has_its_column() {
        let mut columns = StagedFacts::default();
        let relation = |number: u64| Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(number) };
        let pair = |n: u64| (TermId(n * 7919 % 1000), TermId(n / 2));
        let pairs: Vec<Pair> = (0..1000).map(pair).collect();
        columns.add(relation(4), &[Direction::Forward, Direction::Inverse], pairs.iter().copied());
        columns.add(relation(4), &[Direction::Inverse], [(TermId(1), TermId(2))].into_iter());
        columns.add(relation(8), &[Direction::Forward], pairs[..1].iter().copied());
        columns.add(relation(8), &[Direction::Inverse], [].into_iter());
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
            ((relation(4), Direction::Forward), sorted(pairs.clone())),
            ((relation(4), Direction::Inverse), sorted(swapped)),
            ((relation(8), Direction::Forward), pairs[..1].to_vec()),
        ]);
        assert_eq!(found, expected);
        assert_eq!((columns.held(), columns.largest()), (0, 0));
        assert!(columns.take().is_empty());
    }
}
