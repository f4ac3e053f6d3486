//! Servers of this process: a call to one of them calls its service directly, without a socket.
//!
//! ```text
//! Connection ──► a server of this process has the address?   yes: its service, on the caller's task
//!                                                            no:  HTTP/2
//! ```
//! The layers around the service apply in both cases (spans, metrics, the gate), so both look alike to caller and
//! server: dropping a call ends the work behind it, and the timeout in the headers limits its duration.

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

/// The servers of this process, by the addresses that they advertise. Clones share the list.
#[derive(Clone, Default)]
pub struct Inside(Arc<Mutex<HashMap<String, Served>>>);

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Inside {
    /// Routes calls to `address` to a service, until the returned value is dropped.
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

    /// The server with this address.
    pub(crate) fn find(&self, address: &str) -> Option<Way> {
        self.lock().get(address).cloned().map(Way)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registration of a server that can be called directly.
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

/// A handle for direct calls to a server of this process.
#[derive(Clone)]
pub(crate) struct Way(Served);

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inside")
    }
}

impl Way {
    /// Makes a call that is limited by the timeout in its headers.
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

    /// Its heartbeats never end; the flag is set when the caller has dropped them.
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
