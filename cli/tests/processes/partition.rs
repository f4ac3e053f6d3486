//! A cluster whose processes are hosts of a network: they are addressed by names, they return with other addresses, and
//! the network between them is cut and restored.
//!
//! Meanwhile `entail bench ask` sends a query repeatedly, each time without retries: a failure must be retryable, no
//! request may take longer than [`SILENCE_MAX`], and every answer must be right. `entail-bench` has to be beside
//! `entail`, where cargo builds it for tests of the whole workspace.

use crate::harness::{Cluster, Process, Running, eventually, text};
use crate::lost_node::{names_shards, shards_of};
use crate::network::Network;
use serde_json::Value;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

const HOSTS: [(&str, u8); 5] = [("coordinator", 1), ("node-0", 10), ("node-1", 11), ("node-2", 12), ("client", 100)];

/// A ring, and the facts that rules derive from it.
const RING: usize = 500;
const RULES: &str = "RULE { ?a <urn:after-next> ?c } WHERE { ?a <urn:next> ?b . ?b <urn:next> ?c }\n";

/// A join across all shards: every node has to reach every other.
const QUESTION: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:after-next> ?b . ?b <urn:next> ?c }";
/// A query that each node evaluates by itself.
const APART: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b }";

/// The longest time of a request until its answer or failure, whatever the state of the network.
const SILENCE_MAX: f64 = 15.0;
/// The longest time until every request is answered again after the network is restored.
const HEALING_MAX: Duration = Duration::from_secs(10);

/// Hosts, and a cluster on them.
struct Spread {
    // Before the network: dropped first.
    cluster: Cluster,
    network: Network,
    /// The contents of the cluster.
    held: BTreeSet<String>,
}

impl Spread {
    /// Starts a cluster with facts and a rule; `None` where networks cannot be created.
    fn start() -> Option<Self> {
        let network = Network::of(&HOSTS)?;
        let place = tempfile::tempdir().unwrap();
        let on = |host: &str, arguments: &[&str]| {
            let data = place.path().join(host);
            let arguments = [arguments, &["--data", text(&data)]].concat();
            Process::new(host, place.path(), &network.on(host), &arguments)
        };
        let listens = ["--listen", "0.0.0.0:7400", "--peer-listen", "0.0.0.0:7401"];
        let coordinator =
            on("coordinator", &[&["coordinator", "--shards", "8", "--min-nodes", "3"][..], &listens].concat());
        let node = |name: &str| {
            let advertised = format!("{name}.entail:7411");
            let to = ["node", "--coordinator", "http://coordinator.entail:7401", "--peer-listen", "0.0.0.0:7411"];
            let of = ["--advertise", &advertised, "--name", name, "--memory", "64MiB", "--threads", "2"];
            on(name, &[&to[..], &of].concat())
        };
        let nodes = ["node-0", "node-1", "node-2"].map(node).into();
        let server = "http://coordinator.entail:7400".to_owned();
        let wrapper = network.on("client");
        let cluster = Cluster::assembled(place, (coordinator, nodes), server, wrapper);
        cluster.load("ring.nt", &ring("n"));
        cluster.must(&["rules", "apply", &cluster.file("after-next.srl", RULES)]);
        let held = cluster.dump("all");
        assert_eq!(held.len(), 2 * RING);
        Some(Self { cluster, network, held })
    }

    /// Starts sending a query.
    fn ask(&self, question: &str) -> Questions {
        Questions(self.cluster.begin(&["bench", "ask", question, "--every", "20ms", "--timeout", "40s"]))
    }

    /// Waits until every request is answered again, and checks the contents of the cluster; returns the time until
    /// then.
    fn goes_on(&self) -> Duration {
        let started = Instant::now();
        let answered = || self.cluster.run(&["query", QUESTION, "--timeout", "20s", "--output", "csv"]).code == Some(0);
        eventually("an answer", answered);
        let healing = started.elapsed();
        self.cluster.ready();
        assert_eq!(self.cluster.dump("all"), self.held);
        healing
    }

    /// A change and its consequences can be made again.
    fn takes_changes(&self) {
        self.cluster.load("more.nt", &ring("m"));
        assert_eq!(self.cluster.dump("derived").len(), 2 * RING);
    }

