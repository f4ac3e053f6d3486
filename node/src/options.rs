//! The settings of a node.

use entail_node_api::LocalNodes;
use entail_telemetry::Instruments;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The settings of one node. The caller has parsed and defaulted them; nothing is read from the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory. Created if it is missing; one process at a time uses it.
    pub data: PathBuf,
    /// The address to listen on for the coordinator and other nodes. Port 0 takes a free one.
    pub peer_listen: SocketAddr,
    /// The address that the coordinator and other nodes call, `HOST:PORT`. None: the one that is listened on.
    pub advertise: Option<String>,
    /// The URL of the coordinator's peer port.
    pub coordinator: String,
    /// The display name, unique in the cluster. None: the address.
    pub name: Option<String>,
    /// Bytes for decoded chunks and for the work of rounds and queries.
    pub memory: u64,
    /// Threads for evaluation.
    pub threads: usize,
    /// How long requests in progress may take after the shutdown has begun.
    pub grace: Duration,
    /// The registry of metrics, and the readiness of the process.
    pub instruments: Instruments,
    /// The nodes of this process, by which they and the coordinator find each other.
    pub local_nodes: Arc<LocalNodes>,
}
