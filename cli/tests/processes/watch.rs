//! `entail status --watch`, and how soon things are there.

use crate::harness::{Cluster, Shape, entail, eventually};
use std::time::{Duration, Instant};

#[test]
fn the_status_is_shown_again_and_again() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    cluster.load("one.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let watch = cluster.begin(&["status", "--watch"]);
    std::thread::sleep(Duration::from_millis(1200));
    cluster.must(&["query", "SELECT * { ?s ?p ?o }"]);
    std::thread::sleep(Duration::from_millis(1500));
    watch.signal("INT");
    let done = watch.done();
    assert_eq!((done.code, &*done.err), (Some(0), ""), "Ctrl-C is how one ends it");
    let pictures: Vec<&str> = done.out.split(" UTC\n").skip(1).collect();
    assert!(pictures.len() >= 2, "{}", done.out);
    assert!(pictures[0].contains("rates   - queries/s"), "there is no rate yet:\n{}", done.out);
    let rates =
        |picture: &str| picture.lines().any(|line| line.starts_with("rates   1 queries/s, 1 rows/s, 0 asserted/s"));
    assert!(pictures.iter().any(|picture| rates(picture)), "the query is not seen:\n{}", done.out);
    assert!(!done.out.contains('\u{1b}'), "nothing for terminals goes to files");
    let lines = cluster.must(&["status", "--watch", "--output", "json", "--timeout", "1500ms"]);
    let objects: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.len() >= 2 && objects.iter().all(|object| object["queries_total"] == 1), "{lines}");
}

#[test]
fn a_watch_outlives_the_cluster() {
    let mut cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let watch = cluster.begin(&["status", "--watch"]);
    std::thread::sleep(Duration::from_millis(500));
    cluster.coordinator.kill();
    std::thread::sleep(Duration::from_millis(2500));
    watch.signal("TERM");
    let done = watch.done();
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("is serving") && done.out.contains("the cluster does not answer"), "{}", done.out);
}

/// The least of a few times, since others use the machine as well.
fn least(times: usize, mut measured: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| measured()).min().expect("it was measured")
}

#[test]
fn the_program_is_there_at_once() {
    let version = least(5, || {
        let started = Instant::now();
        assert!(entail(&["--version"]).output().unwrap().status.success());
        started.elapsed()
    });
    println!("entail --version: {version:?}");
    assert!(version < Duration::from_millis(50), "{version:?}");
    let mut cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let coordinator = least(3, || {
        cluster.coordinator.kill();
        let started = Instant::now();
        cluster.coordinator.start();
        eventually("the coordinator answers", || {
            cluster.coordinator.http("/readyz").is_some() && cluster.run(&["rules", "list"]).code == Some(0)
        });
        started.elapsed()
    });
    println!("entail coordinator: {coordinator:?}");
    assert!(coordinator < Duration::from_secs(1), "{coordinator:?}");
}
