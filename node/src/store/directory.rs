//! The node's data directory, which gives the node its id and binds it to one cluster.
//!
//! ```text
//! LOCK           the lock of every role's directory
//! IDENTITY       the identity of every role's directory, with the format, the node's id and, once it has joined one, its
//!                cluster
//! INVENTORY      what the database must still hold
//! REGISTRATION   the secret of the last registration, with which a restarted process proves that it is the same node
//! data/          the database
//! ```

use super::schema::{FORMAT, FORMAT_IN_MANIFEST, FORMAT_WITH_INVENTORY};
use entail_directory::{INVENTORY, Inventory, peek_identity};
use entail_model::term::HashKey;
use entail_model::{ClusterId, Fault, NodeId, Reason, Secret, ShardCount};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const DATA: &str = "data";
const REGISTRATION: &str = "REGISTRATION";
const NEW_REGISTRATION: &str = "REGISTRATION.new";
const ROLE: &str = "node";

/// A node's data directory that no other process uses while this value lives.
#[derive(Debug)]
pub struct Directory {
    directory: entail_directory::Directory,
    identity: Identity,
}

/// The node that a directory belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Identity {
    role: String,
    #[serde(default)]
    format: u32,
    #[serde(default)]
    node: NodeId,
    #[serde(default)]
    cluster: Option<Cluster>,
    /// The name of the node's last registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The name of the last registration of the node in this directory; `None` if it has none, or if the directory cannot be
/// read, for which opening the directory gives the reason. Changes nothing, and takes no lock.
pub fn remembered_name(path: &Path) -> Option<String> {
    peek_identity::<Identity>(path)?.name
}

/// The cluster that a node belongs to; it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    hash_key: [u8; 16],
    pub shards: ShardCount,
}

impl Cluster {
    /// A cluster with this identity.
    pub fn new(id: ClusterId, hash_key: HashKey, shards: ShardCount) -> Self {
        Self { id, hash_key: hash_key.0, shards }
    }

    /// The key of the hash that determines term ids.
    pub fn hash_key(&self) -> HashKey {
        HashKey(self.hash_key)
    }
}

