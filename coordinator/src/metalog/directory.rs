//! The coordinator's data directory: who owns it, and how files in it are replaced.
//!
//! ```text
//! LOCK       held while a process uses the directory
//! IDENTITY   json: the role that the directory belongs to
//! metalog    the metadata log
//! BALLAST    room kept so that a full disk still has some for an abort
//! ```

use super::journal::{disk_full, is_full};
use entail_model::{Fault, Reason};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "IDENTITY";
const BALLAST: &str = "BALLAST";
const BALLAST_BYTES: usize = 256 << 10;
const ROLE: &str = "coordinator";

/// A data directory that no other process uses while this lives.
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

/// To whom a directory belongs.
#[derive(Serialize, Deserialize)]
struct Identity {
    role: String,
}

impl Directory {
    /// Makes the directory if there is none, and takes it.
    ///
    /// # Errors
    /// [`Reason::DirectoryInUse`] if another process has it, [`Reason::WrongCluster`] if it belongs to another role.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        create_durably(path).map_err(|error| fault(path, &error))?;
        let lock = take_lock(path)?;
        let directory = Self { path: path.to_owned(), _lock: lock };
        directory.check_role()?;
        // A process that was killed between a rename and its sync has left names that only the cache may hold.
        sync_directory(path).map_err(|error| fault(path, &error))?;
        Ok(directory)
    }

    /// The whole of a file; `None` if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// Opens a file for appending.
    pub fn append_to(&self, name: &str) -> Result<File, Fault> {
        OpenOptions::new().append(true).open(self.path.join(name)).map_err(|error| self.fault(&error))
    }

    /// Writes a new file and makes its contents durable; it is open for appending. A file of that name, left by a crash,
    /// goes. Nothing else changes, so a failure does no harm.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<File, Fault> {
        let path = self.path.join(name);
        let written = remove(&path).and_then(|()| write_durably(&path, bytes));
        written.map_err(|error| {
            // Best effort: half a file may take the last room, and the next try removes it anyway.
            let _ = remove(&path);
            self.fault(&error)
        })
    }

    /// Puts the file `new` in the place of `name`, durably. After a failure either may be found there after a crash.
    pub fn publish(&self, new: &str, name: &str) -> Result<(), Fault> {
        let renamed = fs::rename(self.path.join(new), self.path.join(name)).and_then(|()| sync_directory(&self.path));
        renamed.map_err(|error| self.fault(&error))
    }

    /// Keeps some room for hard times, unless it is kept already.
    pub fn keep_ballast(&self) -> Result<(), Fault> {
        let length = fs::metadata(self.path.join(BALLAST)).map_or(0, |metadata| metadata.len());
        if length != BALLAST_BYTES as u64 {
            self.write_new(BALLAST, &[0; BALLAST_BYTES])?;
        }
        Ok(())
    }

    /// Frees the room that was kept; `false` if there was none.
    pub fn drop_ballast(&self) -> bool {
        fs::remove_file(self.path.join(BALLAST)).and_then(|()| sync_directory(&self.path)).is_ok()
    }

    /// A fault that says which disk is full.
    pub fn named(&self, mut fault: Fault) -> Fault {
        if fault.reason == Reason::DiskFull {
            fault.message = format!("data directory {}: {}", self.path.display(), fault.message);
        }
        fault
    }

    /// The directory says whose it is before anything is put into it.
    fn check_role(&self) -> Result<(), Fault> {
        let Some(bytes) = self.read(IDENTITY)? else {
            let identity = serde_json::to_vec(&Identity { role: ROLE.to_owned() });
            let identity = identity.map_err(|error| Fault::internal(error.to_string()))?;
            self.write_new("IDENTITY.new", &identity)?;
            return self.publish("IDENTITY.new", IDENTITY);
        };
        let path = self.path.display();
        match serde_json::from_slice::<Identity>(&bytes) {
            Ok(identity) if identity.role == ROLE => Ok(()),
            Ok(identity) => {
                let message = format!("{path} belongs to a {}, not to a {ROLE}", identity.role);
                Err(Fault::new(Reason::WrongCluster, message))
            }
            Err(error) => Err(Fault::corrupt(format!("{path}/{IDENTITY}: {error}"))),
        }
    }

    fn fault(&self, error: &io::Error) -> Fault {
        fault(&self.path, error)
    }
}

fn fault(path: &Path, error: &io::Error) -> Fault {
    if is_full(error) {
        return disk_full(error);
    }
    let message = format!("data directory {}: {error}", path.display());
    match error.kind() {
        // Whoever gave the path can mend this.
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem => Fault::new(Reason::InvalidRequest, message),
        _ => Fault::internal(message),
    }
}

fn take_lock(path: &Path) -> Result<File, Fault> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK));
    let lock = lock.map_err(|error| fault(path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is in use by another process", path.display());
            Err(Fault::new(Reason::DirectoryInUse, message))
        }
        Err(TryLockError::Error(error)) => Err(fault(path, &error)),
    }
}

/// Creates a directory and those above it, each entered durably into the one above.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(above),
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
