//! The table on disk: the only module that uses RocksDB.
//!
//! ```text
//! RocksTable   open, read, write               options      how it is set up
//! inspection   opened so that nothing changes   files        what of its files is durable
//! ```
//!
//! Recovery reads the write-ahead log with `TolerateCorruptedTailRecords`: an incomplete record at the end of a log, as a
//! killed process leaves it, is dropped; any other damage refuses to open. The default (point in time) would silently go
//! back to before the damage, past commits that were acknowledged; absolute consistency would refuse every directory whose
//! process was killed in the middle of a write. Before RocksDB flushes one family's memory it syncs the earlier logs, so
//! no family gets ahead of another.
//!
//! RocksDB deletes files that its manifest has no use for, at once and when it opens. Here it does so only in
//! [`release`](Table::release): a log whose content was flushed stays until the inventory knows the manifest that says so.
//! (A manifest that has been cut since would else make a loss of that log look like nothing.) Between the two are
//! microseconds in which another flush may end; a process that is killed right there has an inventory that does not know
//! the last edit of the manifest, until the next start.
//!
//! A failed write is final (see [`Table::commit`]): the log may hold half of it. So that a full disk does not cause one,
//! batches with data are refused while there is still room for everything in memory to be flushed.

pub mod files;
pub mod inspection;
mod options;

use super::schema::{Family, Key, KeyRange};
use super::table::{Batch, Durability, DurableFiles, FamilyGauges, Table, TableGauges, Visit, Write};
use entail_model::{Fault, Reason};
use files::Files;
use options::{database_options, families, shares};
use rocksdb::properties::{self, PropName};
use rocksdb::statistics::Ticker;
use rocksdb::{
    Cache, ColumnFamily, DB, Direction, ErrorKind, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// Levels of each family: RocksDB's default.
const LEVELS: usize = 7;

/// A RocksDB database of the three families.
pub struct RocksTable {
    db: DB,
    /// The options of the open database, which hold its statistics.
    options: Options,
    cache: Cache,
    /// Bytes for buffers and the cache.
    memory: u64,
    path: PathBuf,
    /// Bytes that must stay free on the disk; new data is refused otherwise.
    reserve: u64,
    failure: OnceLock<Fault>,
    /// Held alone by a write that is synced, and shared by others: so all that is in the logs then is durable.
    writing: RwLock<()>,
    files: Mutex<Files>,
}

impl fmt::Debug for RocksTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RocksTable").field(&self.path).finish()
    }
}

impl RocksTable {
    /// Opens or creates a database that uses about `memory` bytes for its buffers and caches.
    pub fn open(path: &Path, memory: u64) -> Result<Self, Fault> {
        let (buffers, cached) = shares(memory);
        let cache = Cache::new_lru_cache(cached as usize);
        let options = database_options(buffers);
        let db = DB::open_cf_descriptors(&options, path, families(buffers, &cache)).map_err(|error| fault(&error))?;
        db.disable_file_deletions().map_err(|error| fault(&error))?;
        // A twentieth of a small disk is enough, unless buffers and log do not fit into it.
        let reserve = (buffers * 3 + (64 << 20)).min((entail_directory::disk(path)?.total / 20).max(buffers * 3));
        Ok(Self::over(db, options, cache, (path, buffers + cached, reserve)))
    }

    /// A table over an open database, with its directory, its memory and the bytes that it leaves free.
    fn over(db: DB, options: Options, cache: Cache, (path, memory, reserve): (&Path, u64, u64)) -> Self {
        let (writing, files) = (RwLock::default(), Mutex::new(Files::new(path)));
        let path = path.to_owned();
        Self { db, options, cache, memory, path, reserve, failure: OnceLock::new(), writing, files }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // An extent that has not grown is a weaker bound, and no wrong one.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, and takes note of what is durable then.
    fn write(&self, writes: WriteBatch, durability: Durability) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        if durability == Durability::Later {
            let _with_others = self.writing.read().unwrap_or_else(PoisonError::into_inner);
            return self.db.write_opt(writes, &options);
        }
        options.set_sync(true);
        self.alone(|| self.db.write_opt(writes, &options))
    }

    /// Syncs by `act`, while nothing is written, and takes note of what is durable then.
    fn alone(&self, act: impl FnOnce() -> Result<(), rocksdb::Error>) -> Result<(), rocksdb::Error> {
        let alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        act()?;
        let (lengths, sequence) = (files::log_lengths(&self.path), self.db.latest_sequence_number());
        drop(alone);
        if let Err(error) = lengths.and_then(|lengths| self.files().logs_are_durable(&lengths, sequence)) {
            tracing::warn!(%error, "the lengths of the database's logs cannot be read: its inventory stays as it was");
        }
        Ok(())
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("opened with all families")
    }