impl Directory {
    /// Creates the directory if it does not exist, and locks it for this process.
    ///
    /// # Errors
    /// `DirectoryInUse` if another process has it, `WrongCluster` if it belongs to another role, `Unsupported` if
    /// another version wrote it, `InvalidRequest` if it holds the files of another program.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let directory = entail_directory::Directory::open(path, |name| {
            name == DATA || name.starts_with(INVENTORY) || name.starts_with(REGISTRATION)
        })?;
        let identity = match directory.identity::<Identity>(ROLE)? {
            Some(identity) => identity,
            None => new_identity(&directory)?,
        };
        if !(1..=FORMAT).contains(&identity.format) {
            let (path, format) = (path.display(), identity.format);
            let message = format!("{path} has format {format}, and this version reads formats 1 to {FORMAT}");
            return Err(Fault::new(Reason::Unsupported, message));
        }
        Ok(Self { directory, identity })
    }

    /// The id of the directory's node.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The cluster, once the node has joined one.
    pub fn cluster(&self) -> Option<Cluster> {
        self.identity.cluster
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of the database.
    pub fn data(&self) -> PathBuf {
        self.path().join(DATA)
    }

    /// Must the manifest say its format?
    pub fn has_format_in_manifest(&self) -> bool {
        self.identity.format >= FORMAT_IN_MANIFEST
    }

    /// The last record of the inventory; `None` for a directory of a format that has none.
    ///
    /// # Errors
    /// `Corrupt` if it is gone or damaged.
    pub fn inventory(&self) -> Result<Option<Vec<u8>>, Fault> {
        if self.identity.format < FORMAT_WITH_INVENTORY {
            return Ok(None);
        }
        let missing = || Fault::corrupt(format!("{}/{INVENTORY} is missing", self.path().display()));
        Inventory::read(&self.directory)?.ok_or_else(missing).map(Some)
    }

    /// Replaces the inventory, durably. From then on the directory has the newest format.
    pub fn begin_inventory(&mut self, record: &[u8]) -> Result<Inventory, Fault> {
        let inventory = Inventory::begin(&self.directory, record)?;
        if self.identity.format != FORMAT {
            self.replace_identity(Identity { format: FORMAT, ..self.identity.clone() })?;
        }
        Ok(inventory)
    }

    /// Joins a cluster, or checks that the node has joined this one.
    ///
    /// # Errors
    /// `WrongCluster` if the node has joined another one.
    pub fn bind(&mut self, cluster: Cluster) -> Result<(), Fault> {
        match self.identity.cluster {
            Some(ours) if ours == cluster => Ok(()),
            Some(ours) => {
                let message = format!(
                    "{} belongs to cluster {:016x}, not to cluster {:016x}",
                    self.path().display(),
                    ours.id.0,
                    cluster.id.0
                );
                Err(Fault::new(Reason::WrongCluster, message))
            }
            None => self.replace_identity(Identity { cluster: Some(cluster), ..self.identity.clone() }),
        }
    }

    /// Stores the name under which the node was registered.
    pub fn remember_name(&mut self, name: &str) -> Result<(), Fault> {
        match &self.identity.name {
            Some(known) if known == name => Ok(()),
            _ => self.replace_identity(Identity { name: Some(name.to_owned()), ..self.identity.clone() }),
        }
    }

    /// Remembers the secret of a registration. A node that cannot write it registers again all the same, once the
    /// coordinator has not heard of it for some seconds: so a failure is only logged.
    pub fn remember_registration(&self, secret: Secret) {
        let text = format!("{:016x}\n", secret.0);
        let written = self.directory.write_new(NEW_REGISTRATION, text.as_bytes());
        if let Err(fault) = written.and_then(|_| self.directory.publish(NEW_REGISTRATION, REGISTRATION)) {
            tracing::warn!(%fault, "the registration cannot be remembered; after a crash, registering again takes longer");
        }
    }

    /// The secret of the last registration; [`Secret::NONE`] if there is none that can be read.
    pub fn last_registration(&self) -> Secret {
        let bytes = self.directory.read(REGISTRATION).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let secret = text.and_then(|text| u64::from_str_radix(text.trim_end(), 16).ok());
        secret.map_or(Secret::NONE, Secret)
    }

    fn replace_identity(&mut self, identity: Identity) -> Result<(), Fault> {
        self.directory.set_identity(&identity)?;
        self.identity = identity;
        Ok(())
    }
}

/// A new identity; refused if the directory has data without an identity. It has the first format until there is an
/// inventory.
fn new_identity(directory: &entail_directory::Directory) -> Result<Identity, Fault> {
    if [DATA, INVENTORY].iter().any(|name| directory.path().join(name).exists()) {
        return Err(Fault::corrupt(format!("{} has data but no identity", directory.path().display())));
    }
    let node = NodeId(u64::from_ne_bytes(entail_directory::random()?).max(1));
    let identity = Identity { role: ROLE.to_owned(), format: 1, node, cluster: None, name: None };
    directory.set_identity(&identity)?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
            directory.remember_name(name).expect("space");
            assert_eq!(remembered_name(place.path()).as_deref(), Some(name), "also while it is in use");
        }
        directory.bind(cluster(1)).expect("no cluster yet");
        let node = directory.node();
        drop(directory);
        assert_eq!(Directory::open(place.path()).expect("free again").node(), node);
        assert_eq!(remembered_name(place.path()).as_deref(), Some("two"));
    }

    #[test]
    fn a_directory_remembers_the_last_registration() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::open(place.path()).expect("an empty directory");
        assert_eq!(directory.last_registration(), Secret::NONE);
        for secret in [u64::MAX, 7] {
            directory.remember_registration(Secret(secret));
            assert_eq!(directory.last_registration(), Secret(secret));
        }
        for damaged in ["", "7 or 8", "fffffffffffffffff"] {
            fs::write(place.path().join(REGISTRATION), damaged).expect("a temporary file");
            assert_eq!(directory.last_registration(), Secret::NONE, "{damaged}");
        }
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
            fs::write(place.path().join("IDENTITY"), identity).expect("a temporary file");
            assert_eq!(Directory::open(place.path()).expect_err(identity).reason, reason, "{identity}");
        }
        let place = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(place.path().join(DATA)).expect("a temporary directory");
        assert_eq!(Directory::open(place.path()).expect_err("data without an owner").reason, Reason::Corrupt);
    }
}
