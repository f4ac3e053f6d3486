//! The guard of a change: the time after which recomputing all derived facts is the better way to go on.
//!
//! Maintaining what is derived costs in proportion to what changes, but a change may touch most of what is derived. No change may
//! cost more than [`OVER`] times recomputing and [`SLACK`], so a node gives up when it has spent the part of that beyond one
//! recomputation. The time of a recomputation is estimated from the facts that are derived and from the time that rules
//! took for each fact in earlier changes.

use std::time::Duration;

/// The most that a change may cost, as a multiple of recomputing, without [`SLACK`].
const OVER: f64 = 1.3;

/// The time that every change may take in addition.
const SLACK: Duration = Duration::from_millis(20);

/// The time for a derived fact until it has been measured, in seconds.
const SECONDS_A_FACT: f64 = 3e-7;

/// Changes that derive fewer facts say little of the time for one.
const FACTS_MIN: u64 = 50_000;

/// The weight of the newest measurement.
const WEIGHT: f64 = 0.5;

/// A change that brings more than this part of what is asserted may grow what is derived beyond any estimate.
const GROWTH_MAX: u64 = 8;

/// The time that rules take for a derived fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    seconds_a_fact: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { seconds_a_fact: SECONDS_A_FACT }
    }
}

impl Pace {
    /// Learns from a change whose rules derived `facts` in `time`.
    pub fn learn(&mut self, facts: u64, time: Duration) {
        if facts >= FACTS_MIN {
            let measured = time.as_secs_f64() / facts as f64;
            self.seconds_a_fact += WEIGHT * (measured - self.seconds_a_fact);
        }
    }

    /// The time that a change of `changed` asserted facts may take until recomputing is better, for the numbers of facts
    /// that are asserted and derived. `None` if it never is: most of what is derived may be new.
    pub fn effort_max(&self, (asserted, derived): (u64, u64), changed: u64) -> Option<Duration> {
        let is_growth = changed > asserted / GROWTH_MAX || derived == 0;
        let recomputing = self.seconds_a_fact * derived as f64;
        (!is_growth).then(|| SLACK + Duration::from_secs_f64(recomputing * (OVER - 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_may_take_a_part_of_what_recomputing_would() {
        let mut pace = Pace { seconds_a_fact: 1e-6 };
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis());
        assert_eq!(milliseconds(pace.effort_max((1000, 1_000_000), 10)), Some(320));
        assert_eq!(milliseconds(pace.effort_max((1000, 0), 10)), None);
        assert_eq!(milliseconds(pace.effort_max((1000, 1_000_000), 126)), None);
        pace.learn(1000, Duration::from_secs(1));
        assert_eq!(pace.seconds_a_fact, 1e-6, "too few facts");
        pace.learn(1_000_000, Duration::from_secs(3));
        assert!((pace.seconds_a_fact - 2e-6).abs() < 1e-12, "{pace:?}");
    }
}
