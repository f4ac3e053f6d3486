//! A node, and a coordinator that forgets its registration.

use super::*;
use entail_proto::internal::cluster_service_server::{ClusterService, ClusterServiceServer};
use entail_proto::internal::{HeartbeatResponse, LeaveResponse, OpenAttemptRequest, OpenAttemptResponse};
use std::sync::{Mutex, MutexGuard};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The coordinator's knowledge of the only node.
#[derive(Default)]
struct Known {
    lives: u64,
    /// If it has registered since the coordinator's start: does it want to leave?
    leaving: Option<bool>,
    has_left: bool,
}

#[derive(Clone, Default)]
struct Coordinator(Arc<Mutex<Known>>);

impl Coordinator {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no thread has panicked")
    }

    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let service = ClusterServiceServer::new(self.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        format!("http://{address}")
    }
}

#[tonic::async_trait]
impl ClusterService for Coordinator {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let mut known = self.known();
        known.lives += 1;
        known.leaving = Some(request.get_ref().leaving);
        Ok(Response::new(RegisterResponse {
            cluster: 1,
            hash_key: vec![7; 16].into(),
            shards: 1,
            incarnation: known.lives,
            ..RegisterResponse::default()
        }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        let mut known = self.known();
        let register_again = known.leaving.is_none() || known.lives != request.get_ref().incarnation;
        known.leaving = known.leaving.map(|leaving| leaving || request.get_ref().leaving);
        Ok(Response::new(HeartbeatResponse { register_again, ..HeartbeatResponse::default() }))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        let mut known = self.known();
        let reason = match known.leaving {
            None => Reason::NotReady,
            _ if known.lives != request.get_ref().incarnation => Reason::Fenced,
            Some(_) => {
                known.has_left = true;
                return Ok(Response::new(LeaveResponse {}));
            }
        };
        Err(status::from_fault(&Fault::new(reason, "on purpose")))
    }

    async fn open_attempt(&self, _: Request<OpenAttemptRequest>) -> Result<Response<OpenAttemptResponse>, Status> {
        Ok(Response::new(OpenAttemptResponse::default()))
    }
}

async fn member(coordinator: String, data: &TempDir) -> Arc<Member> {
    let context = Context::of_directory(data.path(), Handle::current());
    let coordinator = Arc::new(crate::coordinator::Coordinator::at(&coordinator, context.node).expect("a URL"));
    let context = Arc::new(Context { coordinator, ..context });
    Arc::new(Member {
        context,
        attempts: Arc::default(),
        queries: Arc::default(),
        address: "127.0.0.1:1".to_owned(),
        name: "node".to_owned(),
        presence: Arc::new(Presence::new(tonic_health::server::health_reporter().0).await),
    })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let looks = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looks).await.unwrap_or_else(|_| panic!("not in 20 s: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_tells_a_coordinator_that_has_just_started() {
    let (coordinator, data) = (Coordinator::default(), TempDir::new().expect("a temporary directory"));
    let member = member(coordinator.start().await, &data).await;
    let running = tokio::spawn({
        let member = Arc::clone(&member);
        async move { member.run().await }
    });
    until("the node is there", || member.presence.check().is_ok()).await;
    assert_eq!(coordinator.known().leaving, Some(false));

    coordinator.known().leaving = None;
    member.leave(Duration::from_secs(20)).await;
    assert!(coordinator.known().has_left);
    assert_eq!(coordinator.known().leaving, Some(true));

    // The state of a node that was registered before it wanted to leave.
    coordinator.known().leaving = Some(false);
    until("a heartbeat tells it", || coordinator.known().leaving == Some(true)).await;
    running.abort();
    _ = running.await;
}
