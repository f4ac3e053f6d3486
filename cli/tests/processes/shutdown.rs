//! SIGTERM: new requests are refused, requests in progress complete within the grace period, and refused or aborted
//! requests get an error that the client can act on.

use crate::harness::{Cluster, Done, Running, Shape, eventually};
use entail_client::retry::Policy;
use entail_client::v1::ApplyRulesRequest;
use entail_client::{Client, Options};
use entail_model::{Fault, Reason};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A query looks at every pair of this many facts, which takes some seconds.
const FACTS: usize = 4000;
const PAIRS: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b . ?c <urn:next> ?d FILTER(?b != ?d) }";
/// Runs longer than any test.
const ENDLESS: &str =
    "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b . ?c <urn:next> ?d . ?e <urn:next> ?f FILTER(?b != ?d) }";
/// A query that needs every node.
const ASK: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b }";

fn cluster(grace: &'static str) -> Cluster {
    let cluster = Cluster::of(Shape { nodes: 2, arguments: vec!["--grace", grace], ..Shape::default() });
    let mut ring = String::new();
    (0..FACTS).for_each(|n| writeln!(ring, "<urn:n:{n}> <urn:next> <urn:n:{}> .", (n + 1) % FACTS).unwrap());
    cluster.load("ring.nt", &ring);
    cluster
}

/// A query in progress on every role, and no other query.
fn under_way(cluster: &mut Cluster, query: &str) -> Running {
    let parts = |cluster: &Cluster, is_there: fn(f64) -> bool| {
        let mut nodes = cluster.nodes.iter();
        is_there(cluster.coordinator.metric("entail_queries_in_flight"))
            && nodes.all(|node| is_there(node.metric("entail_query_parts_in_flight")))
    };
    eventually("nothing is at work", || parts(cluster, |number| number == 0.0));
    let mut running = cluster.begin(&["query", query, "--output", "csv", "--timeout", "60s"]);
    eventually("the query is at work everywhere", || {
        assert!(running.is_running(), "the query is over before anything could happen to it");
        parts(cluster, |number| number > 0.0)
    });
    running
}

fn counted(done: &Done) {
    let expected = (FACTS * (FACTS - 1)).to_string();
    assert_eq!((done.code, done.out.lines().nth(1)), (Some(0), Some(&*expected)), "{}", done.err);
}

/// A retryable failure with this reason.
fn refused(done: &Done, reason: &str) {
    assert_eq!(done.code, Some(3), "{}{}", done.out, done.err);
    assert!(done.err.contains(reason) && done.err.contains("safe to retry"), "{}", done.err);
}

#[test]
fn a_node_that_ends_serves_what_has_begun() {
    let mut cluster = cluster("40s");
    let mut query = under_way(&mut cluster, PAIRS);
    cluster.nodes[0].signal("TERM");
    eventually("the node is not ready any more", || {
        cluster.nodes[0].http("/readyz") == Some((503, "node-0: shutting down\n".to_owned()))
    });
    assert!(query.is_running(), "the query is over before the node was told to end");
    let started = Instant::now();
    refused(&cluster.run(&["query", ASK, "--timeout", "1s"]), "SHARDS_UNAVAILABLE");
    assert!(started.elapsed() < Duration::from_secs(3), "known at once, not found out");
    assert!(cluster.must(&["status"]).contains("leaving"), "status tells");
    let (_, ready) = cluster.coordinator.http("/readyz").unwrap();
    assert_eq!(ready, "coordinator: 4 of 8 shards are on nodes that are down\n");
    counted(&query.done());
    let waited = Instant::now();
    assert_eq!(cluster.nodes[0].ended().code(), Some(0));
    println!("the node ended {:?} after the last query that needed it", waited.elapsed());
    assert!(waited.elapsed() < Duration::from_secs(10), "nothing is left to wait for");
    cluster.nodes[0].start();
    cluster.ready();
    counted(&cluster.run(&["query", PAIRS, "--output", "csv"]));
}

#[test]
fn a_coordinator_that_ends_answers_what_has_begun() {
    let mut cluster = cluster("40s");
    let query = under_way(&mut cluster, PAIRS);
    cluster.coordinator.signal("TERM");
    eventually("the coordinator is not ready any more", || {
        cluster.coordinator.http("/readyz") == Some((503, "coordinator: shutting down\n".to_owned()))
    });
    refused(&cluster.run(&["query", ASK, "--timeout", "1s"]), "NOT_READY");
    refused(&cluster.run(&["update", "INSERT DATA { <urn:a> <urn:b> <urn:c> }", "--timeout", "1s"]), "NOT_READY");
    counted(&query.done());
    assert_eq!(cluster.coordinator.ended().code(), Some(0));
    cluster.coordinator.start();
    cluster.ready();
    assert_eq!(cluster.dump("all").len(), FACTS);
}

