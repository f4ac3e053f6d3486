//! The coordinator's metrics. docs/metrics.md has the list, and a test compares both.
//!
//! Counted as the work is done: once for each query, call to a node, batch of a load, epoch. The rest is read at a scrape.

use entail_model::Fault;
use entail_proto::internal::{self, cluster_service_server};
use entail_proto::v1::{self, ChangeSummary};
use entail_telemetry::metrics::roles::{self, pool};
use entail_telemetry::metrics::{Counter, Counters, Family, Histogram, Histograms, Reading, Registry, SECONDS};
use std::path::PathBuf;
use std::time::Duration;

/// Buckets for the slowest call of a fan-out over the median of the others.
const RATIOS: [f64; 10] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The methods of the coordinator's servers that libraries provide (health, reflection).
const OF_LIBRARIES: [(&str, &str); 4] = [
    ("grpc.health.v1.Health", "Check"),
    ("grpc.health.v1.Health", "Watch"),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo"),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo"),
];

/// The methods of the coordinator's servers.
pub fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_cluster = internal::METHODS.iter().filter(|(service, _)| *service == cluster_service_server::SERVICE_NAME);
    v1::METHODS.iter().chain(of_cluster).chain(&OF_LIBRARIES).copied()
}

/// Metrics that are counted as the work is done.
#[derive(Debug)]
pub struct Metrics {
    pub queries: Counter,
    pub query_rows: Counter,
    pub query_bytes: Counter,
    pub answers_unread: Counter,
    pub load_triples: Counter,
    pub load_bytes: Counter,
    pub fan_out_seconds: Histogram,
    pub fan_out_ratio: Histogram,
    pub call_seconds: Histograms,
    pub cache_hits: Counters,
    pub cache_misses: Counters,
    epochs: Counters,
    epoch_seconds: Histograms,
    rounds: Counter,
    pub asserted: Counter,
    pub derived: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help);
        Self {
            queries: counter("entail_queries_total", "Queries whose answers were complete."),
            query_rows: counter("entail_query_rows_total", "Rows of answers that were complete."),
            query_bytes: counter("entail_query_answer_bytes_total", "Bytes of answers, as they were sent."),
            answers_unread: counter(
                "entail_answers_unread_total",
                "Answers that were given up because their clients did not read them.",
            ),
            load_triples: counter("entail_load_triples_total", "Triples of loads that were staged at the nodes."),
            load_bytes: counter("entail_load_bytes_total", "Bytes of loads that clients sent."),
            fan_out_seconds: registry.histogram(
                "entail_fanout_duration_seconds",
                "Time of the slowest part of a query's pattern, without the time in which it waits for the client.",
                &SECONDS,
            ),
            fan_out_ratio: registry.histogram(
                "entail_fanout_slowest_ratio",
                "Time of a fan-out's slowest node over the median of the others, where it asked two or more.",
                &RATIOS,
            ),
            call_seconds: registry.histograms(
                "entail_fanout_call_duration_seconds",
                "Time of one node's part of a query's pattern, without the time in which it waits for the client.",
                &["to"],
                &SECONDS,
            ),
            cache_hits: registry.counters(
                "entail_term_cache_hits_total",
                "Terms whose text or id was in the coordinator's cache.",
                &["cache"],
            ),
            cache_misses: registry.counters(
                "entail_term_cache_misses_total",
                "Terms whose text or id was not in the cache and was requested from a node.",
                &["cache"],
            ),
            epochs: registry.counters(
                "entail_epochs_total",
                "Changes by their outcome: committed or aborted.",
                &["kind", "outcome"],
            ),
            epoch_seconds: registry.histograms(
                "entail_epoch_duration_seconds",
                "Time of a change from the start of its epoch to its answer.",
                &["kind"],
                &SECONDS,
            ),
            rounds: counter("entail_rounds_total", "Rounds of reasoning in epochs that were committed."),
            asserted: counter("entail_facts_asserted_total", "New facts that committed epochs asserted."),
            derived: counter("entail_facts_derived_total", "New facts that rules derived in committed epochs."),
        }
    }

    /// Counts a change that has ended.
    pub fn epoch(&self, kind: &str, time: Duration, result: &Result<ChangeSummary, Fault>) {
        let outcome = if result.is_ok() { "committed" } else { "aborted" };
        self.epochs.with_label_values(&[kind, outcome]).inc();
        self.epoch_seconds.with_label_values(&[kind]).observe(time.as_secs_f64());
        if let Ok(change) = result {
            self.rounds.inc_by(change.rounds.into());
            self.asserted.inc_by(change.asserted);
            self.derived.inc_by(change.derived);
        }
    }

    /// Counts the lookups in one of the term caches.
    pub fn cached(&self, cache: &str, looked_for: usize, found: usize) {
        self.cache_hits.with_label_values(&[cache]).inc_by(found as u64);
        self.cache_misses.with_label_values(&[cache]).inc_by((looked_for - found) as u64);
    }
}

