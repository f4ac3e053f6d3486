//! What the roles share: addresses, signals, the end of one role that ends the others, and what is seen of them.

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

/// How a role shows itself, and how it ends.
#[derive(Args, Clone, Debug)]
pub struct Running {
    /// Where to answer HTTP: GET /healthz, /readyz and /metrics [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "ENTAIL_HTTP_LISTEN", value_parser = address::listen)]
    pub http_listen: Option<SocketAddr>,

    /// How long requests in progress may run after SIGTERM or Ctrl-C before they are cancelled
    #[arg(long, value_name = "TIME", env = "ENTAIL_GRACE", default_value = "20s", value_parser = units::time)]
    pub grace: Duration,
}

impl Running {
    /// Listens for HTTP, if there is an address. Requests are answered from [`show`] on.
    pub fn bind_http(&self) -> Result<Option<TcpListener>, Fault> {
        self.http_listen.map(|address| Bound::new(address)?.listen()).transpose()
    }
}

/// Answers HTTP for these roles, by their names, until the process ends.
pub fn show(http: Option<TcpListener>, roles: Vec<(String, Instruments)>, stop: &CancellationToken) {
    if let Some(http) = http {
        Pages::new(roles, env!("CARGO_PKG_VERSION"), stop).serve(http);
    }
}

/// Says where the data is and how to stop. The first line of a role's log, once it has its addresses.
pub fn announce(data: &Path) {
    let pid = std::process::id();
    tracing::info!(data = %data.display(), pid, "starting; stop with Ctrl-C or `kill {pid}`");
}

/// The limits of queries.
#[derive(Args, Clone, Debug)]
pub struct QueryLimits {
    /// The deadline of queries that come without one
    #[arg(long, value_name = "TIME", env = "ENTAIL_QUERY_TIMEOUT", default_value = "30s", value_parser = units::some_time)]
    query_timeout: Duration,

    /// The most rows of one answer
    #[arg(long, value_name = "COUNT", env = "ENTAIL_ROWS_MAX", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows_max: u64,
}

/// What a coordinator is told, in a process of its own and beside its nodes.
#[derive(Args, Clone, Debug)]
pub struct Front {
    /// Where clients call
    #[arg(long, value_name = "ADDR", env = "ENTAIL_LISTEN", default_value = "127.0.0.1:7400", value_parser = address::listen)]
    listen: SocketAddr,

    /// Where nodes call
    #[arg(long, value_name = "ADDR", env = "ENTAIL_PEER_LISTEN", default_value = "127.0.0.1:7401", value_parser = address::listen)]
    pub peer_listen: SocketAddr,

    #[command(flatten)]
    pub running: Running,

    /// Shards of a new cluster, a power of two; it keeps them [default: those of the data, 16 for a new cluster]
    #[arg(long, value_name = "COUNT", env = "ENTAIL_SHARDS", value_parser = units::shards)]
    shards: Option<u32>,

    #[command(flatten)]
    limits: QueryLimits,
}

impl Front {
    /// A coordinator that keeps its log in `data`, waits for one node and uses `memory` bytes.
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
            memory,
            grace: self.running.grace,
            instruments: Instruments::default(),
            local_nodes: Arc::default(),
        }
    }
}

/// Lets this process have as many files and connections open as the system allows: what it starts with (often 1,024) is
/// for programs of another time.
pub fn allow_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: allowed.maximum, maximum: allowed.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, ?allowed, "cannot raise the limit on open files");
    }
}

/// Completes when the process is told to end, by SIGTERM or Ctrl-C; the second time ends it at once.
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

/// Waits for all roles; the first that ends, however it does, ends the others.
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

/// The processors of this machine.
pub fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}
