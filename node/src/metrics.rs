//! Metrics that are counted where the work is done: once for each message, part of a query, round and seal. The others are
//! [read when they are scraped](crate::gauges). docs/metrics.md has the list of both; a test compares it.

use entail_proto::internal;
use entail_proto::internal::node_service_server::SERVICE_NAME as NODE_SERVICE;
use entail_proto::internal::peer_service_server::SERVICE_NAME as PEER_SERVICE;
use entail_telemetry::metrics::{Counter, Histogram, Registry, SECONDS};

/// Buckets for the facts of one round at one node.
const FACTS: [f64; 9] = [0.0, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];

/// The methods of a node's server.
pub fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = internal::METHODS.iter().filter(|(service, _)| [NODE_SERVICE, PEER_SERVICE].contains(service));
    own.chain(&[("grpc.health.v1.Health", "Check"), ("grpc.health.v1.Health", "Watch")]).copied()
}

/// Messages of one kind in one direction.
#[derive(Clone, Debug)]
pub struct Traffic {
    messages: Counter,
    bytes: Counter,
}

impl Traffic {
    /// Counts a message.
    pub fn count(&self, bytes: u64) {
        self.messages.inc();
        self.bytes.inc_by(bytes);
    }
}

/// The metrics that are counted as events happen.
#[derive(Debug)]
pub struct Metrics {
    pub part_seconds: Histogram,
    pub part_rows: Counter,
    pub round_seconds: Histogram,
    pub round_facts: Histogram,
    pub seal_seconds: Histogram,
    pub merges: Counter,
    pub attempts_sent: Traffic,
    pub attempts_received: Traffic,
    pub queries_sent: Traffic,
    pub queries_received: Traffic,
}

impl Metrics {
    /// Registers the counted metrics.
    pub fn new(registry: &Registry) -> Self {
        let labels = ["flow", "direction"];
        let messages = registry.counters("entail_exchange_messages_total", "Messages between nodes.", &labels);
        let meaning = "Bytes of messages between nodes: encoded, or their payload between nodes of one process.";
        let bytes = registry.counters("entail_exchange_bytes_total", meaning, &labels);
        let traffic = |flow: &str, direction: &str| Traffic {
            messages: messages.with_label_values(&[flow, direction]),
            bytes: bytes.with_label_values(&[flow, direction]),
        };
        Self {
            part_seconds: registry.histogram(
                "entail_query_part_duration_seconds",
                "Time from the start of a query's part at a node to its end, waiting included.",
                &SECONDS,
            ),
            part_rows: registry.counter("entail_query_part_rows_total", "Rows of query parts."),
            round_seconds: registry.histogram(
                "entail_round_duration_seconds",
                "Time from the start of a reasoning round at a node until it is closed there.",
                &SECONDS,
            ),
            round_facts: registry.histogram(
                "entail_round_delta_facts",
                "New facts that a reasoning round found at a node.",
                &FACTS,
            ),
            seal_seconds: registry.histogram(
                "entail_seal_duration_seconds",
                "Time to make an attempt durable, up to its synced write.",
                &SECONDS,
            ),
            merges: registry.counter("entail_merges_total", "Steps that merged runs in the background."),
            attempts_sent: traffic("reasoning", "sent"),
            attempts_received: traffic("reasoning", "received"),
            queries_sent: traffic("query", "sent"),
            queries_received: traffic("query", "received"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_proto::internal::cluster_service_server::SERVICE_NAME as CLUSTER_SERVICE;

    #[test]
    fn every_method_between_the_roles_is_one_of_a_known_server() {
        let known: Vec<_> = methods().collect();
        let unknown: Vec<_> = internal::METHODS.iter().filter(|method| !known.contains(method)).collect();
        // The coordinator serves that one.
        assert!(unknown.iter().all(|(service, _)| *service == CLUSTER_SERVICE), "{unknown:?}");
        assert!(known.contains(&(NODE_SERVICE, "Trace")) && unknown.contains(&&(CLUSTER_SERVICE, "Leave")));
    }
}
