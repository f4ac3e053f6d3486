//! The settings of a coordinator.

use entail_node_api::LocalNodes;
use entail_telemetry::Instruments;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for the program that produces the data, short enough for the writers that wait.
pub const LOAD_IDLE_MAX: Duration = Duration::from_secs(60);

/// Long enough for a client that pauses, short enough for those that wait for its place.
pub const UNREAD_MAX: Duration = Duration::from_secs(10);

/// Shards of a new cluster, unless another number is given.
pub const SHARDS_DEFAULT: u32 = 16;

/// The settings of one coordinator. The caller has parsed and defaulted them; nothing is read from the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the metadata log. Created when it is missing; one process at a time.
    pub data: PathBuf,
    /// The address for clients.
    pub listen: SocketAddr,
    /// The address for nodes.
    pub peer_listen: SocketAddr,
    /// Shards, a power of two, fixed when the cluster is created. None: those of the cluster in `data`, or
    /// [`SHARDS_DEFAULT`] for a new one.
    pub shards: Option<u32>,
    /// Writes, and the first placement, wait until this many nodes have registered.
    pub min_nodes: usize,
    /// The deadline of a query whose client gives none.
    pub query_timeout_default: Duration,
    /// The limit on the rows of one answer.
    pub rows_max: u64,
    /// A load fails when its client sends nothing for this long; [`LOAD_IDLE_MAX`], shorter in tests.
    pub load_idle_max: Duration,
    /// An answer of which a client reads nothing for so long is given up; [`UNREAD_MAX`] by default.
    pub unread_max: Duration,
    /// Bytes that queries and loads in flight may hold together.
    pub memory: u64,
    /// Grace period: how long requests in progress may run after the shutdown has begun.
    pub grace: Duration,
    /// Where the coordinator registers its metrics and its readiness.
    pub instruments: Instruments,
    /// The nodes of this process.
    pub local_nodes: Arc<LocalNodes>,
}
