//! Deletions: the facts that leave stored runs.
//!
//! A run stays as it was stored. Beside it the manifest has a *deletion vector* for each chunk of which pairs are gone
//! (`entail_logic::columns::deleted` weighs vectors against signed runs, and says what readers see):
//!
//! ```text
//! seal      one vector for each chunk that loses pairs, with all that are gone by then ── in the seal's batch, under the attempt
//! commit    the vectors that these replace go; a run without facts goes as a whole
//! abort     the attempt's vectors go
//! merge     writes what is left; the runs go, and their vectors with them
//! ```
//!
//! So a deletion costs the chunks that it touches: each is read, and at most 8 KiB are written for it, whatever the size of
//! its run. Rewriting the chunks instead would write up to 100 KiB for each, and signed runs would be read by each reader
//! until they are merged. A run that lost much of what was stored is rewritten in the background
//! ([`catalog`](super::catalog)).
//!
//! Invariant: a chunk has at most one vector that takes effect, and at most one of the sealed attempt.

use super::schema::{ChunkRecord, Column, DeletedRecord, Key, RunId, decode_value};
use entail_logic::columns::pairs::gallop;
use entail_logic::columns::run::CHUNK_PAIRS;
use entail_logic::columns::{Chunk, ChunkKey, ChunkStore, Deleted, Pair, Run, Without};
use entail_model::{Attempt, Fault};
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

/// Deletion vectors of a run.
pub type Vectors<'m> = BTreeMap<ChunkKey, &'m Vector>;

/// A deletion vector of the manifest.
#[derive(Debug)]
pub struct Vector {
    pub chunk: ChunkKey,
    pub attempt: Attempt,
    /// What is left of the chunk, and where; `None` if nothing is.
    left: Option<Left>,
}

#[derive(Debug)]
struct Left {
    fences: (Pair, Pair),
    deleted: Arc<Deleted>,
}

impl Vector {
    /// The vector of a record.
    pub fn decode(chunk: ChunkKey, attempt: Attempt, bytes: &[u8]) -> Result<Self, Fault> {
        let left = match decode_value::<DeletedRecord>(bytes)? {
            DeletedRecord { fences: Some(fences), positions } => {
                Some(Left { fences, deleted: Arc::new(Deleted::decode(&positions)?) })
            }
            DeletedRecord { fences: None, .. } => None,
        };
        Ok(Self { chunk, attempt, left })
    }

    /// The number of pairs of a chunk that are left.
    pub fn pairs_left(&self, stored: &ChunkRecord) -> u64 {
        self.left.as_ref().map_or(0, |left| stored.len.saturating_sub(left.deleted.len()))
    }

    /// Is this a vector of the chunk with this record?
    pub fn is_of(&self, stored: &ChunkRecord) -> bool {
        let fits = |Left { fences: (first, last), deleted }: &Left| {
            let is_within = stored.first <= *first && first <= last && *last <= stored.last;
            let ends = deleted.last().is_some_and(|last| u64::from(last) < stored.len);
            is_within && ends && deleted.len() < stored.len
        };
        self.chunk == stored.key && self.left.as_ref().is_none_or(fits)
    }

    /// What is left of a chunk that has `stored` pairs in the store.
    fn rest(&self, stored: u64, store: &Arc<dyn ChunkStore>) -> Option<Chunk> {
        let Left { fences, deleted } = self.left.as_ref()?;
        let left = stored.saturating_sub(deleted.len());
        Some(Chunk::stored_without(*fences, left, self.chunk, Arc::clone(store), Arc::clone(deleted)))
    }
}

/// The run without what these vectors delete; `None` if nothing is left.
pub fn apply(run: &Run, vectors: &Vectors<'_>, store: &Arc<dyn ChunkStore>) -> Option<Run> {
    let mut chunks = Vec::with_capacity(run.chunks.len());
    for chunk in &run.chunks {
        match chunk.key().and_then(|key| vectors.get(&key)) {
            None => chunks.push(chunk.clone()),
            Some(vector) => chunks.extend(vector.rest(stored_pairs(chunk), store)),
        }
    }
    let len = chunks.iter().map(|chunk| chunk.len).sum::<u64>();
    (len > 0).then(|| Run::new(run.mark, chunks, len, run.keys.min(len)))
}

