//! One request, one trace, over real processes: as exported to a collector, as printed by `--trace`, and as named in
//! the log.

use crate::harness::{Cluster, Shape, eventually, free_address};
use crate::receiver::{Receiver, silent};
use entail_bench::lubm::{self, Lubm};
use entail_telemetry::trace::Span;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

const NODES: usize = 3;

/// Spans that continue after the response: nodes receive an outcome that is in the log already.
const AFTERWARDS: [&str; 2] = ["tell", "entail.internal.v1.NodeService/Decide"];

/// The clocks of one machine agree; the start and the end of a span are read separately.
const SLACK_NANOSECONDS: u64 = 1_000_000;

fn cluster(environment: Vec<(&'static str, String)>) -> Cluster {
    Cluster::of(Shape { nodes: NODES, environment, ..Shape::default() })
}

/// LUBM-1 in a file, and its rules.
fn lubm(cluster: &Cluster) -> (String, String) {
    let mut data = Vec::new();
    Lubm { universities: 1, seed: 7 }.write(&mut data).unwrap();
    (cluster.file("lubm.nt", data), cluster.file("lubm.srl", lubm::RULES))
}

/// The traces of a collector, by the name of their root.
struct Traces(BTreeMap<String, Vec<Span>>);

/// The time without new spans after which all have arrived: ten times the export delay.
const QUIET: Duration = Duration::from_secs(1);

impl Traces {
    /// Waits until every trace of a request has its root and no gaps, and no more spans arrive.
    fn wait(receiver: &Receiver, requests: usize) -> Self {
        let mut traces: HashMap<[u8; 16], Vec<Span>> = HashMap::new();
        let mut last = (0, Instant::now());
        eventually("whole traces", || {
            let spans = receiver.spans().clone();
            if spans.len() != last.0 {
                last = (spans.len(), Instant::now());
            }
            traces.clear();
            spans.into_iter().for_each(|span| traces.entry(span.trace).or_default().push(span));
            last.1.elapsed() >= QUIET && traces.len() >= requests && traces.values().all(|spans| is_whole(spans))
        });
        let root = |spans: &[Span]| spans.iter().find(|span| span.parent.is_none()).map(|span| span.name.clone());
        let roots: Vec<Option<String>> = traces.values().map(|spans| root(spans)).collect();
        assert_eq!(traces.len(), requests, "{roots:?}");
        Self(traces.into_values().map(|spans| (root(&spans).unwrap_or_default(), spans)).collect())
    }

    fn of(&self, root: &str) -> &[Span] {
        self.0.get(root).unwrap_or_else(|| panic!("no {root}: {:?}", self.0.keys()))
    }
}

/// Is the parent of every span present?
fn is_whole(spans: &[Span]) -> bool {
    let ids: BTreeSet<[u8; 8]> = spans.iter().map(|span| span.id).collect();
    spans.iter().all(|span| span.parent.is_none_or(|parent| ids.contains(&parent)))
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name.rsplit('/').next() == Some(name)).collect()
}

fn parent<'s>(spans: &'s [Span], span: &Span) -> &'s Span {
    spans.iter().find(|other| Some(other.id) == span.parent).expect("it has a parent")
}

/// The nodes that have served a call, each once.
fn nodes_of(spans: &[Span], method: &str) -> BTreeSet<String> {
    let servers = named(spans, method).into_iter().filter(|span| span.kind == "server");
    servers.map(|span| span.text("entail.process").unwrap().to_owned()).collect()
}

fn all_nodes() -> BTreeSet<String> {
    (0..NODES).map(|node| format!("node-{node}")).collect()
}

/// Checks for one root, the command's span; only descendants below it; every span within its parent's time.
fn check_tree(spans: &[Span]) {
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_none()).collect();
    assert_eq!(roots.len(), 1, "{roots:#?}");
    assert_eq!((roots[0].kind, roots[0].service.as_str()), ("client", "entail-cli"));
    for span in spans.iter().filter(|span| span.parent.is_some()) {
        let parent = parent(spans, span);
        assert!(span.start + SLACK_NANOSECONDS >= parent.start, "{span:#?} begins before {parent:#?}");
        let is_within = span.end <= parent.end + SLACK_NANOSECONDS;
        assert!(is_within || AFTERWARDS.contains(&span.name.as_str()), "{span:#?} ends after {parent:#?}");
        if span.kind == "server" {
            assert_eq!((parent.kind, span.text("rpc.system.name")), ("client", Some("grpc")));
        }
        assert_eq!(span.error, None, "{span:#?}");
    }
}

