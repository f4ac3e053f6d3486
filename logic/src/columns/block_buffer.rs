//! A buffer of bit blocks in the order of their arrival, until all are sorted at once.
//!
//! Their pairs are never read before they are sorted, so a matrix is not needed: most of its words would be empty where
//! pairs are scattered, and where they are dense, blocks are no larger.

use super::Pair;
use super::blocks::{BitBlocks, Head};
use super::matrix::{self, bits, give, term_of};
use entail_model::{Fault, TermId};

/// A set of pairs.
#[derive(Debug, Default)]
pub struct BlockBuffer {
    blocks: Vec<BitBlocks>,
    bytes: u64,
}

impl BlockBuffer {
    /// Adds blocks.
    pub fn add(&mut self, mut blocks: BitBlocks) {
        blocks.shrink();
        self.bytes += blocks.bytes();
        self.blocks.push(blocks);
    }

    /// Bytes that the set takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Calls `visit` with the pairs of each key, in order.
    pub fn by_keys(&self, mut visit: impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut all: Vec<(&Head, &[u64])> = self.blocks.iter().flat_map(BitBlocks::each).collect();
        all.sort_unstable_by_key(|(head, _)| matrix::neighbours(head.keys));
        let mut words: Vec<(TermId, TermId, u64)> = Vec::new();
        let mut pairs = Vec::new();
        for page in all.chunk_by(|a, b| matrix::neighbours(a.0.keys) == matrix::neighbours(b.0.keys)) {
            for (head, of_keys) in page {
                let mut of_keys = of_keys.iter();
                bits(head.mask, |key| {
                    words.extend(of_keys.next().map(|word| (term_of(head.keys, key), head.values, *word)));
                });
            }
            words.sort_unstable_by_key(|(key, values, _)| (*key, *values));
            words.dedup_by(|next, last| {
                let is_same = (next.0, next.1) == (last.0, last.1);
                last.2 |= if is_same { next.2 } else { 0 };
                is_same
            });
            for of_key in words.chunk_by(|a, b| a.0 == b.0) {
                for (key, values, word) in of_key {
                    bits(*word, |value| pairs.push((*key, term_of(*values, value))));
                }
                give(&mut pairs, &mut visit)?;
            }
            words.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// First terms of pages: few, neighbours of different kinds among them.
    fn page() -> impl Strategy<Value = TermId> {
        (0u16..2, 0u64..3, any::<bool>()).prop_map(|(shard, page, is_iri)| {
            let kind = if is_iri { TermKind::Iri } else { TermKind::BlankNode };
            TermId::dictionary(ShardId(shard), page * 64, kind)
        })
    }

    proptest! {
        #[test]
        fn its_pairs_are_those_of_its_blocks_in_order(
            blocks in prop::collection::vec((page(), page(), prop::collection::vec((0usize..64, any::<u64>()), 1..5)), 0..20),
            size in 1usize..5,
        ) {
            let (mut buffer, mut expected, mut bytes) = (BlockBuffer::default(), BTreeSet::new(), 0);
            for some in blocks.chunks(size) {
                let mut added = BitBlocks::default();
                for (keys, values, of_keys) in some {
                    let mut words = [0; 64];
                    of_keys.iter().for_each(|(key, word)| words[*key] = *word);
                    added.push(*keys, *values, &words);
                }
                expected.extend(added.pairs());
                bytes += added.bytes();
                buffer.add(added);
            }
            prop_assert_eq!(buffer.bytes(), bytes);
            let (mut found, mut keys) = (Vec::new(), Vec::new());
            buffer.by_keys(|pairs| {
                keys.push(pairs[0].0);
                found.append(pairs);
                Ok(())
            }).expect("nothing fails here");
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            prop_assert!(keys.is_sorted_by(|a, b| a < b));
        }
    }
}
