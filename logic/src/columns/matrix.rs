//! A set of pairs as a bit matrix: tells at once whether a pair is new, and to one thread only.
//!
//! ```text
//!              columns: pages of 64 neighbouring terms, one word of each row
//! rows:  a     0110… 0000… 1000…       a page is of one shard and one kind, so that with
//! keys   b     0000… 0001…             its first id and a bit it tells a term
//!        c     (none yet)
//! ```
//!
//! Semi-naive evaluation of recursive rules finds most facts many times over: in the closure of a random graph the join
//! makes four candidates for each fact. To sort the candidates, drop repetitions, and look each of the rest up in sorted
//! runs costs a logarithm several times; here it costs a load, and one atomic operation for what is new. That pays where
//! keys and values are few beside the pairs, which the caller has to see to (see `bytes`). Terms are placed as they come;
//! inline values are not placed at all.
//!
//! [`Row::claim`] changes bits of places that exist, from many threads; [`Matrix::place`] makes places.

use crate::columns::blocks::{self, Blocks, Words};
use crate::columns::pairs::Pair;
use entail_model::{Fault, TermId};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const WORD_BITS: usize = 64;
/// Columns of so many words are transposed at once: a row has them in one or two lines of the cache.
const STRIPE_WORDS: usize = 8;
/// Pages of one shard that are placed; terms beyond are left out, as their table would be too large.
const PAGES_MAX: usize = 1 << 22;
const NO_PAGE: u32 = u32::MAX;

/// The bits of an id that tell the kind, those of the term within its page, and those of the page within its shard.
const KIND: u64 = 0b11;
const BIT_SHIFT: u32 = 2;
const PAGE_SHIFT: u32 = 8;
const SHARD_SHIFT: u32 = 48;

/// Is it the first term of a page?
pub(super) fn is_page(term: TermId) -> bool {
    Pages::split(term).is_some_and(|(_, page, bit)| page < PAGES_MAX && bit == 0)
}

/// A term of a page.
pub(super) fn term_of(page: TermId, bit: usize) -> TermId {
    TermId(page.0 | (bit as u64) << BIT_SHIFT)
}

/// Where terms have their places: pages by shard.
#[derive(Debug, Default)]
struct Pages {
    by_shard: Vec<Vec<u32>>,
    /// Each page's id with the bit zero, as they were placed.
    bases: Vec<u64>,
    table_len: usize,
}

impl Pages {
    /// The shard, the page within it and the bit; none for inline values.
    fn split(term: TermId) -> Option<(usize, usize, usize)> {
        let id = term.0;
        let page = (id >> PAGE_SHIFT & ((1 << (SHARD_SHIFT - PAGE_SHIFT)) - 1)) << 2 | id & KIND;
        (!term.is_inline()).then_some((
            (id >> SHARD_SHIFT) as usize,
            page as usize,
            (id >> BIT_SHIFT) as usize % WORD_BITS,
        ))
    }

    /// The page and the bit, if the page has a place.
    fn find(&self, term: TermId) -> Option<(usize, usize)> {
        let (shard, page, bit) = Self::split(term)?;
        let place = *self.by_shard.get(shard)?.get(page)?;
        (place != NO_PAGE).then_some((place as usize, bit))
    }

    /// The same, with a place if that can be.
    fn place(&mut self, term: TermId) -> Option<(usize, usize)> {
        let (shard, page, bit) = Self::split(term).filter(|(_, page, _)| *page < PAGES_MAX)?;
        if self.by_shard.len() <= shard {
            self.by_shard.resize_with(shard + 1, Vec::new);
        }
        let pages = &mut self.by_shard[shard];
        if pages.len() <= page {
            self.table_len += page + 1 - pages.len();
            pages.resize(page + 1, NO_PAGE);
        }
        if pages[page] == NO_PAGE {
            pages[page] = self.bases.len() as u32;
            self.bases.push(term.0 & !((WORD_BITS as u64 - 1) << BIT_SHIFT));
        }
        Some((pages[page] as usize, bit))
    }

    fn term(&self, page: usize, bit: usize) -> TermId {
        term_of(TermId(self.bases[page]), bit)
    }

