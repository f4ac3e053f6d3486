//! The conductor: owns no data, orders all changes, answers all clients.
//!
//! ```text
//! front ──► writer ──► staging ──► nodes        ingest, rules: from text to facts and programs
//!       ──► query  ──► reader  ──► nodes        members, metalog: who is there, what was decided
//! ```

pub mod balance;
mod fanout;
mod front;
mod members;
pub mod metalog;
mod metrics;
mod nodes;
pub mod options;
mod reader;
mod rules;
mod staging;
mod uses;
mod writer;

pub use options::Options;

use entail_model::{ClusterId, Fault, Reason, ShardCount};
use entail_proto::bound::Bound;
use entail_proto::gate::{Gate, Refusal};
use entail_proto::incoming::incoming;
use entail_proto::internal::cluster_service_server::ClusterServiceServer;
use entail_proto::v1;
use entail_telemetry::metrics::rpc::Requests;
use entail_telemetry::{Calls, Instruments, ServerSpans};
use front::{Admin, House, Queries, Rules, Updates};
use members::{ClusterServer, Log, Members};
use metalog::{Cluster, Entry, FileLog, MetaLog, State};
use metrics::Metrics;
use nodes::Connections;
use reader::Shared;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};
use writer::Writer;

/// Queries at work at once; more wait, up to their deadline.
const QUERIES_AT_WORK: usize = 64;

/// The largest message from a client.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// The largest frame from a client: a message of a load comes in one, with few calls to the system.
const FRAME_BYTES_MAX: u32 = (256 << 10) + 64;

/// How long it may take to give up what was cut off, and connections to close.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// The addresses of a coordinator, taken before anything is written.
#[derive(Debug)]
pub struct Addresses {
    clients: Bound,
    peers: Bound,
}

