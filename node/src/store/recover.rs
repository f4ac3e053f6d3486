//! Recovery: reads the manifest when the store opens, and deletes everything that it does not refer to.
//!
//! There is no repair: the table gives a prefix of the batches that were committed to it, every prefix is an earlier state
//! of the store, and the remains of unsealed attempts and of merges are deleted here.

use super::cache::ChunkCache;
use super::catalog::{Catalog, StoredRun};
use super::schema::{Committed, Key, RunId, RunRecord, SealRecord, ShardRecord, decode_value};
use super::seal::SealedAttempt;
use super::table::{Batch, Durability, Table};
use entail_logic::columns::ChunkKey;
use entail_model::{Attempt, Fault, ShardId};
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
    pub committed: Committed,
    pub sealed: BTreeMap<Attempt, SealRecord>,
    pub runs: BTreeMap<RunId, RunRecord>,
    garbage: BTreeMap<RunId, Vec<ChunkKey>>,
    pub shards: BTreeMap<ShardId, ShardRecord>,
}

impl Manifest {
    /// The runs of the committed state.
    pub fn committed_runs(&self) -> impl Iterator<Item = &RunRecord> {
        let is_sealed = |run: &&RunRecord| run.attempt.is_some_and(|attempt| self.sealed.contains_key(&attempt));
        self.runs.values().filter(move |run| !is_sealed(run))
    }
}

/// Reads the manifest and deletes leftover chunks; the cache of decoded chunks gets `budget` bytes.
pub fn recover(table: &Arc<dyn Table>, budget: u64) -> Result<Recovered, Fault> {
    let manifest = read(&**table)?;
    let next_chunk = delete_leftovers(&**table, &manifest)?;
    let chunks = ChunkCache::new(Arc::clone(table), budget, next_chunk);
    let ids = manifest.runs.keys().chain(manifest.garbage.keys());
    let next_run = ids.max().map_or(0, |last| last.0 + 1);
    let mut sealed = sealed_attempt(manifest.sealed)?;
    let mut catalog = Catalog::new(manifest.committed, manifest.shards);
    for (id, record) in manifest.runs {
        let run = StoredRun::new(id, &record, &chunks);
        match &mut sealed {
            Some(sealed) if record.attempt == Some(sealed.attempt) => sealed.runs.push(run),
            _ => catalog.add(run),
        }
    }
    Ok(Recovered { chunks, catalog, sealed, next_run })
}

/// Reads the manifest.
pub fn read(table: &dyn Table) -> Result<Manifest, Fault> {
    let mut manifest = Manifest::default();
    let mut visit = |key: Key, value: &[u8]| {
        match key {
            Key::Committed => manifest.committed = decode_value(value)?,
            Key::Sealed(attempt) => _ = manifest.sealed.insert(attempt, decode_value(value)?),
            Key::Run(id) => _ = manifest.runs.insert(id, decode_value(value)?),
            Key::Garbage(id) => _ = manifest.garbage.insert(id, decode_value(value)?),
            Key::Shard(shard) => _ = manifest.shards.insert(shard, decode_value(value)?),
            other => return Err(Fault::corrupt(format!("{other:?} in the manifest"))),
        }
        Ok(ControlFlow::Continue(()))
    };
    table.scan(&Key::manifest(), &mut visit)?;
    Ok(manifest)
}

fn sealed_attempt(sealed: BTreeMap<Attempt, SealRecord>) -> Result<Option<SealedAttempt>, Fault> {
    if sealed.len() > 1 {
        return Err(Fault::corrupt("several attempts are sealed"));
    }
    Ok(sealed.into_iter().next().map(|(attempt, record)| SealedAttempt { attempt, record, runs: Vec::new() }))
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
