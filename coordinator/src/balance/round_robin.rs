//! Round robin: each candidate in turn.

use super::{Balancer, PickRequest};
use std::sync::atomic::{AtomicU64, Ordering};

/// Each candidate in turn. As long as their number stays the same, no two get numbers of requests that differ by more
/// than one.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicU64,
}

impl Balancer for RoundRobin {
    fn pick(&self, request: &PickRequest<'_>) -> Option<usize> {
        let count = request.candidates.len() as u64;
        // Relaxed: only the number matters, nothing is published with it.
        (count > 0).then(|| (self.turn.fetch_add(1, Ordering::Relaxed) % count) as usize)
    }
}
