//! Places of test stores: on disk or in memory, opened repeatedly, killed at any commit.

use crate::store::directory::Directory;
use crate::store::inspect::inspect;
use crate::store::memory::MemoryTable;
use crate::store::rocks::RocksTable;
use crate::store::schema::{Family, Key, KeyRange};
use crate::store::table::{Batch, Durability, DurableFiles, Table, TableGauges, Visit, Write};
use crate::store::{OpenOptions, Store};
use entail_model::term::HashKey;
use entail_model::{ClusterId, Fault, Reason, ShardCount};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tempfile::TempDir;

pub const OPTIONS: OpenOptions = OpenOptions { memory_budget: 32 << 20 };
pub const SHARDS: u32 = 4;

/// A place that outlives the stores in it.
pub struct Place {
    directory: TempDir,
    memory: Option<MemoryTable>,
    commits_left: Arc<AtomicI64>,
    is_full: Arc<AtomicBool>,
}

/// A table that fails every commit after a number of them, like a killed process, or every batch with data, like a full
/// disk.
#[derive(Debug)]
struct Mortal {
    table: Box<dyn Table>,
    commits_left: Arc<AtomicI64>,
    is_full: Arc<AtomicBool>,
}

impl Table for Mortal {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Fault> {
        self.table.get(key)
    }

    fn scan(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault> {
        self.table.scan(range, visit)
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Key>, Fault> {
        self.table.last(range)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        let is_data = |write: &Write| matches!(write, Write::Put(key, _) if key.family() != Family::Manifest);
        if self.is_full.load(Ordering::Relaxed) && batch.writes.iter().any(is_data) {
            return Err(Fault::new(Reason::DiskFull, "full"));
        }
        match self.commits_left.fetch_sub(1, Ordering::Relaxed) {
            ..=0 => Err(Fault::internal("killed")),
            _ => self.table.commit(batch, durability),
        }
    }

    fn failure(&self) -> Option<Fault> {
        self.table.failure()
    }

    fn sync(&self) -> Result<(), Fault> {
        self.table.sync()
    }

    fn durable(&self) -> DurableFiles {
        self.table.durable()
    }

    fn release(&self) {
        self.table.release();
    }

    fn compact(&self, range: &KeyRange) {
        self.table.compact(range);
    }

    fn gauges(&self) -> TableGauges {
        self.table.gauges()
    }
}

impl Place {
    pub fn in_memory() -> Self {
        Self { memory: Some(MemoryTable::default()), ..Self::on_disk() }
    }

    pub fn on_disk() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, memory: None, commits_left: Arc::new(AtomicI64::new(i64::MAX)), is_full: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Opens the store in this place.
    pub fn open(&self) -> Store {
        self.commits_left.store(i64::MAX, Ordering::Relaxed);
        let directory = Directory::open(self.path()).expect("no other process uses it");
        let table: Box<dyn Table> = match &self.memory {
            Some(memory) => Box::new(memory.clone()),
            None => {
                inspect(&directory, OPTIONS).expect("nothing is lost");
                Box::new(RocksTable::open(&directory.data(), OPTIONS.memory_budget / 8).expect("sound data"))
            }
        };
        let (commits_left, is_full) = (Arc::clone(&self.commits_left), Arc::clone(&self.is_full));
        let table = Mortal { table, commits_left, is_full };
        let store = Store::open_on(directory, Arc::new(table), OPTIONS).expect("sound data");
        bind(&store);
        store
    }

    /// The store as another process opens it.
    pub fn open_again(&self, store: Store) -> Store {
        drop(store);
        self.open()
    }

    /// Kills the store after `commits` more commits.
    pub fn kill_after(&self, commits: u8) {
        self.commits_left.store(i64::from(commits), Ordering::Relaxed);
    }

    /// Fills or empties the simulated disk.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// A copy of the files at one moment, as a killed process leaves them. Other threads keep writing, so the copy is
    /// repeated until no file is new, removed or larger: files of two moments are not a state of the store.
    pub fn copy(&self) -> Self {
        loop {
            let copy = Self::on_disk();
            let before = files(self.path());
            for (file, _) in &before {
                let target = copy.path().join(file.strip_prefix(self.path()).expect("it is in there"));
                fs::create_dir_all(target.parent().expect("it is in a directory")).expect("room");
                _ = fs::copy(file, target);
            }
            if files(self.path()) == before {
                return copy;
            }
        }
    }
}

pub fn bind(store: &Store) {
    let shards = ShardCount::new(SHARDS).expect("a power of two");
    store.bind_cluster(ClusterId(1), HashKey([9; 16]), shards).expect("one cluster");
}

/// The files in a directory and below it, in order, with their sizes.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory of ours") {
            let entry = entry.expect("readable");
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => waiting.push(entry.path()),
                Ok(metadata) => found.push((entry.path(), metadata.len())),
                // The file was removed after it was listed.
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
