//! A set of pairs as a bit matrix: one lookup shows whether a pair is new, and only one of several threads sees it as new.
//!
//! ```text
//!              columns: pages of 64 neighbouring terms, one word of each row
//! rows:  a     0110… 0000… 1000…       a page has one shard and one kind, so its first
//! keys   b     0000… 0001…             id and the number of a bit give a term
//!        c     (none yet)
//! ```
//!
//! Semi-naive evaluation of recursive rules finds most facts many times over: in the closure of a random graph the join
//! makes four candidates for each fact. Sorting the candidates, dropping repetitions, and searching the rest in sorted
//! runs costs a logarithm several times; a matrix costs a load, and one atomic operation for a new pair. That pays
//! where keys and values are few compared with the pairs, which the caller must ensure (see `bytes`). Where values are
//! rare among their neighbours, such as classes among people, a page of columns has one term only. Terms are placed in
//! the order of their arrival. Pages of dictionary terms are found in tables; those of inline values, whose range is too
//! large for a table, in a map.
//!
//! [`Row::claim`] changes bits of places that exist, from many threads; [`Matrix::place`] makes places.

use crate::columns::blocks::{self, Words};
use crate::columns::pairs::Pair;
use entail_model::{Fault, TermId};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const WORD_BITS: usize = 64;
/// Columns that are transposed at once: a row has them in one or two cache lines, if they are neighbours.
const STRIPE: usize = 512;
/// Words of columns that are transposed at once.
const STRIPE_WORDS: usize = 8;
/// The most pages of one shard that are placed; further terms have no place, since the table would be too large.
const PAGES_MAX: usize = 1 << 22;
/// Above this many pairs work is shared between cores.
const PARALLEL: usize = 1 << 14;
const NO_PAGE: u32 = u32::MAX;

/// The bits of an id for the kind, for the term within its shard, and for the shard.
const KIND: u64 = 0b11;
const TERM_SHIFT: u32 = 2;
const SHARD_SHIFT: u32 = 48;

/// Pages of a word, and of one term: the logarithms of their sizes.
const WORD_PAGE: u32 = WORD_BITS.ilog2();
const TERM_PAGE: u32 = 0;
/// The words of columns that pages of one term must save for each word that they take, since they are listed more slowly.
const WORTH_TERM_PAGES: usize = 3;

/// A sort key that orders pages as their terms are; pages of one neighbourhood have interleaved terms.
pub(super) fn neighbours(page: TermId) -> u64 {
    page.0 >> TERM_SHIFT
}

/// Is the term the first of a page?
pub(super) fn is_page(term: TermId) -> bool {
    let (place, bit) = Pages::default().split(term);
    place.is_some() && bit == 0
}

/// A term of a page.
pub(super) fn term_of(page: TermId, bit: usize) -> TermId {
    TermId(page.0 | (bit as u64) << TERM_SHIFT)
}

/// The entry of a page in the tables: by shard and page number, or by the page's first term.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Table(usize, usize),
    Inline(u64),
}

/// The places of terms: pages by shard.
#[derive(Debug)]
struct Pages {
    /// The logarithm of the terms in a page: at most the bits of a word.
    size: u32,
    by_shard: Vec<Vec<u32>>,
    /// Pages of inline values, by their first terms.
    inline: HashMap<u64, u32>,
    /// The id of each page's first term, in the order in which the pages were placed.
    bases: Vec<u64>,
    table_len: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self::new(WORD_PAGE)
    }
}

impl Pages {
    fn new(size: u32) -> Self {
        Self { size, by_shard: Vec::new(), inline: HashMap::new(), bases: Vec::new(), table_len: 0 }
    }

    /// The entry of a term's page, if it can have one, and the term's offset in the page.
    fn split(&self, term: TermId) -> (Option<Entry>, usize) {
        let (id, mask) = (term.0, (1 << self.size) - 1);
        let offset = id >> TERM_SHIFT & mask;
        if term.is_inline() {
            return (Some(Entry::Inline(id & !(mask << TERM_SHIFT))), offset as usize);
        }
        let local = id >> TERM_SHIFT & ((1 << (SHARD_SHIFT - TERM_SHIFT)) - 1);
        let page = ((local >> self.size) << 2 | id & KIND) as usize;
        let entry = (page < PAGES_MAX).then_some(Entry::Table((id >> SHARD_SHIFT) as usize, page));
        (entry, offset as usize)
    }

    /// The word and the bit of a term's place in the page.
    fn position(&self, place: u32, offset: usize) -> (usize, usize) {
        let position = (place as usize) << self.size | offset;
        (position / WORD_BITS, position % WORD_BITS)
    }

