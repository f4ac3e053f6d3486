//! `entail node`: a node, which holds shards and evaluates rules and queries on them.

use crate::address;
use crate::failure::Failure;
use crate::server::{self, Running};
use crate::units;
use clap::Args;
use entail_node::store::remembered_name;
use entail_telemetry::Instruments;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

const EXAMPLES: &str = "\
Examples:
  entail node --data /var/lib/entail/node --coordinator http://coordinator:7401
  entail node --data D --coordinator URL --peer-listen 0.0.0.0:7401 --advertise node-1:7401 --memory 8GiB";

/// Runs a node of a cluster: it holds shards, reasons over them and answers parts of queries.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The directory of the shards; one process at a time
    #[arg(long, value_name = "DIR", env = "ENTAIL_DATA")]
    data: PathBuf,

    /// The coordinator's peer address (port 7401 by default)
    #[arg(long, value_name = "URL", env = "ENTAIL_COORDINATOR", value_parser = address::coordinator)]
    coordinator: String,

    /// The address for the coordinator and other nodes
    #[arg(long, value_name = "ADDR", env = "ENTAIL_PEER_LISTEN", default_value = "127.0.0.1:7401", value_parser = address::listen)]
    peer_listen: SocketAddr,

    /// The address that this node advertises to them, HOST:PORT [default: the address of --peer-listen]
    #[arg(long, value_name = "ADDR", env = "ENTAIL_ADVERTISE", value_parser = address::advertised)]
    advertise: Option<String>,

    #[command(flatten)]
    running: Running,

    /// The name of this node, unique in the cluster [default: the last name, or a generated one]
    #[arg(long, value_name = "NAME", env = "ENTAIL_NAME", value_parser = name)]
    pub name: Option<String>,

    /// Memory for cached chunks of facts and for evaluation
    #[arg(long, value_name = "SIZE", env = "ENTAIL_MEMORY", default_value = "1GiB", value_parser = units::memory)]
    memory: u64,

    /// Threads for evaluation [default: one per processor]
    #[arg(long, value_name = "COUNT", env = "ENTAIL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.advertise.is_none() && arguments.peer_listen.ip().is_unspecified() {
        let why = format!("{} is no address that others can call: use --advertise", arguments.peer_listen);
        return Err(Failure::Usage(why));
    }
    server::allow_open_files();
    let stop = server::shutdown()?;
    let http = arguments.running.bind_http()?;
    let name = arguments.name.or_else(|| remembered_name(&arguments.data)).unwrap_or_else(new_name);
    let options = entail_node::Options {
        data: arguments.data,
        peer_listen: arguments.peer_listen,
        advertise: arguments.advertise,
        coordinator: arguments.coordinator,
        memory: arguments.memory,
        threads: arguments.threads.map_or_else(server::threads, usize::from),
        grace: arguments.running.grace,
        instruments: Instruments::new(&[("node", &name)]),
        name: Some(name.clone()),
        local_nodes: Arc::default(),
    };
    server::announce(&options.data);
    server::show(http, vec![(name, options.instruments.clone())], &stop);
    let mut roles = JoinSet::new();
    roles.spawn(entail_node::run(options, stop.clone().cancelled_owned()));
    server::supervise(roles, &stop).await
}

/// Generates a name that no other node has; the data directory stores it.
fn new_name() -> String {
    // The hasher's keys come from the system's randomness.
    format!("node-{:08x}", RandomState::new().hash_one(std::process::id()) as u32)
}

/// Validates a name, which appears in tables, logs and labels.
fn name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err("a name has letters, and no control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}