#[test]
fn each_request_is_one_trace_of_all_processes() {
    let receiver = Receiver::start();
    let cluster = cluster(receiver.environment());
    let (data, rules) = lubm(&cluster);
    cluster.must(&["rules", "apply", &rules]);
    cluster.must(&["load", &data]);
    // Students whose advisor teaches what they take: rows go from node to node.
    let ninth = lubm::QUERIES[8].text;
    cluster.must(&["query", ninth]);
    cluster.must(&["update", "INSERT DATA { <urn:a> <urn:p> <urn:b> }"]);
    // Some seconds of heartbeats have passed: none of them has a trace.
    let traces = Traces::wait(&receiver, 4);
    assert!(receiver.headers().iter().all(|value| value == "secret") && !receiver.headers().is_empty());
    traces.0.values().for_each(|spans| check_tree(spans));

    let query = traces.of("query");
    for stage in ["admission", "parse", "plan", "evaluate", "fan-out"] {
        assert!(!named(query, stage).is_empty(), "no {stage}");
    }
    assert_eq!(nodes_of(query, "Execute"), all_nodes());
    let executes = named(query, "execute");
    assert!(executes.len() >= NODES && executes.iter().all(|span| span.number("entail.bytes").is_some()));
    assert!(executes.iter().any(|span| span.number("entail.rows") > Some(0)));
    assert!(executes.iter().all(|span| !span.text("entail.shards").unwrap().is_empty()));
    assert!(!named(query, "exchange").is_empty(), "rows went between nodes");
    let served = named(query, "Query")[0];
    assert_eq!((served.text("db.system.name"), served.text("db.query.text")), (Some("entail"), Some(ninth)));
    assert!(served.number("db.response.returned_rows") > Some(0));

    let load = traces.of("load");
    for method in ["Intern", "Stage", "Reason", "Seal", "Decide"] {
        assert_eq!(nodes_of(load, method), all_nodes(), "{method}");
    }
    for part in ["admission", "parse", "epoch", "log begin", "stage", "plan", "seal", "log commit"] {
        assert_eq!(named(load, part).len(), 1, "{part}");
    }
    assert_eq!((named(load, "store runs").len(), named(load, "sync").len()), (NODES, NODES));
    let rounds = named(load, "epoch")[0].number("entail.rounds").unwrap();
    for round in 1..=rounds {
        let of_round: Vec<&Span> =
            named(load, "round").into_iter().filter(|span| span.number("entail.round") == Some(round)).collect();
        // The coordinator's spans, and each node's spans inside a call of it.
        let (inner, outer): (Vec<&Span>, Vec<&Span>) =
            of_round.into_iter().partition(|span| parent(load, span).kind == "server");
        assert_eq!((inner.len(), outer.len()), (NODES, 1), "round {round}");
        let counts = ["entail.delta", "entail.derived", "entail.sent", "entail.received", "entail.bytes"];
        let has_counts = |span: &&Span| {
            span.attributes.contains_key("entail.delta") && counts.iter().all(|key| span.number(key).is_some())
        };
        assert!(inner.iter().all(has_counts), "round {round}");
    }
    let sum = |key: &str| {
        let inner = named(load, "round").into_iter().filter(|span| parent(load, span).kind == "server");
        inner.map(|span| span.number(key).unwrap()).sum::<i64>()
    };
    assert_eq!(sum("entail.derived"), named(load, "epoch")[0].number("entail.derived").unwrap());
    assert_eq!(sum("entail.sent"), sum("entail.received"));
    assert!(named(load, "exchange").iter().all(|span| span.number("entail.messages") > Some(0)));
}

/// The trace that a command has printed as JSON, among its other output.
fn shown_json(err: &str) -> serde_json::Value {
    let (start, end) = (err.find("{\n").unwrap(), err.rfind("\n}").unwrap());
    serde_json::from_str(&err[start..end + 2]).unwrap()
}

/// The fastest of several runs, on which noise has the least effect.
fn fastest(cluster: &Cluster) -> Duration {
    let run = || {
        let started = Instant::now();
        cluster.must(&["query", "SELECT * { ?s ?p ?o } LIMIT 1"]);
        started.elapsed()
    };
    (0..5).map(|_| run()).min().unwrap()
}

