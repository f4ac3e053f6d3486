//! The coordinator's data directory.
//!
//! ```text
//! LOCK, IDENTITY   as every role's directory has them
//! metalog          the metadata log
//! INVENTORY        how much of the log is durable
//! BALLAST          reserved space, so that a full disk still has room for an abort
//! ```

use entail_directory::{Directory, INVENTORY};
use entail_model::{Fault, Reason};
use serde::{Deserialize, Serialize};
use std::path::Path;

const BALLAST: &str = "BALLAST";
const BALLAST_BYTES: usize = 256 << 10;
const ROLE: &str = "coordinator";

/// The format of directories with an inventory. Earlier ones have none, and are converted when they are opened.
const FORMAT: u32 = 2;

/// The owner, as the directory's IDENTITY states it.
#[derive(Serialize, Deserialize)]
struct Identity {
    role: String,
    #[serde(default)]
    format: u32,
}

/// Whether a directory must have an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Nothing was written yet, or the first start was interrupted.
    New,
    /// Of a version without inventories.
    BeforeInventories,
    Current,
}

/// Creates the directory if it does not exist, and takes it for this process. Changes nothing in one that exists.
///
/// # Errors
/// [`Reason::DirectoryInUse`] if another process has it, [`Reason::WrongCluster`] if it belongs to another role,
/// [`Reason::InvalidRequest`] if it holds the files of another program, [`Reason::Unsupported`] if a later version wrote it.
pub fn open(path: &Path) -> Result<(Directory, Age), Fault> {
    let owns = |name: &str| name.starts_with("metalog") || name == BALLAST || name.starts_with(INVENTORY);
    let directory = Directory::open(path, owns)?;
    let age = match directory.identity::<Identity>(ROLE)?.map(|identity| identity.format) {
        None => Age::New,
        Some(format) if format < FORMAT => Age::BeforeInventories,
        Some(FORMAT) => Age::Current,
        Some(format) => {
            let path = path.display();
            let message = format!("{path} has format {format}, and this version reads formats 1 to {FORMAT}");
            return Err(Fault::new(Reason::Unsupported, message));
        }
    };
    Ok((directory, age))
}

/// From now on the directory has an inventory.
pub fn set_current(directory: &Directory) -> Result<(), Fault> {
    directory.set_identity(&Identity { role: ROLE.to_owned(), format: FORMAT })
}

/// Is space reserved for an abort? Then there was a log once.
pub fn has_ballast(directory: &Directory) -> bool {
    directory.file_bytes(BALLAST) > 0
}

/// Reserves space for an abort, unless that is done already.
pub fn keep_ballast(directory: &Directory) -> Result<(), Fault> {
    if directory.file_bytes(BALLAST) == BALLAST_BYTES as u64 {
        return Ok(());
    }
    directory.write_new(BALLAST, &[0; BALLAST_BYTES]).map(drop).map_err(|fault| match fault.reason {
        Reason::DiskFull => {
            Fault::new(Reason::DiskFull, format!("no free disk space for the metadata log: {}", fault.message))
        }
        _ => fault,
    })
}

/// Frees the reserved space; `false` if there was none.
pub fn drop_ballast(directory: &Directory) -> bool {
    directory.remove(BALLAST)
}

/// The fault with the path of the directory whose disk is full.
pub fn named(directory: &Directory, mut fault: Fault) -> Fault {
    if fault.reason == Reason::DiskFull {
        fault.message = format!("data directory {}: {}", directory.path().display(), fault.message);
    }
    fault
}
