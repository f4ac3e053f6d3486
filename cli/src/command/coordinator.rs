//! `entail coordinator`: the conductor, which answers clients and orders changes.

use crate::failure::Failure;
use crate::server::{self, Http, QueryLimits, health};
use crate::units;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::task::JoinSet;

const EXAMPLES: &str = "\
Examples:
  entail coordinator --data /var/lib/entail/coordinator --min-nodes 3
  entail coordinator --data D --listen 0.0.0.0:7400 --peer-listen 0.0.0.0:7401";

/// Runs the coordinator of a cluster: it answers clients, orders changes and holds no data.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Where its log is kept; one process at a time
    #[arg(long, value_name = "DIR", env = "ENTAIL_DATA")]
    data: PathBuf,

    /// Where clients call
    #[arg(long, value_name = "ADDR", env = "ENTAIL_LISTEN", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,

    /// Where nodes call
    #[arg(long, value_name = "ADDR", env = "ENTAIL_PEER_LISTEN", default_value = "127.0.0.1:7401")]
    peer_listen: SocketAddr,

    #[command(flatten)]
    http: Http,

    /// Shards of a new cluster, a power of two; read once, when the cluster is created
    #[arg(long, value_name = "COUNT", env = "ENTAIL_SHARDS", default_value_t = 16)]
    shards: u32,

    /// Shards are placed, and writes wait, until this many nodes have registered
    #[arg(long, value_name = "COUNT", env = "ENTAIL_MIN_NODES", default_value_t = 1)]
    min_nodes: usize,

    #[command(flatten)]
    limits: QueryLimits,

    /// Memory for queries and loads on their way
    #[arg(long, value_name = "SIZE", env = "ENTAIL_MEMORY", default_value = "1GiB", value_parser = units::size)]
    memory: u64,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let stop = server::shutdown()?;
    health::start(arguments.http.http_listen, &stop).await?;
    let options = entail_coordinator::Options {
        data: arguments.data,
        listen: arguments.listen,
        peer_listen: arguments.peer_listen,
        shards: arguments.shards,
        min_nodes: arguments.min_nodes,
        query_timeout_default: arguments.limits.query_timeout,
        rows_max: arguments.limits.rows_max,
        memory: arguments.memory,
    };
    let mut roles = JoinSet::new();
    roles.spawn(entail_coordinator::run(options, stop.clone().cancelled_owned()));
    server::supervise(roles, &stop).await
}
