//! Which messages of an attempt are taken, by what the store has seen.

use super::*;
use crate::metrics::Metrics;
use crate::overflow::Room;
use crate::peers::Peers;
use crate::store::{OpenOptions, Store};
use entail_model::ShardCount;
use entail_model::term::HashKey;
use entail_telemetry::metrics::Registry;
use std::sync::OnceLock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A node that has joined a cluster and holds nothing.
struct Node {
    context: Context,
    attempts: Attempts,
    _runtime: Runtime,
    _data: TempDir,
}

impl Node {
    fn new() -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let store = Store::open(data.path(), OpenOptions { memory_budget: 16 << 20 }).expect("an empty directory");
        let shards = ShardCount::new(1).expect("a power of two");
        store.bind_cluster(ClusterId(1), HashKey([7; 16]), shards).expect("a new store");
        let runtime = Runtime::new().expect("a runtime");
        let context = Context {
            node: store.node(),
            store: Arc::new(store),
            peers: Peers::default(),
            runtime: runtime.handle().clone(),
            membership: OnceLock::new(),
            room: Arc::new(Room::new(1 << 20, data.path().to_owned())),
            resident_pairs_max: 1 << 20,
            metrics: Metrics::new(&Registry::default()),
            pool: rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be made"),
        };
        Self { context, attempts: Attempts::default(), _runtime: runtime, _data: data }
    }

    fn open(&self, attempt: u64) -> Result<Arc<Open>, Reason> {
        self.attempts.open(&self.context, Attempt(attempt)).map_err(|fault| fault.reason)
    }

    fn stage(&self, attempt: u64, previous: u64) -> Result<(), Reason> {
        let staged = self.open(attempt)?.stage(&self.context, Epoch(previous), 0, &[]);
        staged.map_err(|fault| fault.reason)
    }

    fn is_idle(&self) -> bool {
        lock(&self.attempts.open).is_none()
    }
}

#[test]
fn a_late_message_does_not_open_what_is_decided() {
    let node = Node::new();
    node.stage(3, 0).expect("the first attempt");
    node.attempts.decide(&node.context, Attempt(3), None).expect("nothing is sealed");
    assert_eq!(node.stage(3, 0), Err(Reason::Fenced));
    assert_eq!(node.stage(2, 0), Err(Reason::Fenced), "an older one is over too");
    assert!(node.is_idle(), "nothing is held for what is over");
    node.stage(4, 0).expect("a new attempt");
    node.attempts.decide(&node.context, Attempt(5), None).expect("nothing is sealed");
    assert!(node.is_idle(), "a later outcome ends an earlier attempt");
}

#[test]
fn facts_are_staged_only_on_the_epoch_that_the_attempt_builds_on() {
    let node = Node::new();
    assert_eq!(node.stage(3, 1), Err(Reason::EpochUnavailable));
    node.context.store.seal(Attempt(3), Sealed::default()).expect("room");
    assert_eq!(node.open(4).err(), Some(Reason::Fenced), "the outcome of 3 is not known");
    node.attempts.decide(&node.context, Attempt(3), Some(Epoch(1))).expect("it is sealed");
    assert_eq!(node.stage(4, 0), Err(Reason::EpochUnavailable));
    assert_eq!(node.stage(4, 1), Ok(()));
}
