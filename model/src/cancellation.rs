//! Cancellation of a request: one value for all its work, checked by threads and awaited by tasks.
//!
//! ```text
//! disconnect, CancelQuery ─── cancel() ──► flag ◄── operators and loops: is_cancelled, check
//! timer of the deadline ───── expire() ──►  └─────► tasks are woken: cancelled().await
//! ```
//!
//! Clones share the flag. The first reason counts: a cancelled request does not expire later. The value only carries the
//! deadline; the owner of a clock calls [`Cancellation::expire`].

use crate::fault::{Fault, Reason};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Ends the work of one request. Clones are handles to the same request.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Shared separately, since the operators of nodes check only the flag.
    flag: Arc<AtomicBool>,
    /// Set before the flag.
    reason: OnceLock<Reason>,
    /// The wakers of waiting tasks, by the number of their future.
    waiting: Mutex<Vec<(u64, Waker)>>,
    next: AtomicU64,
}

impl Cancellation {
    /// Work with a deadline. The deadline itself ends nothing: [`expire`](Self::expire) does.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// This request with a deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline: Some(deadline) }
    }

    /// The deadline of the work, if it has one.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends the work with `Cancelled`: its result is no longer needed.
    pub fn cancel(&self) {
        self.end(Reason::Cancelled);
    }

    /// Ends the work with `DeadlineExceeded`.
    pub fn expire(&self) {
        self.end(Reason::DeadlineExceeded);
    }

    fn end(&self, reason: Reason) {
        self.shared.reason.get_or_init(|| reason);
        self.shared.flag.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut *self.shared.waiting());
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Must the work end?
    pub fn is_cancelled(&self) -> bool {
        self.shared.flag.load(Ordering::Acquire)
    }

    /// The flag alone, for operators that check it for each piece of rows.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.flag)
    }

    /// Checks that the work may continue.
    ///
    /// # Errors
    /// `Cancelled` or `DeadlineExceeded` when it must end.
    pub fn check(&self) -> Result<(), Fault> {
        if self.is_cancelled() { Err(self.fault()) } else { Ok(()) }
    }

    /// The fault of an ended request.
    pub fn fault(&self) -> Fault {
        match self.shared.reason.get() {
            Some(Reason::DeadlineExceeded) => {
                Fault::new(Reason::DeadlineExceeded, "the deadline passed before the answer was complete")
            }
            _ => Fault::new(Reason::Cancelled, "the request was cancelled"),
        }
    }

    /// Completes when the work must end.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { cancellation: self, number: None }
    }

    /// Does work that may fail, unless the request ends first.
    ///
    /// # Errors
    /// The work's fault, or [`fault`](Self::fault) if the request ended before the work.
    pub async fn race<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let (mut work, mut end) = (pin!(work), self.cancelled());
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Pin::new(&mut end).poll(context).map(|()| Err(self.fault())),
        })
        .await
    }

    /// Cancels when it is dropped, unless it is [disarmed](CancelOnDrop::disarm).
    #[must_use]
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Some(self.clone()))
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when its request must end. Dropping it removes its waker.
#[derive(Debug)]
pub struct Cancelled<'c> {
    cancellation: &'c Cancellation,
    /// The number of this future among the waiting ones, from its first poll on.
    number: Option<u64>,
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let cancellation = self.cancellation;
        let shared = &cancellation.shared;
        let mut waiting = shared.waiting();
        // Checked under the lock: a later end takes the lock after this, and finds the waker.
        if cancellation.is_cancelled() {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| shared.next.fetch_add(1, Ordering::Relaxed));
        match waiting.iter_mut().find(|(other, _)| *other == number) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => waiting.push((number, context.waker().clone())),
        }
        drop(waiting);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.cancellation.shared.waiting().retain(|(other, _)| *other != number);
        }
    }
}

/// Cancels a request's work when the owner of the answer drops it.
#[derive(Debug)]
pub struct CancelOnDrop(Option<Cancellation>);

impl CancelOnDrop {
    /// Disarms the guard when the work is done.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancellation) = &self.0 {
            cancellation.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_first_end_counts() {
        let (cancelled, expired) = (Cancellation::default(), Cancellation::default());
        assert_eq!(cancelled.check(), Ok(()));
        cancelled.cancel();
        cancelled.expire();
        expired.expire();
        expired.cancel();
        assert_eq!(cancelled.clone().check().unwrap_err().reason, Reason::Cancelled);
        assert_eq!(expired.check().unwrap_err().reason, Reason::DeadlineExceeded);
        assert!(expired.flag().load(Ordering::Relaxed));
    }

    #[test]
    fn a_handle_with_a_deadline_is_of_the_same_request() {
        let request = Cancellation::default();
        let query = request.with_deadline(Instant::now());
        assert_eq!(query.check(), Ok(()), "the clock alone ends nothing");
        query.expire();
        assert_eq!(request.check().unwrap_err().reason, Reason::DeadlineExceeded);
    }

    #[test]
    fn those_who_wait_are_woken_and_those_who_left_are_not() {
        let request = Cancellation::default();
        let (stays, leaves) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let poll = |future: &mut Cancelled<'_>, count: &Arc<Count>| {
            let waker = Waker::from(Arc::clone(count));
            Pin::new(future).poll(&mut Context::from_waker(&waker))
        };
        let (mut one, mut other) = (request.cancelled(), request.cancelled());
        assert!(poll(&mut one, &stays).is_pending() && poll(&mut one, &stays).is_pending());
        assert!(poll(&mut other, &leaves).is_pending());
        drop(other);
        request.cancel();
        assert_eq!((stays.0.load(Ordering::Relaxed), leaves.0.load(Ordering::Relaxed)), (1, 0));
        assert!(poll(&mut one, &stays).is_ready());
    }

    #[test]
    fn work_races_the_end_of_its_request() {
        let poll = |request: &Cancellation, work: &mut dyn FnMut() -> Poll<Result<u32, Fault>>| {
            let race = pin!(request.race(poll_fn(|_| work()))).poll(&mut Context::from_waker(Waker::noop()));
            race.map_err(|fault| fault.reason)
        };
        let (open, over) = (Cancellation::default(), Cancellation::default());
        over.expire();
        let mut pending = || Poll::Pending;
        assert_eq!(poll(&open, &mut pending), Poll::Pending);
        assert_eq!(poll(&over, &mut pending), Poll::Ready(Err(Reason::DeadlineExceeded)));
        assert_eq!(poll(&over, &mut || Poll::Ready(Ok(7))), Poll::Ready(Ok(7)), "work that is done counts");
    }

    #[test]
    fn a_guard_cancels_unless_it_is_disarmed() {
        let (done, left) = (Cancellation::default(), Cancellation::default());
        done.cancel_on_drop().disarm();
        drop(left.cancel_on_drop());
        assert!(!done.is_cancelled() && left.is_cancelled());
    }
}