/// The pairs of a chunk in the store, with those that are gone.
fn stored_pairs(chunk: &Chunk) -> u64 {
    chunk.len + chunk.deleted().map_or(0, |deleted| deleted.len())
}

/// A committed run that loses facts when an attempt is committed.
#[derive(Debug)]
pub struct Shrunk {
    pub id: RunId,
    pub column: Column,
    /// The run as it is then; `None` if nothing is left.
    pub rest: Option<Arc<Run>>,
    /// The chunks with a vector of the attempt.
    pub chunks: Vec<ChunkKey>,
}

impl Shrunk {
    /// The keys of the attempt's vectors.
    pub fn vectors(&self, attempt: Attempt) -> impl Iterator<Item = Key> {
        self.chunks.iter().map(move |chunk| Key::Deleted { run: self.id, chunk: *chunk, attempt })
    }
}

/// The records of the chunks that have lost pairs between a stored run and what is left of it.
pub fn records(before: &Run, rest: Option<&Run>) -> Vec<(ChunkKey, DeletedRecord)> {
    let mut left = rest.into_iter().flat_map(|run| &run.chunks).peekable();
    let mut records = Vec::new();
    for chunk in &before.chunks {
        let key = chunk.key().expect("the runs of the catalog are stored");
        let Some(now) = left.next_if(|now| now.key() == Some(key)) else {
            records.push((key, DeletedRecord { fences: None, positions: Vec::new() }));
            continue;
        };
        let is_known = |deleted: &Arc<Deleted>| chunk.deleted().is_some_and(|before| Arc::ptr_eq(before, deleted));
        if let Some(deleted) = now.deleted().filter(|deleted| !is_known(deleted)) {
            let fences = Some((now.first, now.last));
            records.push((key, DeletedRecord { fences, positions: deleted.encode() }));
        }
    }
    records
}

/// The run without the pairs of another run, which are read a piece at a time; and how many of them it had. The same run if
/// it had none, `None` if nothing is left.
pub fn without(run: &Arc<Run>, gone: &Run) -> Result<(Option<Arc<Run>>, u64), Fault> {
    let mut taking = Taking { run, done: Vec::new(), near: Vec::new(), ahead: &run.chunks, removed: 0 };
    gone.for_each_piece(|pairs| pairs.chunks(CHUNK_PAIRS).try_for_each(|pairs| taking.take(pairs)))?;
    Ok(taking.finish())
}

/// A run from which pairs are taken in their order.
struct Taking<'r> {
    run: &'r Arc<Run>,
    /// The chunks before all later pairs, as they are left.
    done: Vec<Chunk>,
    /// The chunks after these that were reached: later pairs may be in them.
    near: Vec<Chunk>,
    /// The other chunks of the run.
    ahead: &'r [Chunk],
    removed: u64,
}

