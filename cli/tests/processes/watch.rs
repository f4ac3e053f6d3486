//! `entail status --watch` runs until it is stopped.

use crate::harness::{Cluster, Shape, eventually};

/// The text after each time of day.
fn pictures(out: &str) -> impl Iterator<Item = &str> {
    out.split(" UTC\n").skip(1)
}

/// Does a status show queries with one row each, and no new facts?
fn has_rates(picture: &str) -> bool {
    let is_of =
        |line: &str, rate: u32| line.starts_with(&format!("rates   {rate} queries/s, {rate} rows/s, 0 asserted/s"));
    picture.lines().any(|line| (1..100).any(|rate| is_of(line, rate)))
}

#[test]
fn the_status_is_shown_again_and_again() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    cluster.load("one.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let watch = cluster.begin(&["status", "--watch"]);
    eventually("a first picture", || watch.out().contains("rates   - queries/s"));
    let mut queries = 0;
    eventually("a picture with queries", || {
        cluster.must(&["query", "SELECT * { ?s ?p ?o }"]);
        queries += 1;
        pictures(&watch.out()).any(has_rates)
    });
    watch.signal("INT");
    let done = watch.done();
    assert_eq!((done.code, &*done.err), (Some(0), ""), "Ctrl-C is how one ends it");
    let first = pictures(&done.out).next().unwrap();
    assert!(first.contains("rates   - queries/s"), "there is no rate yet:\n{}", done.out);
    assert!(!done.out.contains('\u{1b}'), "nothing for terminals goes to files");
    let lines = cluster.must(&["status", "--watch", "--output", "json", "--timeout", "4s"]);
    let objects: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.len() >= 2 && objects.iter().all(|object| object["queries_since_start"] == queries), "{lines}");
}

#[test]
fn a_watch_outlives_the_cluster() {
    let mut cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let watch = cluster.begin(&["status", "--watch"]);
    eventually("a picture", || watch.out().contains("is serving"));
    cluster.coordinator.kill();
    eventually("a word about the end", || watch.out().contains("the cluster does not answer"));
    watch.signal("TERM");
    let done = watch.done();
    assert_eq!(done.code, Some(0), "{}", done.err);
}