    /// The state of a node as the coordinator sees it.
    fn state(&self, node: &str) -> String {
        let status: Value = serde_json::from_str(&self.cluster.must(&["status", "--output", "json"])).unwrap();
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().find(|other| other["name"] == node).unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// Ends a node like a machine that loses power: without notice to other hosts.
    fn vanish(&mut self, index: usize) {
        let node = &mut self.cluster.nodes[index];
        self.network.cut(&node.name);
        node.kill();
    }
}

fn ring(name: &str) -> String {
    (0..RING).map(|n| format!("<urn:{name}:{n}> <urn:next> <urn:{name}:{}> .\n", (n + 1) % RING)).collect()
}

/// A running sequence of requests.
struct Questions(Running);

/// The outcomes of the requests.
#[derive(Debug)]
struct Tally {
    answers: usize,
    /// Requests that failed for lack of shards, and those that did not reach the coordinator.
    failures: usize,
    unheard: usize,
    shards: BTreeSet<u64>,
    /// The longest time without an answer, from the first one on, in seconds.
    outage: f64,
}

impl Questions {
    /// Stops sending, and checks each answer and each failure.
    fn tally(self) -> Tally {
        self.0.signal("TERM");
        let mut tally = Tally { answers: 0, failures: 0, unheard: 0, shards: BTreeSet::new(), outage: 0.0 };
        let mut answered: Option<f64> = None;
        for line in self.0.done().out.lines() {
            let asked: Value = serde_json::from_str(line).unwrap();
            let (at, took) = (asked["at"].as_f64().unwrap(), asked["seconds"].as_f64().unwrap());
            assert!(took < SILENCE_MAX, "nothing may take so long: {line}");
            tally.outage = tally.outage.max(at - answered.unwrap_or(at));
            if let Some(answer) = asked["answer"].as_str() {
                assert_eq!(answer, RING.to_string(), "{line}");
                tally.answers += 1;
                answered = Some(at);
            } else if asked["reason"] == "NOT_READY" {
                assert_eq!(asked["retryable"], true, "{line}");
                tally.unheard += 1;
            } else {
                assert_eq!(asked["reason"], "SHARDS_UNAVAILABLE", "{line}");
                assert_eq!(asked["retryable"], true, "{line}");
                let shards = asked["shards"].as_array().unwrap();
                tally.shards.extend(shards.iter().map(|shard| shard.as_u64().unwrap()));
                tally.failures += 1;
            }
        }
        assert!(tally.answers > 0, "{tally:?}");
        tally
    }
}

/// A node with the same name and another address: after an orderly end, and after a sudden one that leaves connections
/// to the old address open on every other host.
#[test]
fn a_node_comes_back_at_another_address() {
    let Some(mut spread) = Spread::start() else { return };
    let questions = spread.ask(QUESTION);
    spread.cluster.nodes[1].signal("TERM");
    assert!(spread.cluster.nodes[1].ended().success());
    spread.network.move_to("node-1", 21);
    spread.network.name("node-1", 21);
    spread.cluster.nodes[1].start();
    let orderly = spread.goes_on();
    spread.vanish(2);
    spread.network.move_to("node-2", 22);
    spread.network.heal("node-2");
    spread.network.name("node-2", 22);
    spread.cluster.nodes[2].start();
    let sudden = spread.goes_on();
    let tally = questions.tally();
    println!("{orderly:?} after an orderly end, {sudden:?} after a sudden one: {tally:?}");
    assert_eq!(tally.unheard, 0);
    assert!(orderly < HEALING_MAX && sudden < HEALING_MAX);
    spread.takes_changes();
}

/// Two nodes have exchanged their addresses, and names still resolve to the old ones: a node must not answer requests,
/// or accept facts, for the other.
#[test]
fn an_address_that_changed_hands_answers_for_nobody() {
    let Some(mut spread) = Spread::start() else { return };
    let shards: BTreeSet<u64> = ["node-1", "node-2"].iter().flat_map(|node| shards_of(&spread.cluster, node)).collect();
    let questions = spread.ask(QUESTION);
    spread.vanish(1);
    spread.vanish(2);
    for (node, address) in [("node-1", 12), ("node-2", 11)] {
        spread.network.move_to(node, address);
        spread.network.heal(node);
    }
    spread.cluster.nodes[1].start();
    spread.cluster.nodes[2].start();
    eventually("they register", || ["node-1", "node-2"].iter().all(|node| spread.state(node) == "up"));
    let failed = spread.cluster.run(&["query", QUESTION, "--timeout", "20s"]);
    assert_eq!(failed.code, Some(3), "{}", failed.err);
    assert!(failed.err.contains("the address belongs to another node now"), "{}", failed.err);
    let file = spread.cluster.file("more.nt", ring("m"));
    let refused = spread.cluster.run(&["load", &file, "--timeout", "20s"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    spread.network.name("node-1", 12);
    spread.network.name("node-2", 11);
    let healing = spread.goes_on();
    let tally = questions.tally();
    println!("{healing:?} until names lead to the right nodes: {tally:?}");
    assert!(tally.shards.is_subset(&shards) && !tally.shards.is_empty(), "{tally:?} beside {shards:?}");
    assert!(healing < HEALING_MAX);
    spread.takes_changes();
}

/// An unreachable node: first during a change, then during queries.
#[test]
fn a_node_is_cut_off_and_comes_back() {
    let Some(spread) = Spread::start() else { return };
    let shards = shards_of(&spread.cluster, "node-1");
    let questions = spread.ask(QUESTION);
    let long = ring("x").replace("urn:next", "urn:edge");
    let closure = "RULE { ?a <urn:path> ?b } WHERE { ?a <urn:edge> ?b }\n\
                   RULE { ?a <urn:path> ?c } WHERE { ?a <urn:edge> ?b . ?b <urn:path> ?c }\n";
    let (facts, rules) = (spread.cluster.file("long.nt", long), spread.cluster.file("path.srl", closure));
    spread.cluster.must(&["load", &facts]);
    let held = spread.cluster.dump("all");
    let change = spread.cluster.begin(&["rules", "apply", &rules]);
    sleep(Duration::from_millis(300));
    spread.network.cut("node-1");
    let cut = Instant::now();
    names_shards(&change.done(), &shards);
    println!("the change was given up after {:?}", cut.elapsed());
    assert_eq!(spread.state("node-1"), "down");
    names_shards(&spread.cluster.run(&["query", QUESTION, "--timeout", "20s"]), &shards);
    names_shards(&spread.cluster.run(&["load", &facts, "--timeout", "20s"]), &shards);
    spread.network.heal("node-1");
    let spread = Spread { held, ..spread };
    let healing = spread.goes_on();
    let tally = questions.tally();
    println!("{healing:?} until everything is answered again: {tally:?}");
    assert_eq!((tally.unheard, tally.shards), (0, shards.into_iter().collect()));
    assert!(healing < HEALING_MAX);
    assert_eq!(spread.cluster.must(&["rules", "list"]).lines().filter(|line| line.contains("path")).count(), 0);
    spread.cluster.must(&["rules", "apply", &rules]);
    let count = spread.cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?a <urn:path> ?b }", "--output", "csv"]);
    assert_eq!(count.lines().nth(1), Some((RING * RING).to_string().as_str()));
}

/// The coordinator's host has no network: clients get an error in time, and work continues when it is back.
#[test]
fn the_coordinator_is_cut_off_and_comes_back() {
    let Some(spread) = Spread::start() else { return };
    let questions = spread.ask(QUESTION);
    sleep(Duration::from_millis(300));
    spread.network.cut("coordinator");
    // Longer than the timeout after which nodes count as lost.
    sleep(Duration::from_secs(16));
    spread.network.heal("coordinator");
    let healing = spread.goes_on();
    let tally = questions.tally();
    println!("{healing:?} until everything is answered again: {tally:?}");
    assert!(tally.unheard > 0 && healing < HEALING_MAX);
    spread.takes_changes();
}

/// Two nodes do not reach each other, while the coordinator reaches both: queries that need both fail, others succeed.
#[test]
fn two_nodes_do_not_reach_each_other() {
    let Some(spread) = Spread::start() else { return };
    let pair = ["node-1", "node-2"];
    let shards: BTreeSet<u64> = pair.iter().flat_map(|node| shards_of(&spread.cluster, node)).collect();
    let (joins, lookups) = (spread.ask(QUESTION), spread.ask(APART));
    spread.network.part(&pair);
    let file = spread.cluster.file("more.nt", ring("m"));
    let parted = Instant::now();
    let refused = spread.cluster.run(&["load", &file, "--timeout", "25s"]);
    println!("a load ends after {:?}: {}", parted.elapsed(), refused.err.trim());
    assert!(matches!(refused.code, Some(3 | 4)), "{refused:?}");
    let log = spread.cluster.coordinator.log();
    assert!(log.contains("an attempt was aborted") && log.contains("cannot be reached"), "{log}");
    assert_eq!(pair.map(|node| spread.state(node)), ["up", "up"]);
    spread.network.join(&pair);
    let healing = spread.goes_on();
    let (joins, lookups) = (joins.tally(), lookups.tally());
    println!("{healing:?} until everything is answered again: {joins:?}; each for itself: {lookups:?}");
    assert!(joins.failures > 0 && joins.shards.is_subset(&shards), "{joins:?} beside {shards:?}");
    assert_eq!(
        lookups.failures + lookups.unheard + joins.unheard,
        0,
        "what needs only one node at a time does not fail"
    );
    assert!(healing < HEALING_MAX);
    spread.takes_changes();
}
