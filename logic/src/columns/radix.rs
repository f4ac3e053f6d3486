//! Sorting pairs by their digits.
//!
//! Ids of one column differ in few bits: the shard and the lower part of the local index. Both parts are taken as offsets
//! from their least, and where those of key and value fit into one word together, in the order of the pairs, words are
//! sorted: least digit first, each pass stable (Knuth, volume 3, 5.2.5). That moves half the bytes that a comparing sort
//! moves, and never compares.

use crate::columns::pairs::Pair;
use entail_model::TermId;
use rayon::prelude::*;

/// Fewer pairs are sorted by comparing them.
const PAIRS_MIN: usize = 1 << 10;

/// Words that are worth another thread.
const SHARE: usize = 1 << 16;

/// 2,048 counters are half of the first cache.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// The upper part of an id has the inline flag and the shard.
const LOW_BITS: u32 = 48;
const LOW_MASK: u64 = (1 << LOW_BITS) - 1;

/// How the ids of a column become offsets, and back.
#[derive(Clone, Copy, Debug)]
struct Frame {
    min_low: u64,
    min_high: u64,
    low_bits: u32,
    bits: u32,
}

impl Frame {
    fn of(ids: impl Iterator<Item = u64>) -> Self {
        let (mut min_low, mut max_low, mut min_high, mut max_high) = (u64::MAX, 0, u64::MAX, 0);
        for id in ids {
            let (low, high) = (id & LOW_MASK, id >> LOW_BITS);
            (min_low, max_low) = (min_low.min(low), max_low.max(low));
            (min_high, max_high) = (min_high.min(high), max_high.max(high));
        }
        let bits = |least: u64, most: u64| u64::BITS - most.wrapping_sub(least).leading_zeros();
        let low_bits = bits(min_low, max_low);
        Self { min_low, min_high, low_bits, bits: low_bits + bits(min_high, max_high) }
    }

    fn offset(&self, id: u64) -> u64 {
        ((id >> LOW_BITS) - self.min_high) << self.low_bits | ((id & LOW_MASK) - self.min_low)
    }

    fn id(&self, offset: u64) -> u64 {
        let low = offset & ((1 << self.low_bits) - 1);
        ((offset >> self.low_bits) + self.min_high) << LOW_BITS | (low + self.min_low)
    }
}

/// Sorts the pairs, if there are many and their offsets fit; otherwise nothing is changed.
pub fn sort(pairs: &mut [Pair]) -> bool {
    if pairs.len() < PAIRS_MIN {
        return false;
    }
    let (keys, values) = (Frame::of(pairs.iter().map(|pair| pair.0.0)), Frame::of(pairs.iter().map(|pair| pair.1.0)));
    let bits = keys.bits + values.bits;
    // A word for both, and the shifts below stay within it.
    if bits >= u64::BITS {
        return false;
    }
    let parts = (pairs.len() / SHARE).clamp(1, rayon::current_num_threads());
    let size = pairs.len().div_ceil(parts);
    let pack = |pair: &Pair| keys.offset(pair.0.0) << values.bits | values.offset(pair.1.0);
    let sorted: Vec<Vec<u64>> = pairs
        .par_chunks(size)
        .map(|part| {
            let mut words: Vec<u64> = part.iter().map(pack).collect();
            sort_words(&mut words, bits);
            words
        })
        .collect();
    let words = sorted.into_iter().reduce(|left, right| merge(&left, &right)).unwrap_or_default();
    let mask = (1 << values.bits) - 1;
    pairs.par_chunks_mut(size).zip(words.par_chunks(size)).for_each(|(pairs, words)| {
        for (pair, word) in pairs.iter_mut().zip(words) {
            *pair = (TermId(keys.id(word >> values.bits)), TermId(values.id(word & mask)));
        }
    });
    true
}

/// Sorts words of which only so many low bits are used.
fn sort_words(words: &mut Vec<u64>, bits: u32) {
    let mut other = vec![0; words.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |word: u64| (word >> shift) as usize & (DIGITS - 1);
        let mut places = [0usize; DIGITS];
        words.iter().for_each(|word| places[digit(*word)] += 1);
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        for word in words.iter() {
            let place = &mut places[digit(*word)];
            other[*place] = *word;
            *place += 1;
        }
        std::mem::swap(words, &mut other);
    }
}

fn merge(left: &[u64], right: &[u64]) -> Vec<u64> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        merged.extend(if a <= b { left.next() } else { right.next() });
    }
    merged.extend(left.chain(right));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind, term};
    use oxrdf::vocab::xsd;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = TermId> {
        let kinds = [TermKind::Iri, TermKind::BlankNode, TermKind::Literal];
        let far = prop_oneof![9 => 0u64..3000, 1 => 1u64 << 20..1 << 22];
        (5u16..21, far, 0usize..3)
            .prop_map(move |(shard, local, kind)| TermId::dictionary(ShardId(shard), local, kinds[kind]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_sorts(some in prop::collection::vec((id(), id()), 1..300), count in 0usize..3) {
            // Around the bounds from which on digits are used, and threads.
            let count = [PAIRS_MIN - 1, PAIRS_MIN, 2 * SHARE + 1][count];
            let turned = |n: usize| (some[n % some.len()].0, some[n * 7 % some.len()].1);
            let mut pairs: Vec<Pair> = (0..count).map(turned).collect();
            let mut expected = pairs.clone();
            expected.sort_unstable();
            let before = pairs.clone();
            match sort(&mut pairs) {
                true => prop_assert_eq!(pairs, expected),
                false => {
                    prop_assert_eq!(pairs, before);
                    prop_assert_eq!(count, PAIRS_MIN - 1);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let inline = |n: u64| term::inline_literal(&n.to_string(), xsd::INTEGER).expect("a small integer");
        let far = TermId::dictionary(ShardId(0), 1 << 40, TermKind::Iri);
        let pairs: Vec<Pair> = (0..4000).flat_map(|n| [(far, inline(n)), (TermId(n * 4), TermId(4))]).rev().collect();
        let mut same = pairs.clone();
        assert!(!sort(&mut same));
        assert_eq!(same, pairs);
        // Values that are inline only are near one another.
        let mut pairs: Vec<Pair> = (0..4000).rev().map(|n| (TermId(n % 7 * 4), inline(n))).collect();
        assert!(sort(&mut pairs) && pairs.is_sorted());
    }
}
