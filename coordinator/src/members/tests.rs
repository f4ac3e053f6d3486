//! Answers to registrations and heartbeats; a heartbeat is answered while the log's disk is busy.

use super::health::ClusterHealth;
use super::*;
use crate::metalog::{Cluster, Counts, EpochKind, FileLog, MetaLog, RequestId, Seal};
use entail_model::term::HashKey;
use entail_model::{ClusterId, ShardCount};
use std::sync::Arc;
use tempfile::TempDir;

/// A cluster without registered nodes.
fn members(directory: &TempDir) -> Members {
    let mut log = FileLog::open(directory.path()).expect("an empty directory");
    let shards = ShardCount::new(1).expect("a power of two");
    let cluster = Cluster { cluster: ClusterId(9), shards, hash_key: [1; 16] };
    log.append(&Entry::CreateCluster(cluster)).expect("a new log");
    Members::new(Log::new(log), 1, Nodes::default(), Secrets::new(HashKey([3; 16]), 70))
}

async fn register(members: &Members) -> u64 {
    let request = RegisterRequest { cluster: 9, node: 1, ..RegisterRequest::default() };
    members.register_node(request).await.expect("the node is of this cluster").incarnation
}

/// An attempt that began and was aborted.
async fn aborted(members: &Members) -> u64 {
    let request = RequestId("one".to_owned());
    let begin = Entry::BeginEpoch { previous: Epoch(0), kind: EpochKind::Facts, request, rules: 0 };
    let attempt = members.log.append(begin).await.expect("none is open");
    let abort = Entry::AbortEpoch { attempt: Attempt(attempt), reason: "on purpose".to_owned() };
    members.log.append(abort).await.expect("it is open");
    attempt
}

fn heartbeat(incarnation: u64, undecided: &[u64]) -> HeartbeatRequest {
    HeartbeatRequest { cluster: 9, node: 1, incarnation, undecided: undecided.to_vec(), ..HeartbeatRequest::default() }
}

#[tokio::test]
async fn a_heartbeat_is_answered_with_the_outcome_that_the_node_missed() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let incarnation = register(&members).await;
    members.ensure_placement().await.expect("one node is enough");
    let attempt = aborted(&members).await;
    let response = members.hear(heartbeat(incarnation, &[attempt]));
    assert!(!response.register_again, "it would end the attempt that is at work");
    assert_eq!(response.decisions, [Decision { attempt, epoch: 0 }]);
    assert_eq!(members.hear(heartbeat(incarnation, &[])).decisions, []);
    assert!(members.hear(heartbeat(incarnation + 1, &[attempt])).register_again);
}

#[tokio::test]
async fn a_node_with_another_past_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let incarnation = register(&members).await;
    assert!(members.hear(heartbeat(incarnation, &[1_000])).register_again);
    let request = RegisterRequest { cluster: 9, node: 1, undecided: vec![1_000], ..RegisterRequest::default() };
    let refused = members.register_node(request).await.map(|response| response.incarnation);
    assert_eq!(refused.map_err(|fault| fault.reason), Err(Reason::Corrupt));
    assert_eq!(members.incarnation(NodeId(1)).0, incarnation, "what is refused leaves no trace");
}

#[tokio::test]
async fn a_node_with_other_facts_than_it_sealed_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let incarnation = Incarnation(register(&members).await);
    members.ensure_placement().await.expect("one node is enough");
    let request = RequestId("one".to_owned());
    let begin = Entry::BeginEpoch { previous: Epoch(0), kind: EpochKind::Facts, request, rules: 0 };
    let attempt = Attempt(members.log.append(begin).await.expect("none is open"));
    let counts = Counts { asserted: 5, derived: 2 };
    let nodes = vec![Seal { node: NodeId(1), incarnation, digest: 7, counts }];
    let commit = Entry::CommitEpoch { attempt, epoch: Epoch(1), nodes, result: Vec::new(), rules: None };
    members.log.append(commit).await.expect("it is open");
    let has = |epoch, facts: Option<(u64, u64)>| {
        let (asserted, derived) = facts.unzip();
        members.check_node(&RegisterRequest { cluster: 9, node: 1, epoch, asserted, derived, ..Default::default() })
    };
    assert_eq!(has(1, Some((4, 2))).expect_err("a fact is gone").reason, Reason::Corrupt);
    assert_eq!(has(1, Some((5, 3))).expect_err("there is one more").reason, Reason::Corrupt);
    assert_eq!((has(1, Some((5, 2))), has(1, None)), (Ok(()), Ok(())));
    let says = |epoch, digest| {
        let counts = (Some(5), Some(2));
        let request = RegisterRequest { asserted: counts.0, derived: counts.1, digest, ..Default::default() };
        members.check_facts(&RegisterRequest { cluster: 9, node: 1, epoch, ..request })
    };
    let other = says(1, Some(8)).expect_err("as many, and others");
    assert!(other.reason == Reason::Corrupt && other.message.contains("0000000000000008 at epoch 1"), "{other}");
    assert_eq!((says(1, Some(7)), says(1, None), says(0, Some(8))), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn nobody_waits_for_the_disk_to_read_the_log() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = Arc::new(members(&directory));
    let incarnation = register(&members).await;
    let _written = members.log.0.file.lock().expect("nobody has panicked");
    let (sender, answer) = std::sync::mpsc::channel();
    let other = Arc::clone(&members);
    std::thread::spawn(move || {
        let response = other.hear(heartbeat(incarnation, &[]));
        _ = sender.send((response.register_again, other.not_ready().is_none(), other.log.is_poisoned()));
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok((false, true, false)));
}

/// A node that leaves is unavailable at once, and its leave completes when the work that began before has ended.
#[tokio::test]
async fn a_node_that_leaves_waits_for_those_who_use_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let registered =
        members.register_node(RegisterRequest { node: 1, ..Default::default() }).await.expect("a new node");
    assert!(members.is_up(NodeId(1)));
    let begun = members.in_flight.begin();
    let request = LeaveRequest { cluster: 9, node: 1, incarnation: registered.incarnation, secret: 0 };
    let leave = members.leave(request);
    tokio::pin!(leave);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut leave).await.is_err(), "it is still used");
    assert_eq!(members.state(NodeId(1)), NodeState::Leaving);
    assert_eq!(members.absence(NodeId(1)), Some("is shutting down"));
    assert!(!members.is_lost(NodeId(1)), "what runs goes on");
    let beat = HeartbeatRequest { node: 1, incarnation: registered.incarnation, ..Default::default() };
    assert!(!members.hear(beat).register_again);
    assert_eq!(members.state(NodeId(1)), NodeState::Leaving, "a heartbeat does not bring it back");
    drop(begun);
    leave.await.expect("nobody uses it");
    members.register_node(RegisterRequest { node: 1, ..Default::default() }).await.expect("the node again");
    assert!(members.is_up(NodeId(1)));
    assert_eq!(members.leave(request).await.expect_err("an earlier life").reason, Reason::Fenced);
}

