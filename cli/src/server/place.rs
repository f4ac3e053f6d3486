//! The data directory of `entail serve`, which contains those of its roles and stores the number of nodes.
//!
//! ```text
//! DATA/LOCK, IDENTITY        one process at a time; the number of nodes
//! DATA/coordinator           the coordinator's directory, which stores the number of shards
//! DATA/node-0, node-1, ...   the directories of the nodes
//! ```

use entail_directory::Directory;
use entail_model::{Fault, Reason};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const ROLE: &str = "serve";

/// The contents of the identity file.
#[derive(Serialize, Deserialize)]
struct Identity {
    role: String,
    nodes: u16,
}

/// A directory that no other process can use while this value exists.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    nodes: u16,
    _directory: Directory,
}

impl Place {
    /// Opens the directory, or creates it for `nodes` nodes (default: one), and locks it.
    ///
    /// # Errors
    /// `InvalidRequest` if it was created with a different number of nodes, or contains unrelated files;
    /// `DirectoryInUse`; `WrongCluster` if it belongs to a single role.
    pub fn open(path: &Path, nodes: Option<u16>) -> Result<Self, Fault> {
        // A directory of an earlier version does not store the number; it is the number of node directories.
        let found = (0..=u16::MAX).find(|index| !path.join(node_name(*index)).exists()).filter(|found| *found > 0);
        // Directories of earlier versions had no identity file.
        let directory = Directory::open(path, |name| name == "coordinator" || name.starts_with("node-"))?;
        let has = match directory.identity::<Identity>(ROLE)? {
            Some(identity) => identity.nodes,
            None => {
                let identity = Identity { role: ROLE.to_owned(), nodes: found.or(nodes).unwrap_or(1) };
                directory.set_identity(&identity)?;
                identity.nodes
            }
        };
        match nodes {
            Some(wanted) if wanted != has => {
                let path = path.display();
                let text =
                    format!("{path} was created with {has} nodes, not {wanted}: use --nodes {has}, or leave it out");
                Err(Fault::new(Reason::InvalidRequest, text))
            }
            _ => Ok(Self { path: path.to_owned(), nodes: has, _directory: directory }),
        }
    }

    /// The number of nodes of the cluster.
    pub fn nodes(&self) -> u16 {
        self.nodes
    }

    /// The directory of a node, and its name.
    pub fn node(&self, index: u16) -> (PathBuf, String) {
        let name = node_name(index);
        (self.path.join(&name), name)
    }
}

/// The directory of the coordinator.
pub fn coordinator(path: &Path) -> PathBuf {
    path.join("coordinator")
}

fn node_name(index: u16) -> String {
    format!("node-{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_remembers_its_nodes() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("new");
        let opened = |nodes| Place::open(&data, nodes).map(|place| place.nodes()).map_err(|fault| fault.message);
        assert_eq!(opened(Some(3)), Ok(3));
        assert_eq!((opened(None), opened(Some(3))), (Ok(3), Ok(3)));
        for other in [2, 4] {
            let why =
                format!("{} was created with 3 nodes, not {other}: use --nodes 3, or leave it out", data.display());
            assert_eq!(opened(Some(other)), Err(why));
        }
        let _in_use = Place::open(&data, None).unwrap();
        assert_eq!(Place::open(&data, None).unwrap_err().reason, Reason::DirectoryInUse);
        let other = place.path().join("other");
        assert_eq!(Place::open(&other, None).unwrap().nodes(), 1);
    }

    #[test]
    fn a_directory_of_an_earlier_version_is_taken_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        for name in ["coordinator", "node-0", "node-1"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }
        assert_eq!(Place::open(place.path(), Some(1)).unwrap_err().reason, Reason::InvalidRequest);
        assert_eq!(Place::open(place.path(), None).unwrap().nodes(), 2);
    }
}
