//! Runs: immutable sorted sets of pairs.
//!
//! A run is a list of chunks in order. A *resident* run has one chunk of any length in memory; a *stored* run has
//! chunks of at most [`CHUNK_PAIRS`] pairs that a [`ChunkStore`] loads when they are read. Each chunk's first and last
//! pair are kept here (its fences), so that a search touches only the chunks it needs.

use crate::columns::cursor::Cursor;
use crate::columns::deleted::{self, Deleted};
use crate::columns::hash_index::{HashIndex, INDEX_PAIRS_MAX};
use crate::columns::pairs::{self, Pair, gallop};
use entail_model::{Fault, Mark, TermId};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Pairs in a stored chunk: 256 KiB decoded.
pub const CHUNK_PAIRS: usize = 16_384;

/// The pairs of a run for each lookup after which a hash index is built.
const GROUPS_WORTH: u64 = 4;

/// Identifies a stored chunk within its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkKey(pub u64);

/// Keeps the chunks of stored runs.
pub trait ChunkStore: Send + Sync + Debug {
    /// The chunk's pairs, as they were saved.
    ///
    /// # Errors
    /// `Corrupt` when the bytes do not match their checksum or are missing.
    fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault>;

    /// The pairs of a chunk that are not deleted.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    fn load_rest(&self, key: ChunkKey, deleted: &Deleted) -> Result<Arc<Vec<Pair>>, Fault> {
        Ok(Arc::new(deleted.rest(&self.load(key)?)))
    }

    /// Saves a chunk of at most [`CHUNK_PAIRS`] sorted pairs. It is kept only if a later commit refers to it.
    fn save(&self, pairs: Vec<Pair>) -> Result<ChunkKey, Fault>;
}

/// A piece of a run: its fences and where its pairs are. All fields are about the pairs that are not deleted.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub first: Pair,
    pub last: Pair,
    pub len: u64,
    /// The [sum](pairs::sum) of a stored chunk's pairs, if it was known when the chunk was stored.
    sum: Option<u64>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Resident(Piece),
    /// A chunk in the store, and which of its pairs are gone.
    Stored(ChunkKey, Arc<dyn ChunkStore>, Option<Arc<Deleted>>),
}

/// Adjacent pairs of a shared vector.
#[derive(Clone, Debug)]
pub struct Piece {
    pairs: Arc<Vec<Pair>>,
    range: Range<usize>,
}

impl Piece {
    fn whole(pairs: Arc<Vec<Pair>>) -> Self {
        let range = 0..pairs.len();
        Self { pairs, range }
    }

    /// The pairs at these positions of the piece.
    fn slice(&self, range: Range<usize>) -> Self {
        let start = self.range.start;
        Self { pairs: Arc::clone(&self.pairs), range: start + range.start..start + range.end }
    }
}

impl Deref for Piece {
    type Target = [Pair];

    fn deref(&self) -> &[Pair] {
        &self.pairs[self.range.clone()]
    }
}

impl Chunk {
    /// A chunk in memory.
    ///
    /// # Panics
    /// If `pairs` is empty.
    pub fn resident(pairs: Vec<Pair>) -> Self {
        Self::of(Piece::whole(Arc::new(pairs)))
    }

    fn of(pairs: Piece) -> Self {
        let (first, last) = (pairs[0], pairs[pairs.len() - 1]);
        Self { first, last, len: pairs.len() as u64, sum: None, body: Body::Resident(pairs) }
    }

    /// A chunk that `store` keeps under `key`.
    pub fn stored(first: Pair, last: Pair, len: u64, key: ChunkKey, store: Arc<dyn ChunkStore>) -> Self {
        Self { first, last, len, sum: None, body: Body::Stored(key, store, None) }
    }

    /// A chunk that `store` keeps under `key`, without some of its pairs: the other arguments are about those that are left.
    pub fn stored_without(
        (first, last): (Pair, Pair),
        len: u64,
        key: ChunkKey,
        store: Arc<dyn ChunkStore>,
        deleted: Arc<Deleted>,
    ) -> Self {
        Self { first, last, len, sum: None, body: Body::Stored(key, store, Some(deleted)) }
    }

