//! Kernels over sorted slices of pairs.
//!
//! Searches gallop: the cost of finding the next position is logarithmic in the distance from the last one (Bentley and
//! Yao 1976), so one pass costs little whether the two sides are of like size or very different.

pub use entail_model::fact::Pair;

use rayon::slice::ParallelSliceMut;

/// Above this many pairs a sort is shared between cores.
const PARALLEL_SORT: usize = 1 << 16;

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

/// Sorts the pairs and drops repetitions.
pub fn sort_distinct(pairs: &mut Vec<Pair>) {
    if pairs.is_sorted() {
        pairs.dedup();
        return;
    }
    if pairs.len() > PARALLEL_SORT {
        pairs.par_sort_unstable();
    } else {
        pairs.sort_unstable();
    }
    pairs.dedup();
}

/// The pairs of sorted `candidates` that sorted `known` lacks.
pub fn subtract(candidates: &[Pair], known: &[Pair]) -> Vec<Pair> {
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

/// Merges two sorted disjoint slices.
pub fn merge(left: &[Pair], right: &[Pair]) -> Vec<Pair> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left, right);
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        if a <= b {
            merged.push(*a);
            left = &left[1..];
        } else {
            merged.push(*b);
            right = &right[1..];
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    merged
}

/// The number of distinct keys in sorted pairs.
pub fn distinct_keys(pairs: &[Pair]) -> u64 {
    pairs.chunk_by(|a, b| a.0 == b.0).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;
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
        fn kernels_agree_with_sets(a in pairs(), b in pairs()) {
            let (left, right): (Vec<_>, Vec<_>) = (a.iter().copied().collect(), b.iter().copied().collect());
            let difference: Vec<_> = a.difference(&b).copied().collect();
            prop_assert_eq!(&subtract(&left, &right), &difference);
            prop_assert_eq!(merge(&difference, &right), a.union(&b).copied().collect::<Vec<_>>());
            let keys: BTreeSet<_> = a.iter().map(|pair| pair.0).collect();
            prop_assert_eq!(distinct_keys(&left), keys.len() as u64);
            let mut doubled = [&left[..], &left[..]].concat();
            doubled.reverse();
            sort_distinct(&mut doubled);
            prop_assert_eq!(doubled, left);
        }
    }
}
