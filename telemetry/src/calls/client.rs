//! Client spans: a service around a channel, for calls that are part of a trace.

use super::body::{Answer, Answering};
use super::{Call, End};
use crate::context;
use http::{Request, Response};
use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;
use tracing::{Span, info_span};

/// The server that is called.
#[derive(Clone, Debug)]
pub struct Peer {
    address: Arc<str>,
    port: u16,
}

impl Peer {
    /// A server by its address, `HOST:PORT`.
    pub fn new(address: &str) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        Self { address: host.into(), port: port.parse().unwrap_or(0) }
    }

    /// The span of a call to the peer, `package.Service/Method`, as the caller sees it.
    pub(super) fn span(&self, method: &str) -> Span {
        info_span!(
            "call",
            otel.name = method,
            otel.kind = "client",
            "rpc.system.name" = "grpc",
            "rpc.method" = method,
            "server.address" = &*self.address,
            "server.port" = i64::from(self.port),
        )
    }
}

/// Opens a span for each call that is made inside another span, and propagates its context in the headers.
#[derive(Clone, Debug)]
pub struct ClientSpans<S> {
    inner: S,
    peer: Peer,
}

impl<S> ClientSpans<S> {
    /// Wraps a service, so that its calls have spans.
    pub fn new(inner: S, peer: Peer) -> Self {
        Self { inner, peer }
    }

    /// The wrapped service, without spans.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for ClientSpans<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display,
{
    type Response = Response<Answer<R>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if Span::current().is_disabled() {
            return Answering::new(self.inner.call(request), None);
        }
        let span = self.peer.span(request.uri().path().trim_start_matches('/'));
        context::write(&span, request.headers_mut());
        Answering::new(self.inner.call(request), Some(Call::new(span, End::Client)))
    }
}
