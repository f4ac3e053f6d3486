//! Shared parts of the roles: addresses, signals, HTTP pages, and the joint shutdown of the roles of a process.

pub mod place;

use crate::address;
use crate::failure::Failure;
use crate::units;
use clap::Args;
use entail_model::Fault;
use entail_proto::bound::Bound;
use entail_telemetry::Instruments;
use entail_telemetry::http::Pages;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The HTTP address and the shutdown of a role.
#[derive(Args, Clone, Debug)]
pub struct Running {
    /// The address for HTTP: GET /healthz, /readyz and /metrics [default: none]
    #[arg(long, value_name = "ADDR", env = "ENTAIL_HTTP_LISTEN", value_parser = address::listen)]
    pub http_listen: Option<SocketAddr>,

    /// How long requests in progress may run after SIGTERM or Ctrl-C before they are cancelled
    #[arg(long, value_name = "TIME", env = "ENTAIL_GRACE", default_value = "20s", value_parser = units::time)]
    pub grace: Duration,
}

impl Running {
    /// Binds the HTTP address, if there is one. Requests are answered once [`show`] is called.
    pub fn bind_http(&self) -> Result<Option<TcpListener>, Fault> {
        self.http_listen.map(|address| Bound::new(address)?.listen()).transpose()
    }
}

/// Serves the pages of these roles, by their names, until the process ends.
pub fn show(http: Option<TcpListener>, roles: Vec<(String, Instruments)>, stop: &CancellationToken) {
    if let Some(http) = http {
        Pages::new(roles, env!("CARGO_PKG_VERSION"), stop).serve(http);
    }
}

/// Logs the data directory and how to stop. The first line of a role's log, once its addresses are bound.
pub fn announce(data: &Path) {
    let pid = std::process::id();
    tracing::info!(data = %data.display(), pid, "starting; stop with Ctrl-C or `kill {pid}`");
}

/// The limits of queries.
#[derive(Args, Clone, Debug)]
pub struct QueryLimits {
    /// The timeout of queries that have no deadline of their own
    #[arg(long, value_name = "TIME", env = "ENTAIL_QUERY_TIMEOUT", default_value = "30s", value_parser = units::some_time)]
    query_timeout: Duration,

    /// How long a client may read nothing of an answer before the answer is given up
    #[arg(long, value_name = "TIME", env = "ENTAIL_UNREAD_TIMEOUT", default_value = "10s", value_parser = units::some_time)]
    unread_timeout: Duration,

    /// The largest number of rows of one answer
    #[arg(long, value_name = "COUNT", env = "ENTAIL_ROWS_MAX", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows_max: u64,
}

/// The options of a coordinator, for its own process and for `serve`.
#[derive(Args, Clone, Debug)]
pub struct Front {
    /// The address for clients
    #[arg(long, value_name = "ADDR", env = "ENTAIL_LISTEN", default_value = "127.0.0.1:7400", value_parser = address::listen)]
    listen: SocketAddr,

    /// The address for nodes
    #[arg(long, value_name = "ADDR", env = "ENTAIL_PEER_LISTEN", default_value = "127.0.0.1:7401", value_parser = address::listen)]
    pub peer_listen: SocketAddr,

    #[command(flatten)]
    pub running: Running,

    /// Shards of a new cluster, a power of two; cannot be changed later [default: those of the data, 16 for a new
    /// cluster]
    #[arg(long, value_name = "COUNT", env = "ENTAIL_SHARDS", value_parser = units::shards)]
    shards: Option<u32>,

    #[command(flatten)]
    limits: QueryLimits,
}

impl Front {
    /// The options of a coordinator that keeps its log in `data`, waits for one node and uses `memory` bytes.
    pub fn coordinator(&self, data: PathBuf, memory: u64) -> entail_coordinator::Options {
        entail_coordinator::Options {
            data,
            listen: self.listen,
            peer_listen: self.peer_listen,
            shards: self.shards,
            min_nodes: 1,
            query_timeout_default: self.limits.query_timeout,
            rows_max: self.limits.rows_max,
            load_idle_max: entail_coordinator::options::LOAD_IDLE_MAX,
            unread_max: self.limits.unread_timeout,
            memory,
            grace: self.running.grace,
            instruments: Instruments::default(),
            local_nodes: Arc::default(),
        }
    }
}

/// Raises the limit of open files and connections to the most that the system allows: the initial soft limit (often
/// 1,024) is too low for a server.
pub fn allow_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: allowed.maximum, maximum: allowed.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, ?allowed, "cannot raise the limit on open files");
    }
}

/// Returns a token that SIGTERM or Ctrl-C cancels; a second signal ends the process at once.
pub fn shutdown() -> Result<CancellationToken, Failure> {
    let catch = |kind| signal(kind).map_err(|error| Failure::input("the signals of this process", error));
    let mut signals = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        received(&mut signals).await;
        tracing::info!("shutting down: requests in progress may finish; a second signal exits immediately");
        told.cancel();
        received(&mut signals).await;
        tracing::warn!("second signal received: exiting immediately");
        crate::end(Failure::Interrupted.exit_code());
    });
    Ok(stop)
}

async fn received((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Waits for all roles; the first one that ends, with or without an error, stops the others.
pub async fn supervise(mut roles: JoinSet<Result<(), Fault>>, stop: &CancellationToken) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Some(ended) = roles.join_next().await {
        stop.cancel();
        let ended =
            ended.unwrap_or_else(|error| Err(Fault::internal(format!("a role of this process failed: {error}"))));
        result = result.and(ended);
    }
    result.map_err(Failure::from)
}

/// The number of processors of this machine.
pub fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}