    /// Stores sorted pairs.
    pub fn save(pairs: Vec<Pair>, store: &Arc<dyn ChunkStore>) -> Result<Self, Fault> {
        let (first, last, len) = (pairs[0], pairs[pairs.len() - 1], pairs.len() as u64);
        let sum = Some(pairs::sum(&pairs));
        Ok(Self { first, last, len, sum, body: Body::Stored(store.save(pairs)?, Arc::clone(store), None) })
    }

    /// The [sum](pairs::sum) of the pairs.
    pub fn sum(&self) -> Result<u64, Fault> {
        self.sum.map_or_else(|| Ok(pairs::sum(&self.pairs()?)), Ok)
    }

    /// The key of a stored chunk; `None` when it is only in memory.
    pub fn key(&self) -> Option<ChunkKey> {
        match &self.body {
            Body::Stored(key, ..) => Some(*key),
            Body::Resident(_) => None,
        }
    }

    /// The positions of a stored chunk that are gone.
    pub fn deleted(&self) -> Option<&Arc<Deleted>> {
        match &self.body {
            Body::Stored(_, _, deleted) => deleted.as_ref(),
            Body::Resident(_) => None,
        }
    }

    /// The chunk's pairs.
    pub fn pairs(&self) -> Result<Piece, Fault> {
        match &self.body {
            Body::Resident(pairs) => Ok(pairs.clone()),
            Body::Stored(key, store, None) => store.load(*key).map(Piece::whole),
            Body::Stored(key, store, Some(deleted)) => store.load_rest(*key, deleted).map(Piece::whole),
        }
    }

    /// The chunk without sorted `pairs`, which appends those that it had to `removed`. `None` if none is left.
    fn without(&self, pairs: &[Pair], removed: &mut Vec<Pair>) -> Result<Option<Self>, Fault> {
        let count = removed.len();
        let (key, store, before) = match &self.body {
            Body::Resident(all) => {
                let rest = pairs::subtract(all, pairs);
                if rest.len() == all.len() {
                    return Ok(Some(self.clone()));
                }
                removed.extend(pairs::subtract(all, &rest));
                return Ok((!rest.is_empty()).then(|| Self::resident(rest)));
            }
            Body::Stored(key, store, before) => (*key, store, before.as_deref()),
        };
        let stored = store.load(key)?;
        let Some(deletion) = deleted::delete(&stored, before, pairs, removed)? else { return Ok(Some(self.clone())) };
        let gone = &removed[count..];
        Ok(deletion.fences.map(|(first, last)| Self {
            first,
            last,
            len: self.len - gone.len() as u64,
            sum: self.sum.map(|sum| sum.wrapping_sub(pairs::sum(gone))),
            body: Body::Stored(key, Arc::clone(store), Some(deletion.deleted)),
        }))
    }
}

/// The result of deleting pairs from a run.
#[derive(Debug)]
pub struct Without {
    /// The run without the pairs: the same run if it had none of them, `None` if nothing is left.
    pub rest: Option<Arc<Run>>,
    /// The pairs that the run had, in order.
    pub removed: Vec<Pair>,
}

/// An immutable sorted set of pairs with one mark.
#[derive(Debug)]
pub struct Run {
    pub mark: Mark,
    /// The chunks in order; none is empty.
    pub chunks: Vec<Chunk>,
    /// Pairs in all chunks.
    pub len: u64,
    /// Distinct keys; an estimate (an upper bound) for runs of several chunks.
    pub keys: u64,
    /// The run as a hash index, built after enough lookups to pay for it.
    groups: OnceLock<HashIndex>,
    lookups: AtomicU64,
}

/// A clone has no hash index.
impl Clone for Run {
    fn clone(&self) -> Self {
        Self::new(self.mark, self.chunks.clone(), self.len, self.keys)
    }
}

impl Run {
    /// A run of chunks in order, none of them empty.
    pub fn new(mark: Mark, chunks: Vec<Chunk>, len: u64, keys: u64) -> Self {
        Self { mark, chunks, len, keys, groups: OnceLock::new(), lookups: AtomicU64::new(0) }
    }

