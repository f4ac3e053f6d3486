//! What bounds a piece of work for a client: it ends when its time is over, and when the client goes away.

use crate::reader::Until;
use entail_sparql::Stop;
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
    over: Arc<AtomicBool>,
    flag: Arc<AtomicBool>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
        self.token.cancel();
    }
}

impl Bounds {
    /// Work that ends at a time.
    pub fn new(deadline: Instant) -> Self {
        let token = CancellationToken::new();
        let stop = Stop { deadline: Some(deadline), ..Stop::default() };
        let over: Arc<AtomicBool> = Arc::default();
        tokio::spawn(wake_at(deadline, token.clone(), Arc::clone(&over)));
        Self {
            _guard: Guard { token: token.clone(), over: Arc::clone(&over), flag: Arc::clone(&stop.cancelled) },
            until: Until { token, over, deadline: Some(deadline) },
            stop,
        }
    }
}

/// Wakes whatever waits when the time is over.
async fn wake_at(deadline: Instant, token: CancellationToken, over: Arc<AtomicBool>) {
    tokio::select! {
        () = tokio::time::sleep_until(deadline.into()) => {
            over.store(true, Ordering::Relaxed);
            token.cancel();
        }
        () = token.cancelled() => {}
    }
}
