//! `entail coordinator`: the coordinator, which answers clients and orders changes.

use crate::failure::Failure;
use crate::server::{self, Front};
use crate::units;
use clap::Args;
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
    /// The directory of the coordinator's log; one process at a time
    #[arg(long, value_name = "DIR", env = "ENTAIL_DATA")]
    data: PathBuf,

    #[command(flatten)]
    front: Front,

    /// Waits for this many registered nodes before shards are placed and writes are accepted
    #[arg(long, value_name = "COUNT", env = "ENTAIL_MIN_NODES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    min_nodes: u16,

    /// Memory for queries and loads in progress
    #[arg(long, value_name = "SIZE", env = "ENTAIL_MEMORY", default_value = "1GiB", value_parser = units::memory)]
    memory: u64,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    server::allow_open_files();
    let stop = server::shutdown()?;
    let http = arguments.front.running.bind_http()?;
    let mut options = arguments.front.coordinator(arguments.data, arguments.memory);
    options.min_nodes = usize::from(arguments.min_nodes);
    let addresses = entail_coordinator::Addresses::bind(&options)?;
    server::announce(&options.data);
    server::show(http, vec![("coordinator".to_owned(), options.instruments.clone())], &stop);
    let mut roles = JoinSet::new();
    roles.spawn(entail_coordinator::run_at(addresses, options, stop.clone().cancelled_owned()));
    server::supervise(roles, &stop).await
}
