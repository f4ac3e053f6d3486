//! Merging: small runs become large ones in the background.
//!
//! Merges run concurrently with commits. A result is dropped if the store is closed meanwhile, or if the catalog no longer
//! has all inputs when it is to replace them, under the catalog's lock: then a rebuild has removed them, or an attempt has
//! deleted facts of them or may do so.
//!
//! A merge writes what is left of its inputs. A run of which much is deleted is merged alone. Once no reader has such runs
//! any more, their chunks are deleted; when no merge is left, the database is compacted, piece by piece, if deleted facts
//! took a good part of it: it gives back the space of deleted chunks only when it writes its files anew.

use super::Store;
use super::cache::Scratch;
use super::catalog::{self, LOST_SHARE, StoredRun};
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

/// The least number of deleted pairs for which the database is compacted: about a megabyte.
const GONE_MIN: u64 = 1 << 18;
/// The chunks, by their keys, that one piece of background work compacts: at most about 400 MB.
const COMPACTED_KEYS: u64 = 4096;

/// The state of background work.
#[derive(Debug, Default)]
pub struct Merging {
    /// From where on chunks are to be compacted.
    compacting: Option<ChunkKey>,
}

impl Store {
    /// Does one piece of background work: merges some runs, drops old epochs, deletes chunks without readers, compacts.
    ///
    /// Returns whether there may be more to do.
    pub fn compact_step(&self) -> Result<bool, Fault> {
        let mut merging = match self.merging.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        self.history_mut().trim(Instant::now());
        let inputs = self.catalog().next_merge();
        if let Some(inputs) = &inputs {
            self.merge(inputs)?;
        }
        let has_merged = inputs.is_some();
        drop(inputs);
        self.chunks.sweep()?;
        Ok(has_merged || self.give_back(&mut merging))
    }

    /// Compacts a piece of the database, if deleted facts have left much space in it. Returns whether there is more to do.
    fn give_back(&self, merging: &mut Merging) -> bool {
        if merging.compacting.is_none() {
            let much = GONE_MIN.max(self.catalog().tally.pairs() / LOST_SHARE);
            merging.compacting = self.chunks.take_gone(much).then_some(ChunkKey(0));
        }
        let Some(from) = merging.compacting else { return false };
        let to = ChunkKey(from.0.saturating_add(COMPACTED_KEYS));
        self.table.compact(&Key::Chunk(from).to(&Key::Chunk(to)));
        merging.compacting = Some(to).filter(|next| *next < self.chunks.next_key());
        if merging.compacting.is_none() {
            // The deletion vectors that are gone.
            self.table.compact(&Key::manifest());
        }
        true
    }

    pub(super) fn merge(&self, inputs: &[StoredRun]) -> Result<(), Fault> {
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
        if !inputs.iter().all(|stored| catalog.may_replace(stored)) {
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

/// Removes a run and what was deleted of it from the manifest; its chunks become garbage.
pub fn drop_run(stored: &StoredRun, batch: &mut Batch) {
    batch.delete(Key::Run(stored.id));
    stored.vectors().for_each(|vector| batch.delete(vector));
    batch.put(Key::Garbage(stored.id), encode_value(&stored.keys()));
}
