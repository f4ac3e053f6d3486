//! The interface between the store and the database below it: ordered keys in families, atomic batches.
//!
//! Two implementations: [`rocks`](super::rocks) on disk and [`memory`](super::memory) for tests. Both pass the contract
//! at the end of this file.
//!
//! Invariant: after a crash the table has a prefix of the batches in the order of their commits, with all batches that
//! were committed [`Durability::Now`] and all before them.

use super::schema::{Key, KeyRange};
use entail_directory::Extent;
use entail_model::Fault;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::ControlFlow;

/// When a commit must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the commit returns.
    Now,
    /// With the next commit `Now`, or earlier. A killed process loses nothing; a failed machine loses the last batches.
    Later,
}

/// Changes that happen together or not at all, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub writes: Vec<Write>,
}

/// One change.
#[derive(Clone, Debug)]
pub enum Write {
    Put(Key, Vec<u8>),
    Delete(Key),
    DeleteRange(KeyRange),
}

impl Batch {
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.writes.push(Write::Put(key, value));
    }

    pub fn delete(&mut self, key: Key) {
        self.writes.push(Write::Delete(key));
    }

    pub fn delete_range(&mut self, range: KeyRange) {
        self.writes.push(Write::DeleteRange(range));
    }
}

/// What of a table's files is durable, and must be found when the table is opened again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurableFiles {
    /// The database's manifest, by its number.
    pub manifest: Option<(u64, Extent)>,
    /// Its logs, by their numbers.
    pub logs: Vec<(u64, Extent)>,
    /// The number that the database gave to the last write that was synced.
    pub sequence: u64,
}

/// Called by a scan with each key and value, until it breaks.
pub type Visit<'v> = &'v mut dyn FnMut(Key, &[u8]) -> Result<ControlFlow<()>, Fault>;

/// Ordered keys and values.
pub trait Table: Send + Sync + Debug {
    /// The value of a key.
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Fault>;

    /// Visits keys and values in order.
    fn scan(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault>;

    /// The last key of a range.
    fn last(&self, range: &KeyRange) -> Result<Option<Key>, Fault>;

    /// Makes the changes.
    ///
    /// # Errors
    /// `DiskFull` before the disk is completely full: nothing was written, and the commit works once space is free. Any
    /// failed write is final: this and every later commit fail with it, because the state on disk is no longer known.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Fault>;

    /// The failure that ended all writing, if there was one.
    fn failure(&self) -> Option<Fault>;

    /// Syncs all batches that were committed with [`Durability::Later`].
    fn sync(&self) -> Result<(), Fault>;

    /// What of the files is durable by now. Files that this names stay until [`release`](Self::release), even if the
    /// table has no use for them any more; so the next inventory is written before they go.
    fn durable(&self) -> DurableFiles;

    /// Deletes the files that the table has no use for.
    fn release(&self);

    /// Frees the space of what was deleted in a range; that may take as long as writing the rest of the range anew.
    fn compact(&self, range: &KeyRange);

    /// The database's gauges.
    fn gauges(&self) -> TableGauges;
}

/// The figures of the database: sizes are in bytes, counters start when it is opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableGauges {
    pub families: Vec<FamilyGauges>,
    pub memory_budget: u64,
    pub block_cache_bytes: u64,
    pub block_cache_hits: u64,
    pub block_cache_misses: u64,
    pub compactions_running: u64,
    pub flushes_running: u64,
    pub compaction_read_bytes: u64,
    pub compaction_written_bytes: u64,
    pub flushed_bytes: u64,
    pub wal_bytes: u64,
    pub wal_syncs: u64,
    pub stall_seconds: f64,
    pub is_write_stopped: bool,
    /// The bytes a second to which writers are slowed down; 0 when they are not.
    pub delayed_write_rate: u64,
    /// Bytes that stay free on the disk.
    pub reserve: u64,
}

