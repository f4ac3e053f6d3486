//! Bit blocks: the form in which pairs are sent between matrices, 64 neighbouring keys with 64 neighbouring values each.
//!
//! ```text
//! block:  page of keys | page of values | which keys have pairs | a word of values for each of those
//! ```
//!
//! A relation that recursion has filled has many pairs in each block, so a pair costs a bit or two. Blocks are not
//! expanded to pairs in transit: the sender transposes them, which makes inverse copies of forward copies, and the
//! receiver collects them.

use super::Pair;
use super::matrix::{self, WORD_BITS};
use entail_model::TermId;

/// The words of a block: each has the pairs of one key.
pub type Words = [u64; WORD_BITS];

/// Some blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitBlocks {
    heads: Vec<Head>,
    /// The words of all blocks, without zero words.
    words: Vec<u64>,
}

/// The keys and values of a block's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first terms of the pages.
    pub keys: TermId,
    pub values: TermId,
    /// The keys that have pairs.
    pub mask: u64,
}

impl BitBlocks {
    /// Blocks from their parts; `None` if the parts do not match.
    pub fn from_parts(heads: Vec<Head>, words: Vec<u64>) -> Option<Self> {
        let count: u64 = heads.iter().map(|head| u64::from(head.mask.count_ones())).sum();
        let are_pages =
            heads.iter().all(|head| head.mask != 0 && matrix::is_page(head.keys) && matrix::is_page(head.values));
        (are_pages && count == words.len() as u64 && !words.contains(&0)).then_some(Self { heads, words })
    }

    /// The heads of the blocks, in order.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The words of all blocks.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds a block.
    pub fn push(&mut self, keys: TermId, values: TermId, words: &Words) {
        let bits = (0..WORD_BITS).filter(|key| words[*key] != 0);
        let mask = bits.fold(0, |mask, key| mask | 1 << key);
        self.heads.push(Head { keys, values, mask });
        self.words.extend(words.iter().filter(|word| **word != 0));
    }

    /// Frees memory that is reserved for more blocks.
    pub fn shrink(&mut self) {
        self.heads.shrink_to_fit();
        self.words.shrink_to_fit();
    }

    /// Each head, with its words.
    pub fn each(&self) -> impl Iterator<Item = (&Head, &[u64])> {
        let mut left = &self.words[..];
        self.heads.iter().map(move |head| {
            let (words, more) = left.split_at((head.mask.count_ones() as usize).min(left.len()));
            left = more;
            (head, words)
        })
    }

    /// Bytes that the blocks take.
    pub fn bytes(&self) -> u64 {
        (size_of_val(&self.heads[..]) + size_of_val(&self.words[..])) as u64
    }

    /// The number of pairs.
    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Are there no pairs?
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The pairs, in no order.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::with_capacity(self.len() as usize);
        for (head, words) in self.each() {
            let mut words = words.iter();
            matrix::bits(head.mask, |key| {
                let (key, word) = (matrix::term_of(head.keys, key), words.next().copied().unwrap_or(0));
                matrix::bits(word, |value| pairs.push((key, matrix::term_of(head.values, value))));
            });
        }
        pairs
    }
}

/// Transposes a block: values become keys (Warren, Hacker's Delight, 7-3).
pub fn turn(words: &mut Words) {
    let (mut width, mut mask) = (WORD_BITS / 2, u64::MAX >> (WORD_BITS / 2));
    while width > 0 {
        for at in (0..WORD_BITS).filter(|at| at & width == 0) {
            let swapped = (words[at] >> width ^ words[at + width]) & mask;
            words[at] ^= swapped << width;
            words[at + width] ^= swapped;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_become_keys(before in prop::collection::vec(any::<u64>(), WORD_BITS)) {
            let before: Words = before.try_into().expect("as many");
            let mut after = before;
            turn(&mut after);
            for (key, word) in before.iter().enumerate() {
                for (value, turned) in after.iter().enumerate() {
                    prop_assert_eq!(word >> value & 1, turned >> key & 1);
                }
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let page = TermId::dictionary(ShardId(3), 128, TermKind::Iri);
        let mut blocks = BitBlocks::default();
        let mut words = [0; WORD_BITS];
        (words[3], words[9]) = (0b11, 1 << 63);
        blocks.push(page, page, &words);
        let (heads, words) = (blocks.heads().to_vec(), blocks.words().to_vec());
        assert_eq!(BitBlocks::from_parts(heads.clone(), words.clone()), Some(blocks));
        assert_eq!(BitBlocks::from_parts(heads.clone(), vec![3]), None);
        assert_eq!(BitBlocks::from_parts(heads.clone(), vec![3, 0]), None);
        let within = TermId::dictionary(ShardId(3), 129, TermKind::Iri);
        assert_eq!(BitBlocks::from_parts(vec![Head { keys: within, ..heads[0] }], words), None);
    }
}
