//! Packed pairs: kept in half of their memory, and sorted in that form.
//!
//! ```text
//! pieces, each packed in its own frame ──► numbers in the frame of all ──► sorted by their digits ──► pairs
//! ```

use super::pairs::{self, Pair};
use super::radix::{Frame, sort_shared};
use entail_model::Direction;

/// Pairs in any order, in half of the memory if they can be packed.
#[derive(Debug)]
pub struct PackedPairs(Form);

#[derive(Debug)]
enum Form {
    PackedPairs(Frame, Box<[u64]>),
    Plain(Box<[Pair]>),
}

impl PackedPairs {
    /// Packs the pairs, in their order.
    pub fn new(pairs: impl Iterator<Item = Pair> + Clone) -> Self {
        Self(match Frame::of(pairs.clone()) {
            Some(frame) => {
                let numbers = pairs.map(|pair| frame.pack(pair)).collect();
                Form::PackedPairs(frame, numbers)
            }
            None => Form::Plain(pairs.collect()),
        })
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::PackedPairs(_, numbers) => numbers.len(),
            Form::Plain(pairs) => pairs.len(),
        }
    }

    /// Are there no pairs?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let content = match &self.0 {
            Form::PackedPairs(_, numbers) => size_of_val(&**numbers),
            Form::Plain(pairs) => size_of_val(&**pairs),
        };
        size_of::<Self>() + content
    }

    /// Calls `visit` with each pair.
    fn for_each(&self, mut visit: impl FnMut(Pair)) {
        match &self.0 {
            Form::PackedPairs(frame, numbers) => numbers.iter().for_each(|number| visit(frame.unpack(*number))),
            Form::Plain(pairs) => pairs.iter().for_each(|pair| visit(*pair)),
        }
    }

    /// The facts of all pieces as pairs of one direction, sorted and without repetitions, on at most `threads` threads. They
    /// are sorted as packed numbers, and then unpacked to pairs.
    pub fn sorted(pieces: &[&Self], copy: Direction, threads: usize) -> Vec<Pair> {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let in_copy = |(subject, object): Pair| copy.pair(subject, object);
        let packed = pieces.iter().filter_map(|piece| match &piece.0 {
            Form::PackedPairs(frame, numbers) => Some((frame, numbers)),
            Form::Plain(_) => None,
        });
        let is_plain = pieces.iter().any(|piece| matches!(&piece.0, Form::Plain(pairs) if !pairs.is_empty()));
        let frame = Frame::around(packed.clone().map(|(frame, _)| frame), copy).filter(|_| !is_plain);
        let Some(frame) = frame else {
            let mut pairs = Vec::with_capacity(len);
            pieces.iter().for_each(|piece| piece.for_each(|pair| pairs.push(in_copy(pair))));
            pairs::sort_distinct_on(&mut pairs, threads);
            return pairs;
        };
        let mut numbers = Vec::with_capacity(len);
        for (inner, packed) in packed {
            numbers.extend(packed.iter().map(|number| frame.pack(in_copy(inner.unpack(*number)))));
        }
        sort_shared(&mut numbers, frame.bits, threads);
        numbers.dedup();
        numbers.into_iter().map(|number| frame.unpack(number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::radix::tests::id;
    use entail_model::{ShardId, TermId, TermKind};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn packed_pairs_come_back(
            pairs in prop_oneof![
                4 => prop::collection::vec((id(), id()), 0..300),
                1 => prop::collection::vec((any::<u64>(), any::<u64>()).prop_map(|(a, b)| (TermId(a), TermId(b))), 0..20),
            ],
        ) {
            let packed = PackedPairs::new(pairs.iter().copied());
            let mut found = Vec::new();
            packed.for_each(|pair| found.push(pair));
            prop_assert_eq!(packed.len(), pairs.len());
            prop_assert_eq!(found, pairs);
        }
    }

    /// All pieces as a set, on one thread and on several.
    fn check_pieces(pieces: &[Vec<Pair>]) {
        let packed: Vec<PackedPairs> = pieces.iter().map(|pairs| PackedPairs::new(pairs.iter().copied())).collect();
        for (copy, threads) in [(Direction::Forward, 1), (Direction::Inverse, 1), (Direction::Inverse, 3)] {
            let found = PackedPairs::sorted(&packed.iter().collect::<Vec<_>>(), copy, threads);
            let all = pieces.iter().flatten().map(|(subject, object)| copy.pair(*subject, *object));
            assert!(found.iter().eq(&all.collect::<BTreeSet<Pair>>()), "{copy:?} on {threads}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_sorted_as_a_set_is(
            pieces in prop::collection::vec(prop_oneof![
                6 => prop::collection::vec((id(), id()), 0..800),
                2 => prop::collection::vec((id(), Just(TermId(4))), 0..50),
                1 => prop::collection::vec((any::<u64>(), any::<u64>()).prop_map(|(a, b)| (TermId(a), TermId(b))), 0..20),
            ], 0..6),
        ) {
            check_pieces(&pieces);
        }
    }

    #[test]
    fn many_pieces_are_sorted_too() {
        let number = |n: u64, of: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % of;
        let id = |n: u64| TermId::dictionary(ShardId(number(n, 16) as u16), number(n, 20_011), TermKind::Iri);
        let piece = |from: u64| (from..from + 50_000).map(|n| (id(n / 3 * 7), id(n))).collect();
        check_pieces(&(0..5).map(|at| piece(at * 40_000)).collect::<Vec<_>>());
    }

    #[test]
    fn packed_pairs_take_half() {
        let id = |n: u64| TermId::dictionary(ShardId((n % 16) as u16), n * 7919 % 1_000_000, TermKind::Iri);
        assert!(PackedPairs::new((0..1000).map(|n| (id(n), id(n + 1)))).bytes() < 8300);
    }
}
