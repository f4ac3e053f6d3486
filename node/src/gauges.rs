//! Metrics that are read when they are scraped: the state of the store, the inboxes and the caches of a node.

use crate::attempt::Attempts;
use crate::context::Context;
use crate::presence::Presence;
use crate::queries::Queries;
use crate::store::{Store, TableGauges};
use entail_telemetry::metrics::roles::{self, pool};
use entail_telemetry::metrics::{Family, Reading, Registry};
use std::sync::{Arc, Weak};

const PARTS: Family = Family::gauge("entail_query_parts_in_flight", "Query parts that are running at a node.");
const SHARD_FACTS: Family = Family::gauge(
    "entail_shard_facts",
    "Facts whose subject is at home in the shard: asserted, or derived by rules only.",
);
const SHARD_TERMS: Family = Family::gauge("entail_shard_terms", "Terms in the shard's dictionary.");
const OVERFLOW: Family = Family::counter(
    "entail_inbox_overflow_bytes_total",
    "Bytes of messages beyond the memory budget that waited on disk.",
);
const HITS: Family =
    Family::counter("entail_chunk_cache_hits_total", "Chunks of facts that were found decoded in memory.");
const MISSES: Family =
    Family::counter("entail_chunk_cache_misses_total", "Chunks of facts that had to be read and decoded.");
const CHUNKS: Family = Family::gauge("entail_chunks", "Chunks of committed facts and dictionary indexes.");
const DISK_RESERVE: Family =
    Family::gauge("entail_disk_reserve_bytes", "Free disk space below which a node refuses new data.");
const FILES: Family = Family::gauge("entail_rocksdb_files", "RocksDB's table files.");
const FILE_BYTES: Family = Family::gauge("entail_rocksdb_file_bytes", "Size of RocksDB's table files.");
const LIVE_BYTES: Family =
    Family::gauge("entail_rocksdb_live_bytes", "Estimated size of the live data in RocksDB's files.");
const MEMTABLE_BYTES: Family = Family::gauge("entail_rocksdb_memtable_bytes", "Size of RocksDB's write buffers.");
const PENDING_BYTES: Family = Family::gauge(
    "entail_rocksdb_pending_compaction_bytes",
    "Estimated bytes that RocksDB's compaction still has to rewrite.",
);
const COMPACTIONS: Family =
    Family::gauge("entail_rocksdb_compactions_running", "Compactions of RocksDB that are running.");
const FLUSHES: Family = Family::gauge("entail_rocksdb_flushes_running", "Flushes of RocksDB that are running.");
const COMPACTION_READ: Family =
    Family::counter("entail_rocksdb_compaction_read_bytes_total", "Bytes that RocksDB's compactions read.");
const COMPACTION_WRITTEN: Family =
    Family::counter("entail_rocksdb_compaction_written_bytes_total", "Bytes that RocksDB's compactions wrote.");
const FLUSHED: Family = Family::counter("entail_rocksdb_flushed_bytes_total", "Bytes that RocksDB's flushes wrote.");
const WAL_BYTES: Family = Family::counter("entail_rocksdb_wal_bytes_total", "Bytes written to RocksDB's log.");
const WAL_SYNCS: Family =
    Family::counter("entail_rocksdb_wal_syncs_total", "Times that RocksDB's log was synced to disk.");
const STALLED: Family =
    Family::counter("entail_rocksdb_stall_seconds_total", "Time for which RocksDB delayed or stopped writers.");
const STOPPED: Family =
    Family::gauge("entail_rocksdb_write_stopped", "1 while RocksDB accepts no writes; otherwise 0.");
const DELAYED: Family = Family::gauge(
    "entail_rocksdb_delayed_write_bytes_per_second",
    "The rate to which RocksDB limits writers; 0 if it does not.",
);
const BLOCK_HITS: Family =
    Family::counter("entail_rocksdb_block_cache_hits_total", "Blocks that RocksDB found in its cache.");
