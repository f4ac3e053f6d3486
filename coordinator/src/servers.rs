//! The coordinator's servers, one for clients and one for nodes, and their shutdown.

use crate::api::grpc::{self, Listener};
use crate::members::ClusterServer;
use crate::metrics;
use crate::options::Options;
use crate::service::Coordinator;
use crate::writer::Writer;
use entail_model::{Fault, Reason};
use entail_proto::bound::Bound;
use entail_proto::gate::Gate;
use entail_proto::incoming::incoming;
use entail_proto::internal::cluster_service_server::ClusterServiceServer;
use entail_proto::windows;
use entail_telemetry::metrics::Registry;
use entail_telemetry::metrics::rpc::Requests;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long cut-off changes may take to be aborted in the log, and connections to close.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// The addresses of a coordinator, bound before anything is written.
#[derive(Debug)]
pub struct Addresses {
    clients: Bound,
    peers: Bound,
}

impl Addresses {
    /// Binds the addresses in the options.
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

    /// Listens at both addresses.
    pub(crate) fn listen(self) -> Result<Sockets, Fault> {
        Ok(Sockets { clients: self.clients.listen()?, peers: self.peers.listen()? })
    }
}

/// The sockets that listen.
pub struct Sockets {
    clients: TcpListener,
    peers: TcpListener,
}

/// The running servers.
pub struct Servers {
    tasks: JoinSet<Result<(), tonic::transport::Error>>,
    gate: Gate,
    stop: CancellationToken,
    health: JoinHandle<()>,
    _unread: JoinSet<()>,
}

impl Servers {
    /// Starts both servers.
    ///
    /// # Errors
    /// As for [`grpc::server`].
    pub fn start(coordinator: &Arc<Coordinator>, sockets: Sockets, registry: &Registry) -> Result<Self, Fault> {
        let (gate, stop) = (Gate::new(grpc::refusal), CancellationToken::new());
        let requests = Requests::new(registry, metrics::methods());
        let cluster = ClusterServer(Arc::clone(&coordinator.members));
        let mut tasks = JoinSet::new();
        tasks.spawn(
            windows::PEERS
                .server()
                .layer(requests.clone())
                .add_service(ClusterServiceServer::new(cluster))
                .serve_with_incoming_shutdown(incoming(sockets.peers), stop.clone().cancelled_owned()),
        );
        let (reporter, health) = tonic_health::server::health_reporter();
        let listener = Listener { tcp: sockets.clients, requests, gate: gate.clone(), stop: stop.clone() };
        tasks.spawn(grpc::server(Arc::clone(coordinator), listener, health)?);
        let health = tokio::spawn(grpc::report_health(Arc::clone(coordinator), reporter));
        let mut unread = JoinSet::new();
        let watched = Arc::clone(coordinator);
        unread.spawn(async move { watched.give_up_unread().await });
        Ok(Self { tasks, gate, stop, health, _unread: unread })
    }

    /// Completes when a server has ended, which is a fault: none ends by itself.
    pub async fn failure(&mut self) -> Fault {
        let ended = self.tasks.join_next().await;
        Fault::internal(format!("a server ended: {ended:?}"))
    }

    /// Shuts down in order: health reports it, new requests are refused, requests in progress get the grace period, the rest
    /// is cut off, and connections close. Without a grace period it does not wait.
    pub async fn drain(mut self, coordinator: &Coordinator, grace: Option<Duration>) {
        coordinator.leaving.cancel();
        _ = self.health.await;
        self.gate.shut();
        if let Some(grace) = grace {
            _ = tokio::time::timeout(grace, self.gate.empty()).await;
        }
        self.gate.cut();
        _ = tokio::time::timeout(ENDING_MAX, aborted(&coordinator.writer)).await;
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        _ = tokio::time::timeout(ENDING_MAX, all).await;
    }
}

/// Completes when no change is running: those that were cut off are aborted in the log.
async fn aborted(writer: &Writer) {
    while writer.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
