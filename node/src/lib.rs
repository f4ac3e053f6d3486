//! One worker: the shards that it holds, and the work over them.
//!
//! ```text
//! service ──► attempt  (stage, reason, seal, decide) ──► store
//!         ──► queries  (execute)                     ──► store
//! membership ──► coordinator        peers ──► other nodes
//! ```
//!
//! The thinking is `entail-logic`'s: this crate gives its machines threads, messages and a disk.

mod attempt;
mod context;
mod inbox;
mod membership;
pub mod options;
mod overflow;
mod peers;
mod queries;
mod scan;
mod service;
pub mod store;
mod traffic;
mod waiting;

pub use options::Options;

use attempt::Attempts;
use context::Context;
use entail_logic::columns::Pair;
use entail_model::{Fault, Reason};
use entail_proto::internal::node_service_server::NodeServiceServer;
use entail_proto::internal::peer_service_server::PeerServiceServer;
use entail_telemetry::{Calls, ServerSpans};
use membership::Member;
use overflow::Room;
use queries::Queries;
use service::Services;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{OpenOptions, Store};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

/// The part of the memory for decoded chunks; the rest is for messages that wait and for work.
const CACHE_SHARE: u64 = 2;

/// The part of the memory that all runs of an attempt may take together before the largest are stored, down to so few
/// pairs that storing them would cost more than it saves.
const ATTEMPT_SHARE: u64 = 8;
const RESIDENT_PAIRS_MIN: u64 = 128 << 10;

/// The part of the memory for messages that wait to be worked on, of all attempts and queries together; others wait on
/// disk.
const ROOM_SHARE: u64 = 4;
const ROOM_BYTES_MIN: u64 = 4 << 20;

/// How often a silent caller is asked for a sign of life, and how long it has for that.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Runs a node until `shutdown` completes.
///
/// # Errors
/// `DirectoryInUse`, `WrongCluster`, `Corrupt` and `DiskFull` from the store; `InvalidRequest` for addresses that cannot
/// be used.
pub async fn run(options: Options, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
    let (data, budget) = (options.data.clone(), options.memory / CACHE_SHARE);
    let store = tokio::task::spawn_blocking(move || Store::open(&data, OpenOptions { memory_budget: budget }))
        .await
        .map_err(|error| Fault::internal(format!("opening the store failed: {error}")))??;
    let store = Arc::new(store);
    let listener = TcpListener::bind(options.peer_listen).await.map_err(|error| {
        Fault::new(Reason::InvalidRequest, format!("cannot listen on {}: {error}", options.peer_listen))
    })?;
    let local = listener.local_addr().map_err(|error| Fault::internal(format!("no local address: {error}")))?;
    let address = options.advertise.unwrap_or_else(|| local.to_string());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .thread_name(|index| format!("evaluate-{index}"))
        .build()
        .map_err(|error| Fault::internal(format!("no threads: {error}")))?;
    let context = Arc::new(Context {
        node: store.node(),
        store,
        peers: peers::Peers::default(),
        runtime: tokio::runtime::Handle::current(),
        membership: OnceLock::new(),
        room: Arc::new(Room::new((options.memory / ROOM_SHARE).max(ROOM_BYTES_MIN), options.data)),
        resident_pairs_max: (options.memory / ATTEMPT_SHARE / size_of::<Pair>() as u64).max(RESIDENT_PAIRS_MIN),
        pool,
    });
    let services = Services {
        context: Arc::clone(&context),
        attempts: Arc::new(Attempts::default()),
        queries: Arc::new(Queries::default()),
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    let name = options.name.unwrap_or_else(|| address.clone());
    let member = Member {
        context: Arc::clone(&context),
        attempts: Arc::clone(&services.attempts),
        queries: Arc::clone(&services.queries),
        coordinator: options.coordinator,
        name: name.clone(),
        address: address.clone(),
        health: health.clone(),
    };
    let compaction = tokio::task::spawn_blocking({
        let context = Arc::clone(&context);
        move || compact(&context)
    });
    tracing::info!(%address, node = %format_args!("{:016x}", context.node.0), "listening for peers");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // Without delay: an answer's last message would wait for the caller's acknowledgement, which the caller's system holds
    // back for 40 ms. (The server's own option counts only where it listens itself.)
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // A coordinator whose host was cut off says no goodbye: what it asked for ends when it is not heard of.
    let server = Server::builder()
        .layer(ServerSpans::new(&name, Calls::InTrace(service::is_traced)))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(NodeServiceServer::new(services.clone()).max_decoding_message_size(peers::MESSAGE_BYTES_MAX))
        .add_service(health_service)
        .add_service(PeerServiceServer::new(services).max_decoding_message_size(peers::MESSAGE_BYTES_MAX))
        .serve_with_incoming_shutdown(incoming, async {
            _ = stopped.await;
        });
    let mut server = tokio::spawn(server);
    let result = tokio::select! {
        result = member.run() => result,
        served = &mut server => Err(Fault::internal(format!("the server ended: {served:?}"))),
        poisoned = poisoned(&context) => Err(poisoned),
        () = shutdown => Ok(()),
    };
    health.set_service_status("", ServingStatus::NotServing).await;
    drop(stop);
    // Streams that are still open end with the process: their callers get a typed error and try again.
    _ = tokio::time::timeout(Duration::from_secs(5), server).await;
    context.store.close();
    _ = compaction.await;
    result
}

/// Completes when the store has failed: nothing it holds can be trusted to last, so the process must end.
async fn poisoned(context: &Context) -> Fault {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let Some(fault) = context.store.poisoned() {
            return fault;
        }
    }
}

/// Merges runs in the background until the store is closed.
fn compact(context: &Context) {
    while !context.store.is_closed() {
        match context.store.compact_step() {
            Ok(true) => {}
            Ok(false) => std::thread::sleep(Duration::from_millis(200)),
            Err(fault) => {
                tracing::error!(%fault, "merging runs failed");
                std::thread::sleep(Duration::from_secs(5));
            }
        }
    }
}
