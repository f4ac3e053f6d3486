//! Admission: how much is evaluated at once. Queries, dumps and updates with WHERE take a permit; more wait for one.

use entail_model::{Fault, Reason};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, info_span};

/// The permits of evaluations.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    max: usize,
    waiting: AtomicUsize,
}

impl Admission {
    /// With `max` permits.
    pub fn new(max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(max)), max, waiting: AtomicUsize::new(0) }
    }

    /// Evaluations that have a permit.
    pub fn at_work(&self) -> usize {
        self.max - self.permits.available_permits().min(self.max)
    }

    /// Evaluations that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A permit to evaluate, as soon as there is one before the deadline.
    ///
    /// # Errors
    /// `Overloaded` if there is none in time, `NotReady` when the coordinator is stopping.
    pub async fn admitted(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        let span = info_span!("admission");
        if let Ok(permit) = span.in_scope(|| Arc::clone(&self.permits).try_acquire_owned()) {
            return Ok(permit);
        }
        let _waiting = Waiting::begin(&self.waiting);
        tokio::time::timeout_at(deadline.into(), Arc::clone(&self.permits).acquire_owned())
            .instrument(span)
            .await
            .map_err(|_| Fault::new(Reason::Overloaded, "too many queries are running"))?
            .map_err(|_| Fault::new(Reason::NotReady, "the coordinator is shutting down"))
    }
}

/// Counts one that waits for a permit, until this is dropped.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn begin(waiting: &'w AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
