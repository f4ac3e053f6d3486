//! Spans and metrics of in-process calls between roles, which bypass the server: they look like those of calls to the
//! role's server.

use super::{Call, End, Peer, server};
use crate::metrics::rpc::{Observation, Requests};
use std::sync::Arc;
use tonic::Code;
use tracing::Span;

/// Observes the calls of one role.
#[derive(Clone)]
pub struct LocalCalls {
    requests: Requests,
    peer: Peer,
    process: Arc<str>,
}

impl LocalCalls {
    /// Calls of `process`, whose server counts in `requests` and listens at `address`.
    pub fn new(requests: Requests, address: &str, process: &str) -> Self {
        Self { requests, peer: Peer::new(address), process: process.into() }
    }

    /// Begins a call, `package.Service/Method`. It has spans if it is made inside another span.
    pub fn begin(&self, method: &'static str) -> LocalCall {
        let observation = self.requests.begin(method);
        if Span::current().is_disabled() {
            return LocalCall { ends: None, observation };
        }
        let client = self.peer.span(method);
        let server = server::span(client.id(), method, &self.process);
        LocalCall { ends: Some([Call::new(server, End::Server), Call::new(client, End::Client)]), observation }
    }
}

/// A call in progress. A call that ends without a recorded status was cancelled.
pub struct LocalCall {
    /// The spans of both ends; the server span comes first, because it ends first.
    ends: Option<[Call; 2]>,
    observation: Observation,
}

impl LocalCall {
    /// The server span, for the work of the called role.
    pub fn span(&self) -> Span {
        self.ends.as_ref().map_or_else(Span::none, |[called, _]| called.span.clone())
    }

    /// Records the outcome of the call.
    pub fn tell(&mut self, code: Code, message: impl Fn() -> String) {
        self.observation.tell(code);
        for end in self.ends.iter_mut().flatten() {
            end.tell(code, &message);
            // A span that was entered ends when it was left for the last time.
            end.span.in_scope(|| ());
        }
    }
}