const BLOCK_MISSES: Family =
    Family::counter("entail_rocksdb_block_cache_misses_total", "Blocks that RocksDB had to read.");

/// The sources of the metrics that are read at each scrape. They do not keep the store open.
pub struct Sources {
    pub context: Weak<Context>,
    pub attempts: Weak<Attempts>,
    pub queries: Arc<Queries>,
    pub presence: Arc<Presence>,
}

impl Sources {
    /// Registers the metrics that are read at each scrape.
    pub fn register(self, registry: &Registry) {
        registry.at_scrape(move |reading| {
            if let (Some(context), Some(attempts)) = (self.context.upgrade(), self.attempts.upgrade()) {
                roles::state(reading, self.presence.check().is_ok(), context.store.latest().epoch.0);
                reading.add(&PARTS, &[], self.queries.at_work() as f64);
                pool(reading, "attempt", context.resident_bytes_max(), attempts.held_bytes());
                let inboxes = context.room.use_of();
                pool(reading, "inboxes", inboxes.budget, inboxes.used);
                reading.add(&OVERFLOW, &[], inboxes.stored as f64);
                store(reading, &context.store);
            }
        });
    }
}

fn store(reading: &mut Reading, store: &Store) {
    for (shard, counts) in store.shard_counts() {
        let shard = shard.to_string();
        reading.add(&SHARD_FACTS, &[("shard", &shard), ("kind", "asserted")], counts.asserted as f64);
        reading.add(&SHARD_FACTS, &[("shard", &shard), ("kind", "derived")], counts.derived as f64);
        reading.add(&SHARD_TERMS, &[("shard", &shard)], counts.terms as f64);
    }
    let cache = store.cache_use();
    pool(reading, "chunk_cache", cache.budget, cache.used);
    reading.add(&HITS, &[], cache.hits as f64);
    reading.add(&MISSES, &[], cache.misses as f64);
    reading.add(&CHUNKS, &[], store.chunks() as f64);
    pool(reading, "dictionary", store.dictionary_budget(), store.dictionary_bytes());
    // A figure that cannot be read is left out.
    if let Ok(disk) = store.disk() {
        roles::disk(reading, disk.used, disk.free);
    }
    table(reading, &store.table_gauges());
}

fn table(reading: &mut Reading, table: &TableGauges) {
    let memtables: u64 = table.families.iter().map(|family| family.memtable_bytes).sum();
    pool(reading, "rocksdb", table.memory_budget, table.block_cache_bytes + memtables);
    reading.add(&DISK_RESERVE, &[], table.reserve as f64);
    for family in &table.families {
        let labels = [("family", family.name)];
        reading.add(&FILES, &labels, family.files as f64);
        reading.add(&FILE_BYTES, &labels, family.file_bytes as f64);
        reading.add(&LIVE_BYTES, &labels, family.live_bytes as f64);
        reading.add(&MEMTABLE_BYTES, &labels, family.memtable_bytes as f64);
        reading.add(&PENDING_BYTES, &labels, family.pending_compaction_bytes as f64);
    }
    let whole = [
        (&COMPACTIONS, table.compactions_running),
        (&FLUSHES, table.flushes_running),
        (&COMPACTION_READ, table.compaction_read_bytes),
        (&COMPACTION_WRITTEN, table.compaction_written_bytes),
        (&FLUSHED, table.flushed_bytes),
        (&WAL_BYTES, table.wal_bytes),
        (&WAL_SYNCS, table.wal_syncs),
        (&STOPPED, u64::from(table.is_write_stopped)),
        (&DELAYED, table.delayed_write_rate),
        (&BLOCK_HITS, table.block_cache_hits),
        (&BLOCK_MISSES, table.block_cache_misses),
    ];
    whole.into_iter().for_each(|(family, value)| reading.add(family, &[], value as f64));
    reading.add(&STALLED, &[], table.stall_seconds);
}
