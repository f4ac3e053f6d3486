//! Queries and changes in flight; a draining node waits for those that began before the drain.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How often a wait checks.
const LOOK: Duration = Duration::from_millis(10);

/// A guard: the query or change is in flight while a clone of this exists.
pub type Use = Arc<()>;

/// Everything in flight.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<Vec<Weak<()>>>);

impl InFlight {
    /// Registers a query or a change.
    pub fn begin(&self) -> Use {
        let one = Arc::new(());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&one));
        one
    }

    /// Completes when everything that is in flight at the time of the call has ended.
    pub async fn over(&self) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        loop {
            begun.retain(|one| one.strong_count() > 0);
            if begun.is_empty() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_began_before_is_waited_for() {
        let in_flight = InFlight::default();
        let (one, other) = (in_flight.begin(), in_flight.begin());
        let copy = Arc::clone(&one);
        drop((one, other));
        let over = in_flight.over();
        tokio::pin!(over);
        assert!(tokio::time::timeout(LOOK * 3, &mut over).await.is_err(), "a clone is still there");
        let _later = in_flight.begin();
        drop(copy);
        over.await;
    }
}
