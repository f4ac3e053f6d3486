//! Calls of a role by others of its process, without a server in between: in traces and in metrics they look as calls of its
//! server do.

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

    /// A call begins, `package.Service/Method`. It has spans if it is made inside another.
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

/// A call under way. If nothing tells how it ended, it was given up.
pub struct LocalCall {
    /// Both ends, the called one first: it ends first.
    ends: Option<[Call; 2]>,
    observation: Observation,
}

impl LocalCall {
    /// The span for the work of the role that was called.
    pub fn span(&self) -> Span {
        self.ends.as_ref().map_or_else(Span::none, |[called, _]| called.span.clone())
    }

    /// Tells what became of the call.
    pub fn tell(&mut self, code: Code, message: impl Fn() -> String) {
        self.observation.tell(code);
        self.ends.iter_mut().flatten().for_each(|end| end.tell(code, &message));
    }
}