    /// A property of the database; 0 if it is not available.
    fn number(&self, property: &PropName) -> u64 {
        self.db.property_int_value(property).ok().flatten().unwrap_or(0)
    }

    fn family_gauges(&self, family: Family) -> FamilyGauges {
        let handle = self.family(family);
        let number = |property: &PropName| self.db.property_int_value_cf(handle, property).ok().flatten().unwrap_or(0);
        // RocksDB takes the number of a level as text.
        let files = |level| {
            let found = self.db.property_value_cf(handle, &*properties::num_files_at_level(level));
            found.ok().flatten().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        FamilyGauges {
            name: family.name(),
            files: (0..LEVELS).map(files).sum(),
            file_bytes: number(properties::TOTAL_SST_FILES_SIZE),
            live_bytes: number(properties::ESTIMATE_LIVE_DATA_SIZE),
            memtable_bytes: number(properties::CUR_SIZE_ALL_MEM_TABLES),
            pending_compaction_bytes: number(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
        }
    }

    /// Refuses data while there is little free space. Other programs write to the disk too, so each call reads the figures.
    fn check_room(&self, bytes: u64) -> Result<(), Fault> {
        // If the system gives no figures, the write itself may fail.
        let Ok(disk) = entail_directory::disk(&self.path) else { return Ok(()) };
        if disk.free < self.reserve.saturating_add(bytes) {
            let message = format!("only {} MiB are free on the disk of {}", disk.free >> 20, self.path.display());
            return Err(Fault::new(Reason::DiskFull, message));
        }
        Ok(())
    }

    /// Frees the space of deleted ranges at once if little is left: files with deleted data, which last until the next
    /// compaction, would keep the node from accepting data that does fit. Rewrites only the live data of these files.
    fn give_back(&self, deleted: &[KeyRange]) {
        let is_short = |disk: entail_directory::Disk| disk.free < self.reserve.saturating_mul(2);
        if deleted.is_empty() || !entail_directory::disk(&self.path).is_ok_and(is_short) {
            return;
        }
        deleted.iter().for_each(|range| self.compact(range));
        self.release();
    }

    fn fail(&self, error: &rocksdb::Error) -> Fault {
        self.failure.get_or_init(|| fault(error)).clone()
    }
}

impl Table for RocksTable {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Fault> {
        self.db.get_cf(self.family(key.family()), key.encode()).map_err(|error| fault(&error))
    }

    fn scan(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.bytes.end.clone());
        let start = IteratorMode::From(&range.bytes.start, Direction::Forward);
        for entry in self.db.iterator_cf_opt(self.family(range.family), options, start) {
            let (key, value) = entry.map_err(|error| fault(&error))?;
            if visit(Key::decode(range.family, &key)?, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Key>, Fault> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(range.bytes.start.clone());
        options.set_iterate_upper_bound(range.bytes.end.clone());
        let mut entries = self.db.iterator_cf_opt(self.family(range.family), options, IteratorMode::End);
        let entry = entries.next().transpose().map_err(|error| fault(&error))?;
        entry.map(|(key, _)| Key::decode(range.family, &key)).transpose()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if batch.writes.is_empty() && durability == Durability::Later {
            return Ok(());
        }
        let mut writes = WriteBatch::default();
        let (mut data, mut deleted) = (0, Vec::new());
        for write in batch.writes {
            match write {
                Write::Put(key, value) => {
                    data += if key.family() == Family::Manifest { 0 } else { value.len() as u64 };
                    writes.put_cf(self.family(key.family()), key.encode(), value);
                }
                Write::Delete(key) => writes.delete_cf(self.family(key.family()), key.encode()),
                Write::DeleteRange(range) => {
                    writes.delete_range_cf(self.family(range.family), &range.bytes.start, &range.bytes.end);
                    deleted.push(range);
                }
            }
        }
        if data > 0 {
            self.check_room(data)?;
        }
        self.write(writes, durability).map_err(|error| self.fail(&error))?;
        self.give_back(&deleted);
        Ok(())
    }

    fn failure(&self) -> Option<Fault> {
        self.failure.get().cloned()
    }

    fn sync(&self) -> Result<(), Fault> {
        self.alone(|| self.db.flush_wal(true)).map_err(|error| self.fail(&error))
    }

    fn durable(&self) -> DurableFiles {
        let mut files = self.files();
        if let Err(error) = files.look_at_manifest() {
            tracing::warn!(%error, "the database's manifest cannot be read: its inventory stays as it was");
        }
        files.durable()
    }

    fn release(&self) {
        let released = self.db.enable_file_deletions().and_then(|()| self.db.disable_file_deletions());
        if let Err(error) = released {
            tracing::warn!(%error, "the database cannot delete files that it has no use for");
        }
    }

    fn compact(&self, range: &KeyRange) {
        let (first, last) = (&range.bytes.start, &range.bytes.end);
        self.db.compact_range_cf(self.family(range.family), Some(first), Some(last));
    }

    fn gauges(&self) -> TableGauges {
        let ticker = |ticker| self.options.get_ticker_count(ticker);
        TableGauges {
            families: Family::ALL.map(|family| self.family_gauges(family)).to_vec(),
            memory_budget: self.memory,
            block_cache_bytes: self.cache.get_usage() as u64,
            block_cache_hits: ticker(Ticker::BlockCacheHit),
            block_cache_misses: ticker(Ticker::BlockCacheMiss),
            compactions_running: self.number(properties::NUM_RUNNING_COMPACTIONS),
            flushes_running: self.number(properties::NUM_RUNNING_FLUSHES),
            compaction_read_bytes: ticker(Ticker::CompactReadBytes),
            compaction_written_bytes: ticker(Ticker::CompactWriteBytes),
            flushed_bytes: ticker(Ticker::FlushWriteBytes),
            wal_bytes: ticker(Ticker::WalFileBytes),
            wal_syncs: ticker(Ticker::WalFileSynced),
            stall_seconds: ticker(Ticker::StallMicros) as f64 / 1e6,
            is_write_stopped: self.number(properties::IS_WRITE_STOPPED) > 0,
            delayed_write_rate: self.number(properties::ACTUAL_DELAYED_WRITE_RATE),
            reserve: self.reserve,
        }
    }
}

fn fault(error: &rocksdb::Error) -> Fault {
    let message = error.to_string();
    if message.contains("No space left on device") {
        return Fault::new(Reason::DiskFull, message);
    }
    match error.kind() {
        ErrorKind::Corruption => Fault::corrupt(message),
        _ => Fault::internal(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::columns::ChunkKey;

    #[test]
    fn keeps_the_contract() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        super::super::table::contract::check(12, &|| {
            Box::new(RocksTable::open(directory.path(), 16 << 20).expect("an empty directory"))
        });
    }

    #[test]
    fn little_room_refuses_data_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut table = RocksTable::open(directory.path(), 16 << 20).expect("an empty directory");
        table.reserve = u64::MAX;
        let mut data = Batch::default();
        data.put(Key::Chunk(ChunkKey(1)), vec![1]);
        let refused = table.commit(data.clone(), Durability::Later).expect_err("no room");
        assert_eq!(refused.reason, Reason::DiskFull);
        let mut decision = Batch::default();
        decision.put(Key::Committed, vec![1]);
        table.commit(decision, Durability::Now).expect("small things still go");
        table.reserve = 0;
        table.commit(data, Durability::Later).expect("room again");
        assert_eq!(table.failure(), None);
    }

    #[test]
    fn what_is_written_is_seen_in_the_gauges() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let table = RocksTable::open(directory.path(), 16 << 20).expect("an empty directory");
        let before = table.gauges();
        assert_eq!((before.wal_bytes, before.wal_syncs), (0, 0));
        let mut batch = Batch::default();
        batch.put(Key::Chunk(ChunkKey(1)), vec![1; 1 << 20]);
        table.commit(batch, Durability::Now).expect("there is room");
        let after = table.gauges();
        assert!(after.wal_bytes > 1 << 20 && after.wal_syncs > 0, "{after:?}");
        let chunks = |gauges: &TableGauges| gauges.families.iter().map(|family| family.memtable_bytes).max();
        assert!(chunks(&after) > chunks(&before).map(|bytes| bytes + (1 << 20)), "{after:?}");
        assert!(after.reserve > 0 && after.memory_budget >= 5 << 20, "{after:?}");
        assert!(!after.is_write_stopped);
        table.sync().expect("the disk works");
    }

    /// The directory is removed, so the next file cannot be created: a real write failure.
    #[test]
    fn a_failed_write_is_final() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("data");
        let table = RocksTable::open(&path, 8 << 20).expect("an empty directory");
        std::fs::remove_dir_all(&path).expect("a directory of ours");
        let failures = (0..1000).filter_map(|n| {
            let mut batch = Batch::default();
            batch.put(Key::Chunk(ChunkKey(n)), vec![1; 256 << 10]);
            table.commit(batch, Durability::Now).err()
        });
        let first = failures.into_iter().next().expect("a file that cannot be made");
        assert_eq!(table.failure().as_ref(), Some(&first));
        assert_eq!(table.commit(Batch::default(), Durability::Later).expect_err("writing has ended"), first);
    }
}
