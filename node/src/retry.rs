//! The retry policy of all calls that a node makes.
//!
//! Waits grow exponentially up to a maximum, with full jitter, so that the nodes of a cluster whose coordinator or peer
//! was unavailable do not all return at the same moment.

use entail_model::random::Random;
use std::time::Duration;

/// The waits between the tries of one call.
#[derive(Clone, Debug)]
pub struct Backoff {
    bound: Duration,
    bound_max: Duration,
    random: Random,
}

impl Backoff {
    /// Waits that begin with at most `first` and never exceed `max`. Different seeds give different waits.
    pub fn new(first: Duration, max: Duration, seed: u64) -> Self {
        Self { bound: first.min(max), bound_max: max, random: Random::new(seed) }
    }

    /// The time to wait before the next try: random between zero and a bound that doubles.
    pub fn next(&mut self) -> Duration {
        let wait = self.bound.mul_f64(self.random.unit());
        self.bound = self.bound.saturating_mul(2).min(self.bound_max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_maximum_and_differ_between_nodes() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let waits = |seed| {
            let mut backoff = Backoff::new(first, max, seed);
            (0..200).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        let (one, other) = (waits(1), waits(2));
        assert!(one[0] <= first && one[1] <= 2 * first && one.iter().all(|wait| *wait <= max));
        assert!(one.iter().any(|wait| *wait > max / 2), "they grow");
        assert_ne!(one, other);
        assert_eq!(one, waits(1));
    }
}
