//! How the database is set up: what is compressed and how, what is kept in memory, and what an opening accepts.

use crate::store::schema::Family;
use rocksdb::statistics::StatsLevel;
use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Options};

/// The most open table files; each takes a file descriptor and a little memory.
const FILES_MAX: i32 = 512;

/// The number of flushed files of terms from which they are compacted.
const TERM_FILES: i32 = 8;

const ZSTD_LEVEL: i32 = 1;
/// RocksDB's default, with which the level decides.
const ZSTD_WINDOW_BITS: i32 = -14;

/// Bytes for buffers and for the cache.
pub fn shares(memory: u64) -> (u64, u64) {
    ((memory / 2).clamp(4 << 20, 128 << 20), (memory / 2).clamp(1 << 20, 512 << 20))
}

/// The families of the database, with their options.
pub fn families(buffers: u64, cache: &Cache) -> [ColumnFamilyDescriptor; 3] {
    Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, buffers, cache)))
}

/// The options of the database as a whole.
pub fn database_options(buffers: u64) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_db_write_buffer_size(buffers as usize);
    options.set_max_total_wal_size(buffers * 2);
    options.set_max_open_files(FILES_MAX);
    options.set_max_background_jobs(2);
    // Files are written steadily, so that a sync does not wait for all their data.
    options.set_bytes_per_sync(1 << 20);
    options.set_wal_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    // Only counters: figures that cost time or a lock are left out.
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
    options
}

fn family_options(family: Family, buffers: u64, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    match family {
        Family::Chunks => {
            // Chunks are packed already, and cached decoded: a second copy in the block cache would be useless.
            options.set_compression_type(DBCompressionType::None);
            options.set_write_buffer_size((buffers / 2) as usize);
            options.set_target_file_size_base(64 << 20);
            // Merged and dropped runs leave deleted chunks: files with many deletions are compacted, to free space.
            options.add_compact_on_deletion_collector_factory(128, 64, 0.5);
            blocks.disable_cache();
        }
        Family::Terms => {
            options.set_compression_type(DBCompressionType::Zstd);
            // Texts share their prefixes already: a higher level takes more time and gains little.
            options.set_compression_options(ZSTD_WINDOW_BITS, ZSTD_LEVEL, 0, 0);
            // A load writes each text once; merging its files soon would write them again.
            options.set_level_zero_file_num_compaction_trigger(TERM_FILES);
            options.set_write_buffer_size((buffers / 4) as usize);
            blocks.set_block_size(32 << 10);
        }
        Family::Manifest => {
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_write_buffer_size((buffers / 8) as usize);
        }
    }
    options.set_block_based_table_factory(&blocks);
    options
}
