//! The space on a disk, and the part that a directory takes.

use super::fault;
use entail_model::Fault;
use std::fs;
use std::path::Path;

/// The space on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Free for this user.
    pub free: u64,
    pub total: u64,
}

/// The space on the disk of `path`.
pub fn disk(path: &Path) -> Result<Disk, Fault> {
    let disk = rustix::fs::statvfs(path).map_err(|error| fault(path, &error.into()))?;
    Ok(Disk { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
}

/// Bytes of all files in a directory and below.
pub fn used_bytes(path: &Path) -> Result<u64, Fault> {
    let mut used = 0;
    for entry in fs::read_dir(path).map_err(|error| fault(path, &error))? {
        let entry = entry.map_err(|error| fault(path, &error))?;
        // Another thread may delete a file meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        used += if metadata.is_dir() { used_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(used)
}
