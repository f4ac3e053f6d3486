//! What nodes hear when they register and with their heartbeats, and that nobody waits for the log's disk to be heard.

use super::census::Census;
use super::*;
use crate::metalog::{Cluster, EpochKind, FileLog, MetaLog, RequestId};
use entail_model::{ClusterId, ShardCount};
use tempfile::TempDir;

/// A cluster of which nothing is registered yet.
fn members(directory: &TempDir) -> Members {
    let mut log = FileLog::open(directory.path()).expect("an empty directory");
    let shards = ShardCount::new(1).expect("a power of two");
    let cluster = Cluster { cluster: ClusterId(9), shards, hash_key: [1; 16] };
    log.append(&Entry::CreateCluster(cluster)).expect("a new log");
    Members::new(Log::new(log), 1, Arc::default())
}

async fn register(members: &Members) -> u64 {
    let request = RegisterRequest { cluster: 9, node: 1, ..RegisterRequest::default() };
    members.register_node(request).await.expect("the node is of this cluster").incarnation
}

/// An attempt that began and was given up.
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

/// A node that leaves is known to be away at once, and is let go when what began before is over.
#[tokio::test]
async fn a_node_that_leaves_waits_for_those_who_use_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let registered =
        members.register_node(RegisterRequest { node: 1, ..Default::default() }).await.expect("a new node");
    assert!(members.is_up(NodeId(1)));
    let begun = members.uses.begin();
    let request = LeaveRequest { cluster: 9, node: 1, incarnation: registered.incarnation };
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

/// The coordinator that a node says goodbye to may have started a moment ago.
#[tokio::test]
async fn a_node_that_leaves_is_not_taken_for_one_that_stays() {
    let directory = TempDir::new().expect("a temporary directory");
    let members = members(&directory);
    let incarnation = register(&members).await;
    let restarted = Members { live: Mutex::default(), ..members };
    let request = LeaveRequest { cluster: 9, node: 1, incarnation };
    assert_eq!(restarted.leave(request).await.expect_err("it knows nobody yet").reason, Reason::NotReady);
    let request = RegisterRequest { cluster: 9, node: 1, leaving: true, ..RegisterRequest::default() };
    let incarnation = restarted.register_node(request).await.expect("the node is of this cluster").incarnation;
    assert_eq!(restarted.state(NodeId(1)), NodeState::Leaving);
    restarted.leave(LeaveRequest { cluster: 9, node: 1, incarnation }).await.expect("nobody uses it");

    // The node was still staying when it asked to be registered.
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
    assert_eq!(members.census(), Census { nodes: [1, 0, 0], available: 0, missing: 0 });
    members.lock().clear();
    assert_eq!(members.census(), Census { nodes: [0, 0, 1], available: 0, missing: 0 });
}
