//! Load balancing: which of several replicas answers for a shard.
//!
//! ```text
//! candidates (in-sync replicas of one shard) + key + a random number ──► Balancer ──► index of one candidate
//! ```
//!
//! Pure: no clock, and randomness comes in with the request, so that the simulator replays every choice. A balancer
//! may keep a counter of its own; it is shared between threads without a lock.
//!
//! Invariant: a pick is `None` exactly when there are no candidates, and otherwise an index into them.

mod affinity;
mod least_connections;
mod round_robin;
mod strategy;
mod weighted;

pub use affinity::Affinity;
pub use least_connections::LeastConnections;
pub use round_robin::RoundRobin;
pub use strategy::Strategy;
pub use weighted::Weighted;

use entail_model::NodeId;

/// Picks one of several replicas that could answer equally well.
pub trait Balancer: Send + Sync {
    /// The index of the candidate to ask.
    fn pick(&self, request: &PickRequest<'_>) -> Option<usize>;
}

/// The input of a balancer's choice.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// The replicas that could answer.
    pub candidates: &'a [Candidate],
    /// Requests of equal keys profit from each other's caches: a hash of the shard or of the query.
    pub key: u64,
    /// A fresh uniformly random number.
    pub random: u64,
}

/// A replica and its load as the coordinator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub node: NodeId,
    /// Requests sent and not yet answered.
    pub in_flight: u32,
    /// The node's share of requests relative to the others; zero gets none unless all are zero.
    pub weight: u32,
}

/// Maps a uniformly random number to one below `limit`, by multiplication: the bias is below `limit` / 2^64.
fn below(limit: u64, random: u64) -> u64 {
    ((u128::from(random) * u128::from(limit)) >> 64) as u64
}

#[cfg(test)]
mod tests;