    /// The hash index, for `lookups` more lookups: built once all lookups so far pay for it, if the run is small enough and
    /// the budget still has room for its pairs.
    pub fn groups(&self, lookups: u64, room: &AtomicU64) -> Result<Option<&HashIndex>, Fault> {
        if self.groups.get().is_none() {
            let asked = self.lookups.fetch_add(lookups, Ordering::Relaxed) + lookups;
            if self.len > INDEX_PAIRS_MAX || self.len > asked.saturating_mul(GROUPS_WORTH) {
                return Ok(None);
            }
            let takes = |left: u64| left.checked_sub(self.len);
            if room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_err() {
                return Ok(None);
            }
            let groups = match &self.chunks[..] {
                [only] => HashIndex::new(&only.pairs()?),
                _ => HashIndex::new(&self.to_vec()?),
            };
            // Another thread may have built it first, with the same content.
            _ = self.groups.set(groups);
        }
        Ok(self.groups.get())
    }

    /// One of several parts whose union is this run: a range of the pairs, or of the chunks if there are several.
    pub fn part(&self, number: usize, of: usize) -> Option<Arc<Self>> {
        let range = |len: usize| len * number / of..len * (number + 1) / of;
        match &self.chunks[..] {
            [Chunk { body: Body::Resident(pairs), .. }] => self.slice(pairs, range(pairs.len())),
            chunks => self.some(&chunks[range(chunks.len())]),
        }
    }

    /// The part of this run with all pairs of the key, possibly with others: exactly those pairs, or the chunks that have
    /// some.
    pub fn around(&self, key: TermId) -> Option<Arc<Self>> {
        match &self.chunks[..] {
            [Chunk { body: Body::Resident(pairs), .. }] => {
                let start = pairs.partition_point(|pair| pair.0 < key);
                let found = gallop(&pairs[start..], |pair| pair.0 == key);
                self.slice(pairs, start..start + found)
            }
            chunks => {
                let start = chunks.partition_point(|chunk| chunk.last.0 < key);
                let found = chunks[start..].partition_point(|chunk| chunk.first.0 <= key);
                self.some(&chunks[start..start + found])
            }
        }
    }

    /// A run of some of this run's pairs, without copying them.
    fn slice(&self, pairs: &Piece, range: Range<usize>) -> Option<Arc<Self>> {
        let len = range.len() as u64;
        let chunks = || vec![Chunk::of(pairs.slice(range))];
        (len > 0).then(|| Arc::new(Self::new(self.mark, chunks(), len, len.min(self.keys))))
    }

    /// A run of some of this run's chunks.
    fn some(&self, chunks: &[Chunk]) -> Option<Arc<Self>> {
        let len = chunks.iter().map(|chunk| chunk.len).sum();
        (len > 0).then(|| Arc::new(Self::new(self.mark, chunks.to_vec(), len, len.min(self.keys))))
    }

    /// A run in memory from sorted distinct pairs; `None` when there are none.
    pub fn resident(mark: Mark, mut pairs: Vec<Pair>) -> Option<Arc<Self>> {
        // A few pairs left of many candidates would keep the memory of all.
        if pairs.capacity() > pairs.len() + pairs.len() / 4 {
            pairs.shrink_to_fit();
        }
        debug_assert!(pairs.is_sorted_by(|a, b| a < b), "a run is sorted and distinct");
        (!pairs.is_empty()).then(|| {
            let keys = pairs::distinct_keys(&pairs);
            let len = pairs.len() as u64;
            Arc::new(Self::new(mark, vec![Chunk::resident(pairs)], len, keys))
        })
    }

    /// Bytes that the run itself holds in memory, without cached chunks.
    pub fn resident_bytes(&self) -> u64 {
        let resident = self.chunks.iter().filter(|chunk| chunk.key().is_none());
        resident.map(|chunk| chunk.len * size_of::<Pair>() as u64).sum()
    }

