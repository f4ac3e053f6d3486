//! Recovery: reads the manifest when the store opens, and deletes everything that it does not refer to.
//!
//! There is no repair: the table gives a prefix of the batches that were committed to it, every prefix is an earlier state
//! of the store, and the remains of unsealed attempts and of merges are deleted here.

use super::cache::ChunkCache;
use super::catalog::{Catalog, StoredRun};
use super::deletion::{Vector, Vectors};
use super::earlier;
use super::schema::{ChunkRecord, Committed, FORMAT, Key, RunId, RunRecord, SealRecord, ShardRecord, decode_value};
use super::seal::SealedAttempt;
use super::table::{Batch, Durability, Table};
use entail_logic::columns::ChunkKey;
use entail_model::{Attempt, Fault, Reason, ShardId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The number of keys above which a gap is deleted as a range.
const GAP_KEYS: u64 = 256;

/// The recovered state of the store.
#[derive(Debug)]
pub struct Recovered {
    pub chunks: Arc<ChunkCache>,
    pub catalog: Catalog,
    pub sealed: Option<SealedAttempt>,
    pub next_run: u64,
}

/// The records of the manifest.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The format of the records, if they say it.
    pub format: Option<u32>,
    pub committed: Committed,
    pub sealed: BTreeMap<Attempt, SealRecord>,
    pub runs: BTreeMap<RunId, RunRecord>,
    garbage: BTreeMap<RunId, Vec<ChunkKey>>,
    pub shards: BTreeMap<ShardId, ShardRecord>,
    /// The deletion vectors of each run.
    vectors: BTreeMap<RunId, Vec<Vector>>,
}

impl Manifest {
    /// The runs of the committed state, with the number of pairs of each that are not deleted.
    pub fn committed_runs(&self) -> impl Iterator<Item = (&RunRecord, u64)> {
        let committed = self.runs.iter().filter(|(_, run)| !self.is_sealed(run.attempt));
        committed.map(|(id, run)| (run, run.pairs() - self.deleted_pairs(*id, run)))
    }

    fn is_sealed(&self, attempt: Option<Attempt>) -> bool {
        attempt.is_some_and(|attempt| self.sealed.contains_key(&attempt))
    }

    /// The vectors of a run that take effect, and those of the sealed attempt.
    fn vectors_of(&self, run: RunId) -> (Vectors<'_>, Vectors<'_>) {
        let vectors = self.vectors.get(&run).into_iter().flatten().map(|vector| (vector.chunk, vector));
        vectors.partition(|(_, vector)| !self.is_sealed(Some(vector.attempt)))
    }

    fn deleted_pairs(&self, id: RunId, run: &RunRecord) -> u64 {
        if !self.vectors.contains_key(&id) {
            return 0;
        }
        let (committed, _) = self.vectors_of(id);
        let lost = |chunk: &ChunkRecord| committed.get(&chunk.key).map(|vector| chunk.len - vector.pairs_left(chunk));
        run.chunks.iter().filter_map(lost).sum()
    }

    /// Checks that each deletion vector is one of a chunk of a run, and the only one that takes effect, or that is sealed.
    fn check_vectors(&self) -> Result<(), Fault> {
        for (id, all) in &self.vectors {
            let (committed, sealed) = self.vectors_of(*id);
            let is_alone = committed.len() + sealed.len() == all.len();
            let is_past = committed.values().all(|vector| Some(vector.attempt) <= self.committed.attempt);
            let fits = |run: &RunRecord| {
                let is_of = |vectors: &Vectors<'_>| {
                    let of = |chunk: &&ChunkRecord| vectors.get(&chunk.key).is_some_and(|vector| vector.is_of(chunk));
                    run.chunks.iter().filter(of).count() == vectors.len()
                };
                !self.is_sealed(run.attempt) && is_of(&committed) && is_of(&sealed)
            };
            let is_left = |run: &RunRecord| run.pairs() > self.deleted_pairs(*id, run);
            let is_sound = |run: &RunRecord| fits(run) && is_left(run);
            if !is_alone || !is_past || !self.runs.get(id).is_some_and(is_sound) {
                return Err(Fault::corrupt(format!("the database has deletions in run {} that cannot be", id.0)));
            }
        }
        Ok(())
    }
}

/// Reads the manifest and deletes leftover chunks; the cache of decoded chunks gets `budget` bytes.
pub fn recover(table: &Arc<dyn Table>, budget: u64) -> Result<Recovered, Fault> {
    let manifest = read(&**table)?;
    let next_chunk = delete_leftovers(&**table, &manifest)?;
    let chunks = ChunkCache::new(Arc::clone(table), budget, next_chunk);
    let ids = manifest.runs.keys().chain(manifest.garbage.keys());
    let next_run = ids.max().map_or(0, |last| last.0 + 1);
    let mut sealed = sealed_attempt(&manifest)?;
    let mut catalog = Catalog::new(manifest.committed.clone(), manifest.shards.clone());
    for (id, record) in &manifest.runs {
        let stored = StoredRun::new(*id, record, &chunks);
        match &mut sealed {
            Some(sealed) if record.attempt == Some(sealed.attempt) => sealed.runs.push(stored),
            _ => add(stored, &manifest, &mut catalog, sealed.as_mut()),
        }
    }
    catalog.hold_only(sealed.iter().flat_map(|sealed| &sealed.shrunk).map(|shrunk| shrunk.id));
    if manifest.format.is_none() {
        earlier::convert(&**table, &mut catalog, sealed.as_mut())?;
    }
    Ok(Recovered { chunks, catalog, sealed, next_run })
}

