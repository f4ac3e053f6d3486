//! An answer in parts, on its way from the work to an edge.
//!
//! ```text
//! work ── send ──► bounded channel of parts ──► PartStream ──► edge
//!      ── end ───► the last part, or the fault ─►
//! ```
//!
//! The end has a channel of its own, so work that has ended never waits for a slow reader. Dropping the stream cancels the
//! work. An answer that is not read can be [given up](super::unread): its parts are dropped and its work is cancelled,
//! while the caller still holds the stream.

use super::unread::{Unread, UnreadAnswers, Untaken};
use entail_model::{CancelOnDrop, Cancellation, Fault, Reason};
use futures::Stream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use std::vec::IntoIter;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// The parts of an answer, in order; a fault is the last item.
pub struct PartStream<T>(Source<T>);

enum Source<T> {
    /// All parts are in memory, and they are small.
    Ready(IntoIter<T>),
    Shared(Arc<Answer<T>>),
    Ended,
}

/// An answer that another than its reader may give up.
struct Answer<T> {
    coming: Mutex<Coming<T>>,
    untaken: Arc<Untaken>,
}

/// What is still to come of an answer.
enum Coming<T> {
    /// All parts are in memory.
    Held(IntoIter<T>),
    /// The parts come from running work.
    Running {
        parts: mpsc::Receiver<T>,
        end: oneshot::Receiver<Result<T, Fault>>,
        _owner: CancelOnDrop,
    },
    GivenUp(Fault),
}

impl<T> PartStream<T> {
    /// A small answer that is complete.
    pub fn ready(parts: Vec<T>) -> Self {
        Self(Source::Ready(parts.into_iter()))
    }

    /// An answer from running work: up to `waiting` parts wait for the reader. `owner` cancels the work.
    pub fn running(waiting: usize, cancel: &Cancellation, owner: CancelOnDrop) -> (Parts<T>, Self) {
        let (parts, coming) = mpsc::channel(waiting);
        let (end, ended) = oneshot::channel();
        let untaken = Arc::new(Untaken::default());
        let sender = PartSender { parts, cancel: cancel.clone(), untaken: Arc::clone(&untaken) };
        let coming = Mutex::new(Coming::Running { parts: coming, end: ended, _owner: owner });
        (Parts { parts: sender, end }, Self(Source::Shared(Arc::new(Answer { coming, untaken }))))
    }
}

impl<T: Send + 'static> PartStream<T> {
    /// A large answer that is complete. It is watched, and given up when no client reads it.
    pub fn held(parts: Vec<T>, unread: &UnreadAnswers) -> Self {
        let untaken = Arc::new(Untaken::default());
        untaken.arrived();
        let coming = Mutex::new(Coming::Held(parts.into_iter()));
        Self(Source::Shared(Arc::new(Answer { coming, untaken }))).watched(unread)
    }

    /// The same stream, watched: the answer is given up when no client reads it.
    pub fn watched(self, unread: &UnreadAnswers) -> Self {
        if let Source::Shared(answer) = &self.0 {
            let answer: Weak<Answer<T>> = Arc::downgrade(answer);
            unread.watch(answer);
        }
        self
    }
}

impl<T: Unpin> Stream for PartStream<T> {
    type Item = Result<T, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let last = match &mut self.0 {
            Source::Ready(parts) => return Poll::Ready(parts.next().map(Ok)),
            Source::Ended => return Poll::Ready(None),
            Source::Shared(answer) => match ready!(answer.poll(context)) {
                Next::Part(part) => return Poll::Ready(Some(Ok(part))),
                Next::End(last) => last,
            },
        };
        self.0 = Source::Ended;
        Poll::Ready(last)
    }
}

/// What comes next of an answer.
enum Next<T> {
    Part(T),
    /// The last part or the fault, if the end is not the end of the parts.
    End(Option<Result<T, Fault>>),
}

impl<T> Answer<T> {
    fn lock(&self) -> MutexGuard<'_, Coming<T>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Next<T>> {
        // Before the look: a part that arrives later counts.
        self.untaken.looked();
        let next = match &mut *self.lock() {
            Coming::Held(parts) => parts.next().map_or(Next::End(None), Next::Part),
            Coming::Running { parts, end, .. } => match ready!(parts.poll_recv(context)) {
                Some(part) => Next::Part(part),
                None => {
                    let lost = |_| Err(Fault::internal("the work for the answer ended unexpectedly: see the log"));
                    Next::End(Some(ready!(Pin::new(end).poll(context)).unwrap_or_else(lost)))
                }
            },
            Coming::GivenUp(fault) => Next::End(Some(Err(fault.clone()))),
        };
        self.untaken.taken();
        Poll::Ready(next)
    }
}