/// One family of the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyGauges {
    pub name: &'static str,
    pub files: u64,
    pub file_bytes: u64,
    pub live_bytes: u64,
    pub memtable_bytes: u64,
    pub pending_compaction_bytes: u64,
}

#[cfg(test)]
pub(crate) mod contract {
    use super::*;
    use crate::store::schema::Family;
    use entail_logic::columns::ChunkKey;
    use entail_model::{Attempt, ShardId};
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use std::collections::BTreeMap;

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            (0u64..20).prop_map(|n| Key::Chunk(ChunkKey(n))),
            (0u16..3, 0u64..20).prop_map(|(shard, first)| Key::TermBlock { shard: ShardId(shard), first }),
            (0u16..3, 0u64..20).prop_map(|(shard, local)| Key::LargeTerm { shard: ShardId(shard), local }),
            (0u64..4).prop_map(|n| Key::Sealed(Attempt(n))),
            Just(Key::Committed),
        ]
    }

    fn write() -> impl Strategy<Value = Write> {
        let chunk = |n: u64| Key::Chunk(ChunkKey(n));
        prop_oneof![
            6 => (key(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(key, value)| Write::Put(key, value)),
            3 => key().prop_map(Write::Delete),
            1 => (0u64..20, 0u64..8).prop_map(move |(a, n)| Write::DeleteRange(chunk(a).to(&chunk(a + n)))),
        ]
    }

    type Model = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

    fn apply(model: &mut Model, write: &Write) {
        match write {
            Write::Put(key, value) => {
                model.insert((key.family(), key.encode()), value.clone());
            }
            Write::Delete(key) => {
                model.remove(&(key.family(), key.encode()));
            }
            Write::DeleteRange(range) => {
                model.retain(|(family, bytes), _| *family != range.family || !range.bytes.contains(bytes));
            }
        }
    }

    fn everything(family: Family) -> KeyRange {
        KeyRange { family, bytes: vec![0]..vec![0xff; 20] }
    }

    fn contents(table: &dyn Table) -> Model {
        let mut found = Model::new();
        for family in Family::ALL {
            let mut visit = |key: Key, value: &[u8]| {
                found.insert((family, key.encode()), value.to_vec());
                Ok(ControlFlow::Continue(()))
            };
            table.scan(&everything(family), &mut visit).expect("readable");
        }
        found
    }

    /// Checks the contract of tables. `open` opens the same table again, as a restarted process does.
    pub fn check(cases: u32, open: &dyn Fn() -> Box<dyn Table>) {
        let batches = prop::collection::vec((prop::collection::vec(write(), 0..12), any::<bool>()), 1..12);
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(&(batches, key()), |(batches, probe)| {
            let mut table = open();
            let mut model = contents(&*table);
            for (writes, reopen) in batches {
                writes.iter().for_each(|write| apply(&mut model, write));
                let durability = if reopen { Durability::Now } else { Durability::Later };
                table.commit(Batch { writes }, durability).expect("room on disk");
                if reopen {
                    drop(table);
                    table = open();
                }
                prop_assert_eq!(&contents(&*table), &model);
            }
            let found = table.get(probe).expect("readable");
            prop_assert_eq!(found.as_ref(), model.get(&(probe.family(), probe.encode())));
            for family in Family::ALL {
                let last = model.keys().rfind(|(other, _)| *other == family).map(|(_, bytes)| bytes.clone());
                let found = table.last(&everything(family)).expect("readable");
                prop_assert_eq!(found.map(|key| key.encode()), last);
            }
            check_stop(&*table)
        });
        outcome.expect("the contract holds");
    }

    /// A scan that breaks stops at once.
    fn check_stop(table: &dyn Table) -> Result<(), TestCaseError> {
        let mut seen = 0;
        let mut visit = |_: Key, _: &[u8]| {
            seen += 1;
            Ok(ControlFlow::Break(()))
        };
        table.scan(&everything(Family::Chunks), &mut visit).expect("readable");
        prop_assert!(seen <= 1);
        Ok(())
    }
}
