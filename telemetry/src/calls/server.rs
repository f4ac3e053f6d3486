//! Server spans: a layer that continues the caller's trace, or starts one.

use super::body::{Answer, Answering};
use super::{Call, End};
use crate::context;
use http::{Request, Response};
use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};
use tracing::span::Id;
use tracing::{Span, info_span};

/// The calls of a server that have spans, by their paths (`/package.Service/Method`).
#[derive(Clone, Copy, Debug)]
pub enum Calls {
    /// Matching calls always have spans.
    Always(fn(&str) -> bool),
    /// Matching calls have spans if they are part of a trace.
    InTrace(fn(&str) -> bool),
}

/// The server span of a call, `package.Service/Method`, to a process.
pub(super) fn span(parent: Option<Id>, method: &str, process: &str) -> Span {
    info_span!(
        parent: parent,
        "call",
        otel.name = method,
        otel.kind = "server",
        "rpc.system.name" = "grpc",
        "rpc.method" = method,
        "entail.process" = process,
    )
}

/// Opens a span for each call, as a child of the caller's span, if the trace is kept.
#[derive(Clone, Debug)]
pub struct ServerSpans<S = ()> {
    inner: S,
    /// The name of the serving process as operators know it.
    process: Arc<str>,
    calls: Calls,
}

impl ServerSpans {
    /// A layer for the server of `process`.
    pub fn new(process: &str, calls: Calls) -> Self {
        Self { inner: (), process: process.into(), calls }
    }
}

impl<S> Layer<S> for ServerSpans {
    type Service = ServerSpans<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerSpans { inner, process: Arc::clone(&self.process), calls: self.calls }
    }
}

impl<S> ServerSpans<S> {
    fn call_of<B>(&self, request: &Request<B>) -> Option<Call> {
        let path = request.uri().path();
        let is_in = context::is_in(request.headers());
        let is_traced = match self.calls {
            Calls::Always(is_traced) => is_traced(path),
            Calls::InTrace(is_traced) => is_in && is_traced(path),
        };
        if !is_traced {
            return None;
        }
        let context = context::of(request.headers());
        if !crate::is_kept(&context) {
            return None;
        }
        let span = span(None, path.trim_start_matches('/'), &self.process);
        context::adopt(&span, context);
        context::is_recorded(&span).then(|| Call::new(span, End::Server))
    }
}

impl<S, B, R> Service<Request<B>> for ServerSpans<S>
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.call_of(&request);
        Answering::new(self.inner.call(request), call)
    }
}