#[test]
fn a_collector_that_is_missing_or_hangs_holds_nobody_up() {
    let plain = fastest(&cluster(Vec::new()));
    let hanging = silent();
    let ends = [("missing", free_address()), ("hanging", hanging.local_addr().unwrap().to_string())];
    for (what, address) in ends {
        let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "16".to_owned());
        let started = Instant::now();
        let mut cluster = cluster(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")), queue]);
        // A command waits for its collector for a second at most; its answer is not delayed.
        let took = fastest(&cluster);
        assert!(took < plain + Duration::from_millis(1500), "{what}: {took:?} instead of {plain:?}");
        let seconds = |err: &str| err.lines().find_map(|line| line.split("epoch 0, ").nth(1).map(str::to_owned));
        // Of several, since others use the machine as well.
        let is_soon = |_| {
            let answered = cluster.run(&["query", "SELECT * { ?s ?p ?o } LIMIT 1"]);
            seconds(&answered.err).expect("it tells its time").ends_with(" ms")
        };
        assert!((0..10).any(is_soon), "{what}: no answer within a second");
        let warnings = || cluster.coordinator.log().matches("spans are dropped").count();
        eventually(&format!("{what}: a warning"), || warnings() > 0);
        assert!(cluster.coordinator.metric("entail_trace_spans_dropped_total") > 0.0, "{what}");
        // Not one warning for each batch, but one per minute.
        let minutes = started.elapsed().as_secs() as usize / 60;
        assert!(warnings() <= 1 + minutes, "{what}: {}", cluster.coordinator.log());
        for process in cluster.processes() {
            process.signal("TERM");
            let started = Instant::now();
            assert!(process.ended().success(), "{what}: {}", process.name);
            assert!(
                started.elapsed() < Duration::from_secs(8),
                "{what}: {} took {:?}",
                process.name,
                started.elapsed()
            );
        }
    }
}

#[test]
fn a_trace_is_shown_without_a_collector() {
    let mut cluster = cluster(vec![("OTEL_TRACES_SAMPLER", "always_off".to_owned())]);
    let rules = cluster.file("r.srl", "RULE { ?x <urn:q> ?z } WHERE { ?x <urn:p> ?y . ?y <urn:p> ?z }");
    let applied = cluster.run(&["rules", "apply", &rules, "--trace"]);
    assert!(applied.err.contains("rules apply") && applied.err.contains("log commit"), "{}", applied.err);
    let line = |n: u32| format!("<urn:{n}> <urn:p> <urn:{}> .\n", n + 1);
    let file = cluster.file("chain.nt", (0..200).map(line).collect::<String>());
    let load = cluster.run(&["load", &file, "--trace"]);
    for part in ["round ", "  Reason", "sync", "delta ", "<- slowest", "to node-"] {
        assert!(load.err.contains(part), "no {part}:\n{}", load.err);
    }
    for process in ["client", "coordinator", "node-0", "node-1", "node-2"] {
        assert!(load.err.contains(process), "{process} is missing:\n{}", load.err);
    }
    let query = cluster.run(&["query", "SELECT * { ?s <urn:q> ?o }", "--trace", "--output", "json"]);
    assert_eq!(query.code, Some(0), "{}", query.err);
    assert_eq!(query.out.matches("\"s\":").count(), 199, "the answer stays as it is");
    let json = shown_json(&query.err);
    let spans = json["spans"].as_array().unwrap();
    let rows = spans
        .iter()
        .filter(|span| span["name"] == "execute")
        .map(|span| span["attributes"]["entail.rows"].as_u64().unwrap());
    assert_eq!(rows.sum::<u64>(), 199);

    let refused = cluster.run(&["query", "SELECT nonsense", "--trace"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("failed: SYNTAX"), "{}", refused.err);
    cluster.nodes[0].kill();
    let partial = cluster.run(&["query", "SELECT * { ?s ?p ?o }", "--trace", "--timeout", "2s"]);
    assert_ne!(partial.code, Some(0));
    assert!(partial.err.contains("not in it: node-0"), "{}", partial.err);
}

#[test]
fn the_log_names_the_trace() {
    let cluster = cluster(vec![("ENTAIL_LOG_FORMAT", "json".to_owned())]);
    let good: String = (0..300_000).map(|n| format!("<urn:{n}> <urn:p> <urn:o> .\n")).collect();
    let file = cluster.file("bad.nt", good + "what is this?\n");
    let refused = cluster.run(&["load", &file, "--trace", "--output", "json"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    let shown = shown_json(&refused.err);
    let log = cluster.coordinator.log();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let given_up = lines.iter().find(|line| line["fields"]["message"] == "an attempt was aborted").unwrap();
    assert_eq!(given_up["trace_id"], shown["trace_id"]);
    let is_epoch = |span: &&serde_json::Value| span["span_id"] == given_up["span_id"] && span["name"] == "epoch";
    assert!(shown["spans"].as_array().unwrap().iter().any(|span| is_epoch(&span)), "{given_up}");
    let registered = lines.iter().find(|line| line["fields"]["message"] == "a node has registered").unwrap();
    assert!(registered.get("trace_id").is_none(), "it is part of no request");
}
