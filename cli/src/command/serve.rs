//! `entail serve`: a coordinator and nodes in one process, with the same services as separate processes.
//!
//! ```text
//! DATA/coordinator ── coordinator        its peer port is --peer-listen
//! DATA/node-0, -1, … ── nodes            theirs are free ports of the loopback
//! ```
//! Nodes are called in-process; they register and send heartbeats through the coordinator's peer port, as separate
//! processes do.
//!
//! Every address is bound before anything is written, so that a start that fails because of a port leaves nothing
//! behind. The coordinator stops first, so that requests in progress still reach the nodes.

use crate::failure::Failure;
use crate::server::place::{self, Place};
use crate::server::{self, Front};
use crate::units;
use clap::Args;
use entail_telemetry::Instruments;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Examples:
  entail serve --data /tmp/graph
  entail serve --data /tmp/graph --nodes 3 --memory 2GiB

Ctrl-C or SIGTERM stops it (--grace); started again with the same --data, it has everything that was acknowledged. To
start over with an empty cluster, stop it and remove the directory of --data.";

/// Runs a whole cluster in this process: a coordinator and one node or more.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The data directory; one process at a time
    #[arg(long, value_name = "DIR", env = "ENTAIL_DATA")]
    data: PathBuf,

    #[command(flatten)]
    front: Front,

    /// Nodes of a new cluster; cannot be changed later [default: those of the data, 1 for a new cluster]
    #[arg(long, value_name = "COUNT", env = "ENTAIL_NODES", value_parser = clap::value_parser!(u16).range(1..=256))]
    nodes: Option<u16>,

    /// Memory of each node for cached chunks of facts and for evaluation, and of the coordinator for queries and loads
    #[arg(long, value_name = "SIZE", env = "ENTAIL_MEMORY", default_value = "1GiB", value_parser = units::memory)]
    memory: u64,

    /// Threads of each node for evaluation [default: the processors divided by the nodes]
    #[arg(long, value_name = "COUNT", env = "ENTAIL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.front.peer_listen.port() == 0 {
        return Err(Failure::Usage("--peer-listen needs a port: the nodes have to find it".to_owned()));
    }
    server::allow_open_files();
    let stop = server::shutdown()?;
    let http = arguments.front.running.bind_http()?;
    let mut options = arguments.front.coordinator(place::coordinator(&arguments.data), arguments.memory);
    let addresses = entail_coordinator::Addresses::bind(&options)?;
    let place = Place::open(&arguments.data, arguments.nodes)?;
    server::announce(&arguments.data);
    options.min_nodes = usize::from(place.nodes());
    let nodes: Vec<entail_node::Options> =
        (0..place.nodes()).map(|index| node(&arguments, &place, index, &options)).collect();
    let of_nodes = nodes.iter().map(|node| (node.name.clone().unwrap_or_default(), node.instruments.clone()));
    let shown = [("coordinator".to_owned(), options.instruments.clone())].into_iter().chain(of_nodes).collect();
    server::show(http, shown, &stop);
    let coordinator = entail_coordinator::run_at(addresses, options, stop.clone().cancelled_owned());
    let nodes_stop = CancellationToken::new();
    let coordinator_ended = nodes_stop.clone().drop_guard();
    let mut roles = JoinSet::new();
    roles.spawn(async move {
        let _ended = coordinator_ended;
        coordinator.await
    });
    for node in nodes {
        roles.spawn(entail_node::run(node, nodes_stop.clone().cancelled_owned()));
    }
    server::supervise(roles, &stop).await
}

fn node(
    arguments: &Arguments,
    place: &Place,
    index: u16,
    coordinator: &entail_coordinator::Options,
) -> entail_node::Options {
    let (data, name) = place.node(index);
    let share = server::threads().div_ceil(usize::from(place.nodes()));
    entail_node::Options {
        data,
        peer_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertise: None,
        coordinator: format!("http://{}", reachable(arguments.front.peer_listen)),
        grace: arguments.front.running.grace,
        instruments: Instruments::new(&[("node", &name)]),
        local_nodes: Arc::clone(&coordinator.local_nodes),
        name: Some(name),
        memory: arguments.memory,
        threads: arguments.threads.map_or(share, usize::from),
    }
}

/// The address at which this process reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coordinator_is_found() {
        for (listen, expected) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.7:1", "10.0.0.7:1")] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
