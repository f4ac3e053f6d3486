//! Full disks: small file systems in memory, each in its own mount namespace.
//!
//! Writes that do not fit are refused, no data is lost, and work continues when space is available again. Where the
//! system does not allow such namespaces, the tests print a note and pass.

use crate::graph::{State, document, facts, lines};
use crate::harness::{Cluster, Process, Random, Shape, eventually, text};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A file system that only processes started within it can see.
struct Disk {
    holder: Child,
    mounted: PathBuf,
}

impl Disk {
    /// Mounts a disk at an empty directory; `None` if the system does not allow it.
    fn new(mounted: &Path, size: &str) -> Option<Self> {
        fs::create_dir(mounted).unwrap();
        let is_ready = mounted.with_extension("ready");
        let line = format!(
            "mount -t tmpfs -o size={size} tmpfs {0} && touch {1} && exec sleep 1000",
            mounted.display(),
            is_ready.display()
        );
        let mut command = Command::new("unshare");
        let holder = command.args(["-rm", "sh", "-c", &line]).stderr(Stdio::null()).spawn().ok();
        let mut disk = Self { holder: holder?, mounted: mounted.to_owned() };
        let mut is_refused = false;
        eventually("the disk is mounted", || {
            is_refused = disk.holder.try_wait().unwrap().is_some();
            is_refused || is_ready.exists()
        });
        (!is_refused).then_some(disk)
    }

    /// The command prefix that starts a program in the disk's namespace.
    fn wrapper(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "-t", &pid, "-U", "-m", "--preserve-credentials", "--"].map(str::to_owned).to_vec()
    }

    /// Runs a shell command in the disk's namespace.
    fn run(&self, line: &str) -> bool {
        let wrapper = self.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).args(["sh", "-c", line]).stderr(Stdio::null()).status().unwrap().success()
    }

    fn resize(&self, size: &str) {
        assert!(self.run(&format!("mount -o remount,size={size} {}", self.mounted.display())), "resized");
    }

    /// Fills all free space.
    fn fill(&self) {
        let filled = self.mounted.join("filler");
        self.run(&format!("dd if=/dev/zero of={} bs=4096", filled.display()));
        assert!(!self.run(&format!("echo more >> {}", filled.display())), "the disk is full");
    }

    fn make_room(&self) {
        assert!(self.run(&format!("rm {}", self.mounted.join("filler").display())));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn skip() {
    eprintln!("skipped: this system does not let unprivileged programs mount a file system of their own");
}

/// Text that does not compress and has many terms.
fn large(count: u64) -> String {
    let random = Random::new(77);
    let mut text = String::new();
    for n in 0..count {
        write!(text, "<urn:large:{n}> <urn:text> \"").unwrap();
        // Every printable character that needs no escape in a string.
        text.extend((0..160).map(|_| char::from(b'#' + random.below(57) as u8)));
        writeln!(text, "\" .").unwrap();
    }
    text
}

#[test]
fn a_node_without_room_refuses_a_load_and_goes_on_when_there_is_some() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("node-0");
    let Some(disk) = Disk::new(&data, "32m") else { return skip() };
    let shape = Shape { nodes: 2, shards: 4, node_wrapper: disk.wrapper(), ..Shape::default() };
    let mut cluster = Cluster::within(place, shape);
    let mut state = State { asserted: facts(&Random::new(5), 800), ..State::default() };
    cluster.load("first.nt", &document(&state.asserted));
    let file = cluster.file("large.nt", large(300_000));
    let refused = cluster.run(&["load", &file]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("DISK_FULL") && refused.err.contains(text(&data)), "{}", refused.err);
    assert!(refused.err.contains("node-0"), "the node is named: {}", refused.err);
    assert!(cluster.nodes[0].is_running(), "the node stays");
    assert_eq!(cluster.dump("all"), lines(&state.asserted));
    // Facts that fit are accepted, and survive a crash.
    let more = facts(&Random::new(6), 100);
    cluster.load("more.nt", &document(&more));
    state.asserted.extend(more);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.ready();
    assert_eq!(cluster.dump("all"), lines(&state.asserted));
    disk.resize("1g");
    cluster.must(&["load", &file]);
    let count = cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?s <urn:text> ?t }", "--output", "csv"]);
    assert_eq!(count.lines().nth(1), Some("300000"));
}

