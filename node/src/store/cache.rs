//! Chunks on disk, and a cache of decoded chunks with a memory budget.
//!
//! ```text
//! Scratch   writes chunks; chunks that no run adopts are deleted when it is dropped
//! RunChunks reads the chunks of one stored run; they are deleted when the last reader drops it, if the manifest does not have the run
//! ```
//!
//! What is left of a chunk with a deletion vector is cached as a piece of its own: snapshots of different epochs read the chunk
//! with different vectors.
//!
//! Chunks are deleted in two steps: the last handle's drop records their keys, and the next [`sweep`](ChunkCache::sweep)
//! deletes them, so that dropping a snapshot does no work on disk.
//!
//! Invariant: decoded chunks in the cache never take more than the budget plus one chunk for each thread that adds one;
//! a chunk is not deleted while a reader may read it.

mod ledger;

use super::codec;
use super::schema::{Key, RunId};
use super::table::{Batch, Durability, Table};
use entail_logic::columns::run::CHUNK_PAIRS;
use entail_logic::columns::{ChunkKey, ChunkStore, Deleted, Pair};
use entail_model::Fault;
use ledger::{DeletedRun, Ledger, Piece};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory of a cached chunk in addition to its pairs.
const OVERHEAD: usize = 160;
/// A full chunk in memory.
const CHUNK_BYTES: u64 = (CHUNK_PAIRS * size_of::<Pair>()) as u64;
/// The most deletes in one batch.
const SWEEP_KEYS: usize = 8192;
/// All chunks of a store.
#[derive(Debug)]
pub struct ChunkCache {
    table: Arc<dyn Table>,
    decoded: Cache<Piece, Arc<Vec<Pair>>, InMemory>,
    budget: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    ledger: Mutex<Ledger>,
}

/// The weight of decoded chunks in the cache.
#[derive(Clone, Debug)]
struct InMemory;

impl Weighter<Piece, Arc<Vec<Pair>>> for InMemory {
    fn weight(&self, _: &Piece, pairs: &Arc<Vec<Pair>>) -> u64 {
        (pairs.capacity() * size_of::<Pair>() + OVERHEAD) as u64
    }
}

/// The use of the cache: bytes, and chunks that were found in it or had to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheUse {
    pub budget: u64,
    pub used: u64,
    pub hits: u64,
    pub misses: u64,
}

impl ChunkCache {
    /// A cache of `budget` bytes over the chunks in `table`, whose next key is `next_key`.
    pub fn new(table: Arc<dyn Table>, budget: u64, next_key: u64) -> Arc<Self> {
        let decoded = Cache::with_weighter((budget / CHUNK_BYTES) as usize, budget, InMemory);
        Arc::new(Self {
            table,
            decoded,
            budget,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            ledger: Mutex::new(Ledger::new(next_key)),
        })
    }

    /// Bytes of decoded chunks in memory.
    pub fn bytes(&self) -> u64 {
        self.decoded.weight()
    }

