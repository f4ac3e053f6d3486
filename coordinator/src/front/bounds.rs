//! What bounds a piece of work for a client: it ends when its time is over, and when the client goes away.

use crate::query::Stop;
use crate::reader::Until;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The bounds of one query or update. Dropping them ends the work at every node.
pub struct Bounds {
    pub stop: Stop,
    pub until: Until,
    _guard: Guard,
}

struct Guard {
    token: CancellationToken,
    flag: Arc<AtomicBool>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
        self.token.cancel();
    }
}

impl Bounds {
    /// Work that ends at a time.
    pub fn new(deadline: Instant) -> Self {
        let token = CancellationToken::new();
        let stop = Stop { deadline: Some(deadline), ..Stop::default() };
        tokio::spawn(wake_at(deadline, token.clone()));
        Self {
            _guard: Guard { token: token.clone(), flag: Arc::clone(&stop.cancelled) },
            until: Until { token, deadline: Some(deadline) },
            stop,
        }
    }
}

/// Wakes whatever waits when the time is over.
async fn wake_at(deadline: Instant, token: CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep_until(deadline.into()) => token.cancel(),
        () = token.cancelled() => {}
    }
}
