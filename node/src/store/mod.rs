//! The durable state of one node: facts as runs of chunks, terms, and the manifest of what is committed.
//!
//! ```text
//! Store ─ fence        which attempt may change the store
//!       ─ dictionary  terms ⇄ ids, shard by shard
//!       ─ seal ► decide ─► catalog ─► snapshot          merge: in the background
//!           deletion: facts that go; digest, counts
//!       ─ cache (codec, bits)  chunks, decoded in a budget
//!       ─ schema ► table ► rocks | memory               directory: lock, identity; earlier: formats 1 and 2
//!       ─ inventory   what the database must still hold; inspect: checked before it is opened for writing
//! ```
//!
//! Invariants:
//! - after a crash at any moment the store opens with exactly the last decided epoch, and with the attempt that was sealed
//!   and not decided, if there is one;
//! - a store that has lost anything that it once held durably does not open, and its directory stays as it is.

mod bits;
mod cache;
mod catalog;
mod closing;
pub mod codec;
mod decide;
mod deletion;
mod dictionary;
mod digest;
mod directory;
mod earlier;
mod fence;
mod index;
mod inspect;
mod inventory;
#[cfg(test)]
mod memory;
mod merge;
mod recover;
mod rocks;
mod schema;
mod seal;
mod snapshot;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use cache::CacheUse;
pub use decide::SealSummary;
pub use directory::remembered_name;
pub use schema::Counts;
pub use snapshot::Snapshot;
pub use table::{FamilyGauges, TableGauges};

use cache::ChunkCache;
use catalog::Catalog;
use closing::Closing;
use dictionary::{Dictionary, ShardTerms};
use directory::{Cluster, Directory};
use entail_directory::with_advice;
use entail_logic::columns::ChunkStore;
use entail_logic::fixpoint::Base;
use entail_logic::fixpoint::base::Copies;
use entail_model::term::HashKey;
use entail_model::{ClusterId, Epoch, Fault, NodeId, Reason, Relation, Secret, ShardCount, ShardId, TermId};
use fence::AttemptFence;
use inspect::inspect;
use inventory::{Keeper, Record};
use merge::Merging;
use recover::recover;
use rocks::RocksTable;
use schema::{Column, Committed, Key, ShardRecord, encode_value};
use seal::SealedAttempt;
use snapshot::{History, Retention};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use table::{Batch, Durability, Table};

/// The epochs that can be read: kept long enough for queries that have just pinned one to reach this node.
const RETENTION: Retention = Retention { epochs_max: 64, age_max: Duration::from_secs(60) };

/// The dictionary's part of a store's memory.
const DICTIONARY_SHARE: u64 = 8;

/// The settings of a store.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Bytes for decoded chunks (three quarters), texts and index of the dictionary, and the database (an eighth each).
    pub memory_budget: u64,
}

/// The durable state of one node. Locks are taken in the order of the fields.
#[derive(Debug)]
pub struct Store {
    directory: Mutex<Directory>,
    options: OpenOptions,
    table: Arc<dyn Table>,
    chunks: Arc<ChunkCache>,
    next_run: AtomicU64,
    closing: Arc<Closing>,
    /// Known once the node has joined a cluster.
    dictionary: OnceLock<Dictionary>,
    merging: Mutex<Merging>,
    /// The sealed attempt; locked during sealing and deciding.
    sealed: Mutex<Option<SealedAttempt>>,
    catalog: Mutex<Catalog>,
    fence: RwLock<AttemptFence>,
    history: RwLock<History>,
    keeper: Mutex<Keeper>,
}

/// The committed counts of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounts {
    /// Facts that users asserted.
    pub asserted: u64,
    /// Facts that are only derived.
    pub derived: u64,
    pub terms: u64,
}

/// What a node has at its newest epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub epoch: Epoch,
    /// Pairs of forward copies.
    pub counts: Counts,
    /// The digest over all facts that the seal of the epoch told; none if an earlier version sealed it.
    pub digest: Option<u64>,
}

/// Disk space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    pub used: u64,
    pub free: u64,
}

