//! The log of one coordinator, in a file of its data directory.
//!
//! Every append is one write and one fdatasync, before it is applied. When the file has grown large it is replaced by
//! one that starts with a snapshot of the state:
//!
//! ```text
//! metalog.new  header, snapshot ──► fsync ──► rename to metalog ──► fsync of the directory ──► appends go there
//! ```
//!
//! A crash before the rename leaves the old file as it was, and one after it the new: both mean the same state.
//!
//! Beside the log is an inventory of it ([`Vouched`]), which distinguishes a torn record that was never acknowledged from
//! a loss.

use super::directory::{self, Age};
use super::entry::Entry;
use super::journal::{Journal, Medium};
use super::state::{Applied, State};
use super::vouched::{self, Vouched};
use super::{MetaLog, record};
use entail_directory::{Directory, Extent, with_advice};
use entail_model::{Fault, Reason};
use std::path::Path;

const NAME: &str = "metalog";
const NEW_NAME: &str = "metalog.new";

/// The size of the file that triggers a snapshot.
const COMPACT_AT_BYTES: u64 = 64 << 20;

/// The log in a file (see the module).
pub struct FileLog {
    state: State,
    journal: Journal,
    vouched: Vouched,
    directory: Directory,
    /// A snapshot is due at this length.
    compact_at: u64,
    /// The lower bound of `compact_at`.
    compact_at_min: u64,
    /// Is space reserved for an abort?
    has_ballast: bool,
}

impl FileLog {
    /// Opens the log in the data directory `path`, or begins one there, and keeps other processes out.
    ///
    /// # Errors
    /// [`Reason::DirectoryInUse`]; [`Reason::WrongCluster`] for a node's directory; [`Reason::Corrupt`] for a log that
    /// is damaged or shorter than it was, but for a last record that is torn: that is cut off, it was never acknowledged;
    /// [`Reason::DiskFull`]. A directory that is refused stays as it is.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        Self::open_compacting_at(path, COMPACT_AT_BYTES)
    }

    fn open_compacting_at(path: &Path, compact_at: u64) -> Result<Self, Fault> {
        let (directory, age) = directory::open(path).map_err(with_advice)?;
        let bytes = directory.read(NAME)?;
        let replayed = bytes.as_deref().map(record::replay).transpose().map_err(with_advice)?;
        vouched::check(&directory, age, NAME, bytes.as_deref()).map_err(with_advice)?;
        let is_old = replayed.as_ref().is_some_and(|replayed| replayed.is_old);
        let (state, journal, extent) = match (bytes, replayed) {
            (Some(bytes), Some(replayed)) => {
                let extent = Extent::of(&bytes[..replayed.length]);
                (replayed.state, reopen(&directory, extent, bytes.len() as u64)?, extent)
            }
            _ => begin(&directory)?,
        };
        let vouched = Vouched::begin(&directory, extent)?;
        if age != Age::Current {
            directory::set_current(&directory)?;
        }
        let mut log =
            Self { state, journal, vouched, directory, compact_at, compact_at_min: compact_at, has_ballast: false };
        if is_old {
            // An earlier version must not find entries that it does not know in a file that it can read.
            log.compact().map_err(with_advice)?;
        }
        Ok(log)
    }

    /// Writes a record. An abort must be possible on a full disk, or the nodes could never drop what fills it: so no
    /// attempt begins before space for its abort is reserved.
    fn write(&mut self, record: &[u8], entry: &Entry) -> Result<(), Fault> {
        if matches!(entry, Entry::BeginEpoch { .. }) && !self.has_ballast {
            directory::keep_ballast(&self.directory)?;
            self.has_ballast = true;
        }
        match self.append_record(record) {
            Err(fault) if fault.reason == Reason::DiskFull && matches!(entry, Entry::AbortEpoch { .. }) => {
                self.has_ballast = false;
                if directory::drop_ballast(&self.directory) { self.append_record(record) } else { Err(fault) }
            }
            other => other,
        }
    }

    fn append_record(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.journal.append(record).map_err(|fault| directory::named(&self.directory, fault))?;
        self.vouched.grow(record);
        Ok(())
    }

    /// Replaces a file that has grown large. The entry that triggered this is durable and applied already, so a failure
    /// here does not fail the append.
    fn compact_if_due(&mut self) {
        if self.journal.length() < self.compact_at {
            return;
        }
        if let Err(fault) = self.compact() {
            tracing::warn!(%fault, "the metadata log could not be compacted");
            self.compact_at = self.journal.length() + self.compact_at_min / 4;
        }
    }

    fn compact(&mut self) -> Result<(), Fault> {
        let bytes = [record::file_header(), record::snapshot(&self.state)?].concat();
        let file = self.directory.write_new(NEW_NAME, &bytes)?;
        self.replace(Box::new(file), Extent::of(&bytes))?;
        // A snapshot that is large itself must not be rewritten at every append.
        self.compact_at = self.compact_at_min.max(bytes.len() as u64 * 2);
        Ok(())
    }

    /// Switches to the new file. Every step that can fail comes before the rename: after it, appends to the old file would
    /// be lost.
    fn replace(&mut self, new: Box<dyn Medium>, extent: Extent) -> Result<(), Fault> {
        let journal = open_journal(new, extent.length, extent.length)?;
        self.vouched.may_become(extent)?;
        if let Err(fault) = self.directory.publish(NEW_NAME, NAME) {
            // A crash might bring back either file: nothing may be written to one of them alone.
            self.journal.poison();
            return Err(fault);
        }
        self.journal = journal;
        self.vouched.is(extent);
        Ok(())
    }
}

impl MetaLog for FileLog {
    fn state(&self) -> &State {
        &self.state
    }

    fn append(&mut self, entry: &Entry) -> Result<(u64, Applied), Fault> {
        self.state.check(entry)?;
        let index = self.state.index() + 1;
        let record = record::entry(index, entry)?;
        self.write(&record, entry)?;
        let applied = self.state.apply(index, entry)?;
        self.compact_if_due();
        Ok((index, applied))
    }

    fn is_poisoned(&self) -> bool {
        self.journal.is_poisoned()
    }
}

/// Creates the file of a new log atomically, by rename.
fn begin(directory: &Directory) -> Result<(State, Journal, Extent), Fault> {
    let header = record::file_header();
    let file = directory.write_new(NEW_NAME, &header)?;
    directory.publish(NEW_NAME, NAME)?;
    let extent = Extent::of(&header);
    Ok((State::default(), open_journal(Box::new(file), extent.length, extent.length)?, extent))
}

/// Goes on with a file of `found` bytes, of which the extent is good.
fn reopen(directory: &Directory, extent: Extent, found: u64) -> Result<Journal, Fault> {
    let torn = found - extent.length;
    if torn > 0 {
        tracing::info!(
            bytes = torn,
            "the last record of the metadata log is incomplete and was removed; it was never acknowledged"
        );
    }
    open_journal(Box::new(directory.append_to(NAME)?), extent.length, found)
}

fn open_journal(medium: Box<dyn Medium>, length: u64, found: u64) -> Result<Journal, Fault> {
    Journal::open(medium, length, found).map_err(|error| Fault::internal(format!("metadata log: {error}")))
}

#[cfg(test)]
mod loss;
#[cfg(test)]
mod tests;