impl Taking<'_> {
    fn take(&mut self, pairs: &[Pair]) -> Result<(), Fault> {
        let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return Ok(()) };
        let passed = self.near.iter().take_while(|chunk| chunk.last < *first).count();
        self.done.extend(self.near.drain(..passed));
        let (passed, rest) = self.ahead.split_at(gallop(self.ahead, |chunk| chunk.last < *first));
        self.done.extend_from_slice(passed);
        let (reached, ahead) = rest.split_at(gallop(rest, |chunk| chunk.first <= *last));
        self.near.extend_from_slice(reached);
        self.ahead = ahead;
        if self.near.is_empty() {
            return Ok(());
        }
        let len = self.near.iter().map(|chunk| chunk.len).sum();
        let part = Arc::new(Run::new(self.run.mark, mem::take(&mut self.near), len, len));
        let Without { rest, removed } = part.without(pairs)?;
        self.near = rest.map(|rest| rest.chunks.clone()).unwrap_or_default();
        self.removed += removed.len() as u64;
        Ok(())
    }

    fn finish(self) -> (Option<Arc<Run>>, u64) {
        let Self { run, done, near, ahead, removed } = self;
        if removed == 0 {
            return (Some(Arc::clone(run)), 0);
        }
        let len = run.len - removed;
        let chunks = || done.into_iter().chain(near).chain(ahead.iter().cloned()).collect();
        ((len > 0).then(|| Arc::new(Run::new(run.mark, chunks(), len, run.keys.min(len)))), removed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::ChunkCache;
    use super::super::memory::MemoryTable;
    use super::super::schema::encode_value;
    use super::*;
    use entail_logic::columns::pairs::subtract;
    use entail_model::{Mark, TermId};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pairs(max: usize) -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::btree_set((0u64..30, 0u64..60).prop_map(|(a, b)| (TermId(a), TermId(b))), 1..max)
            .prop_map(|set: BTreeSet<Pair>| set.into_iter().collect())
    }

    fn run(pairs: &[Pair], size: usize, store: &Arc<dyn ChunkStore>) -> Arc<Run> {
        let chunks = pairs.chunks(size).map(|piece| Chunk::save(piece.to_vec(), store).expect("in memory"));
        Arc::new(Run::new(Mark::Derived, chunks.collect(), pairs.len() as u64, pairs.len() as u64))
    }

    proptest! {
        /// Whatever the chunks of both runs are, the pairs go, and the records make the same run again.
        #[test]
        fn pairs_go_piece_by_piece_and_records_bring_the_rest_back(
            all in pairs(400), first in pairs(300), second in pairs(900), size in 1usize..50, piece in 1usize..50,
        ) {
            let cache = ChunkCache::new(Arc::new(MemoryTable::default()), 1 << 20, 0);
            let store = cache.scratch() as Arc<dyn ChunkStore>;
            let (mut now, mut expected) = (run(&all, size, &store), all);
            for gone in [first, second] {
                let (rest, removed) = without(&now, &run(&gone, piece, &store)).expect("in memory");
                let left = subtract(&expected, &gone);
                prop_assert_eq!(removed as usize, expected.len() - left.len());
                prop_assert_eq!(rest.as_ref().is_some_and(|rest| Arc::ptr_eq(rest, &now)), removed == 0);
                let records = records(&now, rest.as_deref());
                let decode = |(chunk, record): &(ChunkKey, DeletedRecord)| {
                    Vector::decode(*chunk, Attempt(1), &encode_value(record)).expect("our own bytes")
                };
                let vectors: Vec<Vector> = records.iter().map(decode).collect();
                let vectors: Vectors<'_> = vectors.iter().map(|vector| (vector.chunk, vector)).collect();
                let again = apply(&now, &vectors, &store);
                let read = |run: Option<&Run>| run.map(|run| run.to_vec().expect("in memory")).unwrap_or_default();
                prop_assert_eq!(&read(rest.as_deref()), &left);
                prop_assert_eq!(&read(again.as_ref()), &left);
                for (one, other) in again.iter().flat_map(|run| &run.chunks).zip(rest.iter().flat_map(|run| &run.chunks)) {
                    prop_assert_eq!((one.first, one.last, one.len), (other.first, other.last, other.len));
                }
                let Some(rest) = rest else { break };
                (now, expected) = (rest, left);
            }
        }
    }

    #[test]
    fn a_vector_of_another_chunk_is_noticed() {
        let pair = |n: u64| (TermId(n), TermId(n));
        let stored = ChunkRecord { key: ChunkKey(1), first: pair(10), last: pair(20), len: 5 };
        let vector = |fences, positions: &[u32]| {
            let positions = Deleted::new(positions.iter().copied()).expect("within a chunk").encode();
            Vector::decode(ChunkKey(1), Attempt(1), &encode_value(&DeletedRecord { fences, positions })).expect("ours")
        };
        assert!(vector(Some((pair(10), pair(20))), &[1, 2]).is_of(&stored));
        assert!(vector(Some((pair(12), pair(12))), &[0, 2, 3, 4]).is_of(&stored));
        for (fences, positions) in [
            ((9, 20), &[1][..]),
            ((10, 21), &[1]),
            ((15, 14), &[1]),
            ((10, 20), &[]),
            ((10, 20), &[1, 5]),
            ((10, 20), &[0, 1, 2, 3, 4]),
        ] {
            assert!(
                !vector(Some((pair(fences.0), pair(fences.1))), positions).is_of(&stored),
                "{fences:?} {positions:?}"
            );
        }
        assert!(!vector(None, &[]).is_of(&ChunkRecord { key: ChunkKey(2), ..stored }));
    }
}
