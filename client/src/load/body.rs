//! A request body that can fail: dropping the [`Guard`] resets the stream. A body that merely stopped would end it
//! cleanly, and the server would commit half a load.

use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;

/// Keeps the body running.
pub struct Guard(#[expect(dead_code, reason = "it is only there to be dropped")] oneshot::Sender<Infallible>);

/// A channel for one call.
pub struct Abortable {
    channel: Channel,
    guard: Option<oneshot::Receiver<Infallible>>,
}

impl Abortable {
    pub fn new(channel: Channel) -> (Guard, Self) {
        let (sender, receiver) = oneshot::channel();
        (Guard(sender), Self { channel, guard: Some(receiver) })
    }
}

impl Service<http::Request<Body>> for Abortable {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let guard = self.guard.take().expect("the channel is made for one call");
        self.channel.call(request.map(|inner| Body::new(Guarded { inner, guard })))
    }
}

struct Guarded {
    inner: Body,
    guard: oneshot::Receiver<Infallible>,
}

impl HttpBody for Guarded {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match Pin::new(&mut self.guard).poll(context) {
            Poll::Ready(_) => Poll::Ready(Some(Err(Status::cancelled("the load was aborted")))),
            Poll::Pending => Pin::new(&mut self.inner).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
