//! What a coordinator is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of one coordinator. The caller has parsed and defaulted them; nothing is read from the environment.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the metadata log lives. Created when it is missing; one process at a time.
    pub data: PathBuf,
    /// Where clients call.
    pub listen: SocketAddr,
    /// Where nodes call.
    pub peer_listen: SocketAddr,
    /// Shards of a new cluster, a power of two. Read once, when the cluster is created.
    pub shards: u32,
    /// Writes, and the first placement, wait until this many nodes have registered.
    pub min_nodes: usize,
    /// The deadline of a query that comes without one.
    pub query_timeout_default: Duration,
    /// The most rows of one answer.
    pub rows_max: u64,
    /// Bytes that queries and loads in flight may hold together.
    pub memory: u64,
}
