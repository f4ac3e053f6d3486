//! Spans of gRPC calls, as tower services: one at each end, from the request to the last byte of the response.
//!
//! ```text
//! ClientSpans: current span ──► client span ──► headers  ┄┄►  ServerSpans: server span ──► the handler
//! ```
//! Names follow OpenTelemetry's conventions for RPC; the status of a call is read from its headers or trailers.

mod body;
mod client;
mod local;
mod server;

pub use client::{ClientSpans, Peer};
pub use local::{LocalCall, LocalCalls};
pub use server::{Calls, ServerSpans};

use crate::{attributes, codes};
use http::HeaderMap;
use tonic::Code;
use tracing::Span;

/// A call in progress. A call that ends without a recorded status was cancelled.
#[derive(Debug)]
struct Call {
    span: Span,
    end: End,
    is_told: bool,
}

/// The end of the call that this span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

impl Call {
    fn new(span: Span, end: End) -> Self {
        Self { span, end, is_told: false }
    }

    /// Records the status from headers or trailers, if they have one.
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(code) = codes::read(headers) {
            self.tell(code, || codes::message(headers));
        }
    }

    fn tell(&mut self, code: Code, message: impl FnOnce() -> String) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        attributes::text(&self.span, "rpc.response.status_code", codes::name(code));
        if is_error(self.end, code) {
            attributes::fail(&self.span, codes::name(code), &message());
        }
    }

    /// Records that the call failed in the transport.
    fn broken(&mut self, why: &impl ToString) {
        self.tell(Code::Unavailable, || why.to_string());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A reader stops a stream by dropping it: no error.
        if !std::mem::replace(&mut self.is_told, true) {
            attributes::text(&self.span, "rpc.response.status_code", codes::name(Code::Cancelled));
        }
    }
}

/// At a client every status but OK is an error; at a server only those that the caller did not cause.
fn is_error(end: End, code: Code) -> bool {
    match end {
        End::Client => code != Code::Ok,
        End::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}

#[cfg(test)]
mod tests;