impl<T: Send> Unread for Answer<T> {
    fn since(&self) -> Option<Instant> {
        self.untaken.since()
    }

    fn is_at_work(&self) -> bool {
        matches!(&*self.lock(), Coming::Running { parts, .. } if !parts.is_closed())
    }

    fn give_up(&self, fault: Fault) {
        let dropped = std::mem::replace(&mut *self.lock(), Coming::GivenUp(fault));
        // Without the lock: this cancels the work.
        drop(dropped);
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
        self.parts.untaken.arrived();
        _ = self.end.send(last);
    }
}

/// Sends parts until the call is cancelled.
#[derive(Clone)]
pub struct PartSender<T> {
    parts: mpsc::Sender<T>,
    cancel: Cancellation,
    untaken: Arc<Untaken>,
}

impl<T> PartSender<T> {
    /// Sends a part as soon as the channel has room.
    ///
    /// # Errors
    /// `Cancelled` when the reader is gone; the fault of a cancelled call.
    pub async fn send(&self, part: T) -> Result<(), Fault> {
        self.untaken.arrived();
        tokio::select! {
            sent = self.parts.send(part) => sent.map_err(|_| gone()),
            () = self.cancel.cancelled() => Err(self.cancel.fault()),
        }
    }

    /// Sends a part from a thread that may block.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_blocking(&self, part: T, runtime: &Handle) -> Result<(), Fault> {
        self.untaken.arrived();
        match self.parts.try_send(part) {
            Err(mpsc::error::TrySendError::Full(part)) => runtime.block_on(self.send(part)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
            Ok(()) => Ok(()),
        }
    }
}

/// The fault for work whose answer no client reads any more.
fn gone() -> Fault {
    Fault::new(Reason::Cancelled, "the client cancelled the request or disconnected")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::time::Duration;

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

    /// Watched by a watch that gives up at once.
    fn impatient() -> UnreadAnswers {
        UnreadAnswers::new(Duration::ZERO)
    }

    #[tokio::test]
    async fn an_answer_that_is_given_up_ends_its_work_and_says_why() {
        let (cancel, sender, stream) = running();
        let unread = impatient();
        let mut stream = stream.watched(&unread);
        assert!(futures::poll!(stream.next()).is_pending());
        unread.give_up(Instant::now(), 0);
        assert!(!cancel.is_cancelled(), "the reader waits for the work");
        // The first part is taken, and the reader does not come back for the second.
        sender.parts.send(1).await.unwrap();
        assert_eq!(stream.next().await, Some(Ok(1)));
        sender.parts.send(2).await.unwrap();
        unread.give_up(Instant::now(), 0);
        assert!(cancel.is_cancelled());
        assert_eq!(sender.parts.send(3).await.unwrap_err().reason, Reason::Cancelled);
        assert_eq!(stream.next().await.unwrap().unwrap_err().reason, Reason::AnswerUnread);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_part_that_comes_after_the_reader_has_looked_counts_as_unread() {
        let (cancel, sender, stream) = running();
        let unread = impatient();
        let mut stream = stream.watched(&unread);
        assert!(futures::poll!(stream.next()).is_pending());
        sender.parts.send(1).await.unwrap();
        unread.give_up(Instant::now(), 0);
        assert!(cancel.is_cancelled());
    }

    #[tokio::test]
    async fn a_reader_that_does_not_come_back_counts_before_the_next_part_is_there() {
        let (cancel, sender, stream) = running();
        let unread = impatient();
        let mut stream = stream.watched(&unread);
        sender.parts.send(1).await.unwrap();
        assert_eq!(stream.next().await, Some(Ok(1)));
        assert_eq!(unread.give_up(Instant::now(), 0), 1);
        assert!(cancel.is_cancelled());
    }

    #[tokio::test]
    async fn a_whole_answer_that_nobody_reads_is_dropped() {
        let unread = impatient();
        let part = Arc::new(());
        let mut stream = PartStream::held(vec![Arc::clone(&part), Arc::clone(&part)], &unread);
        assert!(stream.next().await.unwrap().is_ok());
        unread.give_up(Instant::now(), 0);
        assert_eq!(Arc::strong_count(&part), 1);
        assert_eq!(stream.next().await.unwrap().unwrap_err().reason, Reason::AnswerUnread);
    }

    #[tokio::test]
    async fn dropping_the_stream_cancels_the_work() {
        let (cancel, sender, stream) = running();
        drop(stream);
        assert!(cancel.is_cancelled());
        assert_eq!(sender.parts.send(1).await.unwrap_err().reason, Reason::Cancelled);
    }
}
