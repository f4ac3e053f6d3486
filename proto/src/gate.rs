//! Draining a server for its shutdown: requests in progress may finish, new ones are refused, and finally the remaining
//! ones are aborted. Refused and aborted requests get a typed fault, not a broken connection.
//!
//! ```text
//! open ──shut──► new requests are refused ──cut──► what is left ends: unary calls, streams (health's as well)
//! ```
//! Health and reflection are admitted as long as the server runs, so that clients can query the state of the shutdown.

use crate::status;
use entail_model::Fault;
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::codegen::http::{HeaderMap, Request, Response, Uri, header};
use tower::{Layer, Service};

/// Requests to these services are always admitted, and the shutdown does not wait for them.
const ALWAYS: &str = "/grpc.";

/// The number of body frames that are still sent after the cut if they are available, as is the end of the body: a
/// completed message, the last update of a watch.
const LAST_PARTS: u8 = 2;

/// The stage of the shutdown in which a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request arrived when the gate was shut: it has had no effect.
    Shut,
    /// The request was in progress and is aborted.
    Cut,
}

/// Returns the fault for a refused request, by its path.
pub type Say = fn(Refusal, &str) -> Fault;

/// The gate of a server. Clones share its state.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    say: Say,
    is_shut: AtomicBool,
    cut: CancellationToken,
    inside: AtomicUsize,
    left: Notify,
}

impl Gate {
    /// An open gate.
    pub fn new(say: Say) -> Self {
        Self(Arc::new(Inner {
            say,
            is_shut: AtomicBool::new(false),
            cut: CancellationToken::new(),
            inside: AtomicUsize::new(0),
            left: Notify::new(),
        }))
    }

    /// Refuses new requests from now on.
    pub fn shut(&self) {
        self.0.is_shut.store(true, Ordering::SeqCst);
    }

    /// Aborts the requests in progress.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    /// Completes when no request is in progress.
    pub async fn empty(&self) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.0.inside.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }

    /// Admits a call that does not pass a server; the call ends when the returned value is dropped.
    ///
    /// # Errors
    /// The fault for requests that arrive when the gate is shut.
    pub fn admit(&self, path: &str) -> Result<Inside, Fault> {
        self.enter(path).ok_or_else(|| (self.0.say)(Refusal::Shut, path))
    }

    /// The fault for a request that is aborted.
    pub fn refusal(&self, path: &str) -> Fault {
        (self.0.say)(Refusal::Cut, path)
    }

    /// Completes when the requests in progress are aborted.
    pub fn is_cut(&self) -> WaitForCancellationFutureOwned {
        self.0.cut.clone().cancelled_owned()
    }

    /// Admits a request, unless the gate is shut.
    fn enter(&self, path: &str) -> Option<Inside> {
        if path.starts_with(ALWAYS) {
            return Some(Inside(None));
        }
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(Some(Arc::clone(&self.0)));
        (!self.0.is_shut.load(Ordering::SeqCst)).then_some(inside)
    }
}

/// A request in progress.
pub struct Inside(Option<Arc<Inner>>);

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(gate) = &self.0
            && gate.inside.fetch_sub(1, Ordering::SeqCst) == 1
        {
            gate.left.notify_waiters();
        }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone() }
    }
}

/// A service whose requests pass a gate.
#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    gate: Gate,
}

/// Headers of an error response, or trailers that replace the rest of an aborted one.
fn headers(fault: &Fault) -> HeaderMap {
    status::from_fault(fault).into_http::<()>().into_parts().0.headers
}

fn refused<B>(fault: &Fault) -> Response<GatedBody<B>> {
    let mut response = Response::new(GatedBody(State::Ended));
    *response.headers_mut() = headers(fault);
    response
}

impl<S, B, T> Service<Request<T>> for Gated<S>
where
    S: Service<Request<T>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<GatedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<T>) -> Self::Future {
        let gate = &self.gate.0;
        let Some(inside) = self.gate.enter(request.uri().path()) else {
            let fault = (gate.say)(Refusal::Shut, request.uri().path());
            return Box::pin(async move { Ok(refused(&fault)) });
        };
        let last_words = LastWords { say: gate.say, uri: request.uri().clone() };
        let cut = gate.cut.clone();
        let response = self.inner.call(request);
        Box::pin(async move {
            tokio::select! {
                biased;
                response = response => Ok(response?.map(|inner| {
                    let cut = Box::pin(cut.cancelled_owned());
                    GatedBody(State::Open { inner, cut, parts_left: LAST_PARTS, last_words, _inside: inside })
                })),
                () = cut.cancelled() => Ok(refused(&last_words.fault())),
            }
        })
    }
}

/// The data for the fault of an aborted request; computed only when it is needed.
struct LastWords {
    say: Say,
    uri: Uri,
}

impl LastWords {
    fn fault(&self) -> Fault {
        (self.say)(Refusal::Cut, self.uri.path())
    }
}

/// A response body that can be aborted.
pub struct GatedBody<B>(State<B>);

enum State<B> {
    Open {
        inner: B,
        cut: Pin<Box<WaitForCancellationFutureOwned>>,
        /// The body frames that may still be sent after the cut.
        parts_left: u8,
        last_words: LastWords,
        _inside: Inside,
    },
    Ended,
}

impl<B: Body + Unpin> Body for GatedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let State::Open { inner, cut, parts_left, last_words, .. } = &mut self.0 else { return Poll::Ready(None) };
        // Polled even if a frame is ready: a body that always has one would never be aborted otherwise.
        let is_cut = cut.as_mut().poll(context).is_ready();
        if !is_cut || *parts_left > 0 {
            match Pin::new(inner).poll_frame(context) {
                Poll::Pending if is_cut => {}
                polled => {
                    let is_part = matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data());
                    *parts_left -= u8::from(is_cut && is_part);
                    return polled;
                }
            }
        }
        let mut trailers = headers(&last_words.fault());
        trailers.remove(header::CONTENT_TYPE);
        // Dropping the body ends the work behind it.
        self.0 = State::Ended;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Open { inner, .. } => inner.is_end_stream(),
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Open { inner, .. } => inner.size_hint(),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests;