    /// The pages in the order of their ids; the terms of neighbouring ones with different kinds are mixed.
    fn in_order(&self) -> Vec<usize> {
        let mut pages: Vec<usize> = (0..self.bases.len()).collect();
        pages.sort_unstable_by_key(|page| self.bases[*page]);
        pages
    }

    fn bytes(&self) -> u64 {
        (self.table_len * size_of::<u32>() + self.bases.len() * size_of::<u64>()) as u64
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was not in the set, and now is.
    New,
    Known,
    /// It has no [place](Matrix::place), and so it is not in the set.
    NoPlace,
}

/// The pairs of one key.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    words: &'a [AtomicU64],
    columns: &'a Pages,
}

impl Row<'_> {
    /// Has the key no place of its own, but only neighbours that have?
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Adds the pair with this value to the set.
    pub fn claim(&self, value: TermId) -> Claim {
        let Some((page, bit)) = self.columns.find(value) else { return Claim::NoPlace };
        let Some(word) = self.words.get(page) else { return Claim::NoPlace };
        let mask = 1 << bit;
        // Most are known, which a load tells.
        if word.load(Ordering::Relaxed) & mask != 0 || word.fetch_or(mask, Ordering::Relaxed) & mask != 0 {
            return Claim::Known;
        }
        Claim::New
    }
}

/// A set of pairs.
#[derive(Debug, Default)]
pub struct Matrix {
    rows: Pages,
    columns: Pages,
    /// By the place of the key; as many words as there were columns when the row was made.
    bits: Vec<Vec<AtomicU64>>,
    words: u64,
}

/// What a matrix held at some time.
#[derive(Debug, Default)]
pub struct Snapshot(Vec<Vec<u64>>);

impl Matrix {
    /// About how many bytes a matrix of so many keys would take, with values like these.
    pub fn estimate(keys: u64, values: impl Iterator<Item = TermId>) -> u64 {
        let mut columns = Pages::default();
        values.for_each(|value| _ = columns.place(value));
        keys * columns.bases.len() as u64 * size_of::<AtomicU64>() as u64
    }