    /// The word and the bit, if the page has a place.
    fn find(&self, term: TermId) -> Option<(usize, usize)> {
        let (entry, offset) = self.split(term);
        let place = match entry? {
            Entry::Table(shard, page) => *self.by_shard.get(shard)?.get(page)?,
            Entry::Inline(first) => *self.inline.get(&first)?,
        };
        (place != NO_PAGE).then(|| self.position(place, offset))
    }

    /// The word and the bit of the term's place, which is made if possible.
    fn place(&mut self, term: TermId) -> Option<(usize, usize)> {
        let (entry, offset) = self.split(term);
        let place = match entry? {
            Entry::Table(shard, page) => {
                if self.by_shard.len() <= shard {
                    self.by_shard.resize_with(shard + 1, Vec::new);
                }
                let pages = &mut self.by_shard[shard];
                if pages.len() <= page {
                    self.table_len += page + 1 - pages.len();
                    pages.resize(page + 1, NO_PAGE);
                }
                &mut pages[page]
            }
            Entry::Inline(first) => self.inline.entry(first).or_insert(NO_PAGE),
        };
        if *place == NO_PAGE {
            *place = self.bases.len() as u32;
            self.bases.push(term.0 & !((offset as u64) << TERM_SHIFT));
        }
        let place = *place;
        Some(self.position(place, offset))
    }

    fn term(&self, word: usize, bit: usize) -> TermId {
        let position = word * WORD_BITS + bit;
        TermId(self.bases[position >> self.size] | ((position & ((1 << self.size) - 1)) as u64) << TERM_SHIFT)
    }

    /// The words that hold all places.
    fn words(&self) -> usize {
        (self.bases.len() << self.size).div_ceil(WORD_BITS)
    }

    /// The words in the order of their first ids; the terms of neighbouring words may be interleaved.
    fn in_order(&self) -> Vec<usize> {
        let mut words: Vec<usize> = (0..self.words()).collect();
        words.sort_unstable_by_key(|word| self.term(*word, 0));
        words
    }

    /// All places, in the order of their terms.
    fn places_in_order(&self) -> Vec<(usize, usize)> {
        let all = 0..self.bases.len() << self.size;
        let mut places: Vec<(usize, usize)> = all.map(|at| (at / WORD_BITS, at % WORD_BITS)).collect();
        places.sort_unstable_by_key(|(word, bit)| self.term(*word, *bit));
        places
    }

    fn bytes(&self) -> u64 {
        let inline = self.inline.capacity() * size_of::<(u64, u32)>();
        (self.table_len * size_of::<u32>() + self.bases.len() * size_of::<u64>() + inline) as u64
    }
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The pair was not in the set, and now is.
    New,
    Known,
    /// The pair has no [place](Matrix::place), and so is not in the set.
    NoPlace,
}

/// The pairs of one key.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    words: &'a [AtomicU64],
    columns: &'a Pages,
}

impl Row<'_> {
    /// Is the row without words, because only neighbours of the key have pairs?
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Adds the pair with this value to the set.
    pub fn claim(&self, value: TermId) -> Claim {
        let Some((page, bit)) = self.columns.find(value) else { return Claim::NoPlace };
        let Some(word) = self.words.get(page) else { return Claim::NoPlace };
        let mask = 1 << bit;
        // Most pairs are known, which a load shows.
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
    /// By the place of the key; each row has as many words as there were columns when it was made.
    bits: Vec<Vec<AtomicU64>>,
    words: u64,
}

/// The contents of a matrix at one time.
#[derive(Debug, Default)]
pub struct MatrixSnapshot(Vec<Vec<u64>>);

impl Matrix {
    /// An empty set with pages of the best size for a sample of values, and an estimate of its bytes with `keys` keys:
    /// `u64::MAX` if it cannot have some of the values.
    pub fn for_values(keys: u64, values: &[TermId]) -> (Self, u64) {
        let by_word = Self::with_pages(WORD_PAGE, values);
        let by_term = Self::with_pages(TERM_PAGE, values).filter(|by_term| {
            by_word.as_ref().is_none_or(|by_word| by_term.words() * WORTH_TERM_PAGES < by_word.words())
        });
        Self::for_columns(keys, by_term.or(by_word))
    }

    /// Like [`for_values`](Self::for_values), with pages of a word's size, which blocks need.
    pub fn for_blocks(keys: u64, values: &[TermId]) -> (Self, u64) {
        Self::for_columns(keys, Self::with_pages(WORD_PAGE, values))
    }

