//! A proxy in front of a node: it forwards every call, except for those that a test refuses.
//!
//! The node advertises the proxy's address instead of its own, so calls of the coordinator and of its peers pass the
//! proxy.

use entail_proto::internal::node_service_server::NodeServiceServer;
use entail_proto::internal::peer_service_server::PeerServiceServer;
use futures::future::{BoxFuture, poll_fn};
use std::convert::Infallible;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

/// Returns the status with which a call to a node is refused, if any, by the node's number and the method's name.
pub type Refuse = Arc<dyn Fn(usize, &str) -> Option<Status> + Send + Sync>;

/// The flow control window: messages between coordinator and nodes may be this large.
const WINDOW_BYTES: u32 = 16 << 20;

/// Starts a proxy for the node with this number, which will listen at `behind`; returns the proxy's address.
pub async fn open(number: usize, behind: SocketAddr, refuse: Refuse) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let endpoint = Endpoint::from_shared(format!("http://{behind}")).map_err(|error| error.to_string())?;
    let guard = Guard { number, refuse, channel: endpoint.initial_stream_window_size(WINDOW_BYTES).connect_lazy() };
    let server = Server::builder()
        .add_service(Passage::<NodeServiceServer<()>>::new(guard.clone()))
        .add_service(Passage::<PeerServiceServer<()>>::new(guard));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))));
    Ok(address)
}

#[derive(Clone)]
struct Guard {
    number: usize,
    refuse: Refuse,
    channel: Channel,
}

/// A proxied service, with the name of the original.
struct Passage<S> {
    guard: Guard,
    service: PhantomData<fn() -> S>,
}

impl<S> Passage<S> {
    fn new(guard: Guard) -> Self {
        Self { guard, service: PhantomData }
    }
}

impl<S> Clone for Passage<S> {
    fn clone(&self) -> Self {
        Self::new(self.guard.clone())
    }
}

impl<S: NamedService> NamedService for Passage<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Passage<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let guard = self.guard.clone();
        Box::pin(async move { Ok(guard.pass(request).await.unwrap_or_else(Status::into_http)) })
    }
}

impl Guard {
    async fn pass(mut self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        if let Some(refusal) = (self.refuse)(self.number, method) {
            return Err(refusal);
        }
        let broken = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        poll_fn(|context| self.channel.poll_ready(context)).await.map_err(broken)?;
        self.channel.call(request).await.map_err(broken)
    }
}
