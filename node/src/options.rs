//! What a node is started with.

use entail_node_api::LocalNodes;
use entail_telemetry::Instruments;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The settings of one node. The caller has parsed and defaulted them; nothing is read from the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the shards live. Created when it is missing; one process at a time.
    pub data: PathBuf,
    /// Where the coordinator and other nodes call. Port 0 takes a free one.
    pub peer_listen: SocketAddr,
    /// The address that others are told to call, `HOST:PORT`. None: the one that is listened on.
    pub advertise: Option<String>,
    /// The URL of the coordinator's peer port.
    pub coordinator: String,
    /// The name for people, which no other node of the cluster may have. None: the address.
    pub name: Option<String>,
    /// Bytes for decoded chunks and for the work of rounds and queries.
    pub memory: u64,
    /// Threads for evaluation.
    pub threads: usize,
    /// How long work that is going on may take after the shutdown has begun.
    pub grace: Duration,
    /// Where the node's metrics and its readiness are shown.
    pub instruments: Instruments,
    /// Where the coordinator and other nodes of this process find the node, and it finds them.
    pub local_nodes: Arc<LocalNodes>,
}