impl Addresses {
    /// Takes the addresses that the options name.
    ///
    /// # Errors
    /// `InvalidRequest` for an address that cannot be used.
    pub fn bind(options: &Options) -> Result<Self, Fault> {
        if options.listen == options.peer_listen && options.listen.port() != 0 {
            let text = format!("clients and nodes cannot both use {}: give them different ports", options.listen);
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
        Ok(Self { clients: Bound::new(options.listen)?, peers: Bound::new(options.peer_listen)? })
    }
}

/// Runs a coordinator until `shutdown` completes, and then until what is going on has ended, as long as its grace allows.
///
/// # Errors
/// `DirectoryInUse`, `WrongCluster`, `Corrupt` and `DiskFull` from the log; `InvalidRequest` for addresses that cannot be
/// used, and for a number of shards that is not a power of two or not the one that the cluster was created with.
pub async fn run(options: Options, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
    let addresses = Addresses::bind(&options)?;
    run_at(addresses, options, shutdown).await
}

/// Runs a coordinator as [`run`] does, at addresses that were taken before.
///
/// # Errors
/// Those of [`run`].
pub async fn run_at(
    addresses: Addresses,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Fault> {
    let (data, shards) = (options.data.clone(), options.shards);
    let log = tokio::task::spawn_blocking(move || open(&data, shards))
        .await
        .map_err(|error| Fault::internal(format!("opening the log failed: {error}")))??;
    let cluster = log.state().cluster().cloned().ok_or_else(|| Fault::internal("a log without its cluster"))?;
    let (clients, peers) = (addresses.clients.listen()?, addresses.peers.listen()?);
    tracing::info!(
        cluster = %format_args!("{:016x}", cluster.cluster.0),
        shards = cluster.shards.get(),
        epoch = log.state().epoch().0,
        listen = %options.listen,
        peer_listen = %options.peer_listen,
        data = %options.data.display(),
        "the coordinator is listening"
    );
    shape_notes(&options, log.state());
    let connections = Connections::new(options.inside.clone(), Arc::clone(&options.nearby));
    let members = Arc::new(Members::new(Log::new(log), options.min_nodes, connections));
    let first_query = u64::from_le_bytes(random()?);
    let (instruments, grace) = (options.instruments.clone(), options.grace);
    let metrics = Metrics::new(&instruments.metrics);
    let shared = Arc::new(Shared::new(&cluster, options.memory / 4, first_query, metrics));
    let house = Arc::new(House {
        options,
        members: Arc::clone(&members),
        shared: Arc::clone(&shared),
        writer: Arc::new(Writer::new(Arc::clone(&members), shared)),
        started: Instant::now(),
        admission: Arc::new(Semaphore::new(QUERIES_AT_WORK)),
        leaving: CancellationToken::new(),
        balancer: balance::Strategy::default().balancer(),
    });
    show(&house, &instruments);
    let stop = CancellationToken::new();
    let requests = Requests::new(&instruments.metrics, metrics::methods());
    let peer_server = Server::builder()
        .layer(requests.clone())
        .add_service(ClusterServiceServer::new(ClusterServer(Arc::clone(&members))))
        .serve_with_incoming_shutdown(incoming(peers), stop.clone().cancelled_owned());
    let gate = Gate::new(refusal);
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(peer_server);
    let door = Door { listener: clients, requests, gate: gate.clone(), stop: stop.clone() };
    let (reporter, health) = tonic_health::server::health_reporter();
    let told = tokio::spawn(report_health(Arc::clone(&house), reporter));
    servers.spawn(client_server(Arc::clone(&house), door, health)?);
    let result = tokio::select! {
        ended = servers.join_next() => Err(Fault::internal(format!("a server ended: {ended:?}"))),
        fault = poisoned(&members) => Err(fault),
        () = shutdown => Ok(()),
    };
    // First everybody is told, then nobody is let in any more, then what is left is cut off.
    house.leaving.cancel();
    _ = told.await;
    gate.shut();
    if result.is_ok() {
        _ = tokio::time::timeout(grace, gate.empty()).await;
    }
    gate.cut();
    _ = tokio::time::timeout(ENDING_MAX, given_up(&house.writer)).await;
    stop.cancel();
    let all = async { while servers.join_next().await.is_some() {} };
    _ = tokio::time::timeout(ENDING_MAX, all).await;
    result
}

/// What becomes of the coordinator's metrics and readiness.
fn show(house: &Arc<House>, instruments: &Instruments) {
    let told = Arc::downgrade(house);
    instruments
        .readiness
        .tell(move || told.upgrade().map_or_else(|| Err("it has ended".to_owned()), |house| house.check()));
    metrics::read(house, &instruments.metrics);
}

/// What is said to a request that comes too late, or cannot wait until it is answered.
fn refusal(refusal: Refusal, path: &str) -> Fault {
    let changes = ["/entail.v1.UpdateService/", "/entail.v1.RuleService/"];
    match refusal {
        Refusal::Cut if changes.iter().any(|service| path.starts_with(service)) => {
            Fault::new(Reason::OutcomeUnknown, "the coordinator is shutting down, and the change may have been made")
        }
        _ => Fault::new(Reason::NotReady, "the coordinator is shutting down"),
    }
}

/// Completes when no change is at work: those that were cut off are given up in the log.
async fn given_up(writer: &Writer) {
    while writer.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens the log, creates the cluster the first time, and gives up what an earlier life left open.
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

/// Says what of the options has no effect on the cluster as it is.
fn shape_notes(options: &Options, state: &State) {
    let shards = state.cluster().map_or(0, |cluster| usize::from(cluster.shards.get()));
    let (min_nodes, holders) = (options.min_nodes, state.placement().nodes().len());
    if state.epoch().0 > 0 && min_nodes > holders {
        tracing::warn!(min_nodes, holders, "--min-nodes has no effect: the shards have been placed, and stay there");
    } else if min_nodes > shards {
        tracing::warn!(min_nodes, shards, "there are more nodes than shards: some will hold no data");
    }
}

/// How clients come in.
struct Door {
    listener: TcpListener,
    requests: Requests,
    gate: Gate,
    stop: CancellationToken,
}

/// The services for clients, with health and reflection.
fn client_server(
    house: Arc<House>,
    door: Door,
    health: HealthServer<impl Health>,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static, Fault> {
    let reflection = |service: Result<_, tonic_reflection::server::Error>| {
        service.map_err(|error| Fault::internal(format!("reflection: {error}")))
    };
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(entail_proto::ERROR_DETAILS_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection_v1 = reflection(descriptors().build_v1())?;
    let reflection_v1alpha = descriptors().build_v1alpha();
    let reflection_v1alpha = reflection_v1alpha.map_err(|error| Fault::internal(format!("reflection: {error}")))?;
    let queries = v1::query_service_server::QueryServiceServer::new(Queries(Arc::clone(&house)));
    let updates = v1::update_service_server::UpdateServiceServer::new(Updates(Arc::clone(&house)));
    let rules = v1::rule_service_server::RuleServiceServer::new(Rules(Arc::clone(&house)));
    let admin = v1::admin_service_server::AdminServiceServer::new(Admin(house));
    let server = Server::builder()
        .layer(ServerSpans::new("coordinator", Calls::Always(front::is_traced)))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .layer(door.requests)
        .layer(door.gate)
        .add_service(health)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .add_service(queries.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(updates.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(rules.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(admin);
    Ok(server.serve_with_incoming_shutdown(incoming(door.listener), door.stop.cancelled_owned()))
}

/// Keeps the health of the services true: serving when every shard can be reached, not when stopping.
async fn report_health(house: Arc<House>, reporter: tonic_health::server::HealthReporter) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let names =
        ["", "entail.v1.QueryService", "entail.v1.UpdateService", "entail.v1.RuleService", "entail.v1.AdminService"];
    let mut last = None;
    loop {
        let is_stopping = house.leaving.is_cancelled();
        let state = house.check();
        let is_ready = state.is_ok();
        if last != Some(is_ready) || is_stopping {
            match state {
                Ok(()) => tracing::info!("the cluster is serving"),
                Err(why) if last.is_some() && !is_stopping => tracing::warn!(why, "the cluster is not serving"),
                Err(_) => {}
            }
            for name in names {
                // The admin service answers whatever the nodes do.
                let serving = is_ready || (name.ends_with("AdminService") && !is_stopping);
                reporter.set_service_status(name, if serving { Serving } else { NotServing }).await;
            }
            last = Some(is_ready);
        }
        if is_stopping {
            return;
        }
        tokio::select! {
            () = house.leaving.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

/// Completes when the log has failed: nothing more can be decided, so the process must end.
async fn poisoned(members: &Members) -> Fault {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if members.log.is_poisoned() {
            return Fault::new(Reason::DiskFull, "the metadata log cannot be written, the coordinator exits");
        }
    }
}

/// Random bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    read.map(|()| bytes).map_err(|error| Fault::internal(format!("no random bytes: {error}")))
}