/// Another program fills the disk of a node: the node may end, but reports the reason, and has all facts afterwards.
#[test]
fn a_node_whose_disk_others_have_filled_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("node-0");
    let Some(disk) = Disk::new(&data, "64m") else { return skip() };
    let shape = Shape { nodes: 2, shards: 4, node_wrapper: disk.wrapper(), ..Shape::default() };
    let mut cluster = Cluster::within(place, shape);
    let mut state = State { asserted: facts(&Random::new(9), 800), ..State::default() };
    cluster.load("first.nt", &document(&state.asserted));
    disk.fill();
    let more = facts(&Random::new(10), 400);
    let file = cluster.file("more.nt", document(&more).replace("urn:n:", "urn:m:"));
    let refused = cluster.run(&["load", &file]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("DISK_FULL") && refused.err.contains("node-0"), "{}", refused.err);
    assert!(cluster.nodes[0].is_running(), "{}", cluster.nodes[0].log());
    assert_eq!(cluster.dump("all"), lines(&state.asserted));
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    let is_ready = |node: &Process| node.http("/readyz").is_some_and(|(status, _)| status == 200);
    eventually("the node has started or ended", || !cluster.nodes[0].is_running() || is_ready(&cluster.nodes[0]));
    if !cluster.nodes[0].is_running() {
        assert_eq!(cluster.nodes[0].ended().code(), Some(1));
        assert!(cluster.nodes[0].log().contains("DISK_FULL"), "{}", cluster.nodes[0].log());
        disk.make_room();
        cluster.nodes[0].start();
    } else {
        disk.make_room();
    }
    cluster.ready();
    assert_eq!(cluster.dump("all"), lines(&state.asserted));
    cluster.load("more.nt", &document(&more));
    state.asserted.extend(more);
    assert_eq!(cluster.dump("all"), lines(&state.asserted));
}

#[test]
fn a_coordinator_without_room_refuses_changes_and_goes_on_when_there_is_some() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("coordinator");
    let Some(disk) = Disk::new(&data, "2m") else { return skip() };
    let shape = Shape { nodes: 2, shards: 4, coordinator_wrapper: disk.wrapper(), ..Shape::default() };
    let mut cluster = Cluster::within(place, shape);
    let mut state = State { asserted: facts(&Random::new(7), 300), ..State::default() };
    cluster.load("first.nt", &document(&state.asserted));
    disk.fill();
    let more = facts(&Random::new(8), 100);
    let file = cluster.file("more.nt", document(&more));
    // The file system allocates whole pages: a few small log entries may still fit into the last one.
    eventually("a change is refused", || {
        let line = format!("INSERT DATA {{ <urn:filler> <urn:p> {} }}", state.asserted.len());
        let done = cluster.run(&["update", &line]);
        if done.code == Some(0) {
            return false;
        }
        assert_eq!(done.code, Some(1), "{}", done.err);
        assert!(
            done.err.contains("no free disk space for the metadata log") && done.err.contains("DISK_FULL"),
            "{}",
            done.err
        );
        true
    });
    let held = cluster.dump("all");
    assert_eq!(held.iter().filter(|line| !line.contains("urn:filler")).count(), state.asserted.len());
    let refused = cluster.run(&["load", &file]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("DISK_FULL"), "{}", refused.err);
    assert_eq!(cluster.dump("all"), held, "questions are answered as before");
    assert!(cluster.coordinator.is_running(), "the coordinator stays");
    // Also after a crash: the nodes wait until the coordinator can register them again.
    cluster.coordinator.kill();
    cluster.coordinator.start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(cluster.processes().all(|process| process.is_running()), "everybody waits for room");
    disk.make_room();
    cluster.ready();
    assert_eq!(cluster.dump("all"), held);
    cluster.must(&["load", &file]);
    state.asserted.extend(more);
    let expected = held.union(&lines(&state.asserted)).cloned().collect();
    assert_eq!(cluster.dump("all"), expected);
}
