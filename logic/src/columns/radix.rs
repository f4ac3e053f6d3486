//! Sorting many pairs by their bits.
//!
//! ```text
//! (key, value)   shard | local | kind   shard | local | kind      in one column few of these bits differ
//! packed         ····  · ······ ·       ···· · ······ ·           the differing bits in one number: order is kept
//! ```
//!
//! The ids of a column differ in their shards and in the lower bits of their local indexes, so that a pair nearly
//! always fits into 64 bits once the bits common to all pairs are left out (a frame of reference for each part of an
//! id, as in stored chunks). Numbers are sorted by their digits, lowest first, which costs a few nanoseconds for each
//! number, independent of their count (Knuth, volume 3, 5.2.5).

use crate::columns::pairs::Pair;
use entail_model::{Direction, TermId};
use rayon::prelude::*;

/// Fewer pairs are sorted by comparing them.
const PAIRS_MIN: usize = 64;
/// Fewer numbers are sorted by comparing them.
const DIGITS_MIN: usize = 1 << 11;
const DIGIT_BITS: u32 = 11;
/// The pairs for each thread.
const SHARE: usize = 1 << 16;

/// The lower part of an id: local index and kind. Above it are the shard, or the first bits of an inline value.
const LOW_BITS: u32 = 48;

/// Sorts the pairs on at most `threads` threads, if there are many and they can be packed; otherwise changes nothing.
/// Returns whether they are sorted.
pub fn sort(pairs: &mut [Pair], threads: usize) -> bool {
    if pairs.len() < PAIRS_MIN {
        return false;
    }
    let Some(frame) = Frame::of(pairs.iter().copied()) else { return false };
    let parts = (pairs.len() / SHARE).clamp(1, threads);
    let size = pairs.len().div_ceil(parts);
    let sort_part = |part: &[Pair]| {
        let mut packed: Vec<u64> = part.iter().map(|pair| frame.pack(*pair)).collect();
        sort_numbers(&mut packed, frame.bits);
        packed
    };
    if parts == 1 {
        let packed = sort_part(pairs);
        pairs.iter_mut().zip(packed).for_each(|(pair, packed)| *pair = frame.unpack(packed));
        return true;
    }
    let packed = merge_all(pairs.par_chunks(size).map(sort_part).collect());
    pairs.par_chunks_mut(size).zip(packed.par_chunks(size)).for_each(|(pairs, packed)| {
        pairs.iter_mut().zip(packed).for_each(|(pair, packed)| *pair = frame.unpack(*packed));
    });
    true
}

/// Sorts numbers of at most `bits` bits on at most `threads` threads.
pub(super) fn sort_shared(numbers: &mut Vec<u64>, bits: u32, threads: usize) {
    let parts = (numbers.len() / SHARE).clamp(1, threads);
    if parts == 1 {
        return sort_numbers(numbers, bits);
    }
    let sort_part = |part: &[u64]| {
        let mut part = part.to_vec();
        sort_numbers(&mut part, bits);
        part
    };
    *numbers = merge_all(numbers.par_chunks(numbers.len().div_ceil(parts)).map(sort_part).collect());
}

fn merge_all(sorted: Vec<Vec<u64>>) -> Vec<u64> {
    sorted.into_iter().reduce(|left, right| merge(&left, &right)).unwrap_or_default()
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

/// The frame of a set of pairs: the bits that all of them have in common.
#[derive(Debug)]
pub(super) struct Frame {
    /// The upper and lower part of the key, then those of the value.
    parts: [Part; 4],
    pub(super) bits: u32,
}

/// The frame of one part of an id: its least value and the number of bits that differ, above those common to all.
#[derive(Clone, Copy, Debug)]
struct Part {
    least: u64,
    shift: u32,
    width: u32,
}

impl Part {
    /// The frame of numbers from `least` to `most`, which differ in the bits of `differ`.
    fn of(least: u64, most: u64, differ: u64) -> Self {
        // Bits below this are equal in all numbers, and so zero in all differences.
        let shift = if differ == 0 { 0 } else { differ.trailing_zeros() };
        let width = u64::BITS - ((most - least) >> shift).leading_zeros();
        Self { least, shift, width }
    }
}

fn split((key, value): Pair) -> [u64; 4] {
    let low = (1 << LOW_BITS) - 1;
    [key.0 >> LOW_BITS, key.0 & low, value.0 >> LOW_BITS, value.0 & low]
}

impl Frame {
    /// The frame of some pairs; `None` if they differ in too many bits.
    pub(super) fn of(pairs: impl Iterator<Item = Pair> + Clone) -> Option<Self> {
        let (mut least, mut most, mut differ) = ([u64::MAX; 4], [0; 4], [0; 4]);
        let first = split(pairs.clone().next()?);
        for pair in pairs {
            for (at, part) in split(pair).into_iter().enumerate() {
                least[at] = least[at].min(part);
                most[at] = most[at].max(part);
                differ[at] |= part ^ first[at];
            }
        }
        Self::of_parts([0, 1, 2, 3].map(|at| Part::of(least[at], most[at], differ[at])))
    }

    /// The frame that covers all these frames, for one direction; `None` if it has too many bits.
    pub(super) fn around<'f>(frames: impl Iterator<Item = &'f Self> + Clone, copy: Direction) -> Option<Self> {
        let first = frames.clone().next()?;
        let part = |at: usize| {
            let (mut least, mut most, mut differ) = (u64::MAX, 0, 0);
            for part in frames.clone().map(|frame| frame.parts[at]) {
                let spread = ((1 << part.width) - 1) << part.shift;
                (least, most) = (least.min(part.least), most.max(part.least + spread));
                // The bits in which the members may differ, and the least value that follows from the first one.
                differ |= spread | (part.least ^ first.parts[at].least);
            }
            Part::of(least, most, differ)
        };
        let [subject_high, subject_low, object_high, object_low] = [part(0), part(1), part(2), part(3)];
        Self::of_parts(match copy {
            Direction::Forward => [subject_high, subject_low, object_high, object_low],
            Direction::Inverse => [object_high, object_low, subject_high, subject_low],
        })
    }

    fn of_parts(parts: [Part; 4]) -> Option<Self> {
        let bits = parts.iter().map(|part| part.width).sum();
        (bits <= u64::BITS).then_some(Self { parts, bits })
    }

    pub(super) fn pack(&self, pair: Pair) -> u64 {
        let parts = split(pair).into_iter().zip(self.parts);
        // No part has more bits than a lower part can have, so no shift is by all 64.
        parts.fold(0, |packed, (part, frame)| packed << frame.width | (part - frame.least) >> frame.shift)
    }

    pub(super) fn unpack(&self, packed: u64) -> Pair {
        let mut rest = packed;
        let mut take = |part: Part| {
            let number = (rest & ((1 << part.width) - 1)) << part.shift;
            rest >>= part.width;
            number + part.least
        };
        let [key_high, key_low, value_high, value_low] = self.parts;
        let value = take(value_low) | take(value_high) << LOW_BITS;
        let key = take(key_low) | take(key_high) << LOW_BITS;
        (TermId(key), TermId(value))
    }
}

