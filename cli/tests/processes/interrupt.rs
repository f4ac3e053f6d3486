//! Ctrl-C and SIGTERM: commands end at once and without effect, roles end cleanly.

use crate::harness::{Cluster, Done, Process, Running, Shape, entail, eventually, free_address, text};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest time from a signal to the end of a command.
const PROMPT: Duration = Duration::from_secs(2);

fn many(count: usize) -> String {
    let mut document = String::new();
    for n in 0..count {
        writeln!(document, "<urn:many:{n}> <urn:p:{}> <urn:many:{}> .", n % 7, n * 31 % count).unwrap();
    }
    document
}

/// Sends Ctrl-C and waits for the end.
fn interrupted(running: Running) -> Done {
    let started = Instant::now();
    running.signal("INT");
    let done = running.done();
    assert!(started.elapsed() < PROMPT, "it took {:?}", started.elapsed());
    assert_eq!((done.code, done.err.trim_end()), (Some(130), "error: interrupted"));
    done
}

/// The interrupted change has no effect, and the next change succeeds.
fn goes_on(cluster: &Cluster, name: &str) {
    let before = cluster.dump("all");
    assert!(before.iter().all(|line| !line.contains("urn:many:")), "something was left behind");
    let line = format!("<urn:{name}> <urn:p> <urn:o> .");
    let started = Instant::now();
    cluster.load("next.nt", &format!("{line}\n"));
    assert!(started.elapsed() < Duration::from_secs(5), "the next change waited {:?}", started.elapsed());
    let after = cluster.dump("all");
    assert_eq!(after, before.into_iter().chain([line]).collect::<BTreeSet<_>>());
}

#[test]
fn an_interrupted_load_leaves_nothing() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let file = cluster.file("many.nt", many(1_500_000));
    for wait in [150, 400, 900] {
        let mut load = cluster.begin(&["load", &file]);
        sleep(Duration::from_millis(wait));
        assert!(load.is_running(), "the file is too small to be interrupted after {wait} ms");
        interrupted(load);
        goes_on(&cluster, &format!("after-file-{wait}"));
    }
    // From a pipe: once while the program waits for more input, once while it has more input than it can send.
    let mut idle = Running::new(cluster.command(&["load", "-", "--format", "nt"]), Stdio::piped());
    let mut pipe = idle.stdin();
    pipe.write_all(many(50_000).as_bytes()).unwrap();
    sleep(Duration::from_millis(300));
    interrupted(idle);
    drop(pipe);
    goes_on(&cluster, "after-idle-pipe");
    let mut busy = Running::new(cluster.command(&["load", "-", "--format", "nt"]), Stdio::piped());
    let mut pipe = busy.stdin();
    // Ends with a broken pipe when its reader is gone.
    let writer = std::thread::spawn(move || pipe.write_all(many(2_000_000).as_bytes()).is_err());
    sleep(Duration::from_millis(600));
    interrupted(busy);
    assert!(writer.join().unwrap(), "all was read before the interruption");
    goes_on(&cluster, "after-busy-pipe");
}

/// Products of all facts with themselves, which would take hours.
const ENDLESS: [&str; 2] = [
    "SELECT * { ?a <urn:next> ?b . ?c <urn:next> ?d . ?e <urn:next> ?f . ?g <urn:next> ?h }",
    "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b . ?c <urn:next> ?d . ?e <urn:next> ?f . ?g <urn:next> ?h \
     FILTER(sameTerm(?a, ?d) || sameTerm(?c, ?f) || sameTerm(?e, ?h)) }",
];

/// The only listed query, once it is listed.
fn listed(cluster: &Cluster) -> serde_json::Value {
    let mut found = serde_json::Value::Null;
    eventually("the query is listed", || {
        let listed: serde_json::Value =
            serde_json::from_str(&cluster.must(&["queries", "--output", "json"])).expect("JSON");
        found = listed["queries"][0].clone();
        !found.is_null()
    });
    found
}

#[test]
fn a_running_query_is_listed_and_cancelled() {
    for nodes in [1, 2] {
        let cluster = Cluster::of(Shape { nodes, ..Shape::default() });
        let facts: String = (0..1200).map(|n| format!("<urn:n:{n}> <urn:next> <urn:n:{}> .\n", n + 1)).collect();
        cluster.load("facts.nt", &facts);
        assert_eq!(cluster.must(&["queries"]), "no queries are running\n");
        for query in ENDLESS {
            let running = cluster.begin(&["query", query, "--output", "csv"]);
            let found = listed(&cluster);
            let id = found["id"].as_str().expect("an id");
            assert_eq!((found["kind"].as_str(), found["principal"].as_str()), (Some("query"), Some("anonymous")));
            assert!(found["text"].as_str().is_some_and(|text| query.starts_with(&text[..40])), "{found}");
            assert_eq!(found["epoch"], 1);
            let started = Instant::now();
            cluster.must(&["queries", "cancel", id]);
            let done = running.done();
            assert!(started.elapsed() < Duration::from_secs(1), "it took {:?}", started.elapsed());
            assert_eq!(done.code, Some(4), "{}", done.err);
            assert!(done.err.contains("CANCELLED"), "{}", done.err);
            assert_eq!(cluster.must(&["queries"]), "no queries are running\n");
            let again = cluster.run(&["queries", "cancel", id]);
            assert_eq!(again.code, Some(1));
            assert!(again.err.contains("NOT_FOUND"), "{}", again.err);
        }
        cluster.load("next.nt", "<urn:after> <urn:p> <urn:o> .\n");
    }
}

