//! What a coordinator is started with.

use entail_node_api::LocalNodes;
use entail_telemetry::Instruments;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for whatever makes the data, short enough for the writers that wait.
pub const LOAD_IDLE_MAX: Duration = Duration::from_secs(60);

/// Shards of a new cluster, unless somebody asks for another number.
pub const SHARDS_DEFAULT: u32 = 16;

/// The settings of one coordinator. The caller has parsed and defaulted them; nothing is read from the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the metadata log lives. Created when it is missing; one process at a time.
    pub data: PathBuf,
    /// Where clients call.
    pub listen: SocketAddr,
    /// Where nodes call.
    pub peer_listen: SocketAddr,
    /// Shards, a power of two: of a new cluster, and then for ever. None: those of the cluster in `data`, or
    /// [`SHARDS_DEFAULT`] for a new one.
    pub shards: Option<u32>,
    /// Writes, and the first placement, wait until this many nodes have registered.
    pub min_nodes: usize,
    /// The deadline of a query that comes without one.
    pub query_timeout_default: Duration,
    /// The most rows of one answer.
    pub rows_max: u64,
    /// A load whose client sends nothing for so long is given up; [`LOAD_IDLE_MAX`] unless a test is in a hurry.
    pub load_idle_max: Duration,
    /// Bytes that queries and loads in flight may hold together.
    pub memory: u64,
    /// How long work that is going on may take after the shutdown has begun.
    pub grace: Duration,
    /// Where the coordinator's metrics and its readiness are shown.
    pub instruments: Instruments,
    /// The nodes of this process.
    pub local_nodes: Arc<LocalNodes>,
}
