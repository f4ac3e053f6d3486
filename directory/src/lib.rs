//! A role's data directory: one process uses it, one role owns it, and its files are replaced durably.
//!
//! ```text
//! LOCK        held while a process uses the directory
//! IDENTITY    json: the role that the directory belongs to, with the role's own fields; then a checksum
//! INVENTORY   what the role's files must still hold, for roles that keep one
//! …           the role's own files
//! ```
//!
//! Invariants: nothing is written before the lock is held; after a crash a replaced file is complete, the old one or the
//! new one; every fault names the directory.

pub mod damage;
mod disk;
mod extent;
mod identity;
mod inventory;

pub use disk::{Disk, disk, used_bytes};
pub use extent::{Extent, Kept};
pub use inventory::{INVENTORY, Inventory};

use entail_model::{Fault, Reason};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "IDENTITY";
const NEW_IDENTITY: &str = "IDENTITY.new";

/// What an operator can do about damage; the page that this names says more.
const ADVICE: &str = "nothing was changed: put back the newest backup of all directories, or load an export into a new \
                      cluster (docs/operations.md, Damaged data)";

/// A data directory that no other process uses while this value lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

/// The part of an identity that every role has.
#[derive(Deserialize)]
struct Owner {
    role: String,
}

impl Directory {
    /// Creates the directory if it does not exist, and locks it. `owns` decides whether a file in a directory without an
    /// identity is the role's own.
    ///
    /// # Errors
    /// [`Reason::DirectoryInUse`] if another process has locked it; [`Reason::InvalidRequest`] for a path that cannot be
    /// a directory of this user, or that holds the files of another program.
    pub fn open(path: &Path, owns: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let is_new = create_durably(path).map_err(|error| fault(path, &error))?;
        refuse_foreign_files(path, owns)?;
        let directory = Self { path: path.to_owned(), _lock: take_lock(path)? };
        if !is_new {
            // After a kill between a rename and its sync, the new name may exist only in the cache.
            sync_directory(path).map_err(|error| fault(path, &error))?;
        }
        Ok(directory)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of the directory, which has a field `role`; `None` for a new directory.
    ///
    /// # Errors
    /// [`Reason::WrongCluster`] if the directory belongs to another role, [`Reason::Corrupt`] if the identity is damaged.
    pub fn identity<I: DeserializeOwned>(&self, role: &str) -> Result<Option<I>, Fault> {
        let Some(bytes) = self.read(IDENTITY)? else { return Ok(None) };
        let path = self.path.display();
        let damaged = |error: serde_json::Error| Fault::corrupt(format!("{path}/{IDENTITY}: {error}"));
        if !identity::is_whole(&bytes) {
            return Err(Fault::corrupt(format!("{path}/{IDENTITY} does not match its checksum")));
        }
        let owner: Owner = serde_json::from_slice(&bytes).map_err(damaged)?;
        if owner.role != role {
            let message = format!("{path} belongs to {}, not to {}", described(&owner.role), described(role));
            return Err(Fault::new(Reason::WrongCluster, message));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Replaces the identity.
    pub fn set_identity(&self, identity: &impl Serialize) -> Result<(), Fault> {
        let text = serde_json::to_string_pretty(identity).map_err(|error| Fault::internal(error.to_string()))?;
        self.write_new(NEW_IDENTITY, identity::with_checksum(&text).as_bytes())?;
        self.publish(NEW_IDENTITY, IDENTITY)
    }

    /// The contents of a file; `None` if it does not exist.
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

    /// Writes a new file and makes its contents durable; the file is open for appending. A file of that name, left by a
    /// crash, is removed. No other file changes, so a failure is harmless.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<File, Fault> {
        write_new(&self.path, name, bytes)
    }

    /// Replaces the file `name` by `new`, durably. After a failure, a crash may leave either file.
    pub fn publish(&self, new: &str, name: &str) -> Result<(), Fault> {
        publish(&self.path, new, name)
    }

    /// The bytes of a file; 0 if it does not exist.
    pub fn file_bytes(&self, name: &str) -> u64 {
        fs::metadata(self.path.join(name)).map_or(0, |metadata| metadata.len())
    }

    /// Removes a file durably; `false` if that failed or the file did not exist.
    pub fn remove(&self, name: &str) -> bool {
        fs::remove_file(self.path.join(name)).and_then(|()| sync_directory(&self.path)).is_ok()
    }

    /// The fault for a failure in this directory.
    pub fn fault(&self, error: &io::Error) -> Fault {
        fault(&self.path, error)
    }
}

/// A fault of an opening that found damage and changed nothing, with what can be done; others as they are.
pub fn with_advice(fault: Fault) -> Fault {
    match fault.reason {
        Reason::Corrupt => Fault::corrupt(format!("{}; {ADVICE}", fault.message)),
        _ => fault,
    }
}

/// The identity of the directory `path`, if it can be read. Changes nothing and takes no lock; for messages and
/// defaults, since another process may be replacing it.
pub fn peek_identity<I: DeserializeOwned>(path: &Path) -> Option<I> {
    serde_json::from_slice(&fs::read(path.join(IDENTITY)).ok()?).ok()
}

/// The name of a role in messages. `entail serve` has a directory that contains those of its roles.
fn described(role: &str) -> String {
    if role == "serve" { "`entail serve`".to_owned() } else { format!("a {role}") }
}

/// Refuses a directory that has files but no identity. `lost+found` and hidden files are allowed: file systems and their
/// tools put them into an empty volume.
fn refuse_foreign_files(path: &Path, owns: impl Fn(&str) -> bool) -> Result<(), Fault> {
    if path.join(IDENTITY).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| fault(path, &error))? {
        let name = entry.map_err(|error| fault(path, &error))?.file_name();
        let name = name.to_string_lossy();
        // An interrupted first start leaves the lock and an incomplete identity.
        let is_ours = [LOCK, NEW_IDENTITY].contains(&&*name) || owns(&name);
        if !is_ours && name != "lost+found" && !name.starts_with('.') {
            let text =
                format!("{} is not empty and is not a data directory of Entail: it holds {name}", path.display());
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
    }
    Ok(())
}

/// Random bytes from the operating system, for ids and keys.
///
/// # Errors
/// `Internal` if the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(|error| Fault::internal(format!("no random bytes: {error}")))
}

/// Is there no space left, on the disk or for this user?
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn fault(path: &Path, error: &io::Error) -> Fault {
    let message = format!("data directory {}: {error}", path.display());
    match error.kind() {
        _ if is_full(error) => Fault::new(Reason::DiskFull, message),
        // Errors that the user can resolve with another path.
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

/// Creates a directory and its parents, each with a durable entry in the one above; `true` if the directory is new.
fn create_durably(path: &Path) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        created => sync_directory(above).map(|()| created.is_ok()),
    }
}

fn write_new(directory: &Path, name: &str, bytes: &[u8]) -> Result<File, Fault> {
    let path = directory.join(name);
    let written = remove(&path).and_then(|()| write_durably(&path, bytes));
    written.map_err(|error| {
        // Best effort: an incomplete file may take the last free space, and the next try removes it anyway.
        let _ = remove(&path);
        fault(directory, &error)
    })
}

fn publish(directory: &Path, new: &str, name: &str) -> Result<(), Fault> {
    let renamed = fs::rename(directory.join(new), directory.join(name)).and_then(|()| sync_directory(directory));
    renamed.map_err(|error| fault(directory, &error))
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

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Identity {
        role: String,
        number: u8,
    }

    #[test]
    fn a_directory_has_one_process_and_one_role() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("a/b");
        let first = Directory::open(&path, |_| false).expect("a new directory");
        assert_eq!(Directory::open(&path, |_| false).expect_err("in use").reason, Reason::DirectoryInUse);
        assert_eq!(first.identity::<Identity>("node").expect("none yet"), None);
        for number in [1, 2] {
            first.set_identity(&Identity { role: "node".to_owned(), number }).expect("space");
        }
        drop(first);
        let again = Directory::open(&path, |_| false).expect("free again");
        let identity = again.identity::<Identity>("node").expect("its role");
        assert_eq!(identity, Some(Identity { role: "node".to_owned(), number: 2 }));
        let refused = again.identity::<Identity>("coordinator").expect_err("another role");
        assert_eq!(refused.reason, Reason::WrongCluster);
        assert!(refused.message.ends_with("belongs to a node, not to a coordinator"), "{refused}");
        fs::write(path.join(IDENTITY), r#"{"role":"node"}"#).expect("a temporary file");
        assert_eq!(again.identity::<Identity>("node").expect_err("cut").reason, Reason::Corrupt);
    }

    #[test]
    fn a_new_file_takes_the_place_of_one_that_a_crash_has_left() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::open(place.path(), |_| false).expect("an empty directory");
        fs::write(place.path().join("log.new"), "half").expect("a temporary file");
        let mut file = directory.write_new("log.new", b"whole").expect("space");
        directory.publish("log.new", "log").expect("space");
        file.write_all(b", and more").expect("it is open for appending");
        assert_eq!(directory.read("log").expect("readable"), Some(b"whole, and more".to_vec()));
        assert_eq!((directory.read("log.new").expect("readable"), directory.file_bytes("log")), (None, 15));
        assert!(directory.remove("log") && !directory.remove("log"));
    }