#[test]
fn a_running_change_is_cancelled_and_leaves_nothing() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let mut load = Running::new(cluster.command(&["load", "-", "--format", "nt"]), Stdio::piped());
    let mut pipe = load.stdin();
    pipe.write_all(many(50_000).as_bytes()).unwrap();
    let found = listed(&cluster);
    assert_eq!(found["kind"], "load");
    let started = Instant::now();
    cluster.must(&["queries", "cancel", found["id"].as_str().expect("an id")]);
    let done = load.done();
    assert!(started.elapsed() < Duration::from_secs(1), "it took {:?}", started.elapsed());
    assert!(done.err.contains("CANCELLED"), "{}", done.err);
    drop(pipe);
    goes_on(&cluster, "after-cancelled-load");
}

#[test]
fn interrupted_reasoning_and_queries_leave_the_cluster_free() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let edges: String = (0..1200).map(|n| format!("<urn:n:{n}> <urn:next> <urn:n:{}> .\n", (n + 1) % 1200)).collect();
    cluster.load("ring.nt", &edges);
    let rule = "RULE { ?a <urn:many:reach> ?c } WHERE { ?a <urn:next> ?c }\n\
                RULE { ?a <urn:many:reach> ?c } WHERE { ?a <urn:next> ?b . ?b <urn:many:reach> ?c }\n";
    let file = cluster.file("reach.srl", rule);
    let mut apply = cluster.begin(&["rules", "apply", &file]);
    sleep(Duration::from_millis(400));
    assert!(apply.is_running(), "the closure is too small to be interrupted");
    interrupted(apply);
    assert_eq!(cluster.must(&["rules", "list"]), "no rules\n");
    goes_on(&cluster, "after-rules");
    let all = "SELECT (COUNT(*) AS ?n) { ?a <urn:next> ?b . ?c <urn:next> ?d . ?e <urn:next> ?f . ?g <urn:next> ?h }";
    let mut query = cluster.begin(&["query", all]);
    sleep(Duration::from_millis(400));
    assert!(query.is_running(), "the product is too small to be interrupted");
    interrupted(query);
    goes_on(&cluster, "after-query");
}

#[test]
fn roles_end_cleanly_when_told_to() {
    let mut cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    cluster.load("first.nt", "<urn:a> <urn:p> <urn:b> .\n");
    for (process, signal) in cluster.processes().zip(["INT", "TERM", "INT"]) {
        let started = Instant::now();
        process.signal(signal);
        assert_eq!(process.ended().code(), Some(0), "{}", process.name);
        assert!(started.elapsed() < Duration::from_secs(8), "{} took {:?}", process.name, started.elapsed());
        assert!(!process.log().contains("error:"), "{}", process.log());
    }
    cluster.processes().for_each(Process::start);
    cluster.ready();
    assert_eq!(cluster.dump("all").len(), 1);
}

#[test]
fn serve_ends_cleanly_when_told_to() {
    let place = tempfile::tempdir().unwrap();
    for signal in ["INT", "TERM"] {
        let (listen, peers) = (free_address(), free_address());
        let data = place.path().join("data");
        let arguments = ["serve", "--data", text(&data), "--listen", &listen, "--peer-listen", &peers];
        let sized = ["--nodes", "2", "--shards", "4", "--memory", "64MiB"];
        let mut serve = Process::new("serve", place.path(), &[], &[&arguments[..], &sized].concat());
        serve.start();
        let server = format!("http://{listen}");
        let run = |arguments: &[&str]| {
            Running::new(entail(&[arguments, &["--server", &server]].concat()), Stdio::null()).done()
        };
        eventually("serve serves", || run(&["status", "--wait", "--timeout", "10s"]).code == Some(0));
        let update = format!("INSERT DATA {{ <urn:told> <urn:p> \"{signal}\" }}");
        assert_eq!(run(&["update", &update]).code, Some(0));
        let started = Instant::now();
        serve.signal(signal);
        assert_eq!(serve.ended().code(), Some(0), "{}", serve.log());
        assert!(started.elapsed() < Duration::from_secs(8), "it took {:?}", started.elapsed());
        assert!(!serve.log().contains("error:"), "{}", serve.log());
        serve.start();
        eventually("serve serves again", || run(&["status", "--wait", "--timeout", "10s"]).code == Some(0));
        let kept = run(&["query", "SELECT ?o { <urn:told> ?p ?o }", "--output", "csv"]);
        assert!(kept.out.contains(signal), "{kept:?}");
        serve.signal(signal);
        assert_eq!(serve.ended().code(), Some(0));
    }
}
