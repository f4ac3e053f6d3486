//! Kernels over sorted slices of pairs.
//!
//! Searches gallop: the cost of finding the next position is logarithmic in the distance from the last one (Bentley and
//! Yao 1976), so one pass costs little whether the two sides have similar sizes or very different ones. Large inputs
//! are divided among cores: cut where keys change, or where both sides can be cut at one pair.

use super::radix;
use entail_model::TermId;
pub use entail_model::fact::Pair;
use entail_model::random::scramble;

use rayon::prelude::*;
use std::cmp::Ordering;

/// Above this many pairs work is shared between cores.
const PARALLEL: usize = 1 << 16;

/// If the sizes of two sides differ by less than this factor, all of both is read.
const LIKE_SIZE: usize = 6;

/// Corrections of a first guess: each reduces the error to about its square root.
const INTERPOLATIONS: usize = 2;

/// The number of leading pairs of sorted `slice` that satisfy `before`, which must hold for a prefix.
pub fn gallop<T>(slice: &[T], mut before: impl FnMut(&T) -> bool) -> usize {
    if slice.first().is_none_or(|first| !before(first)) {
        return 0;
    }
    let mut known = 0;
    let mut step = 1;
    while known + step < slice.len() && before(&slice[known + step]) {
        known += step;
        step <<= 1;
    }
    let end = slice.len().min(known + step);
    known + 1 + slice[known + 1..end].partition_point(before)
}

/// The number of leading pairs of a sorted slice that are less than `target`: fast where keys are spread evenly, such as
/// hashes, and correct everywhere. (Interpolation search: Peterson, "Addressing for random-access storage", 1957.)
pub fn interpolate(pairs: &[Pair], target: Pair) -> usize {
    let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return 0 };
    if *first >= target {
        return 0;
    }
    if *last < target {
        return pairs.len();
    }
    let density = (pairs.len() - 1) as f64 / ((last.0.0 - first.0.0) as f64).max(1.0);
    let mut place = ((target.0.0 - first.0.0) as f64 * density) as usize;
    for _ in 0..INTERPOLATIONS {
        place = place.min(pairs.len() - 1);
        let key = pairs[place].0.0;
        let off = (target.0.0.abs_diff(key) as f64 * density) as usize;
        place = if key < target.0.0 { place + off } else { place.saturating_sub(off) };
    }
    let place = place.min(pairs.len() - 1);
    if pairs[place] < target {
        return place + gallop(&pairs[place..], |pair| *pair < target);
    }
    let mut back = 1;
    while back < place && pairs[place - back] >= target {
        back <<= 1;
    }
    let least = place.saturating_sub(back);
    least + pairs[least..place].partition_point(|pair| *pair < target)
}

/// Calls `visit` with the values that two lists have in common. Each list is in the order of its values and has one key.
/// Returns the number of pairs read of each: one list is read to its end.
pub fn common_values(left: &[Pair], right: &[Pair], mut visit: impl FnMut(TermId)) -> (usize, usize) {
    let (mut at, mut other) = (0, 0);
    while let (Some(pair), Some(found)) = (left.get(at), right.get(other)) {
        match pair.1.cmp(&found.1) {
            Ordering::Less => at += gallop(&left[at..], |pair| pair.1 < found.1),
            Ordering::Greater => other += gallop(&right[other..], |found| found.1 < pair.1),
            Ordering::Equal => {
                visit(pair.1);
                (at, other) = (at + 1, other + 1);
            }
        }
    }
    (at, other)
}

/// Sorts the pairs and drops repetitions. Pairs that are in the order of their keys already cost less.
pub fn sort_distinct(pairs: &mut Vec<Pair>) {
    sort_distinct_on(pairs, rayon::current_num_threads());
}

/// Sorts the pairs and drops repetitions, on at most `threads` threads if they are too many for one thread.
pub fn sort_distinct_on(pairs: &mut Vec<Pair>, threads: usize) {
    if pairs.is_sorted_by_key(|pair| pair.0) {
        sort_groups(pairs);
    } else if !radix::sort(pairs, threads) {
        if pairs.len() > PARALLEL { pairs.par_sort_unstable() } else { pairs.sort_unstable() }
    }
    pairs.dedup();
}

/// Sorts the values of each key.
fn sort_groups(pairs: &mut [Pair]) {
    let sort = |pairs: &mut [Pair]| {
        pairs.chunk_by_mut(|a, b| a.0 == b.0).for_each(|group| group.sort_unstable_by_key(|pair| pair.1));
    };
    match cut_at_key(pairs, pairs.len() / 2) {
        Some(middle) if pairs.len() > PARALLEL => {
            let (left, right) = pairs.split_at_mut(middle);
            rayon::join(|| sort_groups(left), || sort_groups(right));
        }
        _ => sort(pairs),
    }
}

