//! The calls to the nodes that answer one pattern of a query, timed together: how long until the last has ended, and how
//! much longer the slowest took than the others.

use crate::metrics::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A fan-out. Each call holds a clone of its `Arc`; it is over when the last is dropped.
pub struct FanOut {
    metrics: Arc<Metrics>,
    started: Instant,
    calls: usize,
    /// Seconds of the calls that have ended well.
    ended: Mutex<Vec<f64>>,
}

impl FanOut {
    /// Of so many calls that begin now.
    pub fn new(metrics: &Arc<Metrics>, calls: usize) -> Arc<Self> {
        let ended = Mutex::new(Vec::with_capacity(calls));
        Arc::new(Self { metrics: Arc::clone(metrics), started: Instant::now(), calls, ended })
    }

    /// A node has given all that it was asked for.
    pub fn ended(&self, node: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.metrics.call_seconds.with_label_values(&[node]).observe(seconds);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // One that failed, or was not needed to its end, says nothing about how fast the nodes are.
        if ended.len() == self.calls
            && let Some(slowest) = ended.iter().copied().reduce(f64::max)
        {
            self.metrics.fan_out_seconds.observe(slowest);
            if self.calls > 1 {
                self.metrics.fan_out_ratio.observe(slowest / median(ended));
            }
        }
    }
}

/// The middle, or between the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_telemetry::metrics::{Registry, text};

    #[test]
    fn a_fan_out_counts_when_all_of_it_has_ended() {
        assert_eq!((median(&mut [3.0, 1.0, 2.0]), median(&mut [4.0, 1.0])), (2.0, 2.5));
        let registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&registry));
        let fan_out = FanOut::new(&metrics, 2);
        fan_out.ended("one");
        drop(fan_out);
        let count = |count: usize| format!("entail_fanout_slowest_ratio_count {count}\n");
        assert!(text(std::slice::from_ref(&registry)).contains(&count(0)), "one of two was cut off");
        let fan_out = FanOut::new(&metrics, 2);
        ["one", "other"].iter().for_each(|node| fan_out.ended(node));
        drop(fan_out);
        assert!(text(&[registry]).contains(&count(1)));
    }
}