const QUERIES: Family = Family::gauge("entail_queries_in_flight", "Queries that were admitted and have not ended.");
const QUERIES_MAX: Family =
    Family::gauge("entail_queries_in_flight_limit", "Queries that are admitted at once; others wait.");
const PLAN_HITS: Family =
    Family::counter("entail_plan_cache_hits_total", "Queries whose fingerprint was in the plan cache.");
const PLAN_MISSES: Family = Family::counter("entail_plan_cache_misses_total", "Queries that had to be parsed.");
const WRITES: Family = Family::gauge("entail_writes_in_flight", "Changes that run or wait for the writer.");
const NODES: Family = Family::gauge("entail_nodes", "Registered nodes by their state.");
const SHARDS: Family = Family::gauge("entail_shards", "Shards of the placement by whether they can be reached.");

/// The values read at a scrape. The assembly of the coordinator supplies them, so that this module does not depend on the
/// parts that count.
#[derive(Debug, Default)]
pub struct Gauges {
    pub is_ready: bool,
    pub epoch: u64,
    pub queries: usize,
    pub queries_max: usize,
    /// Plan cache: hits, and misses that were parsed.
    pub plan_cache: (u64, u64),
    pub writes: usize,
    /// Numbers of nodes by state name.
    pub nodes: Vec<(&'static str, usize)>,
    pub shards_available: usize,
    pub shards_missing: usize,
    /// Memory pools: name, budget and use in bytes.
    pub pools: Vec<(&'static str, u64, u64)>,
    /// The data directory.
    pub data: PathBuf,
}

/// Registers the values that are read at a scrape; `gauges` returns none once the coordinator has ended.
pub fn register(registry: &Registry, gauges: impl Fn() -> Option<Gauges> + Send + Sync + 'static) {
    registry.at_scrape(move |reading| {
        if let Some(gauges) = gauges() {
            gauges.write(reading);
        }
    });
}

impl Gauges {
    fn write(&self, reading: &mut Reading) {
        roles::state(reading, self.is_ready, self.epoch);
        reading.add(&QUERIES, &[], self.queries as f64);
        reading.add(&QUERIES_MAX, &[], self.queries_max as f64);
        reading.add(&PLAN_HITS, &[], self.plan_cache.0 as f64);
        reading.add(&PLAN_MISSES, &[], self.plan_cache.1 as f64);
        reading.add(&WRITES, &[], self.writes as f64);
        for (state, count) in &self.nodes {
            reading.add(&NODES, &[("state", state)], *count as f64);
        }
        for (state, count) in [("available", self.shards_available), ("missing", self.shards_missing)] {
            reading.add(&SHARDS, &[("state", state)], count as f64);
        }
        for (name, budget, used) in &self.pools {
            pool(reading, name, *budget, *used);
        }
        roles::directory(reading, &self.data);
    }
}