/// The coordinator that a node announces its leave to may have just started.
#[tokio::test]
async fn a_node_that_leaves_is_not_taken_for_one_that_stays() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let incarnation = register(&members).await;
    let restarted = Members { live: Mutex::default(), ..members };
    let request = LeaveRequest { cluster: 9, node: 1, incarnation, secret: 0 };
    assert_eq!(restarted.leave(request).await.expect_err("it knows nobody yet").reason, Reason::NotReady);
    let request = RegisterRequest { cluster: 9, node: 1, leaving: true, ..RegisterRequest::default() };
    let incarnation = restarted.register_node(request).await.expect("the node is of this cluster").incarnation;
    assert_eq!(restarted.state(NodeId(1)), NodeState::Leaving);
    restarted.leave(LeaveRequest { cluster: 9, node: 1, incarnation, secret: 0 }).await.expect("nobody uses it");

    // The node had not announced its leave when it sent the registration.
    let incarnation = register(&restarted).await;
    assert_eq!(restarted.state(NodeId(1)), NodeState::Up);
    restarted.hear(HeartbeatRequest { leaving: true, ..heartbeat(incarnation, &[]) });
    restarted.hear(heartbeat(incarnation, &[]));
    assert_eq!(restarted.state(NodeId(1)), NodeState::Leaving, "it does not come back");
}

#[tokio::test]
async fn a_node_whose_place_another_has_taken_is_not_counted() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    for node in [1, 2] {
        let request = RegisterRequest { cluster: 9, node, address: "a:7411".to_owned(), ..RegisterRequest::default() };
        members.register_node(request).await.expect("the node is of this cluster");
    }
    assert_eq!(members.listed().into_keys().collect::<Vec<_>>(), [NodeId(2)]);
    assert_eq!(members.health(), ClusterHealth { nodes: [1, 0, 0, 0], available: 0, missing: 0 });
    members.lock().clear();
    assert_eq!(members.health(), ClusterHealth { nodes: [0, 0, 0, 1], available: 0, missing: 0 });
}

/// A request of a node with a name, at an address.
fn named(node: u64, name: &str, address: &str) -> RegisterRequest {
    RegisterRequest { cluster: 9, node, name: name.to_owned(), address: address.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn two_nodes_do_not_have_one_name() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let register = async |node, name, address| members.register_node(named(node, name, address)).await.map(|_| ());
    register(1, "a", "host-1:1").await.expect("the first");
    let refused = register(2, "a", "host-2:1").await.expect_err("the name is taken");
    assert_eq!(refused.reason, Reason::AlreadyExists);
    let expected = "the name a belongs to node 0000000000000001 at host-1:1, which is running: use another --name";
    assert_eq!(refused.message, expected);
    assert_eq!(members.incarnation(NodeId(2)).0, 0, "what is refused leaves no trace");
    register(2, "b", "host-2:1").await.expect("a name of its own");
    register(1, "a", "host-3:1").await.expect("the same node at another address");
    register(2, "a", "host-2:1").await.expect_err("a node that takes another's name");
    register(2, "c", "host-2:1").await.expect("a node that gets another name");
    register(3, "b", "host-4:1").await.expect("nobody has this name any more");
}

#[tokio::test]
async fn a_name_is_free_when_its_node_is_gone_and_holds_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    members.register_node(named(1, "a", "host-1:1")).await.expect("the first");
    let silent = || members.lock().get_mut(&NodeId(1)).expect("known").has_left = true;
    silent();
    members.register_node(named(2, "a", "host-2:1")).await.expect("the first has ended");
    members.register_node(named(1, "a", "host-1:1")).await.expect_err("its name is another's now");
    members.register_node(named(1, "b", "host-1:1")).await.expect("under another name");

    members.lock().get_mut(&NodeId(2)).expect("known").has_left = true;
    members.ensure_placement().await.expect("one node is enough");
    silent();
    let refused = members.register_node(named(3, "b", "host-3:1")).await.expect_err("its shards are known by the name");
    assert_eq!(refused.reason, Reason::AlreadyExists);
    assert!(refused.message.contains("which holds shards"), "{refused}");
    members.register_node(named(3, "b", "host-1:1")).await.expect("a new directory at the same place");
}

