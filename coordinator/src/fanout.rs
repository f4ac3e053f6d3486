//! Times the node calls of one query pattern together: the time until the last has ended, and the ratio of the slowest to
//! the median of the others. A call's time is the node's alone: time in which a batch waits for the reader of the answer is
//! subtracted, so a slow reader does not count as a slow node.

use crate::metrics::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A fan-out. It is over when the last of its calls is dropped.
pub struct FanOut {
    metrics: Arc<Metrics>,
    started: Instant,
    calls: usize,
    /// Seconds of the calls that have succeeded.
    ended: Mutex<Vec<f64>>,
}

impl FanOut {
    /// A fan-out of `calls` calls that begin now.
    pub fn new(metrics: &Arc<Metrics>, calls: usize) -> Arc<Self> {
        let ended = Mutex::new(Vec::with_capacity(calls));
        Arc::new(Self { metrics: Arc::clone(metrics), started: Instant::now(), calls, ended })
    }

    /// One of the calls.
    pub fn call(self: &Arc<Self>) -> TimedCall {
        TimedCall { fan_out: Arc::clone(self), aside: Duration::ZERO }
    }
}

/// A call of a fan-out.
pub struct TimedCall {
    fan_out: Arc<FanOut>,
    /// Time that does not count as the node's.
    aside: Duration,
}

impl TimedCall {
    /// Runs `work`, whose time does not count as the node's.
    pub async fn aside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.aside += began.elapsed();
        done
    }

    /// Records that the node has sent its complete answer.
    pub fn ended(self, node: &str) {
        let seconds = self.fan_out.started.elapsed().saturating_sub(self.aside).as_secs_f64();
        self.fan_out.metrics.call_seconds.with_label_values(&[node]).observe(seconds);
        self.fan_out.ended.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A call that failed or was cut short says nothing about the speed of the nodes.
        if ended.len() == self.calls
            && let Some((slowest, ratio)) = slowest(ended)
        {
            self.metrics.fan_out_seconds.observe(slowest);
            ratio.into_iter().for_each(|ratio| self.metrics.fan_out_ratio.observe(ratio));
        }
    }
}

/// The greatest of the times, and its ratio to the median of the others, if there are any.
fn slowest(times: &mut [f64]) -> Option<(f64, Option<f64>)> {
    times.sort_unstable_by(f64::total_cmp);
    let (slowest, others) = times.split_last()?;
    let middle = others.len() / 2;
    let median = match others.len() % 2 {
        1 => others[middle],
        _ if others.is_empty() => return Some((*slowest, None)),
        _ => (others[middle - 1] + others[middle]) / 2.0,
    };
    Some((*slowest, Some(slowest / median)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_telemetry::metrics::{Registry, text};

    #[test]
    fn the_slowest_is_measured_by_the_others() {
        assert_eq!(slowest(&mut []), None);
        assert_eq!(slowest(&mut [3.0]), Some((3.0, None)));
        assert_eq!(slowest(&mut [8.0, 2.0]), Some((8.0, Some(4.0))), "of two as well");
        assert_eq!(slowest(&mut [1.0, 6.0, 2.0]), Some((6.0, Some(4.0))));
        assert_eq!(slowest(&mut [1.0, 2.0, 6.0, 3.0]), Some((6.0, Some(3.0))));
    }

    #[tokio::test]
    async fn who_reads_slowly_makes_no_slow_node() {
        let metrics = Arc::new(Metrics::new(&Registry::default()));
        let fan_out = FanOut::new(&metrics, 1);
        let mut call = fan_out.call();
        call.aside(tokio::time::sleep(Duration::from_secs(1))).await;
        call.ended("one");
        let seconds = metrics.call_seconds.with_label_values(&["one"]).get_sample_sum();
        assert!(seconds < 1.0, "{seconds}");
    }

    #[test]
    fn a_fan_out_counts_when_all_of_it_has_ended() {
        let registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&registry));
        let fan_out = FanOut::new(&metrics, 2);
        fan_out.call().ended("one");
        drop(fan_out);
        let count = |count: usize| format!("entail_fanout_slowest_ratio_count {count}\n");
        assert!(text(std::slice::from_ref(&registry)).contains(&count(0)), "one of two was cut off");
        let fan_out = FanOut::new(&metrics, 2);
        ["one", "other"].iter().for_each(|node| fan_out.call().ended(node));
        drop(fan_out);
        assert!(text(&[registry]).contains(&count(1)));
    }
}