    /// Pages for all values; `None` if some cannot have a place.
    fn with_pages(size: u32, values: &[TermId]) -> Option<Pages> {
        let mut pages = Pages::new(size);
        values.iter().all(|value| pages.place(*value).is_some()).then_some(pages)
    }

    fn for_columns(keys: u64, columns: Option<Pages>) -> (Self, u64) {
        let Some(columns) = columns else { return (Self::default(), u64::MAX) };
        let bytes = keys * columns.words() as u64 * size_of::<AtomicU64>() as u64 + columns.bytes();
        (Self { columns: Pages::new(columns.size), ..Self::default() }, bytes)
    }

    /// The pairs of a key that has a place.
    pub fn row(&self, key: TermId) -> Option<Row<'_>> {
        let (page, bit) = self.rows.find(key)?;
        Some(Row { words: &self.bits[page * WORD_BITS + bit], columns: &self.columns })
    }

    /// Makes columns for the values of pairs; returns whether all values have one.
    pub fn place_values(&mut self, pairs: &[Pair]) -> bool {
        pairs.iter().all(|(_, value)| self.columns.place(*value).is_some())
    }

    /// Makes places for pairs; returns whether all pairs have one. Some have none if a shard's table of pages would be too
    /// large, or if the set would take more than `bytes_max`.
    pub fn place(&mut self, pairs: &[Pair], bytes_max: u64) -> bool {
        if !self.place_values(pairs) {
            return false;
        }
        let columns = self.columns.words();
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

    /// Adds a pair that has been [placed](Self::place); returns whether it is new.
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

    /// Adds pairs that have been [placed](Self::place); returns the new ones, without repetitions, in their order.
    pub fn claim_all(&self, pairs: &[Pair]) -> Vec<Pair> {
        let claim = |pair: &&Pair| self.row(pair.0).map(|row| row.claim(pair.1)) == Some(Claim::New);
        if pairs.len() > PARALLEL {
            pairs.par_iter().filter(claim).copied().collect()
        } else {
            pairs.iter().filter(claim).copied().collect()
        }
    }

    /// Adds pairs that have been [placed](Self::place), and keeps only the new ones in the list.
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

    /// The set's present contents.
    pub fn snapshot(&self) -> MatrixSnapshot {
        let load = |row: &Vec<AtomicU64>| row.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        MatrixSnapshot(self.bits.iter().map(load).collect())
    }

    /// Updates a snapshot, and calls `visit` with the pairs that it lacked, transposed: with the first terms of the values'
    /// and the keys' pages, and a word of keys for each value. Only for a set that was made [for
    /// blocks](Self::for_blocks).
    pub fn turned_since(
        &self,
        snapshot: &mut MatrixSnapshot,
        mut visit: impl FnMut(TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        debug_assert!(self.columns.size == WORD_PAGE, "a word of columns is a page");
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
        let columns = self.columns.in_order();
        let mut pairs = Vec::new();
        for (key, words) in self.keys() {
            for column in &columns {
                let word = words.get(*column).map_or(0, |word| word.load(Ordering::Relaxed));
                bits(word, |bit| pairs.push((key, self.columns.term(*column, bit))));
            }
            give(&mut pairs, &mut visit)?;
        }
        Ok(())
    }

    /// Calls `visit` with the pairs of each value, as (value, key), in order.
    pub fn by_values(&self, mut visit: impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
        let keys = self.keys();
        // The position of each column in its stripe.
        let mut at = vec![0u16; self.columns.words() * WORD_BITS];
        let mut stripe: Vec<Vec<Pair>> = vec![Vec::new(); STRIPE];
        for places in self.columns.places_in_order().chunks(STRIPE) {
            let mut masks: BTreeMap<usize, u64> = BTreeMap::new();
            for (number, (word, bit)) in places.iter().enumerate() {
                at[word * WORD_BITS + bit] = number as u16;
                *masks.entry(*word).or_default() |= 1 << bit;
            }
            let masks: Vec<(usize, u64)> = masks.into_iter().collect();
            for (key, words) in &keys {
                for (column, mask) in &masks {
                    let word = words.get(*column).map_or(0, |word| word.load(Ordering::Relaxed)) & mask;
                    bits(word, |bit| {
                        let value = self.columns.term(*column, bit);
                        stripe[at[column * WORD_BITS + bit] as usize].push((value, *key));
                    });
                }
            }
            stripe.iter_mut().try_for_each(|pairs| give(pairs, &mut visit))?;
        }
        Ok(())
    }
}

/// Calls `visit` with each bit that is set.
pub(super) fn bits(mut word: u64, mut visit: impl FnMut(usize)) {
    while word != 0 {
        visit(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// Sorts the pairs and passes them to `visit`, if there are any.
pub(super) fn give(
    pairs: &mut Vec<Pair>,
    visit: &mut impl FnMut(&mut Vec<Pair>) -> Result<(), Fault>,
) -> Result<(), Fault> {
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
    use crate::columns::blocks::BitBlocks;
    use entail_model::{ShardId, TermKind, term};
    use oxrdf::vocab::xsd;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn integer(number: i64) -> TermId {
        term::inline_literal(&number.to_string(), xsd::INTEGER).expect("a small integer")
    }

    /// Terms of several shards, pages and kinds, and inline values; neighbours are often of different kinds.
    fn any_term() -> impl Strategy<Value = TermId> {
        let local = prop_oneof![0u64..200, 100_000u64..100_040];
        let inline = prop_oneof![-300i64..300, 1_000_000i64..1_000_040].prop_map(integer);
        let of_dictionary = (0u16..3, local, 0usize..3).prop_map(|(shard, local, kind)| {
            let kind = [TermKind::Iri, TermKind::BlankNode, TermKind::Literal][kind];
            TermId::dictionary(ShardId(shard), local, kind)
        });
        prop_oneof![4 => of_dictionary, 1 => inline]
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
        fn it_is_a_set(known in pairs(), claimed in pairs(), size in TERM_PAGE..=WORD_PAGE) {
            let mut set: BTreeSet<Pair> = BTreeSet::new();
            let mut matrix = Matrix { columns: Pages::new(size), ..Matrix::default() };
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
                    Claim::New => prop_assert!(set.insert(*pair), "new to one thread only"),
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
        fn blocks_are_what_a_snapshot_lacks(before in pairs(), after in pairs()) {
            let insert = |matrix: &mut Matrix, pairs: &[Pair]| {
                assert!(matrix.place(pairs, u64::MAX));
                pairs.iter().for_each(|pair| _ = matrix.insert(*pair));
            };
            let mut here = Matrix::default();
            insert(&mut here, &before);
            let mut snapshot = here.snapshot();
            insert(&mut here, &after);
            let mut blocks = BitBlocks::default();
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
        }
    }

    #[test]
    fn values_that_are_few_have_pages_of_their_own() {
        let value = |number: u64| TermId::dictionary(ShardId(number as u16 % 4), number * 100, TermKind::Iri);
        let (group_by_value, bytes) = Matrix::for_values(1000, &(0..64).map(value).collect::<Vec<_>>());
        assert_eq!(group_by_value.columns.size, TERM_PAGE);
        assert!((8_000..500_000).contains(&bytes), "{bytes}");
        let neighbour = |number: u64| TermId::dictionary(ShardId(0), number, TermKind::Iri);
        let (neighbours, bytes) = Matrix::for_values(1000, &(0..6400).map(neighbour).collect::<Vec<_>>());
        assert_eq!(neighbours.columns.size, WORD_PAGE);
        assert!((800_000..1_000_000).contains(&bytes), "{bytes}");
        let far = [0, 1 << 21].map(|number| TermId::dictionary(ShardId(0), number, TermKind::Iri));
        assert_eq!(Matrix::for_values(1000, &far).0.columns.size, WORD_PAGE, "a table of terms would be too large");
        let too_far = TermId::dictionary(ShardId(0), 1 << 40, TermKind::Iri);
        assert_eq!(Matrix::for_values(1000, &[too_far]).1, u64::MAX);
    }

    #[test]
    fn what_has_no_place_is_told() {
        let mut matrix = Matrix::default();
        let far = TermId::dictionary(ShardId(0), 1 << 40, TermKind::Iri);
        let near = TermId::dictionary(ShardId(1), 7, TermKind::Iri);
        let inline = integer(7);
        for pair in [(near, far), (far, near)] {
            assert!(!matrix.place(&[pair], u64::MAX));
        }
        assert!(!matrix.place(&[(near, near)], 8) && matrix.place(&[(near, near)], 10_000));
        assert!(matrix.insert((near, near)));
        let row = matrix.row(near).expect("it has a place");
        assert_eq!([inline, far, near].map(|value| row.claim(value)), [Claim::NoPlace, Claim::NoPlace, Claim::Known]);
        assert!(matrix.place(&[(near, inline)], 10_000));
        assert_eq!(matrix.row(near).map(|row| row.claim(inline)), Some(Claim::New));
        assert!(matrix.bytes() < 10_000, "{}", matrix.bytes());
    }
}