/// The first position after `near` at which the key changes.
fn cut_at_key(pairs: &[Pair], near: usize) -> Option<usize> {
    let key = pairs.get(near)?.0;
    let rest = gallop(&pairs[near..], |pair| pair.0 == key);
    (near + rest < pairs.len()).then_some(near + rest)
}

/// The pairs of sorted `candidates` that sorted `known` lacks.
pub fn subtract(candidates: &[Pair], known: &[Pair]) -> Vec<Pair> {
    if candidates.len() > PARALLEL {
        let (left, right) = candidates.split_at(candidates.len() / 2);
        let (mut new, more) = rayon::join(|| subtract(left, known), || subtract(right, known));
        new.extend_from_slice(&more);
        return new;
    }
    let mut rest = known;
    let mut new = Vec::with_capacity(candidates.len());
    for pair in candidates {
        rest = &rest[gallop(rest, |other| other < pair)..];
        if rest.first() != Some(pair) {
            new.push(*pair);
        }
    }
    new
}

/// Drops from sorted `pairs` the pairs of sorted `known`, in place, since candidates are compared with many runs.
pub fn subtract_in_place(pairs: &mut Vec<Pair>, known: &[Pair]) {
    let kept = keep_new(pairs, known);
    pairs.truncate(kept);
}

/// Moves the pairs that `known` lacks to the front, in order; returns their number.
pub fn keep_new(pairs: &mut [Pair], known: &[Pair]) -> usize {
    if pairs.len() > PARALLEL {
        let middle = pairs.len() / 2;
        let (left, right) = pairs.split_at_mut(middle);
        let (first, second) = rayon::join(|| keep_new(left, known), || keep_new(right, known));
        pairs.copy_within(middle..middle + second, first);
        return first + second;
    }
    if known.len() / LIKE_SIZE <= pairs.len() {
        keep_new_linear(pairs, known)
    } else {
        keep_new_galloping(pairs, known)
    }
}

fn keep_new_galloping(pairs: &mut [Pair], known: &[Pair]) -> usize {
    let (mut kept, mut rest) = (0, known);
    for at in 0..pairs.len() {
        let pair = pairs[at];
        rest = &rest[gallop(rest, |other| *other < pair)..];
        if rest.first() != Some(&pair) {
            pairs[kept] = pair;
            kept += 1;
        }
    }
    kept
}

/// Advances the side that is behind by one step, without a branch.
fn keep_new_linear(pairs: &mut [Pair], known: &[Pair]) -> usize {
    let (mut at, mut other, mut kept) = (0, 0, 0);
    while at < pairs.len() && other < known.len() {
        let (pair, seen) = (pairs[at], known[other]);
        // A dropped pair is overwritten; a kept one may be written to its own place, as `kept` is at most `at`.
        pairs[kept] = pair;
        let (is_after, is_seen) = (seen < pair, seen == pair);
        other += usize::from(is_after);
        at += usize::from(!is_after);
        kept += usize::from(!is_after & !is_seen);
    }
    let rest = pairs.len() - at;
    pairs.copy_within(at.., kept);
    kept + rest
}

/// The pairs of two disjoint sets, each without repetitions; in order, unless one of them is empty.
pub fn unite(left: Vec<Pair>, right: Vec<Pair>) -> Vec<Pair> {
    let (mut left, mut right) = (left, right);
    match (left.is_empty(), right.is_empty()) {
        (_, true) => left,
        (true, false) => right,
        (false, false) => {
            sort_distinct(&mut left);
            sort_distinct(&mut right);
            merge(&left, &right)
        }
    }
}

/// Merges two sorted disjoint slices.
pub fn merge(left: &[Pair], right: &[Pair]) -> Vec<Pair> {
    let mut merged = vec![(TermId(0), TermId(0)); left.len() + right.len()];
    merge_into(left, right, &mut merged);
    merged
}

/// Merges into a slice of exactly the length of both.
fn merge_into(left: &[Pair], right: &[Pair], merged: &mut [Pair]) {
    if merged.len() > PARALLEL {
        // Half of the longer side, and the pairs of the other side that are less.
        let (long, short) = if left.len() >= right.len() { (left, right) } else { (right, left) };
        let (long_first, long_rest) = long.split_at(long.len() / 2);
        let (short_first, short_rest) = short.split_at(short.partition_point(|pair| *pair < long_rest[0]));
        let (first, rest) = merged.split_at_mut(long_first.len() + short_first.len());
        rayon::join(|| merge_into(long_first, short_first, first), || merge_into(long_rest, short_rest, rest));
        return;
    }
    let (mut left, mut right, mut at) = (left, right, 0);
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        let least = if a <= b {
            left = &left[1..];
            a
        } else {
            right = &right[1..];
            b
        };
        merged[at] = *least;
        at += 1;
    }
    let rest = if left.is_empty() { right } else { left };
    merged[at..].copy_from_slice(rest);
}