    /// Calls `visit` with every piece of the run, in order.
    pub fn for_each_piece(&self, mut visit: impl FnMut(&[Pair]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.chunks.iter().try_for_each(|chunk| visit(&chunk.pairs()?))
    }

    /// All pairs in one vector: for small runs and tests.
    pub fn to_vec(&self) -> Result<Vec<Pair>, Fault> {
        let mut all = Vec::with_capacity(self.len as usize);
        self.for_each_piece(|piece| {
            all.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(all)
    }

    /// Drops from sorted `candidates` the pairs of this run.
    pub fn subtract_from(&self, candidates: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        let mut new = candidates;
        if let [only] = &self.chunks[..] {
            pairs::subtract_in_place(&mut new, &only.pairs()?);
            return Ok(new);
        }
        let (mut at, mut kept, mut chunks) = (0, 0, &self.chunks[..]);
        while at < new.len() {
            chunks = &chunks[gallop(chunks, |chunk| chunk.last < new[at])..];
            let Some((chunk, later)) = chunks.split_first() else { break };
            // The candidates before the chunk, and the candidates within its fences.
            let before = gallop(&new[at..], |pair| *pair < chunk.first);
            new.copy_within(at..at + before, kept);
            (at, kept) = (at + before, kept + before);
            let within = gallop(&new[at..], |pair| *pair <= chunk.last);
            if within > 0 {
                let left = pairs::keep_new(&mut new[at..at + within], &chunk.pairs()?);
                new.copy_within(at..at + left, kept);
                (at, kept) = (at + within, kept + left);
            }
            chunks = later;
        }
        new.copy_within(at.., kept);
        new.truncate(kept + new.len() - at);
        Ok(new)
    }

    /// The run without sorted `pairs`; those that it does not have are ignored. Only chunks whose fences admit a pair are
    /// loaded.
    ///
    /// # Errors
    /// Those of loading a chunk.
    pub fn without(self: &Arc<Self>, pairs: &[Pair]) -> Result<Without, Fault> {
        debug_assert!(pairs.is_sorted());
        let mut removed = Vec::new();
        let mut left = pairs;
        let mut rest = Vec::new();
        // The chunks before this position are in `rest`, once anything is removed.
        for (position, chunk) in self.chunks.iter().enumerate() {
            left = &left[gallop(left, |pair| *pair < chunk.first)..];
            let (within, later) = left.split_at(gallop(left, |pair| *pair <= chunk.last));
            left = later;
            let count = removed.len();
            let kept = if within.is_empty() { Some(chunk.clone()) } else { chunk.without(within, &mut removed)? };
            if count == 0 && !removed.is_empty() {
                rest.extend_from_slice(&self.chunks[..position]);
            }
            if !removed.is_empty() {
                rest.extend(kept);
            } else if left.is_empty() {
                break;
            }
        }
        if removed.is_empty() {
            return Ok(Without { rest: Some(Arc::clone(self)), removed });
        }
        let len = self.len - removed.len() as u64;
        let run = || Arc::new(Self::new(self.mark, rest, len, self.keys.min(len)));
        Ok(Without { rest: (len > 0).then(run), removed })
    }

    /// For each of the sorted `keys`: calls `visit` with its position and the pairs of that key, in pieces.
    pub fn for_each_match(&self, keys: &[TermId], mut visit: impl FnMut(usize, &[Pair])) -> Result<(), Fault> {
        debug_assert!(keys.is_sorted());
        let mut cursor = Cursor::new(self);
        let mut position = 0;
        while position < keys.len() {
            let key = keys[position];
            let repeats = keys[position..].iter().take_while(|other| **other == key).count();
            let found = cursor.seek((key, TermId(0)))?;
            let Some(first) = found.first() else { break };
            if first.0 > key {
                position += gallop_keys(&keys[position..], first.0);
                continue;
            }
            let group = gallop(found, |pair| pair.0 == key);
            (position..position + repeats).for_each(|index| visit(index, &found[..group]));
            if group == found.len() {
                self.match_rest(key, position..position + repeats, &mut cursor, &mut visit)?;
            }
            position += repeats;
        }
        Ok(())
    }

    /// Calls `visit` with the pairs of one key, in pieces.
    pub fn for_each_of(&self, key: TermId, mut visit: impl FnMut(&[Pair]) -> Result<(), Fault>) -> Result<(), Fault> {
        let start = self.chunks.partition_point(|chunk| chunk.last.0 < key);
        for chunk in self.chunks[start..].iter().take_while(|chunk| chunk.first.0 <= key) {
            let pairs = chunk.pairs()?;
            let rest = &pairs[pairs.partition_point(|pair| pair.0 < key)..];
            let group = gallop(rest, |pair| pair.0 == key);
            if group > 0 {
                visit(&rest[..group])?;
            }
        }
        Ok(())
    }

    /// The pairs of `key` in the chunks after the cursor's: a large group may span several.
    fn match_rest(
        &self,
        key: TermId,
        positions: Range<usize>,
        cursor: &mut Cursor<'_>,
        visit: &mut impl FnMut(usize, &[Pair]),
    ) -> Result<(), Fault> {
        while cursor.next_chunk_starts_with(key) {
            let piece = cursor.enter_next_chunk()?;
            let group = gallop(piece, |pair| pair.0 == key);
            positions.clone().for_each(|index| visit(index, &piece[..group]));
        }
        Ok(())
    }
}

fn gallop_keys(keys: &[TermId], target: TermId) -> usize {
    gallop(keys, |key| *key < target)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    /// Keeps chunks in a vector: for tests of stored runs.
    #[derive(Debug, Default)]
    pub struct VecStore(Mutex<Vec<Arc<Vec<Pair>>>>);

    impl ChunkStore for VecStore {
        fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault> {
            Ok(Arc::clone(&self.0.lock().expect("no panics")[key.0 as usize]))
        }

        fn save(&self, pairs: Vec<Pair>) -> Result<ChunkKey, Fault> {
            let mut chunks = self.0.lock().expect("no panics");
            chunks.push(Arc::new(pairs));
            Ok(ChunkKey(chunks.len() as u64 - 1))
        }
    }

    /// A run in chunks of `size` pairs.
    pub fn chunked(pairs: &[Pair], size: usize) -> Run {
        let store: Arc<dyn ChunkStore> = Arc::new(VecStore::default());
        let chunks = pairs.chunks(size).map(|piece| {
            let key = store.save(piece.to_vec()).expect("in memory");
            Chunk::stored(piece[0], piece[piece.len() - 1], piece.len() as u64, key, Arc::clone(&store))
        });
        Run::new(Mark::Asserted, chunks.collect(), pairs.len() as u64, 0)
    }

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::btree_set((0u64..20, 0u64..50).prop_map(|(a, b)| (TermId(a), TermId(b))), 1..300)
            .prop_map(|set| set.into_iter().collect())
    }

    proptest! {
        #[test]
        fn matches_are_exact(pairs in pairs(), keys in prop::collection::vec(0u64..22, 0..30), size in 1usize..40) {
            let run = chunked(&pairs, size);
            let mut keys: Vec<TermId> = keys.into_iter().map(TermId).collect();
            keys.sort_unstable();
            let mut found = Vec::new();
            run.for_each_match(&keys, |index, group| found.extend(group.iter().map(|pair| (index, *pair))))
                .expect("in memory");
            let mut expected = Vec::new();
            for (index, key) in keys.iter().enumerate() {
                expected.extend(pairs.iter().filter(|pair| pair.0 == *key).map(|pair| (index, *pair)));
            }
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn parts_and_groups_are_the_run(pairs in pairs(), size in 1usize..400, of in 1usize..9) {
            let resident = Run::resident(Mark::Derived, pairs.clone()).expect("not empty");
            for run in [resident, Arc::new(chunked(&pairs, size))] {
                let all_of = |key: TermId| pairs.iter().filter(move |pair| pair.0 == key).copied().collect::<Vec<_>>();
                for key in (0..22).map(TermId) {
                    let mut around = run.around(key).map_or(Vec::new(), |run| run.to_vec().expect("in memory"));
                    around.retain(|pair| pair.0 == key);
                    prop_assert_eq!(around, all_of(key));
                    let mut found = Vec::new();
                    let mut keep = |pairs: &[Pair]| { found.extend_from_slice(pairs); Ok(()) };
                    run.for_each_of(key, &mut keep).expect("in memory");
                    prop_assert_eq!(found, all_of(key));
                }
                let parts = (0..of).filter_map(|number| run.part(number, of));
                let all: Vec<Pair> = parts.flat_map(|part| part.to_vec().expect("in memory")).collect();
                prop_assert_eq!(&all, &pairs);
                let (all, room) = (pairs.len() as u64, AtomicU64::new(pairs.len() as u64));
                prop_assert!(run.groups(all, &AtomicU64::new(all - 1)).expect("in memory").is_none());
                let run = Run::clone(&run);
                prop_assert!(run.groups((all - 1) / GROUPS_WORTH, &room).expect("in memory").is_none());
                let groups = run.groups(1, &room).expect("in memory").expect("small");
                for group in pairs.chunk_by(|a, b| a.0 == b.0) {
                    prop_assert!(groups.get(group[0].0).iter().eq(group.iter().map(|pair| &pair.1)));
                }
            }
        }

        #[test]
        fn subtraction_over_chunks_is_set_difference(known in pairs(), candidates in pairs(), size in 1usize..40) {
            let left: BTreeSet<Pair> = candidates.iter().copied().collect();
            let right: BTreeSet<Pair> = known.iter().copied().collect();
            let new = chunked(&known, size).subtract_from(candidates).expect("in memory");
            prop_assert_eq!(new, left.difference(&right).copied().collect::<Vec<_>>());
        }

        /// A run with deletions reads as a run of the pairs that are left, and the run before it as it was.
        #[test]
        fn a_run_without_pairs_is_the_run_of_the_others(
            all in pairs(), deletions in prop::collection::vec(pairs(), 1..4), size in 1usize..60, keys in prop::collection::vec(0u64..22, 0..20),
        ) {
            let store: Arc<dyn ChunkStore> = Arc::new(VecStore::default());
            let saved = |piece: &[Pair]| Chunk::save(piece.to_vec(), &store).expect("in memory");
            let stored = Run::new(Mark::Derived, all.chunks(size).map(saved).collect(), all.len() as u64, 0);
            let mut keys: Vec<TermId> = keys.into_iter().map(TermId).collect();
            keys.sort_unstable();
            for first in [Arc::new(stored), Run::resident(Mark::Derived, all.clone()).expect("not empty")] {
                let (mut run, mut expected) = (Some(Arc::clone(&first)), all.clone());
                for gone in &deletions {
                    let Some(before) = run else { break };
                    let Without { rest, removed } = before.without(gone).expect("in memory");
                    let left = pairs::subtract(&expected, gone);
                    prop_assert_eq!(removed, pairs::subtract(&expected, &left));
                    prop_assert_eq!(left.len() == expected.len(), rest.as_ref().is_some_and(|rest| Arc::ptr_eq(rest, &before)));
                    prop_assert_eq!(before.to_vec().expect("in memory"), expected);
                    (run, expected) = (rest, left);
                }
                prop_assert_eq!(first.to_vec().expect("in memory"), &all[..]);
                prop_assert_eq!(run.is_none(), expected.is_empty());
                let Some(run) = run else { continue };
                prop_assert_eq!(run.to_vec().expect("in memory"), &expected[..]);
                prop_assert_eq!(run.len, expected.len() as u64);
                let chunk_sums = run.chunks.iter().map(|chunk| chunk.sum().expect("in memory"));
                prop_assert_eq!(chunk_sums.fold(0, u64::wrapping_add), pairs::sum(&expected));
                for chunk in &run.chunks {
                    let pairs = chunk.pairs().expect("in memory");
                    prop_assert_eq!((chunk.first, chunk.last, chunk.len), (pairs[0], pairs[pairs.len() - 1], pairs.len() as u64));
                }
                let mut found = Vec::new();
                run.for_each_match(&keys, |index, group| found.extend(group.iter().map(|pair| (index, *pair)))).expect("in memory");
                found.sort_unstable();
                let of_key = |(index, key): (usize, &TermId)| {
                    let key = *key;
                    expected.iter().filter(move |pair| pair.0 == key).map(move |pair| (index, *pair)).collect::<Vec<_>>()
                };
                prop_assert_eq!(found, keys.iter().enumerate().flat_map(of_key).collect::<Vec<_>>());
                prop_assert_eq!(run.subtract_from(all.clone()).expect("in memory"), pairs::subtract(&all, &expected));
            }
        }
    }
}
