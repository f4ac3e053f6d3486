//! The response future and the response body of a call: polling them enters the call's span.

use super::Call;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A call whose response has not begun.
    pub struct Answering<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> Answering<F> {
    pub(super) fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call }
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Display,
{
    type Output = Result<Response<Answer<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inside = this.call.as_ref().map(|call| call.span.enter());
        let result = ready!(this.inner.poll(context));
        drop(inside);
        let mut call = this.call.take();
        Poll::Ready(match result {
            Ok(response) => {
                // An error without a body has its status in the headers.
                if let Some(call) = &mut call {
                    call.read(response.headers());
                }
                Ok(response.map(|body| Answer { body, call }))
            }
            Err(error) => {
                if let Some(call) = &mut call {
                    call.broken(&error);
                }
                Err(error)
            }
        })
    }
}

pin_project! {
    /// A response body; the call ends with its trailers, or when the body is dropped.
    pub struct Answer<B> {
        #[pin]
        body: B,
        call: Option<Call>,
    }
}

impl<B> Body for Answer<B>
where
    B: Body,
    B::Error: Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let inside = this.call.as_ref().map(|call| call.span.enter());
        let frame = ready!(this.body.poll_frame(context));
        drop(inside);
        let is_last = match (&frame, this.call.as_mut()) {
            (Some(Ok(frame)), Some(call)) => frame.trailers_ref().is_some_and(|trailers| {
                call.read(trailers);
                true
            }),
            (Some(Err(error)), Some(call)) => {
                call.broken(error);
                true
            }
            (None, _) => true,
            (_, None) => false,
        };
        if is_last {
            // The span ends before the reader learns that the response is complete.
            *this.call = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
