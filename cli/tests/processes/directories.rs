//! A data directory belongs to one process, one role and one cluster; every other process is refused and changes
//! nothing.

use crate::graph::{document, facts, lines};
use crate::harness::{Cluster, Process, Random, Running, entail, eventually, free_address, text};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

/// Starts a role that must refuse to run; returns its output.
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

fn serve_on(data: &Path, arguments: &[&str]) -> String {
    let (listen, peers) = (free_address(), free_address());
    let base = ["serve", "--data", text(data), "--listen", &listen, "--peer-listen", &peers];
    refused(&[&base, arguments].concat())
}

/// `entail serve` on a directory.
struct Serve {
    process: Process,
    server: String,
}

impl Serve {
    fn new(place: &Path, data: &Path, arguments: &[&str]) -> Self {
        let (listen, peers, http) = (free_address(), free_address(), free_address());
        let base =
            ["serve", "--data", text(data), "--listen", &listen, "--peer-listen", &peers, "--http-listen", &http];
        let process = Process::new("serve", place, &[], &[&base, arguments].concat());
        Self { process, server: format!("http://{listen}") }
    }

    fn start(&mut self) {
        self.process.start();
        eventually("it is ready", || self.process.http("/readyz").is_some_and(|(status, _)| status == 200));
    }

    fn stop(&mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.ended().code(), Some(0), "{}", self.process.log());
    }

    /// The numbers of nodes and shards.
    fn shape(&self) -> (usize, u64) {
        let update = entail(&["update", "INSERT DATA { <urn:a> <urn:p> <urn:b> }", "--server", &self.server]);
        assert_eq!(Running::new(update, Stdio::null()).done().code, Some(0));
        let status = entail(&["status", "--shards", "--output", "json", "--server", &self.server]);
        let status: serde_json::Value = serde_json::from_str(&Running::new(status, Stdio::null()).done().out).unwrap();
        (status["nodes"].as_array().unwrap().len(), status["shards"].as_array().unwrap().len() as u64)
    }
}

/// The files of a directory, without the database and the inventory of its files: it starts new ones whenever it is
/// opened, so its contents are compared as facts.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("INVENTORY") {
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

/// A node with an older copy of its directory (from a backup, for example) lacks facts that it has sealed since: it
/// reports that and ends, and no query is answered without its shards. With the newest copy all facts are available
/// again.
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
    let said = serve_on(&data, &[]);
    let expected = "belongs to a coordinator, not to `entail serve` (WRONG_CLUSTER)";
    assert_eq!(said, format!("error: {} {expected}", data.display()));
    cluster.processes().for_each(Process::start);
    cluster.ready();
    assert_eq!(cluster.dump("asserted").len(), 1);
}

#[test]
fn a_directory_with_other_files_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("notes.txt");
    fs::write(&file, "mine").unwrap();
    let expected = |data: &Path| {
        format!(
            "error: {} is not empty and is not a data directory of Entail: it holds notes.txt (INVALID_REQUEST)",
            data.display()
        )
    };
    assert_eq!(coordinator_on(place.path()), expected(place.path()));
    assert_eq!(node_on(place.path(), "127.0.0.1:1"), expected(place.path()));
    assert_eq!(serve_on(place.path(), &[]), expected(place.path()));
    assert_eq!(content(place.path()).len(), 1, "nothing was written there");
    let of_a_file =
        format!("error: data directory {}: Not a directory (os error 20) (INVALID_REQUEST)", file.display());
    assert_eq!(coordinator_on(&file), of_a_file);
    assert_eq!(node_on(&file, "127.0.0.1:1"), of_a_file);
    assert_eq!(serve_on(&file, &[]), of_a_file);
}

