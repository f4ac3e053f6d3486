//! `entail status --watch`: on and on, until somebody ends it.

use crate::harness::{Cluster, Shape};
use std::time::Duration;

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
