//! The files of a database that only grow: how much of each is durable, and whether that is still there.
//!
//! ```text
//! CURRENT           names the manifest in use
//! MANIFEST-000012   an edit for each change of the set of tables: appended and synced before anything relies on it
//! 000034.log        the write-ahead log, of which there may be several: appended with each batch, synced by some
//! 000056.sst        a table: written once; the manifest knows its size, and its blocks have checksums
//! ```
//!
//! The database takes a manifest or a log that ends early for one that a crash has torn. So what was cut off, or is
//! behind a damaged length, is forgotten, and tables that no edit names any more are deleted. Here the extents of manifest
//! and logs are kept, which distinguish a torn end that was never synced from a loss.

use crate::store::table::DurableFiles;
use entail_directory::{Extent, Kept};
use entail_model::Fault;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const CURRENT: &str = "CURRENT";
const MANIFEST: &str = "MANIFEST-";
const LOG: &str = ".log";
const TABLE: &str = ".sst";

/// The durable parts of a database's files, as they grow.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    manifest: Option<(u64, Growing)>,
    logs: BTreeMap<u64, Growing>,
    sequence: u64,
}

#[derive(Debug)]
struct Growing {
    file: File,
    extent: Extent,
}

impl Growing {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, extent: Extent::default() })
    }
}

/// The lengths of all logs at one moment.
pub type LogLengths = Vec<(u64, u64)>;

impl Files {
    /// The files of the database in the directory `path`; nothing is known of them yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), manifest: None, logs: BTreeMap::new(), sequence: 0 }
    }

    /// Takes note that the logs are durable up to these lengths, and with them every batch up to `sequence`.
    pub fn logs_are_durable(&mut self, lengths: &LogLengths, sequence: u64) -> io::Result<()> {
        self.logs.retain(|number, _| lengths.iter().any(|(there, _)| there == number));
        for (number, length) in lengths {
            let log = match self.logs.entry(*number) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(Growing::open(&log_path(&self.path, *number))?)
                }
            };
            log.extent.grow(&log.file, *length)?;
        }
        self.sequence = sequence;
        Ok(())
    }

    /// Looks how far the manifest has grown, and makes that durable.
    pub fn look_at_manifest(&mut self) -> io::Result<()> {
        let number = current(&self.path)?;
        if self.manifest.as_ref().is_none_or(|(known, _)| *known != number) {
            self.manifest = Some((number, Growing::open(&manifest_path(&self.path, number))?));
        }
        let Some((_, manifest)) = &mut self.manifest else { return Ok(()) };
        let length = manifest.file.metadata()?.len();
        if length > manifest.extent.length {
            // The last edit may have been written a moment ago.
            manifest.file.sync_data()?;
            manifest.extent.grow(&manifest.file, length)?;
        }
        Ok(())
    }

    /// What must be found when the database is opened again.
    pub fn durable(&self) -> DurableFiles {
        let manifest = self.manifest.as_ref().map(|(number, manifest)| (*number, manifest.extent));
        let logs = self.logs.iter().map(|(number, log)| (*number, log.extent)).collect();
        DurableFiles { manifest, logs, sequence: self.sequence }
    }
}

/// How long each log in the directory `path` is.
pub fn log_lengths(path: &Path) -> io::Result<LogLengths> {
    let mut lengths = Vec::new();
    for number in numbers(path, LOG)? {
        match fs::metadata(log_path(path, number)) {
            Ok(metadata) => lengths.push((number, metadata.len())),
            // It has gone since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lengths)
}

/// Was a database in the directory `path` never written to? Its creation may have been interrupted.
pub fn is_unwritten(path: &Path) -> bool {
    let tables = numbers(path, TABLE).unwrap_or_default();
    tables.is_empty() && log_lengths(path).unwrap_or_default().iter().all(|(_, length)| *length == 0)
}

/// Checks that the files in the directory `path` still hold what was durable. Gives the logs that are gone, which may be
/// since the database has no use for them any more. Changes nothing.
///
/// # Errors
/// `Corrupt`, with the file and what it lacks.
pub fn check(path: &Path, durable: &DurableFiles) -> Result<Vec<u64>, Fault> {
    if let Some((number, extent)) = durable.manifest {
        let now = current(path).map_err(|error| lost(&path.join(CURRENT), &format!("cannot be used: {error}")))?;
        // A later one is written when the database is opened, and has everything.
        if now < number {
            let (now, then) = (manifest_name(now), manifest_name(number));
            return Err(lost(&path.join(CURRENT), &format!("names {now}, and the database had come to {then}")));
        }
        if now == number {
            check_extent(&manifest_path(path, number), extent)?;
        }
    }
    let mut missing = Vec::new();
    for (number, extent) in &durable.logs {
        let path = log_path(path, *number);
        if path.exists() {
            check_extent(&path, *extent)?;
        } else {
            missing.push(*number);
        }
    }
    Ok(missing)
}

/// The fault for a log that is gone and not obsolete.
pub fn missing_log(path: &Path, number: u64) -> Fault {
    lost(&log_path(path, number), "is missing")
}

/// Checks that a table is there and as long as the manifest says.
pub fn check_table(path: &Path, name: &str, size: u64) -> Result<(), Fault> {
    let path = path.join(name.trim_start_matches('/'));
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() == size => Ok(()),
        Ok(metadata) => Err(lost(&path, &format!("has {} bytes of {size}", metadata.len()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(lost(&path, "is missing")),
        Err(error) => Err(lost(&path, &format!("cannot be read: {error}"))),
    }
}

fn check_extent(path: &Path, extent: Extent) -> Result<(), Fault> {
    match extent.kept_by(path) {
        Ok(Kept::Yes) => Ok(()),
        Ok(Kept::Missing) => Err(lost(path, "is missing")),
        Ok(Kept::Cut { length }) => Err(lost(path, &format!("has {length} bytes of at least {}", extent.length))),
        Ok(Kept::Changed) => Err(lost(path, &format!("has other bytes among its first {}", extent.length))),
        Err(error) => Err(lost(path, &format!("cannot be read: {error}"))),
    }
}

fn lost(path: &Path, what: &str) -> Fault {
    Fault::corrupt(format!("{} {what}", path.display()))
}

/// The number of the manifest in use.
fn current(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path.join(CURRENT))?;
    let number = text.strip_prefix(MANIFEST).and_then(|rest| rest.strip_suffix('\n')?.parse().ok());
    number.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it names no manifest"))
}

/// The numbers of the files with this ending, in order.
fn numbers(path: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(ending)?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn manifest_name(number: u64) -> String {
    format!("{MANIFEST}{number:06}")
}

fn manifest_path(path: &Path, number: u64) -> PathBuf {
    path.join(manifest_name(number))
}

fn log_path(path: &Path, number: u64) -> PathBuf {
    path.join(format!("{number:06}{LOG}"))
}