/// The number of nodes and shards of a cluster is fixed: another number is refused with the right one, and none is
/// needed.
#[test]
fn a_directory_remembers_what_it_was_created_with() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("graph");
    let mut serve = Serve::new(place.path(), &data, &["--nodes", "2", "--shards", "4"]);
    serve.start();
    assert_eq!(serve.shape(), (2, 4));
    let in_use = format!("error: {} is in use by another process (DIRECTORY_IN_USE)", data.display());
    assert_eq!(serve_on(&data, &[]), in_use);
    let log = serve.process.log();
    assert!(log.contains(&format!("stop with Ctrl-C or `kill {}`", serve.process.pid())), "{log}");
    assert!(log.contains(text(&data)), "{log}");
    serve.stop();
    let before = content(&data);
    for nodes in ["1", "3"] {
        let why = format!("{} was created with 2 nodes, not {nodes}: use --nodes 2, or leave it out", data.display());
        assert_eq!(serve_on(&data, &["--nodes", nodes]), format!("error: {why} (INVALID_REQUEST)"));
    }
    let coordinator = data.join("coordinator");
    let why = format!("{} was created with 4 shards, not 64: use --shards 4, or leave it out", coordinator.display());
    assert_eq!(serve_on(&data, &["--shards", "64"]), format!("error: {why} (INVALID_REQUEST)"));
    assert_eq!(content(&data), before);
    let mut again = Serve::new(place.path(), &data, &[]);
    again.start();
    assert_eq!(again.shape(), (2, 4));
    again.stop();
}

/// A failed start leaves nothing behind that could affect the next one.
#[test]
fn a_start_without_its_port_leaves_no_directory() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let data = place.path().join("data");
    let data_text = text(&data);
    for flag in ["--listen", "--peer-listen", "--http-listen"] {
        let (one, other) = (free_address(), free_address());
        for role in ["serve", "coordinator"] {
            let mut line = vec![role, "--data", data_text, flag, &taken];
            let free = ["--listen", "--peer-listen"].into_iter().filter(|free| *free != flag);
            free.zip([&one, &other]).for_each(|(free, address)| line.extend([free, address.as_str()]));
            assert!(refused(&line).contains(&format!("cannot listen on {taken}: ")), "{line:?}");
            assert!(!data.exists(), "{line:?}");
        }
    }
    let one = free_address();
    for twice in [["--listen", "--peer-listen"], ["--http-listen", "--listen"]] {
        let mut line = vec!["serve", "--data", data_text];
        twice.iter().for_each(|flag| line.extend([*flag, one.as_str()]));
        assert!(refused(&line).contains(&one), "{line:?}");
        assert!(!data.exists(), "{line:?}");
    }
    let node = ["node", "--data", data_text, "--coordinator", "127.0.0.1:1", "--peer-listen", &taken];
    assert!(refused(&node).contains(&format!("cannot listen on {taken}: ")));
    assert!(!data.exists());
}

/// Two nodes with the same configured name, and nodes without one.
#[test]
fn names_of_nodes_are_unique_and_remembered() {
    let mut cluster = Cluster::start(1);
    let mut second = cluster.node("node-0", &cluster.data("second"), &[]);
    second.start();
    assert_eq!(second.ended().code(), Some(1), "{}", second.log());
    let log = second.log();
    let said = log.lines().last().unwrap_or_default();
    assert!(
        said.starts_with("error: the name node-0 belongs to node ") && said.ends_with("(ALREADY_EXISTS)"),
        "{said}"
    );
    // The node itself may return, on another port.
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.ready();
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut nameless = cluster.nameless_node(&cluster.data("nameless"));
        nameless.start();
        eventually("the node is ready", || nameless.http("/readyz").is_some_and(|(status, _)| status == 200));
        let (_, page) = nameless.http("/metrics").unwrap();
        let line = page.lines().find(|line| line.starts_with("entail_ready")).unwrap().to_owned();
        let status = cluster.must(&["status"]);
        let name = line.split('"').nth(1).unwrap().to_owned();
        assert!(name.starts_with("node-") && status.contains(&name), "{line}\n{status}");
        names.push(name);
        nameless.signal("TERM");
        assert_eq!(nameless.ended().code(), Some(0));
    }
    assert_eq!(names[0], names[1], "its directory remembers it");
}