/// A coordinator that has just started does not know which nodes are alive.
#[tokio::test]
async fn a_name_is_kept_for_its_node_while_the_coordinator_starts() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    members.register_node(named(1, "a", "host-1:1")).await.expect("the first");
    let restarted = Members { live: Mutex::default(), started: Instant::now(), ..members };
    let waits = restarted.register_node(named(2, "a", "host-2:1")).await.expect_err("node 1 may be alive");
    assert_eq!(waits.reason, Reason::NotReady);
    let later = Instant::now().checked_sub(LOST_AFTER).expect("the machine has run for so long");
    let restarted = Members { started: later, ..restarted };
    restarted.register_node(named(2, "a", "host-2:1")).await.expect("node 1 has not come back");
}

/// A node that proves with its secret that it is itself.
fn proving(last_secret: u64) -> RegisterRequest {
    RegisterRequest { cluster: 9, node: 1, has_secret: true, last_secret, ..RegisterRequest::default() }
}

#[tokio::test]
async fn only_a_node_itself_speaks_for_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let registered = members.register_node(proving(0)).await.expect("a new node");
    let (incarnation, secret) = (registered.incarnation, registered.secret);
    assert_eq!(registered.first_query, 70);

    let stray = HeartbeatRequest { leaving: true, ..heartbeat(incarnation, &[]) };
    assert!(members.hear(stray).register_again, "the incarnation can be guessed");
    let stray = LeaveRequest { cluster: 9, node: 1, incarnation, secret: secret + 1 };
    assert_eq!(members.leave(stray).await.expect_err("a guess").reason, Reason::Fenced);
    for stray in [proving(0), proving(secret + 1), RegisterRequest { has_secret: false, ..proving(0) }] {
        assert_eq!(members.register_node(stray).await.expect_err("the node is alive").reason, Reason::NotReady);
    }
    assert_eq!((members.state(NodeId(1)), members.incarnation(NodeId(1)).0), (NodeState::Up, incarnation));
    assert!(!members.hear(HeartbeatRequest { secret, ..heartbeat(incarnation, &[]) }).register_again);

    // Its process was killed, and starts again.
    let again = members.register_node(proving(secret)).await.expect("the same node");
    assert_eq!(members.register_node(proving(secret)).await.expect_err("of an earlier life").reason, Reason::NotReady);
    // Another disk with the same id, after the node has gone.
    members.lock().get_mut(&NodeId(1)).expect("known").last_seen -= SUSPECT_AFTER;
    members.register_node(proving(0)).await.expect("nobody is there");
    let gone = HeartbeatRequest { secret: again.secret, ..heartbeat(again.incarnation, &[]) };
    assert!(members.hear(gone).register_again);
}

#[tokio::test]
async fn a_node_is_told_which_attempt_has_begun() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let registered = members.register_node(proving(0)).await.expect("a new node");
    members.ensure_placement().await.expect("one node is enough");
    let (incarnation, secret) = (registered.incarnation, registered.secret);
    let ask = |decided| OpenAttemptRequest { cluster: 9, node: 1, incarnation, secret, decided };
    let told = members.open_attempt(ask(0)).expect("it is registered");
    assert_eq!((told.attempt, told.decision), (0, None));
    let aborted = aborted(&members).await;
    let request = RequestId("two".to_owned());
    let begin = Entry::BeginEpoch { previous: Epoch(0), kind: EpochKind::Facts, request, rules: 0 };
    let attempt = members.log.append(begin).await.expect("none is open");
    let told = members.open_attempt(ask(aborted)).expect("it is registered");
    assert_eq!((told.attempt, told.decision), (attempt, Some(Decision { attempt: aborted, epoch: 0 })));
    assert_eq!(told.secret, members.secrets.of_attempt(Attempt(attempt)).0);
    for undecided in [attempt, attempt + 1, 1 << 63] {
        assert_eq!(members.open_attempt(ask(undecided)).expect("it is registered").decision, None);
    }
    let stranger = OpenAttemptRequest { secret: secret + 1, ..ask(0) };
    assert_eq!(members.open_attempt(stranger).expect_err("a guess").reason, Reason::NotReady);
}
