//! A node that dies or hangs during a query or during reasoning: the error names its shards, no partial effect remains,
//! and the cluster recovers by itself when the node is back.

use crate::harness::{Cluster, Done, Running, Shape};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A ring: its closure has a million facts, and is reached round by round.
const RING: usize = 1000;
const REACH: &str = "RULE { ?a <urn:reach> ?c } WHERE { ?a <urn:next> ?c }\n\
                     RULE { ?a <urn:reach> ?c } WHERE { ?a <urn:next> ?b . ?b <urn:reach> ?c }\n";
/// A join of all pairs with all pairs, for which every shard needs the others.
const LONG_QUERY: &str =
    "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b . ?c <urn:next> ?d . ?e <urn:next> ?f FILTER(?b != ?d && ?d != ?f) }";

fn ring() -> (Cluster, BTreeSet<String>) {
    let cluster = Cluster::of(Shape { nodes: 3, shards: 8, ..Shape::default() });
    let edges: String = (0..RING).map(|n| format!("<urn:n:{n}> <urn:next> <urn:n:{}> .\n", (n + 1) % RING)).collect();
    cluster.load("ring.nt", &edges);
    let held = cluster.dump("all");
    assert_eq!(held.len(), RING);
    (cluster, held)
}

/// The shards of a node, as a message lists them.
pub fn shards_of(cluster: &Cluster, node: &str) -> Vec<u64> {
    let status: serde_json::Value =
        serde_json::from_str(&cluster.must(&["status", "--shards", "--output", "json"])).unwrap();
    let nodes = status["nodes"].as_array().unwrap();
    let id = &nodes.iter().find(|other| other["name"] == node).unwrap()["node_id"];
    let shards = status["shards"].as_array().unwrap();
    shards.iter().filter(|shard| shard["node_id"] == *id).map(|shard| shard["shard"].as_u64().unwrap()).collect()
}

/// Checks for a typed, retryable failure that names exactly these shards.
pub fn names_shards(done: &Done, shards: &[u64]) {
    assert_eq!(done.code, Some(3), "{}", done.err);
    let shards: Vec<String> = shards.iter().map(ToString::to_string).collect();
    let expected = format!("(SHARDS_UNAVAILABLE; shards {}; safe to retry)", shards.join(","));
    assert!(done.err.trim_end().ends_with(&expected), "{} instead of {expected}", done.err);
}

/// Starts a command and waits until it is in progress.
fn under_way(cluster: &Cluster, arguments: &[&str]) -> Running {
    let mut running = cluster.begin(arguments);
    sleep(Duration::from_millis(500));
    assert!(running.is_running(), "{arguments:?} is over before anything could happen to it");
    running
}

/// The cluster is unchanged, and the failed operations succeed.
fn goes_on(cluster: &Cluster, held: &BTreeSet<String>) {
    cluster.ready();
    assert_eq!(&cluster.dump("all"), held);
    let ask = cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?a <urn:next>/<urn:next> ?b }", "--output", "csv"]);
    assert_eq!(ask.lines().nth(1), Some(RING.to_string().as_str()));
    cluster.load("again.nt", &format!("<urn:n:0> <urn:next> <urn:n:{}> .\n", 1));
}

#[test]
fn a_node_dies_in_a_query() {
    let (mut cluster, held) = ring();
    let shards = shards_of(&cluster, "node-1");
    let query = under_way(&cluster, &["query", LONG_QUERY]);
    cluster.nodes[1].kill();
    names_shards(&query.done(), &shards);
    names_shards(&cluster.run(&["query", "SELECT * { ?s ?p ?o }", "--timeout", "10s"]), &shards);
    cluster.nodes[1].start();
    goes_on(&cluster, &held);
}

#[test]
fn a_node_dies_in_reasoning() {
    let (mut cluster, held) = ring();
    let shards = shards_of(&cluster, "node-2");
    let rules = cluster.file("reach.srl", REACH);
    let apply = under_way(&cluster, &["rules", "apply", &rules]);
    cluster.nodes[2].kill();
    names_shards(&apply.done(), &shards);
    cluster.nodes[2].start();
    goes_on(&cluster, &held);
    assert_eq!(cluster.must(&["rules", "list"]), "no rules\n");
    cluster.must(&["rules", "apply", &rules]);
    let count = cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?a <urn:reach> ?b }", "--output", "csv"]);
    assert_eq!(count.lines().nth(1), Some((RING * RING).to_string().as_str()));
}

/// A node that hangs is detected by its silence, and catches up when it continues.
#[test]
fn a_node_hangs_in_reasoning_and_in_a_query() {
    let (cluster, held) = ring();
    let shards = shards_of(&cluster, "node-0");
    let rules = cluster.file("reach.srl", REACH);
    let started = Instant::now();
    let apply = under_way(&cluster, &["rules", "apply", &rules]);
    cluster.nodes[0].signal("STOP");
    names_shards(&apply.done(), &shards);
    println!("reasoning with a hanging node ended after {:?}", started.elapsed());
    cluster.nodes[0].signal("CONT");
    goes_on(&cluster, &held);
    assert_eq!(cluster.must(&["rules", "list"]), "no rules\n");
    let started = Instant::now();
    let query = under_way(&cluster, &["query", LONG_QUERY]);
    cluster.nodes[0].signal("STOP");
    names_shards(&query.done(), &shards);
    println!("a query with a hanging node ended after {:?}", started.elapsed());
    cluster.nodes[0].signal("CONT");
    goes_on(&cluster, &held);
}
