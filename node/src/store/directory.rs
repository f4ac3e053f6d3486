//! The node's data directory: who owns it and whom it belongs to.
//!
//! ```text
//! LOCK       held while a process uses the directory
//! IDENTITY   json: the node's id and, once it has joined one, its cluster and its name there
//! data/      the database
//! ```

use super::schema::FORMAT;
use entail_model::term::HashKey;
use entail_model::{ClusterId, Fault, NodeId, Reason, ShardCount};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "IDENTITY";
const NEW_IDENTITY: &str = "IDENTITY.new";
const DATA: &str = "data";
const ROLE: &str = "node";

/// A data directory that no other process uses while this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Identity,
    _lock: File,
}

/// Whose a directory is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Identity {
    role: String,
    #[serde(default)]
    format: u32,
    #[serde(default)]
    node: NodeId,
    #[serde(default)]
    cluster: Option<Cluster>,
    /// The name under which the node was registered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The name that the node in this directory had last; `None` if it has had none, or the directory cannot be read:
/// [`Directory::open`] says why. Changes nothing, and takes no lock.
pub fn remembered_name(path: &Path) -> Option<String> {
    let bytes = fs::read(path.join(IDENTITY)).ok()?;
    serde_json::from_slice::<Identity>(&bytes).ok()?.name
}

/// The cluster that a node belongs to, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    hash_key: [u8; 16],
    pub shards: ShardCount,
}

impl Cluster {
    /// What a node must know of its cluster.
    pub fn new(id: ClusterId, hash_key: HashKey, shards: ShardCount) -> Self {
        Self { id, hash_key: hash_key.0, shards }
    }

    /// The key of the hash that term ids depend on.
    pub fn hash_key(&self) -> HashKey {
        HashKey(self.hash_key)
    }
}

impl Directory {
    /// Makes the directory if there is none, and takes it.
    ///
    /// # Errors
    /// `DirectoryInUse` if another process has it, `WrongCluster` if it belongs to another role, `Unsupported` if
    /// another version wrote it, `InvalidRequest` if it holds something else's files.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        create_durably(path).map_err(|error| fault(path, &error))?;
        refuse_foreign_files(path)?;
        let lock = take_lock(path)?;
        let identity = match fs::read(path.join(IDENTITY)) {
            Ok(bytes) => read_identity(path, &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => new_identity(path)?,
            Err(error) => return Err(fault(path, &error)),
        };
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }

    /// The node that the directory makes its process be.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The cluster, once the node has joined one.
    pub fn cluster(&self) -> Option<Cluster> {
        self.identity.cluster
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// Joins a cluster, or checks that this is the one that the node is in.
    ///
    /// # Errors
    /// `WrongCluster` if the node is in another one.
    pub fn bind(&mut self, cluster: Cluster) -> Result<(), Fault> {
        match self.identity.cluster {
            Some(ours) if ours == cluster => Ok(()),
            Some(ours) => {
                let message = format!(
                    "{} belongs to cluster {:016x}, not to cluster {:016x}",
                    self.path.display(),
                    ours.id.0,
                    cluster.id.0
                );
                Err(Fault::new(Reason::WrongCluster, message))
            }
            None => {
                let identity = Identity { cluster: Some(cluster), ..self.identity.clone() };
                write_identity(&self.path, &identity)?;
                self.identity = identity;
                Ok(())
            }
        }
    }

    /// Remembers the name under which the node was registered.
    pub fn remember_name(&mut self, name: &str) -> Result<(), Fault> {
        if self.identity.name.as_deref() != Some(name) {
            let identity = Identity { name: Some(name.to_owned()), ..self.identity.clone() };
            write_identity(&self.path, &identity)?;
            self.identity = identity;
        }
        Ok(())
    }
}

/// Refuses a directory that holds files but no data of ours. `lost+found` and hidden files are what file systems and
/// their tools put into an empty volume.
fn refuse_foreign_files(path: &Path) -> Result<(), Fault> {
    if path.join(IDENTITY).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| fault(path, &error))? {
        let name = entry.map_err(|error| fault(path, &error))?.file_name();
        let name = name.to_string_lossy();
        // What a first start that was interrupted leaves, and DATA, which has a message of its own.
        let is_ours = [LOCK, NEW_IDENTITY, DATA].contains(&&*name);
        if !is_ours && name != "lost+found" && !name.starts_with('.') {
            let text = format!("{} is not empty and no data directory of Entail: it holds {name}", path.display());
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
    }
    Ok(())
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
        _ => File::open(above)?.sync_all(),
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

fn read_identity(path: &Path, bytes: &[u8]) -> Result<Identity, Fault> {
    let path = path.display();
    let identity: Identity =
        serde_json::from_slice(bytes).map_err(|error| Fault::corrupt(format!("{path}/{IDENTITY}: {error}")))?;
    if identity.role != ROLE {
        let message = format!("{path} belongs to {}, not to a {ROLE}", described(&identity.role));
        return Err(Fault::new(Reason::WrongCluster, message));
    }
    if identity.format != FORMAT {
        let message = format!("{path} has format {}, and this version reads only format {FORMAT}", identity.format);
        return Err(Fault::new(Reason::Unsupported, message));
    }
    Ok(identity)
}

/// A role as messages name it: `entail serve` keeps a directory around those of its roles.
fn described(role: &str) -> String {
    if role == "serve" { "`entail serve`".to_owned() } else { format!("a {role}") }
}

/// A fresh identity; refused where something else's files are.
fn new_identity(path: &Path) -> Result<Identity, Fault> {
    if path.join(DATA).exists() {
        return Err(Fault::corrupt(format!("{} has data but no {IDENTITY}", path.display())));
    }
    let mut drawn = [0; 8];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut drawn));
    random.map_err(|error| fault(path, &error))?;
    let node = NodeId(u64::from_ne_bytes(drawn).max(1));
    let identity = Identity { role: ROLE.to_owned(), format: FORMAT, node, cluster: None, name: None };
    write_identity(path, &identity)?;
    Ok(identity)
}

