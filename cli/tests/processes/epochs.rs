//! Epochs and limits on the command line: 0 is an ordinary value, and epochs that are gone are reported.

use crate::harness::{Cluster, Shape};

const COUNT: &str = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }";

/// The number of facts at an epoch; the latest without one.
fn count(cluster: &Cluster, epoch: Option<&str>) -> String {
    let at = epoch.map_or(Vec::new(), |epoch| vec!["--epoch", epoch]);
    let out = cluster.must(&[&["query", COUNT, "--output", "csv"][..], &at].concat());
    out.lines().nth(1).unwrap().to_owned()
}

fn check(nodes: usize) {
    let mut cluster = Cluster::of(Shape { nodes, ..Shape::default() });
    for n in 1..=3 {
        cluster.must(&["update", &format!("INSERT DATA {{ <urn:a> <urn:p> <urn:{n}> }}")]);
    }
    let counts = [None, Some("0"), Some("1"), Some("2"), Some("3")].map(|epoch| count(&cluster, epoch));
    assert_eq!(counts, ["3", "0", "1", "2", "3"]);
    assert_eq!(cluster.must(&["dump", "--epoch", "0"]), "");
    assert_eq!(cluster.must(&["dump", "--epoch", "1"]), "<urn:a> <urn:p> <urn:1> .\n");
    assert_eq!(cluster.must(&["dump"]).lines().count(), 3);
    count(&cluster, Some("3"));
    cluster.must(&["query", "ASK {}", "--at-least-epoch", "0"]);
    // A limit of zero rows is a limit.
    let all = ["query", "SELECT * { ?s ?p ?o }", "--rows-max"];
    let refused = cluster.run(&[&all[..], &["0"]].concat());
    assert!(refused.code == Some(1) && refused.err.contains("LIMIT_EXCEEDED"), "{refused:?}");
    cluster.must(&["query", "SELECT * { ?s ?p <urn:none> }", "--rows-max", "0"]);
    cluster.must(&[&all[..], &["3"]].concat());
    // A node that has restarted has only the latest epoch.
    cluster.nodes.iter_mut().for_each(|node| node.kill());
    cluster.nodes.iter_mut().for_each(|node| node.start());
    cluster.ready();
    for command in [&["query", COUNT][..], &["dump"]] {
        let gone = cluster.run(&[command, &["--epoch", "1", "--timeout", "20s"]].concat());
        assert_eq!(gone.code, Some(1), "it does not come back, so it is not sent again: {}", gone.err);
        assert!(gone.err.contains("epoch 1 is not kept: this node has epoch 3 only"), "{}", gone.err);
        assert!(gone.err.contains("NOT_FOUND") && gone.err.contains("read the latest"), "{}", gone.err);
    }
    assert_eq!((count(&cluster, Some("3")), count(&cluster, Some("0"))), ("3".to_owned(), "0".to_owned()));
}

#[test]
fn an_epoch_is_the_one_that_was_asked_for() {
    check(1);
    check(2);
}