    /// The cache's limit, and its counters.
    pub fn use_of(&self) -> CacheUse {
        CacheUse {
            budget: self.budget,
            used: self.bytes(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// A new scratch for new chunks.
    pub fn scratch(self: &Arc<Self>) -> Arc<Scratch> {
        let mut ledger = self.ledger();
        ledger.next_scratch += 1;
        Arc::new(Scratch { id: ledger.next_scratch, cache: Arc::clone(self) })
    }

    /// Records that runs in the manifest refer to these chunks, so that they are not deleted with their scratch.
    pub fn adopt(&self, keys: impl Iterator<Item = ChunkKey>) {
        let mut ledger = self.ledger();
        keys.for_each(|key| {
            ledger.unadopted.remove(&key);
        });
    }

    /// The least key of a chunk that may be left over after a crash.
    pub fn floor(&self) -> u64 {
        let ledger = self.ledger();
        ledger.unadopted.keys().next().map_or(ledger.next_key, |key| key.0)
    }

    /// The key of the next chunk.
    pub fn next_key(&self) -> ChunkKey {
        ChunkKey(self.ledger().next_key)
    }

    /// Did chunks go with so many deleted pairs or more? If so, returns true, once.
    pub fn take_gone(&self, at_least: u64) -> bool {
        let mut ledger = self.ledger();
        let is_much = ledger.gone >= at_least;
        if is_much {
            ledger.gone = 0;
        }
        is_much
    }

    /// Deletes the recorded chunks.
    pub fn sweep(&self) -> Result<(), Fault> {
        let (abandoned, deleted) = self.ledger().garbage();
        for keys in abandoned.chunks(SWEEP_KEYS) {
            self.delete(keys, None)?;
        }
        self.adopt(abandoned.into_iter());
        for run in deleted {
            self.delete(&run.chunks, Some(run.id))?;
            self.ledger().gone += run.lost;
        }
        Ok(())
    }

    fn delete(&self, keys: &[ChunkKey], run: Option<RunId>) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for key in keys {
            batch.delete(Key::Chunk(*key));
            self.decoded.remove(&Piece::stored(*key));
        }
        for piece in self.ledger().forget_vectors(keys) {
            self.decoded.remove(&piece);
        }
        run.into_iter().for_each(|run| batch.delete(Key::Garbage(run)));
        self.table.commit(batch, Durability::Later)
    }

    fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault> {
        let piece = Piece::stored(key);
        if let Some(pairs) = self.decoded.get(&piece) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(pairs);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.decoded.get_or_insert_with(&piece, || self.read(key).map(Arc::new))
    }

    fn load_rest(&self, key: ChunkKey, deleted: &Deleted) -> Result<Arc<Vec<Pair>>, Fault> {
        let piece = Piece { chunk: key, vector: deleted.version() };
        if let Some(pairs) = self.decoded.get(&piece) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(pairs);
        }
        let rest = || match self.decoded.get(&Piece::stored(key)) {
            Some(stored) => Ok(Arc::new(deleted.rest(&stored))),
            None => self.read(key).map(|stored| Arc::new(deleted.rest(&stored))),
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        let pairs = self.decoded.get_or_insert_with(&piece, rest)?;
        if let Some(stale) = self.ledger().remember_vector(piece) {
            self.decoded.remove(&stale);
        }
        Ok(pairs)
    }

    fn read(&self, key: ChunkKey) -> Result<Vec<Pair>, Fault> {
        let bytes = self.table.get(Key::Chunk(key))?;
        let bytes = bytes.ok_or_else(|| Fault::corrupt(format!("chunk {} is missing", key.0)))?;
        codec::decode(&bytes).map_err(|fault| Fault::corrupt(format!("chunk {}: {fault}", key.0)))
    }

    fn save(&self, scratch: u64, pairs: &[Pair]) -> Result<ChunkKey, Fault> {
        let key = self.ledger().next(scratch);
        let mut batch = Batch::default();
        batch.put(Key::Chunk(key), codec::encode(pairs));
        self.table.commit(batch, Durability::Later)?;
        Ok(key)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every change of the ledger is a single step, so it is consistent even after a panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// New chunks that no run refers to yet.
#[derive(Debug)]
pub struct Scratch {
    id: u64,
    cache: Arc<ChunkCache>,
}

impl ChunkStore for Scratch {
    fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault> {
        self.cache.load(key)
    }

    fn load_rest(&self, key: ChunkKey, deleted: &Deleted) -> Result<Arc<Vec<Pair>>, Fault> {
        self.cache.load_rest(key, deleted)
    }

    fn save(&self, pairs: Vec<Pair>) -> Result<ChunkKey, Fault> {
        self.cache.save(self.id, &pairs)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.cache.ledger().dropped.push(self.id);
    }
}

/// The chunks of one stored run, as long as it has readers.
#[derive(Debug)]
pub struct RunChunks {
    run: RunId,
    keys: Vec<ChunkKey>,
    is_doomed: AtomicBool,
    /// The number of deleted pairs in the chunks, known once the run is deleted.
    lost: AtomicU64,
    cache: Arc<ChunkCache>,
}

impl RunChunks {
    /// The chunks of `run`.
    pub fn new(run: RunId, keys: Vec<ChunkKey>, cache: Arc<ChunkCache>) -> Arc<Self> {
        Arc::new(Self { run, keys, is_doomed: AtomicBool::new(false), lost: AtomicU64::new(0), cache })
    }

    /// The keys of all chunks.
    pub fn keys(&self) -> &[ChunkKey] {
        &self.keys
    }

    /// Records that the manifest no longer has the run, of which so many pairs were deleted: its chunks are deleted when the
    /// last reader drops it.
    pub fn mark_deleted(&self, lost: u64) {
        self.lost.store(lost, Ordering::Relaxed);
        self.is_doomed.store(true, Ordering::Release);
    }
}

impl ChunkStore for RunChunks {
    fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault> {
        self.cache.load(key)
    }

    fn load_rest(&self, key: ChunkKey, deleted: &Deleted) -> Result<Arc<Vec<Pair>>, Fault> {
        self.cache.load_rest(key, deleted)
    }

    fn save(&self, _: Vec<Pair>) -> Result<ChunkKey, Fault> {
        Err(Fault::internal("a stored run cannot take new chunks"))
    }
}

impl Drop for RunChunks {
    fn drop(&mut self) {
        if *self.is_doomed.get_mut() {
            let (chunks, lost) = (mem::take(&mut self.keys), *self.lost.get_mut());
            self.cache.ledger().deleted.push(DeletedRun { id: self.run, chunks, lost });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryTable;
    use super::*;
    use entail_model::{Reason, TermId};

    fn pairs(start: u64, count: u64) -> Vec<Pair> {
        (start..start + count).map(|n| (TermId(n / 3), TermId(n * 4))).collect()
    }

    fn chunks(table: &MemoryTable) -> usize {
        let mut count = 0;
        let range = Key::Chunk(ChunkKey(0)).to(&Key::Chunk(ChunkKey(u64::MAX)));
        let mut visit = |_: Key, _: &[u8]| {
            count += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        };
        table.scan(&range, &mut visit).expect("in memory");
        count
    }

    #[test]
    fn more_data_than_budget_is_read_right_within_the_budget() {
        let budget = 4 << 20;
        let cache = ChunkCache::new(Arc::new(MemoryTable::default()), budget, 0);
        let scratch = cache.scratch();
        let all: Vec<Vec<Pair>> = (0..128).map(|n| pairs(n * 16_000, 16_000)).collect();
        let keys: Vec<ChunkKey> = all.iter().map(|pairs| scratch.save(pairs.clone()).expect("in memory")).collect();
        std::thread::scope(|threads| {
            for thread in 0..4 {
                let (scratch, keys, all, cache) = (&scratch, &keys, &all, &cache);
                threads.spawn(move || {
                    for step in 0..256 {
                        let index = (step * 37 + thread * 31) % keys.len();
                        assert_eq!(*scratch.load(keys[index]).expect("stored"), all[index]);
                        assert!(cache.bytes() <= budget);
                    }
                });
            }
        });
        assert!(cache.bytes() <= budget);
        assert!(cache.bytes() > budget / 2, "the budget is used");
    }

    #[test]
    fn what_no_run_adopts_goes_with_its_scratch() {
        let table = MemoryTable::default();
        let cache = ChunkCache::new(Arc::new(table.clone()), 1 << 20, 7);
        let (one, two) = (cache.scratch(), cache.scratch());
        let kept = one.save(pairs(0, 10)).expect("in memory");
        let lost = one.save(pairs(10, 10)).expect("in memory");
        two.save(pairs(20, 10)).expect("in memory");
        assert_eq!((kept, lost, cache.floor()), (ChunkKey(7), ChunkKey(8), 7));
        cache.adopt([kept].into_iter());
        drop(one);
        assert_eq!(chunks(&table), 3, "nothing is deleted before a sweep");
        cache.sweep().expect("in memory");
        assert_eq!((chunks(&table), cache.floor()), (2, 9));
        assert_eq!(two.load(lost).expect_err("deleted").reason, Reason::Corrupt);
        drop(two);
        cache.sweep().expect("in memory");
        assert_eq!((chunks(&table), cache.floor()), (1, 10));
    }

    #[test]
    fn what_is_left_of_a_chunk_is_cached_by_its_vector() {
        let table = MemoryTable::default();
        let cache = ChunkCache::new(Arc::new(table.clone()), 4 << 20, 0);
        let scratch = cache.scratch();
        let all = pairs(0, 10_000);
        let key = scratch.save(all.clone()).expect("in memory");
        let vectors: Vec<Deleted> =
            (1..6).map(|n| Deleted::new((0..9000).filter(|position| position % 5 < n)).expect("within")).collect();
        for vector in vectors.iter().chain(vectors.iter().rev()) {
            assert_eq!(*scratch.load_rest(key, vector).expect("stored"), vector.rest(&all));
        }
        assert_eq!(*scratch.load(key).expect("stored"), all);
        let hits = cache.use_of().hits;
        assert_eq!(*scratch.load_rest(key, &vectors[0]).expect("stored"), vectors[0].rest(&all));
        assert_eq!(cache.use_of().hits, hits + 1);
        // The chunk as it is stored, and two of the vectors.
        assert!(cache.bytes() < 3 * 10_000 * 16, "{}", cache.bytes());
        drop(scratch);
        cache.sweep().expect("in memory");
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_doomed_run_is_readable_until_its_last_reader_goes() {
        let table = MemoryTable::default();
        let cache = ChunkCache::new(Arc::new(table.clone()), 1 << 20, 0);
        let scratch = cache.scratch();
        let key = scratch.save(pairs(0, 10)).expect("in memory");
        cache.adopt([key].into_iter());
        let run = RunChunks::new(RunId(1), vec![key], Arc::clone(&cache));
        let reader = Arc::clone(&run);
        run.mark_deleted(4);
        drop(run);
        cache.sweep().expect("in memory");
        assert_eq!(reader.load(key).expect("still read").len(), 10);
        assert!(!cache.take_gone(1), "it is still there");
        drop(reader);
        cache.sweep().expect("in memory");
        assert_eq!(chunks(&table), 0);
        assert_eq!([cache.take_gone(5), cache.take_gone(4), cache.take_gone(4)], [false, true, false]);
    }
}
