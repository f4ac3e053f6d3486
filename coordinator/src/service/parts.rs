//! An answer in parts, on its way from the work to an edge.
//!
//! ```text
//! work ── send ──► bounded channel of parts ──► PartStream ──► edge
//!      ── end ───► the last part, or the fault ─►
//! ```
//!
//! The end has a channel of its own, so work that has ended never waits for a slow reader. Dropping the stream cancels the
//! work.

use entail_model::{CancelOnDrop, Cancellation, Fault, Reason};
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// The parts of an answer, in order; a fault is the last item.
pub struct PartStream<T>(Source<T>);

enum Source<T> {
    /// All parts are in memory.
    Ready(IntoIter<T>),
    /// The parts come from running work.
    Running {
        parts: mpsc::Receiver<T>,
        end: oneshot::Receiver<Result<T, Fault>>,
        _owner: CancelOnDrop,
    },
    Ended,
}

impl<T> PartStream<T> {
    /// An answer that is complete.
    pub fn ready(parts: Vec<T>) -> Self {
        Self(Source::Ready(parts.into_iter()))
    }

    /// An answer from running work: up to `waiting` parts wait for the reader. `owner` cancels the work.
    pub fn running(waiting: usize, cancel: &Cancellation, owner: CancelOnDrop) -> (Parts<T>, Self) {
        let (parts, coming) = mpsc::channel(waiting);
        let (end, ended) = oneshot::channel();
        let sender = Parts { parts: PartSender { parts, cancel: cancel.clone() }, end };
        (sender, Self(Source::Running { parts: coming, end: ended, _owner: owner }))
    }
}

impl<T: Unpin> Stream for PartStream<T> {
    type Item = Result<T, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let last = match &mut self.0 {
            Source::Ready(parts) => return Poll::Ready(parts.next().map(Ok)),
            Source::Running { parts, end, .. } => match ready!(parts.poll_recv(context)) {
                Some(part) => return Poll::Ready(Some(Ok(part))),
                None => ready!(Pin::new(end).poll(context)),
            },
            Source::Ended => return Poll::Ready(None),
        };
        self.0 = Source::Ended;
        let lost = |_| Err(Fault::internal("the work for the answer ended unexpectedly: see the log"));
        Poll::Ready(Some(last.unwrap_or_else(lost)))
    }
}

/// The work's end of the channel: takes parts, and the end of the answer.
pub struct Parts<T> {
    pub parts: PartSender<T>,
    end: oneshot::Sender<Result<T, Fault>>,
}

impl<T> Parts<T> {
    /// Ends the answer, with its last part or a fault.
    pub fn end(self, last: Result<T, Fault>) {
        // Sent before the channel of parts closes, as the reader checks that first. If the reader is gone, nothing is lost.
        _ = self.end.send(last);
    }
}

/// Sends parts until the call is cancelled.
#[derive(Clone)]
pub struct PartSender<T> {
    parts: mpsc::Sender<T>,
    cancel: Cancellation,
}

impl<T> PartSender<T> {
    /// Sends a part as soon as the channel has room.
    ///
    /// # Errors
    /// `Cancelled` when the reader is gone; the fault of a cancelled call.
    pub async fn send(&self, part: T) -> Result<(), Fault> {
        tokio::select! {
            sent = self.parts.send(part) => sent.map_err(|_| Fault::new(Reason::Cancelled, "the client cancelled the request or disconnected")),
            () = self.cancel.cancelled() => Err(self.cancel.fault()),
        }
    }

    /// Sends a part from a thread that may block.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_blocking(&self, part: T, runtime: &Handle) -> Result<(), Fault> {
        match self.parts.try_send(part) {
            Err(mpsc::error::TrySendError::Full(part)) => runtime.block_on(self.send(part)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(Fault::new(Reason::Cancelled, "the client cancelled the request or disconnected"))
            }
            Ok(()) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn running() -> (Cancellation, Parts<u32>, PartStream<u32>) {
        let cancel = Cancellation::default();
        let (sender, stream) = PartStream::running(1, &cancel, cancel.cancel_on_drop());
        (cancel, sender, stream)
    }

    #[tokio::test]
    async fn the_end_comes_last_and_waits_for_nobody() {
        let (_, sender, stream) = running();
        sender.parts.send(1).await.unwrap();
        sender.end(Ok(2));
        assert_eq!(stream.collect::<Vec<_>>().await, [Ok(1), Ok(2)]);
        assert_eq!(PartStream::ready(vec![1, 2]).collect::<Vec<_>>().await, [Ok(1), Ok(2)]);
    }

    #[tokio::test]
    async fn work_that_is_lost_is_a_fault() {
        let (_, sender, mut stream) = running();
        drop(sender);
        assert_eq!(stream.next().await.unwrap().unwrap_err().reason, Reason::Internal);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_slow_reader_does_not_keep_a_cancelled_call() {
        let (cancel, sender, stream) = running();
        sender.parts.send(1).await.unwrap();
        let (sent, ()) = tokio::join!(sender.parts.send(2), async { cancel.cancel() });
        assert_eq!(sent.unwrap_err().reason, Reason::Cancelled);
        drop(stream);
    }

    #[tokio::test]
    async fn dropping_the_stream_cancels_the_work() {
        let (cancel, sender, stream) = running();
        drop(stream);
        assert!(cancel.is_cancelled());
        assert_eq!(sender.parts.send(1).await.unwrap_err().reason, Reason::Cancelled);
    }
}
