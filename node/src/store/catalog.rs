//! The committed state: the runs of every column, the counts of every shard.
//!
//! This is the manifest in memory. It changes only together with the table, under one lock, which orders merges and
//! commits.

use super::cache::{ChunkCache, RunChunks};
use super::inventory::Tally;
use super::schema::{ChunkRecord, Column, Committed, RunId, RunRecord, ShardRecord};
use entail_logic::columns::{Chunk, ChunkKey, ChunkStore, Run};
use entail_model::{Attempt, Mark, ShardId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run in the manifest.
#[derive(Clone, Debug)]
pub struct StoredRun {
    pub id: RunId,
    pub column: Column,
    pub run: Arc<Run>,
    chunks: Arc<RunChunks>,
}

impl StoredRun {
    /// The run that a record describes.
    pub fn new(id: RunId, record: &RunRecord, cache: &Arc<ChunkCache>) -> Self {
        let keys = record.chunks.iter().map(|chunk| chunk.key).collect();
        let chunks = RunChunks::new(id, keys, Arc::clone(cache));
        let store: Arc<dyn ChunkStore> = Arc::clone(&chunks) as Arc<dyn ChunkStore>;
        let stored =
            |chunk: &ChunkRecord| Chunk::stored(chunk.first, chunk.last, chunk.len, chunk.key, Arc::clone(&store));
        let len = record.chunks.iter().map(|chunk| chunk.len).sum();
        let run = Run::new(record.mark, record.chunks.iter().map(stored).collect(), len, record.keys);
        Self { id, column: record.column, run: Arc::new(run), chunks }
    }

    /// The keys of the run's chunks.
    pub fn keys(&self) -> &[ChunkKey] {
        self.chunks.keys()
    }

    /// Records that the manifest no longer has the run: its chunks are deleted when the last reader drops it.
    pub fn mark_deleted(&self) {
        self.chunks.mark_deleted();
    }
}

/// The record of a run whose chunks are all stored.
///
/// # Panics
/// If a chunk is only in memory.
pub fn record(column: Column, run: &Run, attempt: Option<Attempt>) -> RunRecord {
    let chunk = |chunk: &Chunk| {
        let key = chunk.key().expect("all chunks were stored");
        ChunkRecord { key, first: chunk.first, last: chunk.last, len: chunk.len }
    };
    RunRecord { column, mark: run.mark, attempt, keys: run.keys, chunks: run.chunks.iter().map(chunk).collect() }
}

/// The committed state.
#[derive(Debug, Default)]
pub struct Catalog {
    pub committed: Committed,
    /// The runs of each column, oldest first.
    pub columns: BTreeMap<Column, Vec<StoredRun>>,
    pub shards: BTreeMap<ShardId, ShardRecord>,
    /// The pairs of all columns.
    pub tally: Tally,
    /// Columns whose runs have changed since they were last examined for merging.
    changed: BTreeSet<Column>,
}

impl Catalog {
    /// A catalog without runs.
    pub fn new(committed: Committed, shards: BTreeMap<ShardId, ShardRecord>) -> Self {
        Self { committed, shards, ..Self::default() }
    }

    /// Adds a run.
    pub fn add(&mut self, stored: StoredRun) {
        self.changed.insert(stored.column);
        self.tally.add(stored.column, stored.run.mark, stored.run.len);
        self.columns.entry(stored.column).or_default().push(stored);
    }

    /// Adds a run that was merged from older ones, which have been removed: it counts as the oldest.
    pub fn add_merged(&mut self, stored: StoredRun) {
        self.changed.insert(stored.column);
        self.tally.add(stored.column, stored.run.mark, stored.run.len);
        self.columns.entry(stored.column).or_default().insert(0, stored);
    }

    /// Removes and returns the runs of a column for which `goes` is true.
    pub fn remove(&mut self, column: Column, goes: impl Fn(&StoredRun) -> bool) -> Vec<StoredRun> {
        let Some(runs) = self.columns.get_mut(&column) else { return Vec::new() };
        let (gone, kept): (Vec<StoredRun>, _) = std::mem::take(runs).into_iter().partition(goes);
        gone.iter().for_each(|stored| self.tally.take(column, stored.run.mark, stored.run.len));
        *runs = kept;
        if runs.is_empty() {
            self.columns.remove(&column);
        }
        gone
    }

    /// The runs of a column, shared with readers.
    pub fn runs(&self, column: Column) -> Vec<Arc<Run>> {
        self.columns.get(&column).into_iter().flatten().map(|stored| Arc::clone(&stored.run)).collect()
    }

    /// Runs of one column and mark that should be merged, if there are any.
    pub fn next_merge(&mut self) -> Option<Vec<StoredRun>> {
        while let Some(column) = self.changed.first().copied() {
            let runs = self.columns.get(&column).map_or(&[][..], |runs| runs);
            for mark in Mark::ALL {
                let merge = merge_of(runs.iter().filter(|stored| stored.run.mark == mark).collect());
                if !merge.is_empty() {
                    return Some(merge);
                }
            }
            self.changed.remove(&column);
        }
        None
    }
}

/// The factor by which a run must be larger than all smaller ones together, to be left out of a merge.
const RATIO: u64 = 4;
/// The least number of runs for a merge, unless there are too many in all.
const MERGE_RUNS: usize = 4;
/// The number of runs above which lookups become slow.
const RUNS_MAX: usize = 8;

/// The runs to merge: the small ones, up to the first that is much larger than the smaller ones together.
///
/// Each pair is copied a logarithmic number of times, since each merge puts it into a run at least twice as large.
fn merge_of(mut runs: Vec<&StoredRun>) -> Vec<StoredRun> {
    runs.sort_by_key(|stored| stored.run.len);
    let (mut count, mut total) = (0, 0);
    for stored in &runs {
        if count > 0 && stored.run.len >= RATIO * total {
            break;
        }
        count += 1;
        total += stored.run.len;
    }
    if runs.len() > RUNS_MAX {
        count = count.max(runs.len() - RUNS_MAX + 1);
    }
    let is_worth_it = count >= MERGE_RUNS || (runs.len() > RUNS_MAX && count >= 2);
    if is_worth_it { runs[..count].iter().copied().cloned().collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryTable;
    use super::*;
    use entail_model::TermId;
    use proptest::prelude::*;

    fn stored(cache: &Arc<ChunkCache>, id: u64, len: u64) -> StoredRun {
        let chunk = ChunkRecord { key: ChunkKey(id), first: (TermId(0), TermId(0)), last: (TermId(1), TermId(1)), len };
        let column = Column::Terms(ShardId(0));
        let record = RunRecord { column, mark: Mark::Asserted, attempt: None, keys: len, chunks: vec![chunk] };
        StoredRun::new(RunId(id), &record, cache)
    }

    proptest! {
        /// For any sequence of runs, merging keeps them few and copies each pair few times.
        #[test]
        fn merging_keeps_runs_few_and_copies_little(lengths in prop::collection::vec(1u64..1000, 1..300)) {
            let cache = ChunkCache::new(Arc::new(MemoryTable::default()), 0, 0);
            let mut catalog = Catalog::default();
            let (mut copied, mut total) = (0u64, 0u64);
            for (id, len) in lengths.iter().enumerate() {
                catalog.add(stored(&cache, id as u64, *len));
                total += len;
                while let Some(inputs) = catalog.next_merge() {
                    let gone = catalog.remove(inputs[0].column, |run| inputs.iter().any(|input| input.id == run.id));
                    let len = gone.iter().map(|run| run.run.len).sum();
                    copied += len;
                    catalog.add(stored(&cache, gone[0].id.0, len));
                }
                prop_assert!(catalog.runs(Column::Terms(ShardId(0))).len() <= RUNS_MAX);
            }
            let depth = f64::log2(total as f64) + 2.0;
            prop_assert!(copied as f64 <= total as f64 * depth, "{} of {}", copied, total);
        }
    }
}