fn sort_numbers(numbers: &mut Vec<u64>, bits: u32) {
    if numbers.len() < DIGITS_MIN { numbers.sort_unstable() } else { sort_digits(numbers, bits) }
}

/// Sorts numbers of at most `bits` bits by their digits. Each digit keeps the order of the lower ones.
fn sort_digits(numbers: &mut Vec<u64>, bits: u32) {
    let mut other = vec![0; numbers.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |number: u64| (number >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut places = [0u32; 1 << DIGIT_BITS];
        numbers.iter().for_each(|number| places[digit(*number)] += 1);
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        for number in numbers.iter() {
            let place = &mut places[digit(*number)];
            other[*place as usize] = *number;
            *place += 1;
        }
        std::mem::swap(numbers, &mut other);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind, term};
    use oxrdf::vocab::xsd;
    use proptest::prelude::*;

    pub(in crate::columns) fn id() -> impl Strategy<Value = TermId> {
        let kinds = [TermKind::Iri, TermKind::BlankNode, TermKind::Literal];
        let dense = (0u16..16, 0u64..3000, prop::sample::select(kinds.to_vec()))
            .prop_map(|(shard, local, kind)| TermId::dictionary(ShardId(shard), local, kind));
        let number = (-100i64..100)
            .prop_map(|number| term::inline_literal(&number.to_string(), xsd::INTEGER).expect("a small number"));
        prop_oneof![20 => dense, 1 => number]
    }

    /// Sorts, if that can be done, and compares.
    fn check(pairs: &[Pair]) -> bool {
        let is_sorted = check_on(pairs, 1);
        assert_eq!(check_on(pairs, 3), is_sorted);
        is_sorted
    }

    fn check_on(pairs: &[Pair], threads: usize) -> bool {
        let (mut sorted, mut expected) = (pairs.to_vec(), pairs.to_vec());
        let is_sorted = sort(&mut sorted, threads);
        if is_sorted {
            expected.sort();
        }
        assert_eq!(sorted, expected);
        is_sorted
    }

    proptest! {
        #[test]
        fn pairs_are_sorted_as_by_comparing(
            pairs in prop_oneof![
                prop::collection::vec((id(), id()), 0..3000),
                prop::collection::vec((any::<u64>(), any::<u64>()).prop_map(|(a, b)| (TermId(a), TermId(b))), 0..200),
                (any::<u64>(), prop::collection::vec(0u64..40, 0..200)).prop_map(|(key, values)| {
                    values.into_iter().map(|value| (TermId(key), TermId(value << 58))).collect()
                }),
                prop::collection::vec(any::<u64>().prop_map(|value| (TermId(7), TermId(value))), 0..200),
            ],
            repeated in 1usize..3,
        ) {
            check(&pairs.repeat(repeated));
        }

    }

    #[test]
    fn many_are_sorted_too() {
        let number = |n: u64, of: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % of;
        let id = |n: u64| TermId::dictionary(ShardId(number(n, 16) as u16), number(n, 20_011), TermKind::Iri);
        for count in [PAIRS_MIN as u64, 50_000, 3 * SHARE as u64 + 1] {
            let pairs: Vec<Pair> = (0..count).map(|n| (id(n), id(n / 3 * 7))).collect();
            assert!(check(&pairs), "{count}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let inline = |n: u64| term::inline_literal(&n.to_string(), xsd::INTEGER).expect("a small integer");
        let spread = |n: u64| TermId(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert!(!check(&(0..4000).map(|n| (spread(n), spread(n + 1))).collect::<Vec<_>>()));
        // Values that are all inline are close to each other.
        let inlined = (0..4000).rev().map(|n| (TermId(n % 7 * 4), inline(n)));
        assert!(check(&inlined.collect::<Vec<_>>()));
        assert!(!check(&[(TermId(8), TermId(4)), (TermId(4), TermId(4))]), "too few");
    }
}
