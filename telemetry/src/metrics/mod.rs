//! Metrics for Prometheus. No other module imports the Prometheus library.
//!
//! ```text
//! a role ──► Registry (node="node-1") ─ families: counters and histograms, counted where the work is done
//!                                     └ sources: read at each scrape
//! all registries of the process ──text──► one page, each family once
//! ```
//!
//! Invariant: labels have few values, all known at compile time or from the cluster's configuration: methods, codes,
//! nodes, shards, pools. Input from clients never becomes a label value.

mod process;
mod reading;
pub mod roles;
pub mod rpc;

pub use process::{process, resident_bytes};
pub use prometheus::{Histogram, HistogramVec as Histograms, IntCounter as Counter, IntCounterVec as Counters};
pub use reading::{Family, Reading, text};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, Opts};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Buckets from a tenth of a millisecond to a minute: for calls, fan-outs and rounds.
pub const SECONDS: [f64; 18] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The content type of the metrics page, for HTTP.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

type Source = Box<dyn Fn(&mut Reading) + Send + Sync>;

/// The metrics of one role. Clones share the same registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    families: prometheus::Registry,
    labels: Vec<(String, String)>,
    sources: Mutex<Vec<Source>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.0.labels).finish()
    }
}

impl Registry {
    /// A registry whose metrics all have these labels.
    pub fn new(labels: &[(&str, &str)]) -> Self {
        let labels: Vec<(String, String)> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let constant = labels.iter().cloned().collect();
        let families = prometheus::Registry::new_custom(None, Some(constant)).expect("no prefix, which could be empty");
        Self(Arc::new(Inner { families, labels, sources: Mutex::default() }))
    }

    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("names of metrics are constants of ours");
        self.0.families.register(Box::new(family.clone())).expect("each family is registered once");
        family
    }

    /// Registers a counter.
    ///
    /// # Panics
    /// If the name is not a valid metric name, or is already registered.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(Counter::new(name, help))
    }

    /// Registers a counter for each combination of label values.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Counters {
        self.register(Counters::new(Opts::new(name, help), labels))
    }

    /// Registers a histogram with these bucket bounds.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    /// Registers a histogram for each combination of label values.
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Histograms {
        self.register(Histograms::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    /// Registers metrics that another library counts.
    fn collect(&self, collector: impl Collector + 'static) {
        self.0.families.register(Box::new(collector)).expect("each family is registered once");
    }

    /// Registers a function that is called at each scrape. It may take a few milliseconds and may block its thread.
    pub fn at_scrape(&self, read: impl Fn(&mut Reading) + Send + Sync + 'static) {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(read));
    }

    fn gather(&self) -> Vec<MetricFamily> {
        let mut reading = Reading::new(&self.0.labels);
        let sources = self.0.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().for_each(|read| read(&mut reading));
        let mut families = self.0.families.gather();
        families.extend(reading.finish());
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Family = Family::gauge("entail_disk_free_bytes", "Room.");

    fn role(node: &str, calls: u64) -> Registry {
        let registry = Registry::new(&[("node", node)]);
        registry.counters("entail_calls_total", "Calls.", &["method"]).with_label_values(&["Ask"]).inc_by(calls);
        registry.histogram("entail_call_seconds", "Time.", &[0.1, 1.0]).observe(0.5);
        registry.at_scrape(|reading| reading.add(&DISK, &[("disk", "a\"b")], 1.5));
        registry
    }

    #[test]
    fn roles_share_a_page_on_which_each_family_is_told_once() {
        let page = text(&[role("n-0", 3), role("n-1", 4)]);
        let expected = r#"# HELP entail_call_seconds Time.
# TYPE entail_call_seconds histogram
entail_call_seconds_bucket{node="n-0",le="0.1"} 0
entail_call_seconds_bucket{node="n-0",le="1"} 1
entail_call_seconds_bucket{node="n-0",le="+Inf"} 1
entail_call_seconds_sum{node="n-0"} 0.5
entail_call_seconds_count{node="n-0"} 1
entail_call_seconds_bucket{node="n-1",le="0.1"} 0
entail_call_seconds_bucket{node="n-1",le="1"} 1
entail_call_seconds_bucket{node="n-1",le="+Inf"} 1
entail_call_seconds_sum{node="n-1"} 0.5
entail_call_seconds_count{node="n-1"} 1
# HELP entail_calls_total Calls.
# TYPE entail_calls_total counter
entail_calls_total{method="Ask",node="n-0"} 3
entail_calls_total{method="Ask",node="n-1"} 4
# HELP entail_disk_free_bytes Room.
# TYPE entail_disk_free_bytes gauge
entail_disk_free_bytes{disk="a\"b",node="n-0"} 1.5
entail_disk_free_bytes{disk="a\"b",node="n-1"} 1.5
"#;
        assert_eq!(page, expected);
    }
}