/// A sum over pairs that differs between sets of pairs, and does not depend on their order or on how they are split.
pub fn sum(pairs: &[Pair]) -> u64 {
    pairs.iter().fold(0, |sum, (key, value)| sum.wrapping_add(scramble(scramble(key.0) ^ value.0)))
}

/// The number of distinct keys in sorted pairs.
pub fn distinct_keys(pairs: &[Pair]) -> u64 {
    pairs.chunk_by(|a, b| a.0 == b.0).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pairs() -> impl Strategy<Value = BTreeSet<Pair>> {
        prop::collection::btree_set((0u64..40, 0u64..40).prop_map(|(a, b)| (TermId(a), TermId(b))), 0..200)
    }

    proptest! {
        #[test]
        fn gallop_is_partition_point(values in prop::collection::vec(0u32..100, 0..200), target in 0u32..110) {
            let mut values = values;
            values.sort_unstable();
            prop_assert_eq!(gallop(&values, |v| *v < target), values.partition_point(|v| *v < target));
        }

        #[test]
        fn interpolate_is_partition_point(
            keys in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..40, u64::MAX - 40..=u64::MAX], 0..300),
            targets in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..40, u64::MAX - 40..=u64::MAX], 1..20),
        ) {
            let mut pairs: Vec<Pair> = keys.iter().map(|key| (TermId(*key), TermId(key % 3))).collect();
            pairs.sort_unstable();
            for key in targets.into_iter().chain(keys) {
                let target = (TermId(key), TermId(1));
                prop_assert_eq!(interpolate(&pairs, target), pairs.partition_point(|pair| *pair < target));
            }
        }

        #[test]
        fn kernels_agree_with_sets(a in pairs(), b in pairs()) {
            let (left, right): (Vec<_>, Vec<_>) = (a.iter().copied().collect(), b.iter().copied().collect());
            let difference: Vec<_> = a.difference(&b).copied().collect();
            prop_assert_eq!(&subtract(&left, &right), &difference);
            let mut rest = left.clone();
            subtract_in_place(&mut rest, &right);
            prop_assert_eq!(&rest, &difference);
            let union = a.union(&b).copied().collect::<Vec<_>>();
            prop_assert_eq!(merge(&difference, &right), &union[..]);
            let reversed = right.iter().rev().copied().collect();
            let mut united = unite(difference, reversed);
            sort_distinct(&mut united);
            prop_assert_eq!(united, union);
            let keys: BTreeSet<_> = a.iter().map(|pair| pair.0).collect();
            prop_assert_eq!(distinct_keys(&left), keys.len() as u64);
            let mut doubled = [&left[..], &left[..]].concat();
            doubled.reverse();
            sort_distinct(&mut doubled);
            prop_assert_eq!(doubled, left);
        }
    }

    /// Large inputs are divided among cores.
    #[test]
    fn large_kernels_agree_with_sets() {
        let pair = |n: u64| (TermId(n / 1000), TermId(n.wrapping_mul(0x9E37_79B9) % 7919));
        let grouped: Vec<Pair> = (0..400_000).map(pair).collect();
        let set: BTreeSet<Pair> = grouped.iter().copied().collect();
        let one_key: Vec<Pair> = grouped.iter().map(|pair| (TermId(7), pair.1)).collect();
        let mut scattered = grouped.clone();
        scattered.sort_unstable_by_key(|pair| pair.1);
        for mut pairs in [grouped.clone(), scattered] {
            sort_distinct(&mut pairs);
            assert!(pairs.iter().eq(&set));
        }
        let mut one_key = one_key;
        sort_distinct(&mut one_key);
        assert_eq!(one_key.len(), 7919);
        let all: Vec<Pair> = set.into_iter().collect();
        let (some, others): (Vec<Pair>, Vec<Pair>) = all.iter().partition(|pair| pair.1.0 % 3 == 0);
        assert_eq!(subtract(&all, &some), others);
        let mut rest = all.clone();
        subtract_in_place(&mut rest, &some);
        assert_eq!(rest, others);
        assert_eq!(merge(&some, &others), all);
        assert_eq!(merge(&all, &[]), all);
        let (low, high) = all.split_at(all.len() / 3);
        assert_eq!(merge(high, low), all);
    }
}