/// Replaces the identity durably: the old one is there until the new one is whole.
fn write_identity(path: &Path, identity: &Identity) -> Result<(), Fault> {
    let bytes = serde_json::to_vec_pretty(identity).map_err(|error| Fault::internal(error.to_string()))?;
    let replace = || -> io::Result<()> {
        let new = path.join(NEW_IDENTITY);
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path.join(IDENTITY))?;
        File::open(path)?.sync_all()
    };
    replace().map_err(|error| fault(path, &error))
}

fn fault(path: &Path, error: &io::Error) -> Fault {
    let message = format!("data directory {}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::new(Reason::DiskFull, message),
        // Whoever gave the path can mend this.
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem => Fault::new(Reason::InvalidRequest, message),
        _ => Fault::internal(message),
    }
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub free: u64,
    pub total: u64,
}

/// The room on the disk of `path`.
pub fn disk(path: &Path) -> Result<Disk, Fault> {
    let disk = rustix::fs::statvfs(path).map_err(|error| fault(path, &error.into()))?;
    Ok(Disk { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
}

/// Bytes of all files in a directory and below.
pub fn used_bytes(path: &Path) -> Result<u64, Fault> {
    let mut used = 0;
    for entry in fs::read_dir(path).map_err(|error| fault(path, &error))? {
        let entry = entry.map_err(|error| fault(path, &error))?;
        // A file may be deleted while we look.
        let Ok(metadata) = entry.metadata() else { continue };
        used += if metadata.is_dir() { used_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(id: u64) -> Cluster {
        Cluster::new(ClusterId(id), HashKey([7; 16]), ShardCount::new(16).expect("a power of two"))
    }

    #[test]
    fn a_directory_has_one_process_and_one_cluster() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let mut first = Directory::open(place.path()).expect("an empty directory");
        let refused = Directory::open(place.path()).expect_err("in use");
        assert_eq!(refused.reason, Reason::DirectoryInUse);
        first.bind(cluster(1)).expect("no cluster yet");
        let node = first.node();
        drop(first);
        let mut again = Directory::open(place.path()).expect("free again");
        assert_eq!((again.node(), again.cluster()), (node, Some(cluster(1))));
        again.bind(cluster(1)).expect("the same cluster");
        assert_eq!(again.bind(cluster(2)).expect_err("another cluster").reason, Reason::WrongCluster);
    }

    #[test]
    fn a_directory_remembers_its_name() {
        let place = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(remembered_name(place.path()), None, "there is no directory yet");
        let mut directory = Directory::open(place.path()).expect("an empty directory");
        assert_eq!(remembered_name(place.path()), None);
        for name in ["one", "two"] {
            directory.remember_name(name).expect("room");
            assert_eq!(remembered_name(place.path()).as_deref(), Some(name), "also while it is in use");
        }
        directory.bind(cluster(1)).expect("no cluster yet");
        let node = directory.node();
        drop(directory);
        assert_eq!(Directory::open(place.path()).expect("free again").node(), node);
        assert_eq!(remembered_name(place.path()).as_deref(), Some("two"));
    }

    #[test]
    fn foreign_files_are_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        for name in [".snapshot", "lost+found", LOCK, NEW_IDENTITY] {
            fs::write(place.path().join(name), "").expect("a temporary file");
        }
        drop(Directory::open(place.path()).expect("a new volume, or a first start that was interrupted"));
        fs::write(place.path().join("notes"), "").expect("a temporary file");
        drop(Directory::open(place.path()).expect("it is ours now"));
        fs::remove_file(place.path().join(IDENTITY)).expect("a file");
        let refused = Directory::open(place.path()).expect_err("files of somebody else");
        assert_eq!(refused.reason, Reason::InvalidRequest);
        assert!(refused.message.ends_with("is not empty and no data directory of Entail: it holds notes"), "{refused}");
        assert!(!place.path().join(IDENTITY).exists(), "nothing is written there");
    }

    #[test]
    fn foreign_and_broken_identities_are_refused() {
        let cases = [
            (r#"{"role":"coordinator"}"#, Reason::WrongCluster),
            (r#"{"role":"serve","nodes":2}"#, Reason::WrongCluster),
            (r#"{"role":"node","format":99,"node":1,"cluster":null}"#, Reason::Unsupported),
            ("{", Reason::Corrupt),
            ("", Reason::Corrupt),
        ];
        for (identity, reason) in cases {
            let place = tempfile::tempdir().expect("a temporary directory");
            fs::write(place.path().join(IDENTITY), identity).expect("a temporary file");
            assert_eq!(Directory::open(place.path()).expect_err(identity).reason, reason, "{identity}");
        }
        let place = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(place.path().join(DATA)).expect("a temporary directory");
        assert_eq!(Directory::open(place.path()).expect_err("data of nobody").reason, Reason::Corrupt);
    }
}