    /// The pairs of a key that has a place.
    pub fn row(&self, key: TermId) -> Option<Row<'_>> {
        let (page, bit) = self.rows.find(key)?;
        Some(Row { words: &self.bits[page * WORD_BITS + bit], columns: &self.columns })
    }

    /// Makes columns for the values of pairs; tells whether all of them have one.
    pub fn place_values(&mut self, pairs: &[Pair]) -> bool {
        pairs.iter().all(|(_, value)| self.columns.place(*value).is_some())
    }

    /// Makes places for pairs; tells whether all of them have one. They have not if a value is inline, or if the set would
    /// take more than `bytes_max`.
    pub fn place(&mut self, pairs: &[Pair], bytes_max: u64) -> bool {
        if !self.place_values(pairs) {
            return false;
        }
        let columns = self.columns.bases.len();
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some((page, bit)) = self.rows.place(group[0].0) else { return false };
            self.bits.resize_with(self.rows.bases.len() * WORD_BITS, Vec::new);
            let row = &mut self.bits[page * WORD_BITS + bit];
            let more = columns - row.len();
            if more > 0 {
                row.reserve_exact(more);
                row.resize_with(columns, AtomicU64::default);
                self.words += more as u64;
                if self.bytes() > bytes_max {
                    return false;
                }
            }
        }
        true
    }

    /// Adds a pair that has been [placed](Self::place); tells whether it is new.
    ///
    /// # Panics
    /// If it has no place.
    pub fn insert(&mut self, pair: Pair) -> bool {
        let (page, bit) = self.rows.find(pair.0).expect("the key has a place");
        let (column, mask) = self.columns.find(pair.1).expect("the value has a place");
        let word = self.bits[page * WORD_BITS + bit][column].get_mut();
        let before = *word;
        *word |= 1 << mask;
        before != *word
    }

    /// Adds pairs that have been [placed](Self::place), and drops of them what was there.
    ///
    /// # Panics
    /// If one has no place.
    pub fn insert_all(&mut self, pairs: &mut Vec<Pair>) {
        let Self { rows, columns, bits, .. } = self;
        let mut last: Option<(TermId, usize)> = None;
        pairs.retain(|(key, value)| {
            let row = match last {
                Some((of, row)) if of == *key => row,
                _ => {
                    let (page, bit) = rows.find(*key).expect("the key has a place");
                    last.insert((*key, page * WORD_BITS + bit)).1
                }
            };
            let (column, bit) = columns.find(*value).expect("the value has a place");
            let word = bits[row][column].get_mut();
            let before = *word;
            *word |= 1 << bit;
            before != *word
        });
    }

    /// Adds blocks, and tells how many pairs are new. None, and nothing is added, if not all have places, or if the set would
    /// take more than `bytes_max`.
    pub fn add(&mut self, blocks: &Blocks, bytes_max: u64) -> Option<u64> {
        for head in blocks.heads() {
            self.columns.place(head.values)?;
            self.rows.place(head.keys)?;
        }
        self.bits.resize_with(self.rows.bases.len() * WORD_BITS, Vec::new);
        let columns = self.columns.bases.len();
        for head in blocks.heads() {
            let (page, _) = self.rows.find(head.keys)?;
            bits(head.mask, |key| {
                let row = &mut self.bits[page * WORD_BITS + key];
                let more = columns - row.len();
                row.reserve_exact(more);
                row.resize_with(columns, AtomicU64::default);
                self.words += more as u64;
            });
        }
        if self.bytes() > bytes_max {
            return None;
        }
        let mut new = 0;
        blocks.for_each(|head, key, word| {
            let places = self.rows.find(head.keys).zip(self.columns.find(head.values));
            let ((page, _), (column, _)) = places.expect("they have just been placed");
            let known = self.bits[page * WORD_BITS + key][column].get_mut();
            new += u64::from((word & !*known).count_ones());
            *known |= word;
        });
        Some(new)
    }

    /// The set as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let load = |row: &Vec<AtomicU64>| row.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        Snapshot(self.bits.iter().map(load).collect())
    }

    /// Brings a snapshot up to date, and calls `visit` with the pairs that it lacked, turned about: with the first terms of
    /// the values' and the keys' pages, and a word of keys for each value.
    pub fn turned_since(
        &self,
        snapshot: &mut Snapshot,
        mut visit: impl FnMut(TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        snapshot.0.resize_with(self.bits.len(), Vec::new);
        let pages = self.bits.chunks(WORD_BITS).zip(snapshot.0.chunks_mut(WORD_BITS));
        for (page, (rows, known)) in pages.enumerate() {
            known.iter_mut().zip(rows).for_each(|(known, row)| known.resize(row.len(), 0));
            let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
            for first in (0..columns).step_by(STRIPE_WORDS) {
                let mut stripe = [[0; WORD_BITS]; STRIPE_WORDS];
                for (key, (row, known)) in rows.iter().zip(known.iter_mut()).enumerate() {
                    let words = row.iter().zip(known).skip(first).take(STRIPE_WORDS);
                    for (at, (word, known)) in words.enumerate() {
                        let word = word.load(Ordering::Relaxed);
                        stripe[at][key] = word & !std::mem::replace(known, word);
                    }
                }
                for (at, words) in stripe.iter_mut().enumerate().filter(|(_, words)| **words != [0; WORD_BITS]) {
                    blocks::turn(words);
                    visit(TermId(self.columns.bases[first + at]), TermId(self.rows.bases[page]), words)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes that the set takes.
    pub fn bytes(&self) -> u64 {
        let rows = self.bits.len() * size_of::<Vec<AtomicU64>>();
        self.words * size_of::<AtomicU64>() as u64 + rows as u64 + self.rows.bytes() + self.columns.bytes()
    }

    /// The keys in order, with the places of their rows.
    fn keys(&self) -> Vec<(TermId, &[AtomicU64])> {
        let rows = self.bits.iter().enumerate().filter(|(_, words)| !words.is_empty());
        let mut keys: Vec<_> =
            rows.map(|(row, words)| (self.rows.term(row / WORD_BITS, row % WORD_BITS), &words[..])).collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        keys
    }

    /// Calls `visit` with the pairs of each key, in order.
    pub fn by_keys(&self, mut visit: impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
        let pages = self.columns.in_order();
        let mut pairs = Vec::new();
        for (key, words) in self.keys() {
            for page in &pages {
                let word = words.get(*page).map_or(0, |word| word.load(Ordering::Relaxed));
                bits(word, |bit| pairs.push((key, self.columns.term(*page, bit))));
            }
            give(&mut pairs, &mut visit)?;
        }
        Ok(())
    }

    /// Calls `visit` with the pairs of each value, turned about, in order.
    pub fn by_values(&self, mut visit: impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
        let (keys, pages) = (self.keys(), self.columns.in_order());
        let mut stripe: Vec<Vec<Pair>> = vec![Vec::new(); STRIPE_WORDS * WORD_BITS];
        let mut rest = &pages[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.stripe(rest));
            stripe.resize_with(stripe.len().max(now.len() * WORD_BITS), Vec::new);
            for (key, words) in &keys {
                for (at, page) in now.iter().enumerate() {
                    let word = words.get(*page).map_or(0, |word| word.load(Ordering::Relaxed));
                    bits(word, |bit| stripe[at * WORD_BITS + bit].push((self.columns.term(*page, bit), *key)));
                }
            }
            let mut columns: Vec<&mut Vec<Pair>> = stripe.iter_mut().filter(|pairs| !pairs.is_empty()).collect();
            columns.sort_unstable_by_key(|pairs| pairs[0].0);
            columns.into_iter().try_for_each(|pairs| give(pairs, &mut visit))?;
            rest = later;
        }
        Ok(())
    }

    /// How many of the pages are transposed at once: pages whose terms are mixed stay together.
    fn stripe(&self, pages: &[usize]) -> usize {
        let block = |page: usize| self.columns.bases[page] & !KIND;
        let mut end = pages.len().min(STRIPE_WORDS);
        while end < pages.len() && block(pages[end]) == block(pages[end - 1]) {
            end += 1;
        }
        end
    }
}

/// Calls `visit` with each bit that is set.
pub(super) fn bits(mut word: u64, mut visit: impl FnMut(usize)) {
    while word != 0 {
        visit(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// Hands on what there is, in order.
fn give(pairs: &mut Vec<Pair>, visit: &mut impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
    if pairs.is_empty() {
        return Ok(());
    }
    if !pairs.is_sorted() {
        pairs.sort_unstable();
    }
    visit(pairs)?;
    pairs.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind, term};
    use oxrdf::vocab::xsd;
    use proptest::prelude::*;
    use rayon::prelude::*;
    use std::collections::BTreeSet;

    /// Terms of several shards, pages and kinds; neighbours are often of different kinds.
    fn any_term() -> impl Strategy<Value = TermId> {
        let local = prop_oneof![0u64..200, 100_000u64..100_040];
        (0u16..3, local, 0usize..3).prop_map(|(shard, local, kind)| {
            let kind = [TermKind::Iri, TermKind::BlankNode, TermKind::Literal][kind];
            TermId::dictionary(ShardId(shard), local, kind)
        })
    }

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::vec((any_term(), any_term()), 0..400)
    }

    fn listed(
        visit: impl FnOnce(&mut dyn FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault>,
    ) -> Vec<Pair> {
        let mut all = Vec::new();
        visit(&mut |pairs| {
            all.extend_from_slice(pairs);
            Ok(())
        })
        .expect("nothing fails here");
        all
    }

    proptest! {
        #[test]
        fn it_is_a_set(known in pairs(), claimed in pairs()) {
            let mut set: BTreeSet<Pair> = BTreeSet::new();
            let mut matrix = Matrix::default();
            for pair in &known {
                prop_assert!(matrix.place(&[*pair], u64::MAX));
                prop_assert_eq!(matrix.insert(*pair), set.insert(*pair));
            }
            let before = set.clone();
            let claim = |matrix: &Matrix, pair: &Pair| {
                matrix.row(pair.0).map_or(Claim::NoPlace, |row| row.claim(pair.1))
            };
            // Everything twice, from several threads.
            let claims: Vec<(Pair, Claim)> =
                claimed.par_iter().chain(&claimed).map(|pair| (*pair, claim(&matrix, pair))).collect();
            for (pair, claim) in &claims {
                match claim {
                    Claim::New => prop_assert!(set.insert(*pair), "told to one only"),
                    Claim::Known => prop_assert!(before.contains(pair) || claims.contains(&(*pair, Claim::New))),
                    Claim::NoPlace => prop_assert!(!before.contains(pair)),
                }
            }
            let left: Vec<Pair> = claims.iter().filter(|(_, claim)| *claim == Claim::NoPlace).map(|(pair, _)| *pair).collect();
            prop_assert!(matrix.place(&left, u64::MAX));
            let mut new = left.clone();
            matrix.insert_all(&mut new);
            prop_assert_eq!(new, left.into_iter().filter(|pair| set.insert(*pair)).collect::<Vec<_>>());
            prop_assert!(set.iter().all(|pair| claim(&matrix, pair) == Claim::Known));
            let by_keys = listed(|visit| matrix.by_keys(visit));
            prop_assert_eq!(by_keys, set.iter().copied().collect::<Vec<_>>());
            let by_values = listed(|visit| matrix.by_values(visit));
            let turned: BTreeSet<Pair> = set.iter().map(|(key, value)| (*value, *key)).collect();
            prop_assert_eq!(by_values, turned.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn blocks_are_what_a_snapshot_lacks(before in pairs(), after in pairs(), there in pairs()) {
            let insert = |matrix: &mut Matrix, pairs: &[Pair]| {
                assert!(matrix.place(pairs, u64::MAX));
                pairs.iter().for_each(|pair| _ = matrix.insert(*pair));
            };
            let (mut here, mut into) = (Matrix::default(), Matrix::default());
            insert(&mut here, &before);
            let mut snapshot = here.snapshot();
            insert(&mut here, &after);
            let mut blocks = Blocks::default();
            here.turned_since(&mut snapshot, |keys, values, words| {
                blocks.push(keys, values, words);
                Ok(())
            }).expect("nothing fails here");
            here.turned_since(&mut snapshot, |_, _, _| Err(Fault::internal("it lacks nothing"))).expect("nothing is new");
            let known: BTreeSet<Pair> = before.iter().copied().collect();
            let new = after.iter().filter(|pair| !known.contains(pair));
            let new: BTreeSet<Pair> = new.map(|(key, value)| (*value, *key)).collect();
            prop_assert_eq!(blocks.len(), new.len() as u64);
            prop_assert_eq!(&blocks.pairs().into_iter().collect::<BTreeSet<_>>(), &new);
            insert(&mut into, &there);
            let mut all: BTreeSet<Pair> = there.iter().copied().collect();
            let more = new.iter().filter(|pair| all.insert(**pair)).count() as u64;
            if more > 0 {
                prop_assert_eq!(into.add(&blocks, 1), None);
            }
            prop_assert_eq!(into.add(&blocks, u64::MAX), Some(more));
            prop_assert_eq!(into.add(&blocks, u64::MAX), Some(0));
            prop_assert_eq!(listed(|visit| into.by_keys(visit)), all.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_has_no_place_is_told() {
        let mut matrix = Matrix::default();
        let far = TermId::dictionary(ShardId(0), 1 << 40, TermKind::Iri);
        let near = TermId::dictionary(ShardId(1), 7, TermKind::Iri);
        let inline = term::inline_literal("7", xsd::INTEGER).expect("a small integer");
        for pair in [(near, inline), (inline, near), (near, far), (far, near)] {
            assert!(!matrix.place(&[pair], u64::MAX));
        }
        assert!(!matrix.place(&[(near, near)], 8) && matrix.place(&[(near, near)], 10_000));
        assert!(matrix.insert((near, near)));
        let row = matrix.row(near).expect("it has a place");
        assert_eq!([inline, far, near].map(|value| row.claim(value)), [Claim::NoPlace, Claim::NoPlace, Claim::Known]);
        assert!(matrix.bytes() < 10_000, "{}", matrix.bytes());
    }
}
