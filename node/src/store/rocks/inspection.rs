//! A database that is only looked at: nothing in its directory changes, not even its log of messages.
//!
//! It is recovered as for writing, but in memory: whatever would stop that stops this, and the logs take their size in
//! memory meanwhile.

use super::options::{database_options, families, shares};
use super::{RocksTable, fault, files};
use crate::store::table::Table;
use entail_model::{Fault, Reason};
use rocksdb::{Cache, DB, ErrorKind, InfoLogger, LogLevel, properties};
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub struct Inspection {
    table: RocksTable,
    path: PathBuf,
}

impl Inspection {
    /// Opens the database in the directory `path`.
    ///
    /// # Errors
    /// `Corrupt` if it cannot be opened, but for want of memory or files.
    pub fn open(path: &Path, memory: u64) -> Result<Self, Fault> {
        let (buffers, cached) = shares(memory);
        let cache = Cache::new_lru_cache(cached as usize);
        let mut options = database_options(buffers);
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
        let db = DB::open_cf_descriptors_read_only(&options, path, families(buffers, &cache), false);
        let db = db.map_err(|error| unusable(path, &error))?;
        let table = RocksTable::over(db, options, cache, (path, buffers + cached, 0));
        Ok(Self { table, path: path.to_owned() })
    }

    /// The database, which cannot be written to.
    pub fn table(&self) -> &dyn Table {
        &self.table
    }

    /// Checks that every table of the database is there, that no log is `missing` which it needs, and that it knows every
    /// write up to the one with the number `sequence`.
    ///
    /// # Errors
    /// `Corrupt`, with the file or what else is missing.
    pub fn check(&self, missing: &[u64], sequence: u64) -> Result<(), Fault> {
        for file in self.table.db.live_files().map_err(|error| unusable(&self.path, &error))? {
            files::check_table(&self.path, &file.name, file.size as u64)?;
        }
        let needed_from = self.table.number(properties::MIN_LOG_NUMBER_TO_KEEP);
        if let Some(needed) = missing.iter().find(|number| **number >= needed_from) {
            return Err(files::missing_log(&self.path, *needed));
        }
        let found = self.table.db.latest_sequence_number();
        if found < sequence {
            let path = self.path.display();
            return Err(Fault::corrupt(format!("{path} ends at write {found}, and had come to {sequence}")));
        }
        Ok(())
    }
}

/// A database that cannot be opened is damaged, unless the system has refused something else.
fn unusable(path: &Path, error: &rocksdb::Error) -> Fault {
    let is_damaged = match error.kind() {
        ErrorKind::Corruption | ErrorKind::InvalidArgument | ErrorKind::NotFound => true,
        _ => error.as_ref().contains("No such file"),
    };
    let fault = fault(error);
    let message = format!("{}: {}", path.display(), fault.message);
    Fault::new(if is_damaged { Reason::Corrupt } else { fault.reason }, message)
}
