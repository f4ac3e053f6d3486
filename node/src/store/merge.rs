//! Merging: small runs become large ones in the background.
//!
//! Merges run concurrently with commits. A result is dropped if the store is closed meanwhile, or if the catalog no longer
//! has all inputs when it is to replace them, under the catalog's lock: then a rebuild has removed them.

use super::Store;
use super::cache::Scratch;
use super::catalog::{self, StoredRun};
use super::closing::Closing;
use super::schema::{Column, Key, RunId, encode_value};
use super::snapshot::Snapshot;
use super::table::{Batch, Durability};
use entail_logic::columns::spine::{Spill, merge_runs};
use entail_logic::columns::{ChunkKey, ChunkStore, Pair, Run};
use entail_model::{Fault, Reason};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};
use std::time::Instant;

impl Store {
    /// Does one piece of background work: merges some runs, drops old epochs, deletes chunks without readers.
    ///
    /// Returns whether there may be more to do.
    pub fn compact_step(&self) -> Result<bool, Fault> {
        let _merging = match self.merging.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        self.history_mut().trim(Instant::now());
        let inputs = self.catalog().next_merge();
        if let Some(inputs) = &inputs {
            self.merge(inputs)?;
        }
        let is_more = inputs.is_some();
        drop(inputs);
        self.chunks.sweep()?;
        Ok(is_more)
    }

    fn merge(&self, inputs: &[StoredRun]) -> Result<(), Fault> {
        let pieces = Arc::new(Pieces { scratch: self.chunks.scratch(), closing: Arc::clone(&self.closing) });
        let spill = Spill { store: Some(pieces), above: 0 };
        let runs: Vec<&Arc<Run>> = inputs.iter().map(|stored| &stored.run).collect();
        match merge_runs(&runs, &spill) {
            Err(fault) if fault.reason == Reason::Cancelled => Ok(()),
            merged => self.replace(inputs, &merged?),
        }
    }

    /// Replaces the inputs by the merged run.
    fn replace(&self, inputs: &[StoredRun], merged: &Run) -> Result<(), Fault> {
        let column = inputs[0].column;
        let ids: BTreeSet<RunId> = inputs.iter().map(|stored| stored.id).collect();
        let mut catalog = self.catalog();
        let there = catalog.columns.get(&column).into_iter().flatten().filter(|stored| ids.contains(&stored.id));
        if there.count() != inputs.len() {
            return Ok(());
        }
        let id = RunId(self.next_run.fetch_add(1, Ordering::Relaxed));
        let record = catalog::record(column, merged, None);
        let mut batch = Batch::default();
        batch.put(Key::Run(id), encode_value(&record));
        inputs.iter().for_each(|stored| drop_run(stored, &mut batch));
        self.table.commit(batch, Durability::Later)?;
        self.chunks.adopt(record.chunks.iter().map(|chunk| chunk.key));
        catalog.remove(column, |stored| ids.contains(&stored.id)).iter().for_each(StoredRun::mark_deleted);
        catalog.add_merged(StoredRun::new(id, &record, &self.chunks));
        self.show_runs(column, catalog.runs(column));
        Ok(())
    }

    /// Publishes a column's runs to readers; the pairs are unchanged.
    fn show_runs(&self, column: Column, runs: Vec<Arc<Run>>) {
        match column {
            Column::Terms(shard) => self.dictionary.get().into_iter().for_each(|all| all.set_runs(shard, runs.clone())),
            Column::Facts(relation, copy) => {
                let mut history = self.history_mut();
                let mut snapshot = Snapshot::clone(history.latest());
                snapshot.relations.change(relation, |copies| copies[copy as usize] = runs);
                history.push(snapshot, Instant::now());
            }
        }
    }
}

/// The store of a merged run's chunks, which fails once the node's store is closed.
#[derive(Debug)]
struct Pieces {
    scratch: Arc<Scratch>,
    closing: Arc<Closing>,
}

impl ChunkStore for Pieces {
    fn load(&self, key: ChunkKey) -> Result<Arc<Vec<Pair>>, Fault> {
        self.scratch.load(key)
    }

    fn save(&self, pairs: Vec<Pair>) -> Result<ChunkKey, Fault> {
        if self.closing.is_closed() {
            Err(Fault::new(Reason::Cancelled, "the store is closed"))
        } else {
            self.scratch.save(pairs)
        }
    }
}

/// Removes a run from the manifest; its chunks become garbage.
pub fn drop_run(stored: &StoredRun, batch: &mut Batch) {
    batch.delete(Key::Run(stored.id));
    batch.put(Key::Garbage(stored.id), encode_value(&stored.keys()));
}