/// Adds a committed run without what is deleted of it, and notes what the sealed attempt deletes.
fn add(mut stored: StoredRun, manifest: &Manifest, catalog: &mut Catalog, sealed: Option<&mut SealedAttempt>) {
    let (committed, undecided) = manifest.vectors_of(stored.id);
    stored.apply(&committed);
    if let Some(sealed) = sealed
        && !undecided.is_empty()
    {
        sealed.shrunk.push(stored.shrunk(&undecided));
    }
    catalog.add(stored);
}

/// Reads the manifest.
///
/// # Errors
/// `Corrupt`; `Unsupported` if a later version wrote it.
pub fn read(table: &dyn Table) -> Result<Manifest, Fault> {
    let mut manifest = Manifest::default();
    let mut visit = |key: Key, value: &[u8]| {
        let is_earlier = manifest.format.is_none();
        match key {
            Key::Format => manifest.format = Some(format(value)?),
            Key::Committed if is_earlier => manifest.committed = earlier::committed(value)?,
            Key::Committed => manifest.committed = decode_value(value)?,
            Key::Sealed(attempt) if is_earlier => {
                _ = manifest.sealed.insert(attempt, earlier::seal_record(value)?);
            }
            Key::Sealed(attempt) => _ = manifest.sealed.insert(attempt, decode_value(value)?),
            Key::Run(id) => _ = manifest.runs.insert(id, decode_value(value)?),
            Key::Deleted { run, chunk, attempt } => {
                manifest.vectors.entry(run).or_default().push(Vector::decode(chunk, attempt, value)?);
            }
            Key::Garbage(id) => _ = manifest.garbage.insert(id, decode_value(value)?),
            Key::Shard(shard) => _ = manifest.shards.insert(shard, decode_value(value)?),
            other => return Err(Fault::corrupt(format!("{other:?} in the manifest"))),
        }
        Ok(ControlFlow::Continue(()))
    };
    table.scan(&Key::manifest(), &mut visit)?;
    manifest.check_vectors()?;
    Ok(manifest)
}

fn format(value: &[u8]) -> Result<u32, Fault> {
    match decode_value(value)? {
        FORMAT => Ok(FORMAT),
        other => Err(Fault::new(Reason::Unsupported, format!("a database of format {other}, after {FORMAT}"))),
    }
}

fn sealed_attempt(manifest: &Manifest) -> Result<Option<SealedAttempt>, Fault> {
    if manifest.sealed.len() > 1 {
        return Err(Fault::corrupt("several attempts are sealed"));
    }
    let sealed = manifest.sealed.iter().next();
    Ok(sealed.map(|(attempt, record)| SealedAttempt {
        attempt: *attempt,
        record: record.clone(),
        runs: Vec::new(),
        shrunk: Vec::new(),
    }))
}

/// Deletes the chunks that no run refers to; returns the first free key.
fn delete_leftovers(table: &dyn Table, manifest: &Manifest) -> Result<u64, Fault> {
    let all = Key::Chunk(ChunkKey(0)).to(&Key::Chunk(ChunkKey(u64::MAX)));
    let after_last = match table.last(&all)? {
        Some(Key::Chunk(last)) => last.0 + 1,
        _ => 0,
    };
    let floor = manifest.committed.chunk_floor;
    let next = after_last.max(floor);
    let mut batch = Batch::default();
    for (run, keys) in &manifest.garbage {
        keys.iter().for_each(|key| batch.delete(Key::Chunk(*key)));
        batch.delete(Key::Garbage(*run));
    }
    let used = manifest.runs.values().flat_map(|run| &run.chunks).map(|chunk| chunk.key.0);
    let used: BTreeSet<u64> = used.filter(|key| *key >= floor).collect();
    let mut from = floor;
    for key in used.into_iter().chain([next]) {
        delete_gap(from, key, &mut batch);
        from = key + 1;
    }
    table.commit(batch, Durability::Later)?;
    Ok(next)
}

fn delete_gap(from: u64, to: u64, batch: &mut Batch) {
    if to.saturating_sub(from) > GAP_KEYS {
        batch.delete_range(Key::Chunk(ChunkKey(from)).to(&Key::Chunk(ChunkKey(to))));
    } else {
        (from..to).for_each(|key| batch.delete(Key::Chunk(ChunkKey(key))));
    }
}
