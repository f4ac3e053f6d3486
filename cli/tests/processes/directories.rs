//! Data directories have one process, one role and one cluster; whoever else wants them is refused and does no harm.

use crate::graph::{document, facts, lines};
use crate::harness::{Cluster, Process, Random, Running, entail, free_address, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Starts a role that must refuse to run; gives what it says.
fn refused(arguments: &[&str]) -> String {
    let done = Running::new(entail(arguments), Stdio::null()).done();
    assert_eq!(done.code, Some(1), "{arguments:?}: {}", done.err);
    done.err.lines().last().unwrap_or_default().to_owned()
}

fn coordinator_on(data: &Path) -> String {
    let (listen, peers) = (free_address(), free_address());
    refused(&["coordinator", "--data", text(data), "--listen", &listen, "--peer-listen", &peers])
}

fn node_on(data: &Path, coordinator: &str) -> String {
    refused(&["node", "--data", text(data), "--coordinator", coordinator, "--peer-listen", "127.0.0.1:0"])
}

/// What a directory says of itself. The database below it starts new logs whenever it is opened; its content is compared
/// as facts.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.insert(text(&path).to_owned(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn a_directory_in_use_is_refused() {
    let mut cluster = Cluster::start(2);
    let loaded = facts(&Random::new(1), 300);
    cluster.load("first.nt", &document(&loaded));
    let (data, node_data) = (cluster.data("coordinator"), cluster.data("node-0"));
    let said = coordinator_on(&data);
    assert_eq!(said, format!("error: {} is in use by another process (DIRECTORY_IN_USE)", data.display()));
    let said = node_on(&node_data, "127.0.0.1:1");
    assert_eq!(said, format!("error: {} is in use by another process (DIRECTORY_IN_USE)", node_data.display()));
    assert!(cluster.processes().all(Process::is_running), "whoever was there first stays");
    assert_eq!(cluster.dump("asserted"), lines(&loaded));
    cluster.load("more.nt", "<urn:a> <urn:p> <urn:b> .\n");
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let mut cluster = Cluster::start(2);
    let other = Cluster::start(1);
    let loaded = facts(&Random::new(2), 300);
    cluster.load("first.nt", &document(&loaded));
    cluster.nodes[0].kill();
    let data = cluster.data("node-0");
    let before = content(&data);
    let mut stray = other.node("stray", &data, &[]);
    stray.start();
    assert_eq!(stray.ended().code(), Some(1), "{}", stray.log());
    let log = stray.log();
    let said = log.lines().last().unwrap_or_default();
    assert!(said.starts_with("error: the node's directory belongs to cluster "), "{said}");
    assert!(said.ends_with("(WRONG_CLUSTER)"), "{said}");
    assert_eq!(content(&data), before);
    other.load("other.nt", "<urn:a> <urn:p> <urn:b> .\n");
    assert_eq!(other.dump("asserted").len(), 1);
    cluster.nodes[0].start();
    cluster.ready();
    assert_eq!(cluster.dump("asserted"), lines(&loaded));
}

/// A node with an older copy of its directory (from a backup, say) lacks what it has sealed since: it says so and ends, and
/// nothing is answered without its shards. With the newest copy everything is there again.
#[test]
fn an_older_copy_is_refused() {
    let mut cluster = Cluster::start(2);
    let loaded = facts(&Random::new(3), 300);
    cluster.load("first.nt", &document(&loaded));
    let (data, copy, newest) = (cluster.data("node-0"), cluster.data("copy"), cluster.data("newest"));
    cluster.nodes[0].kill();
    copied(&data, &copy);
    cluster.nodes[0].start();
    cluster.ready();
    cluster.load("more.nt", "<urn:a> <urn:p> <urn:b> .\n<urn:b> <urn:p> <urn:c> .\n<urn:c> <urn:p> <urn:d> .\n");
    let expected = cluster.dump("asserted");
    cluster.nodes[0].kill();
    fs::rename(&data, &newest).unwrap();
    fs::rename(&copy, &data).unwrap();
    cluster.nodes[0].start();
    assert_eq!(cluster.nodes[0].ended().code(), Some(1), "{}", cluster.nodes[0].log());
    let log = cluster.nodes[0].log();
    let said = log.lines().last().unwrap_or_default();
    assert_eq!(
        said,
        "error: the node has epoch 1, but it had sealed epoch 2: its directory is an older copy; its shards need the \
         newest one (CORRUPT)"
    );
    let asked = cluster.run(&["query", "SELECT * { ?s ?p ?o }", "--timeout", "2s"]);
    assert!(asked.err.contains("SHARDS_UNAVAILABLE"), "{}", asked.err);
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&newest, &data).unwrap();
    cluster.nodes[0].start();
    cluster.ready();
    assert_eq!(cluster.dump("asserted"), expected);
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_directory_of_the_other_role_is_refused() {
    let mut cluster = Cluster::start(1);
    cluster.load("first.nt", "<urn:a> <urn:p> <urn:b> .\n");
    cluster.processes().for_each(Process::kill);
    let (data, node_data) = (cluster.data("coordinator"), cluster.data("node-0"));
    let said = coordinator_on(&node_data);
    assert_eq!(said, format!("error: {} belongs to a node, not to a coordinator (WRONG_CLUSTER)", node_data.display()));
    let said = node_on(&data, "127.0.0.1:1");
    assert_eq!(said, format!("error: {} belongs to a coordinator, not to a node (WRONG_CLUSTER)", data.display()));
    cluster.processes().for_each(Process::start);
    cluster.ready();
    assert_eq!(cluster.dump("asserted").len(), 1);
}
