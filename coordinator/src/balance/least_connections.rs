//! Least connections, by the power of two choices (Mitzenmacher, 2001): of two candidates drawn at random the one
//! with fewer requests in flight.
//!
//! Asking the least loaded of *all* would send every coordinator to the same node as long as their view of the load is
//! old; two choices keep the longest queue at O(log log n) without that herd.

use super::{Balancer, PickRequest, below};

/// The less loaded of two candidates drawn at random; the first drawn if they are equal.
#[derive(Debug, Default)]
pub struct LeastConnections;

impl Balancer for LeastConnections {
    fn pick(&self, request: &PickRequest<'_>) -> Option<usize> {
        let (first, second) = draw_two(request.candidates.len() as u64, request.random)?;
        let load = |index: usize| request.candidates[index].in_flight;
        Some(if load(second) < load(first) { second } else { first })
    }
}

/// Two different indexes below `count`, each pair equally likely; the same one twice if there is only one.
fn draw_two(count: u64, random: u64) -> Option<(usize, usize)> {
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            // One draw among all ordered pairs.
            let pair = below(count * (count - 1), random);
            let (first, other) = (pair / (count - 1), pair % (count - 1));
            let second = if other < first { other } else { other + 1 };
            Some((first as usize, second as usize))
        }
    }
}
