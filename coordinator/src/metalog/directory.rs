//! The data directory of a coordinator, and the one that `entail serve` keeps around its roles: who owns it, and how
//! files in it are replaced.
//!
//! ```text
//! LOCK       held while a process uses the directory
//! IDENTITY   json: the role that the directory belongs to, and what else that role remembers there
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
const NEW_IDENTITY: &str = "IDENTITY.new";

/// A data directory that no other process uses while this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Identity,
    _lock: File,
}

/// What a directory says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The role that it belongs to.
    pub role: String,
    /// The nodes of `entail serve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u16>,
}

impl Identity {
    /// Of a coordinator's directory.
    pub fn coordinator() -> Self {
        Self { role: "coordinator".to_owned(), nodes: None }
    }

    /// Of a directory around a coordinator and nodes.
    pub fn serve(nodes: u16) -> Self {
        Self { role: "serve".to_owned(), nodes: Some(nodes) }
    }

    /// The role as messages name it.
    fn described(&self) -> String {
        if self.role == "serve" { "`entail serve`".to_owned() } else { format!("a {}", self.role) }
    }

    /// Is a file part of the role's data? Only asked where no file of that name can be somebody else's.
    fn owns(&self, name: &str) -> bool {
        match &*self.role {
            // Those of earlier versions had no identity.
            "serve" => name == "coordinator" || name.starts_with("node-"),
            _ => name.starts_with("metalog") || name == BALLAST,
        }
    }
}

impl Directory {
    /// Makes the directory if there is none, and takes it. A new one gets `identity`; one that has an identity of the
    /// same role keeps its own.
    ///
    /// # Errors
    /// [`Reason::DirectoryInUse`] if another process has it, [`Reason::WrongCluster`] if it belongs to another role,
    /// [`Reason::InvalidRequest`] if it holds something else's files.
    pub fn open(path: &Path, identity: Identity) -> Result<Self, Fault> {
        create_durably(path).map_err(|error| fault(path, &error))?;
        refuse_foreign_files(path, &identity)?;
        let lock = take_lock(path)?;
        let mut directory = Self { path: path.to_owned(), identity, _lock: lock };
        directory.identify()?;
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

    /// What the directory says of itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The directory says whose it is before anything is put into it.
    fn identify(&mut self) -> Result<(), Fault> {
        let Some(bytes) = self.read(IDENTITY)? else {
            let identity = serde_json::to_vec(&self.identity).map_err(|error| Fault::internal(error.to_string()))?;
            self.write_new(NEW_IDENTITY, &identity)?;
            return self.publish(NEW_IDENTITY, IDENTITY);
        };
        let path = self.path.display();
        let has: Identity =
            serde_json::from_slice(&bytes).map_err(|error| Fault::corrupt(format!("{path}/{IDENTITY}: {error}")))?;
        if has.role != self.identity.role {
            let text = format!("{path} belongs to {}, not to {}", has.described(), self.identity.described());
            return Err(Fault::new(Reason::WrongCluster, text));
        }
        self.identity = has;
        Ok(())
    }

    fn fault(&self, error: &io::Error) -> Fault {
        fault(&self.path, error)
    }
}

/// Refuses a directory that holds files but no data of ours. `lost+found` and hidden files are what file systems and
/// their tools put into an empty volume.
fn refuse_foreign_files(path: &Path, identity: &Identity) -> Result<(), Fault> {
    if path.join(IDENTITY).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| fault(path, &error))? {
        let name = entry.map_err(|error| fault(path, &error))?.file_name();
        let name = name.to_string_lossy();
        // What a first start that was interrupted leaves.
        let is_ours = [LOCK, NEW_IDENTITY].contains(&&*name) || identity.owns(&name);
        if !is_ours && name != "lost+found" && !name.starts_with('.') {
            let text = format!("{} is not empty and no data directory of Entail: it holds {name}", path.display());
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_what_it_was_created_with() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = Directory::open(place.path(), Identity::serve(2)).expect("an empty directory");
        let refused = Directory::open(place.path(), Identity::serve(2)).expect_err("in use");
        assert_eq!(refused.reason, Reason::DirectoryInUse);
        drop(first);
        let again = Directory::open(place.path(), Identity::serve(3)).expect("free again");
        assert_eq!(again.identity(), &Identity::serve(2));
        drop(again);
        let refused = Directory::open(place.path(), Identity::coordinator()).expect_err("another role's");
        assert_eq!(refused.reason, Reason::WrongCluster);
        assert!(refused.message.ends_with("belongs to `entail serve`, not to a coordinator"), "{refused}");
    }

    #[test]
    fn foreign_files_are_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        for name in [".snapshot", "lost+found", "node-0", "coordinator"] {
            fs::create_dir(place.path().join(name)).expect("a temporary directory");
        }
        let refused = Directory::open(place.path(), Identity::coordinator()).expect_err("directories of roles");
        assert_eq!(refused.reason, Reason::InvalidRequest);
        assert!(refused.message.contains("is not empty and no data directory of Entail: it holds "), "{refused}");
        assert!(!place.path().join(IDENTITY).exists() && !place.path().join(LOCK).exists(), "nothing is written there");
        drop(Directory::open(place.path(), Identity::serve(1)).expect("one of an earlier version"));
        fs::write(place.path().join("notes"), "").expect("a temporary file");
        drop(Directory::open(place.path(), Identity::serve(1)).expect("it is ours now"));
    }
}
