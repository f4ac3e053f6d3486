//! Spans of gRPC calls, as tower services: one at each end, from the request to the last byte of the answer.
//!
//! ```text
//! ClientSpans: current span ──► client span ──► headers  ┄┄►  ServerSpans: server span ──► the handler
//! ```
//! The names are OpenTelemetry's for RPC; a call's status is read from its headers or trailers.

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

/// A call under way. When nobody has told how it ended, it was given up.
#[derive(Debug)]
struct Call {
    span: Span,
    end: End,
    is_told: bool,
}

/// Which end of the call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

impl Call {
    fn new(span: Span, end: End) -> Self {
        Self { span, end, is_told: false }
    }

    /// Takes the status from headers or trailers, if it is there.
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

    /// The call failed in the transport.
    fn broken(&mut self, why: &impl ToString) {
        self.tell(Code::Unavailable, || why.to_string());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Dropping a stream is how its reader stops it: no error.
        if !std::mem::replace(&mut self.is_told, true) {
            attributes::text(&self.span, "rpc.response.status_code", codes::name(Code::Cancelled));
        }
    }
}

/// To whom asked every status but one is an error; to whom answers only what is not the caller's own doing.
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
