//! Metrics that are read at scrape time, and the text page of all metrics.

use super::Registry;
use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeMap;

/// A metric whose value is read at scrape time instead of being counted by this crate.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
}

impl Family {
    /// A metric that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::GAUGE }
    }

    /// A metric that only grows and is counted outside of this crate.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::COUNTER }
    }
}

/// The values that one scrape reads from one role.
pub struct Reading {
    labels: Vec<LabelPair>,
    families: BTreeMap<&'static str, MetricFamily>,
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

impl Reading {
    pub(super) fn new(labels: &[(String, String)]) -> Self {
        Self { labels: labels.iter().map(|(name, value)| pair(name, value)).collect(), families: BTreeMap::new() }
    }

    /// Adds a value of a family.
    pub fn add(&mut self, family: &Family, labels: &[(&str, &str)], value: f64) {
        let mut labels: Vec<LabelPair> = labels.iter().map(|(name, value)| pair(name, value)).collect();
        labels.extend(self.labels.iter().cloned());
        let mut metric = Metric::from_label(labels);
        if family.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        let of_name = self.families.entry(family.name).or_insert_with(|| {
            let mut of_name = MetricFamily::default();
            of_name.set_name(family.name.to_owned());
            of_name.set_help(family.help.to_owned());
            of_name.set_field_type(family.kind);
            of_name
        });
        of_name.mut_metric().push(metric);
    }

    pub(super) fn finish(self) -> impl Iterator<Item = MetricFamily> {
        self.families.into_values()
    }
}

/// The metrics of several roles in Prometheus' text format. A family that several roles have is described once, as the
/// format requires.
pub fn text(registries: &[Registry]) -> String {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for mut family in registries.iter().flat_map(Registry::gather) {
        match families.get_mut(family.name()) {
            Some(known) => known.mut_metric().append(family.mut_metric()),
            None => _ = families.insert(family.name().to_owned(), family),
        }
    }
    let families: Vec<MetricFamily> = families.into_values().collect();
    // The encoder refuses only families without metrics or without a name, and there are none.
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}
