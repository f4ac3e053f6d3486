//! Servers of this very process: a call to one is a call of its service, without a socket in between.
//!
//! ```text
//! Connection ──► a server of this process has the address?   yes: its service, on the caller's task
//!                                                            no:  HTTP/2
//! ```
//! What is around the service goes along (spans, metrics, the gate), so both ways look the same to both ends: dropping a
//! call ends the work behind it, and a call's time is limited by what its headers say.

use crate::deadline;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::TimeoutExpired;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Bytes, StdError, http};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// A server's service.
type Served = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// The servers of this process, by the addresses that others know them by. Clones are the same list.
#[derive(Clone, Default)]
pub struct Inside(Arc<Mutex<HashMap<String, Served>>>);

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Inside {
    /// Lets calls to `address` reach a service, until the opening is dropped.
    pub fn open<S, B>(&self, address: &str, service: S) -> Opening
    where
        S: Service<http::Request<Body>, Response = http::Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let service = service.map_response(|response: http::Response<B>| response.map(Body::new));
        self.lock().insert(address.to_owned(), BoxCloneSyncService::new(service));
        Opening { inside: self.clone(), address: address.to_owned() }
    }

    /// The server that has an address.
    pub(crate) fn find(&self, address: &str) -> Option<Way> {
        self.lock().get(address).cloned().map(Way)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that can be called from inside.
#[derive(Debug)]
pub struct Opening {
    inside: Inside,
    address: String,
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.inside.lock().remove(&self.address);
    }
}

/// The way to a server of this process.
#[derive(Clone)]
pub(crate) struct Way(Served);

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inside")
    }
}

impl Way {
    /// Makes a call, which takes no longer than its headers say.
    pub(crate) fn call(&self, request: http::Request<Body>) -> BoxFuture<http::Response<Body>, StdError> {
        let time = deadline::read(request.headers());
        let answer = self.0.clone().oneshot(request);
        Box::pin(async move {
            let answer = match time {
                Some(time) => tokio::time::timeout(time, answer).await.map_err(|_| TimeoutExpired(()))?,
                None => answer.await,
            };
            answer.map_err(|never| match never {})
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;
    use crate::internal::cluster_service_client::ClusterServiceClient;
    use crate::internal::cluster_service_server::{ClusterService, ClusterServiceServer};
    use crate::internal::*;
    use crate::status;
    use entail_model::{Fault, Reason};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use tonic::service::Routes;
    use tonic::{Request, Response, Status};

    const ADDRESS: &str = "127.0.0.1:1";

    /// Heartbeats never end, and tell when nobody waits for them any more.
    struct Server(Arc<AtomicBool>);

    struct Told(Arc<AtomicBool>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tonic::async_trait]
    impl ClusterService for Server {
        async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
            let cluster = request.get_ref().cluster;
            match request.metadata().contains_key("wrong") {
                true => Err(status::from_fault(&Fault::new(Reason::WrongCluster, "another one"))),
                false => Ok(Response::new(RegisterResponse { cluster, ..Default::default() })),
            }
        }

        async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
            let _told = Told(Arc::clone(&self.0));
            std::future::pending().await
        }

        async fn leave(&self, _: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
            Ok(Response::new(LeaveResponse::default()))
        }
    }

    fn client_of(inside: &Inside) -> ClusterServiceClient<Connection> {
        ClusterServiceClient::new(Connection::to(ADDRESS, inside, |endpoint| endpoint).expect("an address"))
    }

    #[tokio::test]
    async fn a_server_of_this_process_is_called_without_a_socket() {
        let (inside, was_dropped) = (Inside::default(), Arc::new(AtomicBool::new(false)));
        let service = ClusterServiceServer::new(Server(Arc::clone(&was_dropped)));
        let opening = inside.open(ADDRESS, Routes::new(service));
        let mut client = client_of(&inside);
        let answer = client.register(RegisterRequest { cluster: 7, ..Default::default() }).await.expect("it is there");
        assert_eq!(answer.get_ref().cluster, 7);

        let mut wrong = Request::new(RegisterRequest::default());
        wrong.metadata_mut().insert("wrong", "yes".parse().expect("ascii"));
        let error = client.register(wrong).await.expect_err("it is refused");
        assert_eq!(status::to_fault(&error).reason, Reason::WrongCluster, "faults come as they are");

        let mut endless = Request::new(HeartbeatRequest::default());
        endless.set_timeout(Duration::from_millis(20));
        let error = client.heartbeat(endless).await.expect_err("it never ends");
        assert_eq!(status::to_fault(&error).reason, Reason::DeadlineExceeded, "{error:?}");
        assert!(was_dropped.load(Ordering::Relaxed), "nothing runs for nobody");

        drop(opening);
        let error = client_of(&inside).register(RegisterRequest::default()).await.expect_err("it is gone");
        assert_eq!(status::to_fault(&error).reason, Reason::ShardsUnavailable, "{error:?}");
    }
}
