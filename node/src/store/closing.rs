//! Closing a store: background work stops at its next piece, and threads that wait for work are woken.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether a store is closed.
#[derive(Debug, Default)]
pub struct Closing {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

impl Closing {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the store as closed, and wakes waiting threads.
    pub fn close(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    /// Is the store closed?
    pub fn is_closed(&self) -> bool {
        *self.lock()
    }

    /// Waits for at most `time`; returns whether the store is closed.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |is_closed| !*is_closed);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn who_waits_is_woken() {
        let closing = Closing::default();
        assert!(!closing.wait(Duration::from_millis(1)));
        let started = Instant::now();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| closing.wait(Duration::from_secs(60)));
            closing.close();
            assert!(waiting.join().expect("no panic"));
        });
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        assert!(closing.is_closed());
    }
}