#[test]
fn what_does_not_end_in_time_is_cut_off() {
    let mut cluster = cluster("1s");
    for role in ["coordinator", "node-1"] {
        let query = under_way(&mut cluster, ENDLESS);
        let process = cluster.processes().find(|process| process.name == role).unwrap();
        let started = Instant::now();
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
        let took = started.elapsed();
        println!("{role} ended after {took:?}");
        assert!((Duration::from_secs(1)..Duration::from_secs(15)).contains(&took), "{role} took {took:?}");
        process.start();
        // An answer that has begun is not retried; this one has not, so the client retries until its timeout.
        query.signal("INT");
        drop(query);
        cluster.ready();
    }
}

#[test]
fn whoever_is_cut_off_is_told_why() {
    let mut cluster = cluster("500ms");
    for (role, reason) in [("coordinator", "NOT_READY"), ("node-1", "SHARDS_UNAVAILABLE")] {
        let query = under_way(&mut cluster, ENDLESS);
        let process = cluster.processes().find(|process| process.name == role).unwrap();
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
        refused(&query.done(), reason);
        cluster.processes().find(|process| process.name == role).unwrap().start();
        cluster.ready();
    }
    assert_eq!(cluster.dump("all").len(), FACTS);
}

/// An aborted change is reported as possibly applied, and can be repeated.
#[test]
fn a_change_that_is_cut_off_is_in_doubt() {
    let mut cluster = cluster("500ms");
    let before = cluster.dump("all");
    let rules = "RULE { ?a <urn:reach> ?c } WHERE { ?a <urn:next> ?c }\n\
                 RULE { ?a <urn:reach> ?c } WHERE { ?a <urn:next> ?b . ?b <urn:reach> ?c }";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (role, reason) in [("coordinator", Reason::OutcomeUnknown), ("node-1", Reason::ShardsUnavailable)] {
        let server = cluster.server().to_owned();
        let rounds = |cluster: &Cluster| {
            let nodes = cluster.nodes.iter();
            nodes.map(|node| node.metric("entail_round_duration_seconds_count")).fold(f64::INFINITY, f64::min)
        };
        // The counter of a node that has just started begins at zero.
        let before = rounds(&cluster);
        let applied = runtime.spawn(async move {
            let client = Client::connect(&server, Options { retry: Policy::never(), ..Options::default() }).unwrap();
            let request = ApplyRulesRequest { name: "reach".to_owned(), text: rules.to_owned(), ..Default::default() };
            client.apply_rules(request).await.map_err(Fault::from)
        });
        eventually("the rules are at work everywhere", || {
            assert!(!applied.is_finished(), "the closure is too small to be cut off");
            rounds(&cluster) > before + 1.0
        });
        let process = cluster.processes().find(|process| process.name == role).unwrap();
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
        let fault = runtime.block_on(applied).unwrap().expect_err("it was cut off");
        assert_eq!((fault.reason, fault.is_retryable()), (reason, true), "{fault:?}");
        process.start();
        cluster.ready();
        assert_eq!(cluster.must(&["rules", "list"]), "no rules\n", "this one was not made");
    }
    assert_eq!(cluster.dump("all"), before);
}

#[test]
fn a_second_signal_ends_a_role_at_once() {
    let mut cluster = cluster("50s");
    for role in ["node-0", "coordinator"] {
        let query = under_way(&mut cluster, ENDLESS);
        let process = cluster.processes().find(|process| process.name == role).unwrap();
        process.signal("TERM");
        eventually("the first signal has been heard", || {
            assert!(process.is_running(), "{role} has something to wait for");
            process.http("/readyz").is_some_and(|(status, text)| status == 503 && text.contains("shutting down"))
        });
        let started = Instant::now();
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(130), "{role}");
        assert!(started.elapsed() < Duration::from_secs(10), "long before the grace is over");
        drop(query);
        process.start();
        cluster.ready();
    }
    assert_eq!(cluster.dump("all").len(), FACTS, "whatever was committed is there");
}