    #[test]
    fn foreign_files_are_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        for name in [".snapshot", "lost+found", LOCK, NEW_IDENTITY, "mine"] {
            fs::write(place.path().join(name), "").expect("a temporary file");
        }
        let owns = |name: &str| name == "mine";
        drop(Directory::open(place.path(), owns).expect("a new volume, or an interrupted first start"));
        fs::write(place.path().join("notes"), "").expect("a temporary file");
        let refused = Directory::open(place.path(), owns).expect_err("files of another program");
        assert_eq!(refused.reason, Reason::InvalidRequest);
        assert!(
            refused.message.ends_with("is not empty and is not a data directory of Entail: it holds notes"),
            "{refused}"
        );
        assert!(!place.path().join(IDENTITY).exists(), "nothing is written there");
        fs::write(place.path().join(IDENTITY), r#"{"role":"node"}"#).expect("a temporary file");
        drop(Directory::open(place.path(), owns).expect("its identity says that it is ours"));
    }

    #[test]
    fn a_path_that_cannot_be_a_directory_is_the_users_mistake() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let file = place.path().join("file");
        fs::write(&file, "").expect("a temporary file");
        assert_eq!(Directory::open(&file.join("below"), |_| false).expect_err("a file").reason, Reason::InvalidRequest);
    }
}
