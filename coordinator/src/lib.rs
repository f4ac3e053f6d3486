//! The conductor: owns no data, orders all changes, answers all clients.
//!
//! ```text
//! clients ──► api (gRPC) ──► service ──► writer ──► staging ──► nodes     rules: from text to programs
//!                                    ──► sparql ──► reader  ──► nodes     members, metalog: nodes, decisions
//! ```

mod admission;
mod api;
pub mod balance;
mod deadline;
mod fanout;
mod in_flight;
mod members;
pub mod metalog;
mod metrics;
mod nodes;
pub mod options;
mod reader;
mod rules;
mod servers;
mod service;
mod staging;
mod writer;

pub use options::Options;
pub use servers::Addresses;

use entail_directory::random;
use entail_model::term::HashKey;
use entail_model::{ClusterId, Fault, Reason, ShardCount};
use entail_telemetry::Instruments;
use members::{Log, Members, NodeState, Secrets};
use metalog::{Cluster, Entry, FileLog, MetaLog, State};
use metrics::{Gauges, Metrics};
use nodes::Nodes;
use reader::Shared;
use servers::Servers;
use service::Coordinator;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

/// Queries that are evaluated at once; more wait, up to their deadline.
const QUERIES_AT_WORK: usize = 64;

/// Runs a coordinator until `shutdown` completes, then drains its requests within the grace period.
///
/// # Errors
/// `DirectoryInUse`, `WrongCluster`, `Corrupt` and `DiskFull` from the log; `InvalidRequest` for addresses that cannot be
/// used, and for a number of shards that is not a power of two or not the one that the cluster was created with.
pub async fn run(options: Options, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
    let addresses = Addresses::bind(&options)?;
    run_at(addresses, options, shutdown).await
}

