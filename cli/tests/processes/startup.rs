//! Startup times.

use crate::harness::{Cluster, PATIENCE, Process, Shape, entail, eventually};
use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FACTS: usize = 1_000_000;

/// Checks that an operation takes less than a time in at least one of several tries: other programs use the machine as
/// well.
fn takes_less(what: &str, than: Duration, times: usize, mut measured: impl FnMut() -> Duration) {
    let mut all = Vec::new();
    while all.last().is_none_or(|last| *last >= than) {
        assert!(all.len() < times, "{what}: {all:?}");
        all.push(measured());
    }
    println!("{what}: {all:?}");
}

#[test]
fn the_program_is_there_at_once() {
    takes_less("entail --version", Duration::from_millis(50), 100, || {
        let started = Instant::now();
        assert!(entail(&["--version"]).output().unwrap().status.success());
        started.elapsed()
    });
}

/// A node of a million facts, and its coordinator, each started anew.
#[test]
fn roles_are_ready_soon_after_a_restart() {
    let mut cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let mut many = String::new();
    for n in 0..FACTS {
        writeln!(many, "<urn:n:{n}> <urn:p:{}> <urn:n:{}> .", n % 7, n * 31 % FACTS).unwrap();
    }
    cluster.load("many.nt", &many);
    takes_less("entail coordinator", Duration::from_secs(1), 15, || restart(&mut cluster.coordinator));
    takes_less("entail node with a million facts", Duration::from_secs(2), 15, || restart(&mut cluster.nodes[0]));
    let count = cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", "--output", "csv"]);
    assert_eq!(count.lines().nth(1), Some(FACTS.to_string().as_str()));
}

/// The log of each process while the other is missing.
#[test]
fn roles_that_wait_for_each_other_say_so() {
    let mut cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    cluster.coordinator.kill();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    let says = |process: &Process, path: &str, status: u16, text: &str| {
        let expected = Some((status, text.to_owned()));
        eventually(&format!("{path} of {} says {text}", process.name), || process.http(path) == expected);
    };
    says(&cluster.nodes[0], "/readyz", 503, "node-0: not registered with the coordinator\n");
    says(&cluster.nodes[0], "/healthz", 200, "ok\n");
    cluster.nodes[0].kill();
    cluster.coordinator.start();
    says(&cluster.coordinator, "/readyz", 503, "coordinator: waiting for nodes (0 of 1 have registered)\n");
    says(&cluster.coordinator, "/healthz", 200, "ok\n");
    cluster.nodes[0].start();
    says(&cluster.nodes[0], "/readyz", 200, "ready\n");
    says(&cluster.coordinator, "/readyz", 200, "ready\n");
}

/// The time of a role from its start until it is ready; for the coordinator this includes the registration of its
/// nodes.
fn restart(role: &mut Process) -> Duration {
    role.signal("TERM");
    assert_eq!(role.ended().code(), Some(0), "{}", role.log());
    let started = Instant::now();
    role.start();
    while role.http("/readyz").is_none_or(|(status, _)| status != 200) {
        assert!(started.elapsed() < PATIENCE, "{} is not ready: {}", role.name, role.log());
        sleep(Duration::from_millis(2));
    }
    started.elapsed()
}
