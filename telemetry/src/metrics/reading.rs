//! What is read when somebody asks, and the page that all of it becomes.

use super::Registry;
use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeMap;

/// A metric that is read, not counted by us.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
}

impl Family {
    /// Something that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::GAUGE }
    }

    /// Something that only grows, and that somebody else counts.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::COUNTER }
    }
}

/// One look at a role.
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

/// The metrics of several roles as Prometheus reads them. A family that more than one role has is told once, as the format
/// asks for.
pub fn text(registries: &[Registry]) -> String {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for mut family in registries.iter().flat_map(Registry::gather) {
        match families.get_mut(family.name()) {
            Some(known) => known.mut_metric().append(family.mut_metric()),
            None => _ = families.insert(family.name().to_owned(), family),
        }
    }
    let families: Vec<MetricFamily> = families.into_values().collect();
    // Only families without metrics or without names are refused, and there are none.
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}