/// Runs a coordinator as [`run`] does, at addresses that are bound already.
///
/// # Errors
/// Those of [`run`].
pub async fn run_at(
    addresses: Addresses,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Fault> {
    let log = open_log(&options).await?;
    let sockets = addresses.listen()?;
    announce(&options, log.state());
    shape_notes(&options, log.state());
    let (instruments, grace) = (options.instruments.clone(), options.grace);
    let coordinator = assemble(options, log)?;
    expose(&coordinator, &instruments);
    let mut servers = Servers::start(&coordinator, sockets, &instruments.metrics)?;
    let result = tokio::select! {
        fault = servers.failure() => Err(fault),
        fault = coordinator.members.log.poisoned() => Err(fault),
        () = shutdown => Ok(()),
    };
    let grace = result.is_ok().then_some(grace);
    servers.drain(&coordinator, grace).await;
    result
}

/// Opens the metadata log, off the async threads.
async fn open_log(options: &Options) -> Result<FileLog, Fault> {
    let (data, shards) = (options.data.clone(), options.shards);
    tokio::task::spawn_blocking(move || open(&data, shards))
        .await
        .map_err(|error| Fault::internal(format!("opening the log failed: {error}")))?
}

/// Opens the log, creates the cluster the first time, and aborts the attempt that an earlier process left open.
fn open(data: &Path, shards: Option<u32>) -> Result<FileLog, Fault> {
    let count = |count| ShardCount::new(count).map_err(|text| Fault::new(Reason::InvalidRequest, text));
    let shards = shards.map(count).transpose()?;
    let mut log = FileLog::open(data)?;
    match log.state().cluster() {
        Some(cluster) => check_shards(data, cluster.shards, shards)?,
        None => {
            let cluster = ClusterId(u64::from_le_bytes(random()?).max(1));
            let shards = shards.map_or_else(|| count(options::SHARDS_DEFAULT), Ok)?;
            log.append(&Entry::CreateCluster(Cluster { cluster, shards, hash_key: random()? }))?;
        }
    }
    if let Some(attempt) = log.state().open().map(|open| open.attempt) {
        log.append(&Entry::AbortEpoch { attempt, reason: "the coordinator has restarted".to_owned() })?;
    }
    Ok(log)
}

/// The number of shards is part of every term's id: it cannot change.
fn check_shards(data: &Path, has: ShardCount, wanted: Option<ShardCount>) -> Result<(), Fault> {
    match wanted {
        Some(wanted) if wanted != has => {
            let (data, has, wanted) = (data.display(), has.get(), wanted.get());
            let text =
                format!("{data} was created with {has} shards, not {wanted}: use --shards {has}, or leave it out");
            Err(Fault::new(Reason::InvalidRequest, text))
        }
        _ => Ok(()),
    }
}

fn announce(options: &Options, state: &State) {
    let cluster = state.cluster();
    tracing::info!(
        cluster = %format_args!("{:016x}", cluster.map_or(0, |cluster| cluster.cluster.0)),
        shards = cluster.map_or(0, |cluster| cluster.shards.get()),
        epoch = state.epoch().0,
        listen = %options.listen,
        peer_listen = %options.peer_listen,
        data = %options.data.display(),
        "the coordinator is listening"
    );
}

/// Warns about options that have no effect on the cluster in its present state.
fn shape_notes(options: &Options, state: &State) {
    let shards = state.cluster().map_or(0, |cluster| usize::from(cluster.shards.get()));
    let (min_nodes, holders) = (options.min_nodes, state.placement().nodes().len());
    if state.epoch().0 > 0 && min_nodes > holders {
        tracing::warn!(min_nodes, holders, "--min-nodes has no effect: the shards have been placed, and stay there");
    } else if min_nodes > shards {
        tracing::warn!(min_nodes, shards, "there are more nodes than shards: some will hold no data");
    }
}

/// Builds the coordinator from its parts.
fn assemble(options: Options, log: FileLog) -> Result<Arc<Coordinator>, Fault> {
    let cluster = log.state().cluster().cloned().ok_or_else(|| Fault::internal("a log without its cluster"))?;
    let nodes = Nodes::new(Arc::clone(&options.local_nodes));
    let secrets = Secrets::new(HashKey(random()?), u64::from_le_bytes(random()?));
    let first_query = secrets.first_query();
    let members = Arc::new(Members::new(Log::new(log), options.min_nodes, nodes, secrets));
    let metrics = Metrics::new(&options.instruments.metrics);
    let shared = Arc::new(Shared::new(&cluster, options.memory / 4, first_query, metrics));
    let balancer = balance::Strategy::default().balancer();
    Ok(Arc::new(Coordinator::new(options, members, shared, balancer)))
}

/// Registers the coordinator's readiness and what its metrics read.
fn expose(coordinator: &Arc<Coordinator>, instruments: &Instruments) {
    let ready = Arc::downgrade(coordinator);
    instruments.readiness.tell(move || match ready.upgrade() {
        Some(coordinator) => coordinator.check(),
        None => Err("it has ended".to_owned()),
    });
    let read = Arc::downgrade(coordinator);
    metrics::register(&instruments.metrics, move || read.upgrade().map(|coordinator| gauges(&coordinator)));
}

/// The values that the metrics read at a scrape.
fn gauges(coordinator: &Coordinator) -> Gauges {
    let health = coordinator.members.health();
    Gauges {
        is_ready: coordinator.check().is_ok(),
        epoch: coordinator.members.log.read(|state| state.epoch().0),
        queries: coordinator.queries_at_work(),
        queries_max: QUERIES_AT_WORK,
        plan_cache: coordinator.shared.plans.use_of(),
        writes: coordinator.writer.in_flight(),
        nodes: NodeState::ALL.map(NodeState::name).into_iter().zip(health.nodes).collect(),
        shards_available: health.available,
        shards_missing: health.missing,
        pools: coordinator.shared.pools().to_vec(),
        data: coordinator.options.data.clone(),
    }
}