impl Store {
    /// Opens the store in a directory, which is created if it does not exist.
    ///
    /// # Errors
    /// `DirectoryInUse`; `WrongCluster` for a coordinator's directory; `Unsupported` for a later version's;
    /// `Corrupt` when data is damaged or gone: then nothing was changed; `DiskFull`.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, Fault> {
        let directory = Directory::open(path).map_err(with_advice)?;
        inspect(&directory, options).map_err(with_advice)?;
        let table = RocksTable::open(&directory.data(), options.memory_budget / 8)?;
        Self::open_on(directory, Arc::new(table), options)
    }

    fn open_on(mut directory: Directory, table: Arc<dyn Table>, options: OpenOptions) -> Result<Self, Fault> {
        let recovered = recover(&table, options.memory_budget / 4 * 3)?;
        let relations = relations(&recovered.catalog);
        let committed = &recovered.catalog.committed;
        let snapshot = Snapshot { epoch: committed.epoch, relations, rdf_type: committed.rdf_type };
        let fence = AttemptFence::new(committed.attempt, recovered.sealed.as_ref().map(|sealed| sealed.attempt));
        let cluster = directory.cluster();
        let sealed = recovered.sealed.as_ref().map(|sealed| sealed.attempt);
        let record = Record { files: table.durable(), ..Record::of(directory.node(), &recovered.catalog, sealed) };
        let keeper = Keeper::new(directory.begin_inventory(&encode_value(&record))?, record);
        let store = Self {
            directory: Mutex::new(directory),
            options,
            table,
            chunks: recovered.chunks,
            next_run: AtomicU64::new(recovered.next_run),
            closing: Arc::default(),
            dictionary: OnceLock::new(),
            merging: Mutex::default(),
            sealed: Mutex::new(recovered.sealed),
            catalog: Mutex::new(recovered.catalog),
            fence: RwLock::new(fence),
            history: RwLock::new(History::new(snapshot, RETENTION)),
            keeper: Mutex::new(keeper),
        };
        cluster.map_or(Ok(()), |cluster| store.open_dictionary(&cluster))?;
        Ok(store)
    }

    /// Opens the dictionary, with committed and sealed terms only.
    fn open_dictionary(&self, cluster: &Cluster) -> Result<(), Fault> {
        let (table, chunks) = (Arc::clone(&self.table), Arc::clone(&self.chunks));
        let dictionary = Dictionary::new(cluster, table, chunks, self.dictionary_budget());
        let sealed = self.sealed();
        let catalog = self.catalog();
        for (shard, record) in &catalog.shards {
            let runs = catalog.runs(Column::Terms(*shard));
            dictionary.set_committed(ShardTerms { shard: *shard, runs, terms: record.terms });
        }
        if let Some(sealed) = &*sealed {
            for (shard, terms) in &sealed.record.terms {
                let of_shard = sealed.runs.iter().filter(|stored| stored.column == Column::Terms(*shard));
                let runs = of_shard.map(|stored| Arc::clone(&stored.run)).collect();
                dictionary.set_staged(ShardTerms { shard: *shard, runs, terms: *terms });
            }
        }
        dictionary.delete_leftovers()?;
        // Only `bind_cluster` and `open` call this, each with exclusive use of the directory.
        _ = self.dictionary.set(dictionary);
        Ok(())
    }

    /// The id of the directory's node.
    pub fn node(&self) -> NodeId {
        self.directory().node()
    }

    /// The cluster that the node has joined.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.directory().cluster().map(|cluster| cluster.id)
    }

    /// Stores the name under which the node was registered, for starts without a name.
    pub fn remember_name(&self, name: &str) -> Result<(), Fault> {
        self.directory().remember_name(name)
    }

    /// Remembers the secret of the node's registration, as well as that is possible.
    pub fn remember_registration(&self, secret: Secret) {
        self.directory().remember_registration(secret);
    }

    /// The secret of the node's last registration.
    pub fn last_registration(&self) -> Secret {
        self.directory().last_registration()
    }

    /// Joins a cluster permanently, or checks that the node has joined this one.
    ///
    /// # Errors
    /// `WrongCluster` if the node has joined another one.
    pub fn bind_cluster(&self, id: ClusterId, hash_key: HashKey, shards: ShardCount) -> Result<(), Fault> {
        let cluster = Cluster::new(id, hash_key, shards);
        let mut directory = self.directory();
        directory.bind(cluster)?;
        if self.dictionary.get().is_none() {
            self.open_dictionary(&cluster)?;
        }
        Ok(())
    }

    /// Sets the id of `rdf:type`, which snapshots carry.
    pub fn set_rdf_type(&self, id: TermId) -> Result<(), Fault> {
        let mut catalog = self.catalog();
        if catalog.committed.rdf_type == Some(id) {
            return Ok(());
        }
        catalog.committed.rdf_type = Some(id);
        let mut batch = Batch::default();
        batch.put(Key::Committed, encode_value(&catalog.committed));
        self.table.commit(batch, Durability::Later)?;
        self.publish(&catalog, BTreeSet::new());
        Ok(())
    }

    /// The newest epoch.
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(self.history.read().unwrap_or_else(PoisonError::into_inner).latest())
    }

    /// The snapshot of the epoch, if it is kept.
    pub fn snapshot(&self, epoch: Epoch) -> Option<Arc<Snapshot>> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).get(epoch)
    }

    /// The oldest and the newest epoch that can be read; all epochs between them can be read, too.
    pub fn kept_epochs(&self) -> (Epoch, Epoch) {
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        (history.oldest(), history.latest().epoch)
    }

    /// The ids of terms that are committed.
    pub fn lookup<T: AsRef<[u8]>>(&self, terms: &[T]) -> Result<Vec<Option<TermId>>, Fault> {
        self.dictionary()?.lookup(terms)
    }

    /// The canonical bytes of terms, committed or of the current attempt.
    ///
    /// # Errors
    /// `Corrupt` for an id that this store did not give.
    pub fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        self.dictionary()?.texts(ids)
    }

    /// Shows the canonical bytes of terms, in the order of `ids`, without a copy, up to the one with which they have more than
    /// `bytes_max` bytes; sorted ids cost least.
    ///
    /// # Errors
    /// `Corrupt` for an id that this store did not give.
    pub fn show_texts(&self, ids: &[TermId], bytes_max: u64, show: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.dictionary()?.show_texts(ids, bytes_max, show)
    }

    /// A store for the chunks of new runs. Chunks of sealed runs are kept; the others are deleted when the last reference to
    /// the returned value is dropped.
    pub fn chunk_store(&self) -> Arc<dyn ChunkStore> {
        self.chunks.scratch()
    }

    /// The committed counts of each shard that is not empty.
    pub fn shard_counts(&self) -> Vec<(ShardId, ShardCounts)> {
        let counts = |record: &ShardRecord| ShardCounts {
            asserted: record.facts.facts_asserted(),
            derived: record.facts.facts_derived(),
            terms: record.terms,
        };
        self.catalog().shards.iter().map(|(shard, record)| (*shard, counts(record))).collect()
    }

    /// The newest epoch, and what the node has at it.
    pub fn committed(&self) -> Held {
        let catalog = self.catalog();
        let mut counts = Counts::default();
        catalog.shards.values().for_each(|record| counts += record.facts);
        let Committed { epoch, digest, is_digest_told, .. } = &catalog.committed;
        Held { epoch: *epoch, counts, digest: is_digest_told.then(|| digest.total()) }
    }

    /// Bytes of decoded chunks in memory.
    pub fn cache_bytes(&self) -> u64 {
        self.chunks.bytes()
    }

    /// The use of the cache of decoded chunks.
    pub fn cache_use(&self) -> CacheUse {
        self.chunks.use_of()
    }

    /// The figures of the database.
    pub fn table_gauges(&self) -> TableGauges {
        self.table.gauges()
    }

    /// The memory budget of the dictionary, in bytes.
    pub fn dictionary_budget(&self) -> u64 {
        self.options.memory_budget / DICTIONARY_SHARE
    }

    /// Bytes that the dictionary holds in memory.
    pub fn dictionary_bytes(&self) -> u64 {
        self.dictionary.get().map_or(0, Dictionary::bytes)
    }

    /// The number of chunks of committed runs.
    pub fn chunks(&self) -> u64 {
        let catalog = self.catalog();
        catalog.columns.values().flatten().map(|stored| stored.keys().len() as u64).sum()
    }

    /// The disk space that the store takes, and the free space.
    pub fn disk(&self) -> Result<DiskStatus, Fault> {
        let path = self.directory().path().to_owned();
        Ok(DiskStatus { used: entail_directory::used_bytes(&path)?, free: entail_directory::disk(&path)?.free })
    }

    /// The failure that ended all writing, if there was one: the process should end, too.
    pub fn poisoned(&self) -> Option<Fault> {
        self.table.failure()
    }

    /// Closes the store before the process ends: background work stops at its next piece, and unsynced commits are synced.
    /// Committed data is safe without this.
    pub fn close(&self) -> Result<(), Fault> {
        self.closing.close();
        self.table.sync()?;
        self.sync_inventory()
    }

    /// Waits for at most `time`; returns whether the store is closed.
    pub fn wait_closed(&self, time: Duration) -> bool {
        self.closing.wait(time)
    }

    fn dictionary(&self) -> Result<&Dictionary, Fault> {
        self.dictionary
            .get()
            .ok_or_else(|| Fault::new(Reason::NotReady, "this node has not registered with a coordinator yet"))
    }

    // A panic while one of these locks is held can only occur before anything was changed.

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed(&self) -> MutexGuard<'_, Option<SealedAttempt>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fence(&self) -> RwLockReadGuard<'_, AttemptFence> {
        self.fence.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate_mut(&self) -> RwLockWriteGuard<'_, AttemptFence> {
        self.fence.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn history_mut(&self) -> RwLockWriteGuard<'_, History> {
        self.history.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn relations(catalog: &Catalog) -> Base {
    let mut relations: BTreeMap<Relation, Copies> = BTreeMap::new();
    for column in catalog.columns.keys() {
        if let Column::Facts(relation, copy) = column {
            relations.entry(*relation).or_default()[*copy as usize] = catalog.runs(*column);
        }
    }
    relations.into_iter().collect()
}
