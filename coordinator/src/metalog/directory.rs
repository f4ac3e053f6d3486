//! The coordinator's data directory.
//!
//! ```text
//! LOCK, IDENTITY   as every role's directory has them
//! metalog          the metadata log
//! BALLAST          reserved space, so that a full disk still has room for an abort
//! ```

use entail_directory::Directory;
use entail_model::{Fault, Reason};
use serde::{Deserialize, Serialize};
use std::path::Path;

const BALLAST: &str = "BALLAST";
const BALLAST_BYTES: usize = 256 << 10;
const ROLE: &str = "coordinator";

/// The owner, as the directory's IDENTITY states it.
#[derive(Serialize, Deserialize)]
struct Identity {
    role: String,
}

/// Creates the directory if it does not exist, and takes it for this process.
///
/// # Errors
/// [`Reason::DirectoryInUse`] if another process has it, [`Reason::WrongCluster`] if it belongs to another role,
/// [`Reason::InvalidRequest`] if it holds the files of another program.
pub fn open(path: &Path) -> Result<Directory, Fault> {
    let directory = Directory::open(path, |name| name.starts_with("metalog") || name == BALLAST)?;
    if directory.identity::<Identity>(ROLE)?.is_none() {
        directory.set_identity(&Identity { role: ROLE.to_owned() })?;
    }
    Ok(directory)
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
