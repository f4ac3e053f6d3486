//! The committed state: the runs of every column, the counts of every shard.
//!
//! This is the manifest in memory. It changes only together with the table, under one lock, which orders merges and
//! commits. Runs that a sealed attempt takes facts from are *held*: no merge replaces them until it is decided.

use super::cache::{ChunkCache, RunChunks};
use super::deletion::{self, Shrunk, Vectors};
use super::inventory::Tally;
use super::schema::{ChunkRecord, Column, Committed, Key, RunId, RunRecord, ShardRecord};
use entail_logic::columns::{Chunk, ChunkKey, ChunkStore, Run};
use entail_model::{Attempt, Mark, ShardId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run in the manifest.
#[derive(Clone, Debug)]
pub struct StoredRun {
    pub id: RunId,
    pub column: Column,
    /// The pairs that are not deleted.
    pub run: Arc<Run>,
    /// The attempts of the deletion vectors that take effect.
    vectors: BTreeMap<ChunkKey, Attempt>,
    /// The number of pairs in the store, with those that are deleted.
    stored: u64,
    chunks: Arc<RunChunks>,
}

impl StoredRun {
    /// The run that a record describes, of which nothing is deleted.
    pub fn new(id: RunId, record: &RunRecord, cache: &Arc<ChunkCache>) -> Self {
        let keys = record.chunks.iter().map(|chunk| chunk.key).collect();
        let chunks = RunChunks::new(id, keys, Arc::clone(cache));
        let store: Arc<dyn ChunkStore> = Arc::clone(&chunks) as Arc<dyn ChunkStore>;
        let stored =
            |chunk: &ChunkRecord| Chunk::stored(chunk.first, chunk.last, chunk.len, chunk.key, Arc::clone(&store));
        let len = record.chunks.iter().map(|chunk| chunk.len).sum();
        let run = Run::new(record.mark, record.chunks.iter().map(stored).collect(), len, record.keys);
        let vectors = BTreeMap::new();
        Self { id, column: record.column, run: Arc::new(run), vectors, stored: len, chunks }
    }

    /// Applies vectors that take effect, which leave something of the run.
    pub fn apply(&mut self, vectors: &Vectors<'_>) {
        if !vectors.is_empty()
            && let Some(rest) = self.shrunk(vectors).rest
        {
            self.run = rest;
            self.vectors = vectors.values().map(|vector| (vector.chunk, vector.attempt)).collect();
        }
    }

    /// What vectors leave of the run.
    pub fn shrunk(&self, vectors: &Vectors<'_>) -> Shrunk {
        let store: Arc<dyn ChunkStore> = Arc::clone(&self.chunks) as Arc<dyn ChunkStore>;
        let rest = deletion::apply(&self.run, vectors, &store).map(Arc::new);
        Shrunk { id: self.id, column: self.column, rest, chunks: vectors.keys().copied().collect() }
    }

    /// Goes on as what is left of the run, with vectors of an attempt.
    fn shrink(&mut self, rest: Arc<Run>, chunks: &[ChunkKey], attempt: Attempt) {
        self.run = rest;
        self.vectors.extend(chunks.iter().map(|chunk| (*chunk, attempt)));
    }

    /// The key of the deletion vector of a chunk that takes effect.
    pub fn vector(&self, chunk: ChunkKey) -> Option<Key> {
        self.vectors.get(&chunk).map(|attempt| Key::Deleted { run: self.id, chunk, attempt: *attempt })
    }

    /// The keys of all deletion vectors that take effect.
    pub fn vectors(&self) -> impl Iterator<Item = Key> {
        self.vectors.keys().filter_map(|chunk| self.vector(*chunk))
    }

    /// The number of pairs in the store that are deleted.
    fn lost(&self) -> u64 {
        self.stored - self.run.len
    }

    /// Has so much been deleted that the run should be written anew?
    fn lost_much(&self) -> bool {
        self.lost() > 0 && self.lost() >= self.stored / LOST_SHARE
    }

    /// The keys of the run's chunks.
    pub fn keys(&self) -> &[ChunkKey] {
        self.chunks.keys()
    }

    /// Records that the manifest no longer has the run: its chunks are deleted when the last reader drops it.
    pub fn mark_deleted(&self) {
        self.chunks.mark_deleted(self.lost());
    }

    /// Records that the manifest no longer has the run, since all its pairs are deleted.
    pub fn mark_emptied(&self) {
        self.chunks.mark_deleted(self.stored);
    }
}

/// The record of a run whose chunks are all stored.
///
/// # Panics
/// If a chunk is only in memory, or pairs of one are deleted.
pub fn record(column: Column, run: &Run, attempt: Option<Attempt>) -> RunRecord {
    let chunk = |chunk: &Chunk| {
        assert!(chunk.deleted().is_none(), "a record is of all pairs of its chunks");
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
    /// Runs that lose facts if the sealed attempt is committed.
    held: BTreeSet<RunId>,
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

    /// A run that an attempt is going to take facts from.
    ///
    /// # Panics
    /// If it is not there, though it was held since the attempt began to be sealed.
    pub fn run(&self, column: Column, id: RunId) -> &StoredRun {
        let runs = self.columns.get(&column).map_or(&[][..], |runs| runs);
        runs.iter().find(|stored| stored.id == id).expect("a held run stays until the attempt is decided")
    }

    /// The runs of a column, shared with readers.
    pub fn runs(&self, column: Column) -> Vec<Arc<Run>> {
        self.columns.get(&column).into_iter().flatten().map(|stored| Arc::clone(&stored.run)).collect()
    }

    /// Holds the runs of these columns and marks, and returns them: an attempt may take facts from them.
    pub fn hold(&mut self, of: BTreeSet<(Column, Mark)>) -> Vec<StoredRun> {
        let mut held = Vec::new();
        for (column, mark) in of {
            let runs = self.columns.get(&column).into_iter().flatten();
            held.extend(runs.filter(|stored| stored.run.mark == mark).cloned());
        }
        self.hold_only(held.iter().map(|stored| stored.id));
        held
    }

    /// Holds these runs and no others.
    pub fn hold_only(&mut self, runs: impl Iterator<Item = RunId>) {
        self.held = runs.collect();
    }

    /// Is the run in the catalog as it is given, and not held?
    pub fn may_replace(&self, stored: &StoredRun) -> bool {
        let mut runs = self.columns.get(&stored.column).into_iter().flatten();
        let is_there = runs.any(|there| there.id == stored.id && Arc::ptr_eq(&there.run, &stored.run));
        is_there && !self.held.contains(&stored.id)
    }

    /// Applies an attempt's deletions to a run, which is removed and returned if nothing is left of it.
    pub fn shrink(&mut self, shrunk: Shrunk, attempt: Attempt) -> Option<StoredRun> {
        let Shrunk { id, column, rest, chunks } = shrunk;
        let Some(rest) = rest else {
            return self.remove(column, |stored| stored.id == id).pop();
        };
        let stored = self.columns.get_mut(&column).and_then(|runs| runs.iter_mut().find(|stored| stored.id == id));
        let stored = stored.expect("a held run stays until the attempt is decided");
        self.tally.take(column, stored.run.mark, stored.run.len - rest.len);
        stored.shrink(rest, &chunks, attempt);
        self.changed.insert(column);
        None
    }

    /// Runs of one column and mark that should be merged, if there are any; or one that should be written anew.
    pub fn next_merge(&mut self) -> Option<Vec<StoredRun>> {
        let mut waiting = Vec::new();
        let mut merge = None;
        while merge.is_none()
            && let Some(column) = self.changed.pop_first()
        {
            let runs = self.columns.get(&column).map_or(&[][..], |runs| runs);
            let merges = Mark::ALL.map(|mark| merge_of(runs.iter().filter(|stored| stored.run.mark == mark).collect()));
            let is_held = |inputs: &Vec<StoredRun>| inputs.iter().any(|stored| self.held.contains(&stored.id));
            let (held, free): (Vec<_>, Vec<_>) =
                merges.into_iter().filter(|inputs| !inputs.is_empty()).partition(is_held);
            if !(held.is_empty() && free.is_empty()) {
                waiting.push(column);
            }
            merge = free.into_iter().next();
        }
        self.changed.extend(waiting);
        merge
    }
}

/// Of a run, this part must be deleted before what is left is written anew: so that deleted facts take at most 1/7 of the
/// space of the others once all merges are done, and for each deleted pair at most seven are copied.
pub const LOST_SHARE: u64 = 8;
/// The factor by which a run must be larger than all smaller ones together, to be left out of a merge.
const RATIO: u64 = 4;
/// The least number of runs for a merge, unless there are too many in all.
const MERGE_RUNS: usize = 4;
/// The number of runs above which lookups become slow.
const RUNS_MAX: usize = 8;

/// The runs to merge: the small ones, up to the first that is much larger than the smaller ones together.
///
/// Each pair is copied a logarithmic number of times, since each merge puts it into a run at least twice as large. If there
/// is no such merge, a run of which much is deleted.
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
    if is_worth_it {
        return runs[..count].iter().copied().cloned().collect();
    }
    runs.into_iter().find(|stored| stored.lost_much()).cloned().into_iter().collect()
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
