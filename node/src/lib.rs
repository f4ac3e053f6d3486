//! A node: the shards that it holds, and the work over them.
//!
//! ```text
//! service (gRPC) ──► operations ──► attempt  (stage, reason, seal, decide) ──► store
//! local   (calls) ──┘            ──► queries  (execute)                     ──► store
//! membership, admission ──► coordinator        peers ──► other nodes
//! ```
//!
//! The algorithms are in `entail-logic`: this crate gives its machines threads, messages and a disk.

mod admission;
mod attempt;
mod context;
mod coordinator;
mod gauges;
mod inbox;
mod local;
mod membership;
mod metrics;
mod operations;
pub mod options;
mod overflow;
mod peers;
mod presence;
mod queries;
mod retry;
mod scan;
mod service;
mod staged;
pub mod store;
mod traffic;
mod waiting;

pub use options::Options;

use admission::Admission;
use attempt::Attempts;
use context::Context;
use coordinator::Coordinator;
use entail_logic::columns::Pair;
use entail_model::{Fault, Reason};
use entail_node_api::{Connections, MESSAGE_BYTES_MAX};
use entail_proto::addressee;
use entail_proto::bound::Bound;
use entail_proto::gate::{Gate, Refusal};
use entail_proto::incoming::incoming;
use entail_proto::internal::node_service_server::NodeServiceServer;
use entail_proto::internal::peer_service_server::PeerServiceServer;
use entail_proto::windows;
use entail_telemetry::metrics::rpc::Requests;
use entail_telemetry::{Calls, Instruments, LocalCalls, ServerSpans};
use gauges::Sources;
use local::Local;
use membership::Member;
use metrics::Metrics;
use operations::{Operations, SCANS_MAX};
use overflow::MemoryBudget;
use presence::Presence;
use queries::Queries;
use service::Services;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{OpenOptions, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

/// The part of the memory for decoded chunks; the rest is for queued messages and for work.
const CACHE_SHARE: u64 = 2;

/// The part of the memory that all runs of an attempt may take together before the largest are stored; at least
/// `RESIDENT_PAIRS_MIN`, since storing fewer pairs costs more than it saves.
const ATTEMPT_SHARE: u64 = 4;
const RESIDENT_PAIRS_MIN: u64 = 128 << 10;

/// The part of the memory for queued messages, of all attempts and queries together; others wait on disk.
const ROOM_SHARE: u64 = 8;
const ROOM_BYTES_MIN: u64 = 4 << 20;

/// The interval of keepalive pings to a silent caller, and the time for its answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The limit for closing the server's connections after the last request.
const ENDING_MAX: Duration = Duration::from_secs(1);

/// The limit for closing the store. With `ENDING_MAX` and telemetry's last 2 s it stays below the 6 s that a supervisor
/// should allow after the grace period.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// How long the background work pauses when there is none, and after a failure.
const IDLE: Duration = Duration::from_millis(200);
const AFTER_FAULT: Duration = Duration::from_secs(5);

/// Runs a node until `shutdown` completes, and then until requests in progress have ended, within the grace period.
///
/// # Errors
/// `DirectoryInUse`, `WrongCluster`, `Corrupt` and `DiskFull` from the store; `InvalidRequest` for addresses that cannot
/// be used.
pub async fn run(options: Options, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
    // Before anything is written: a start that fails because of its address creates no directory.
    let bound = Bound::new(options.peer_listen)?;
    let (data, budget) = (options.data.clone(), options.memory / CACHE_SHARE);
    let store = tokio::task::spawn_blocking(move || Store::open(&data, OpenOptions { memory_budget: budget }))
        .await
        .map_err(|error| Fault::internal(format!("opening the store failed: {error}")))??;
    let store = Arc::new(store);
    let listener = bound.listen()?;
    let local = listener.local_addr().map_err(|error| Fault::internal(format!("no local address: {error}")))?;
    let address = options.advertise.unwrap_or_else(|| local.to_string());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .thread_name(|index| format!("evaluate-{index}"))
        .build()
        .map_err(|error| Fault::internal(format!("no threads: {error}")))?;
    let metrics = Metrics::new(&options.instruments.metrics);
    let coordinator = Arc::new(Coordinator::at(&options.coordinator, store.node())?);
    let context = Arc::new(Context {
        node: store.node(),
        store,
        peers: peers::Peers::new(Connections::new(Arc::clone(&options.local_nodes))),
        runtime: tokio::runtime::Handle::current(),
        coordinator: Arc::clone(&coordinator),
        room: Arc::new(MemoryBudget::new((options.memory / ROOM_SHARE).max(ROOM_BYTES_MIN), options.data)),
        resident_pairs_max: (options.memory / ATTEMPT_SHARE / size_of::<Pair>() as u64).max(RESIDENT_PAIRS_MIN),
        metrics,
        pool,
    });
    let operations = Operations {
        context: Arc::clone(&context),
        attempts: Arc::new(Attempts::default()),
        queries: Arc::new(Queries::default()),
        admission: Arc::new(Admission::new(coordinator)),
        scans: Arc::new(Semaphore::new(SCANS_MAX)),
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    let name = options.name.unwrap_or_else(|| address.clone());
    let presence = Arc::new(Presence::new(health).await);
    show(&options.instruments, &operations, &presence);
    let member = Arc::new(Member {
        context: Arc::clone(&context),
        attempts: Arc::clone(&operations.attempts),
        queries: Arc::clone(&operations.queries),
        name: name.clone(),
        address: address.clone(),
        presence,
    });
    let compaction = tokio::task::spawn_blocking({
        let context = Arc::clone(&context);
        move || compact(&context)
    });
    let inventory = tokio::task::spawn_blocking({
        let context = Arc::clone(&context);
        move || keep_inventory(&context)
    });
    tracing::info!(%address, node = %format_args!("{:016x}", context.node.0), "listening for peers");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let incoming = incoming(listener);
    let gate = Gate::new(refusal);
    // Only calls for this node: its address may have belonged to another one.
    let node = context.node;
    let mine = move |request: Request<()>| addressee::check(request.metadata(), node).map(|()| request);
    let services = Services(operations.clone());
    let node_service = NodeServiceServer::new(services.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let peer_service = PeerServiceServer::new(services).max_decoding_message_size(MESSAGE_BYTES_MAX);
    // A coordinator whose host was disconnected closes no connection: keepalives end its requests.
    let routes = Routes::new(InterceptedService::new(node_service, mine))
        .add_service(health_service)
        .add_service(InterceptedService::new(peer_service, mine));
    let requests = Requests::new(&options.instruments.metrics, metrics::methods());
    let calls = LocalCalls::new(requests.clone(), &address, &name);
    let local = options.local_nodes.enter(node, Arc::new(Local::new(operations, calls, gate.clone())));
    let server = windows::PEERS
        .server()
        .layer(ServerSpans::new(&name, Calls::InTrace(service::is_traced)))
        .layer(requests)
        .layer(gate.clone())
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async {
            _ = stopped.await;
        });
    let mut server = tokio::spawn(server);
    let mut membership = tokio::spawn({
        let member = Arc::clone(&member);
        async move { member.run().await }
    });
    let result = tokio::select! {
        ended = &mut membership => {
            ended.unwrap_or_else(|error| Err(Fault::internal(format!("the membership failed: {error}"))))
        }
        served = &mut server => Err(Fault::internal(format!("the server ended: {served:?}"))),
        poisoned = poisoned(&context) => Err(poisoned),
        () = shutdown => Ok(()),
    };
    // From here on the gate answers requests.
    drop(local);
    if result.is_ok() {
        farewell(&member, &gate, options.grace).await;
    }
    gate.shut();
    gate.cut();
    membership.abort();
    drop(stop);
    _ = tokio::time::timeout(ENDING_MAX, server).await;
    result.and(close(&context, [compaction, inventory]).await)
}

/// Closes the store, and waits until the background work has ended, but not longer than `CLOSING_MAX`: committed data is
/// safe without it.
async fn close(context: &Arc<Context>, background: [JoinHandle<()>; 2]) -> Result<(), Fault> {
    let closed = async {
        let closed = context.blocking(|context| context.store.close()).await;
        for work in background {
            _ = work.await;
        }
        closed
    };
    tokio::time::timeout(CLOSING_MAX, closed).await.unwrap_or_else(|_| {
        tracing::warn!("closing the database timed out; committed data is safe");
        Ok(())
    })
}

/// Registers the node's metrics and readiness.
fn show(instruments: &Instruments, node: &Operations, presence: &Arc<Presence>) {
    let told = Arc::clone(presence);
    instruments.readiness.tell(move || told.check());
    let sources = Sources {
        context: Arc::downgrade(&node.context),
        attempts: Arc::downgrade(&node.attempts),
        queries: Arc::clone(&node.queries),
        presence: Arc::clone(presence),
    };
    sources.register(&instruments.metrics);
}

/// Leaves the cluster, and waits for requests in progress within the grace period. Until then requests that need this node
/// are served, and heartbeats continue, so that the coordinator does not take it for lost.
async fn farewell(member: &Member, gate: &Gate, grace: Duration) {
    let started = Instant::now();
    member.leave(grace).await;
    gate.shut();
    _ = tokio::time::timeout(grace.saturating_sub(started.elapsed()), gate.empty()).await;
}

/// The fault for requests that are refused or cut off at the end: the coordinator treats the node's shards as
/// unavailable.
fn refusal(_: Refusal, _: &str) -> Fault {
    Fault::new(Reason::ShardsUnavailable, "the node is shutting down")
}

/// Completes when a write of the store has failed: later writes would not be durable, so the process must end.
async fn poisoned(context: &Context) -> Fault {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let Some(fault) = context.store.poisoned() {
            return fault;
        }
    }
}

/// Keeps the inventory close to what the database has, also while runs are merged, which takes its time.
fn keep_inventory(context: &Context) {
    while !context.store.wait_closed(IDLE) {
        context.store.keep_inventory();
    }
}

/// Merges runs in the background until the store is closed.
fn compact(context: &Context) {
    let mut wait = Duration::ZERO;
    while !context.store.wait_closed(wait) {
        wait = match context.store.compact_step() {
            Ok(true) => {
                context.metrics.merges.inc();
                Duration::ZERO
            }
            Ok(false) => IDLE,
            Err(fault) => {
                tracing::error!(%fault, "merging runs failed");
                AFTER_FAULT
            }
        };
    }
}
