//! The parts that a node's modules share: its store, its membership, its threads.

use crate::coordinator::Coordinator;
use crate::metrics::Metrics;
use crate::overflow::MemoryBudget;
use crate::peers::Peers;
use crate::store::{Snapshot, Store};
use entail_logic::columns::Pair;
use entail_logic::exchange::route::ShardMap;
use entail_model::{ClusterId, Epoch, Fault, NodeId, Placement, Reason, ShardId, TermId};
use entail_proto::convert;
use entail_proto::internal::PlacementMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tracing::Span;

/// How long a reader waits for an epoch whose commit has not reached this node.
const UNTOLD: Duration = Duration::from_secs(2);

/// A node's shared parts.
pub struct Context {
    pub store: Arc<Store>,
    pub node: NodeId,
    pub peers: Peers,
    pub runtime: Handle,
    pub coordinator: Arc<Coordinator>,
    /// The memory budget of messages that wait for their attempts and queries.
    pub room: Arc<MemoryBudget>,
    /// The most pairs of an attempt in memory, of all relations together; others are stored during the attempt.
    pub resident_pairs_max: u64,
    pub metrics: Metrics,
    /// The threads for evaluation, shared by all work; the async runtime evaluates nothing.
    pub pool: rayon::ThreadPool,
}

impl Context {
    /// The most bytes of an attempt's pairs in memory, of all relations together.
    pub fn resident_bytes_max(&self) -> u64 {
        self.resident_pairs_max * size_of::<Pair>() as u64
    }

    /// The cluster that this node belongs to.
    ///
    /// # Errors
    /// `NotReady` before the node has registered.
    pub fn cluster(&self) -> Result<ClusterId, Fault> {
        let registration = self.coordinator.registration();
        let cluster = registration.map(|registration| ClusterId(registration.cluster));
        cluster.ok_or_else(|| Fault::new(Reason::NotReady, "the node has not registered yet"))
    }

    /// Refuses messages of another cluster.
    pub fn check_cluster(&self, cluster: u64) -> Result<(), Fault> {
        match self.cluster()?.0 == cluster {
            true => Ok(()),
            false => Err(Fault::new(Reason::WrongCluster, "the message belongs to another cluster")),
        }
    }

    /// The snapshot of the epoch. Blocks the thread for at most `UNTOLD`, or until `is_stopped`: the commit of the epoch
    /// may not have reached this node yet.
    ///
    /// # Errors
    /// `EpochUnavailable` when the epoch is no longer kept, or does not arrive; `Cancelled`.
    pub fn snapshot(&self, epoch: Epoch, is_stopped: &dyn Fn() -> bool) -> Result<Arc<Snapshot>, Fault> {
        let started = Instant::now();
        loop {
            if let Some(snapshot) = self.store.snapshot(epoch) {
                return Ok(snapshot);
            }
            let (oldest, latest) = self.store.kept_epochs();
            if latest >= epoch || started.elapsed() > UNTOLD {
                let kept = if oldest == latest {
                    format!("epoch {latest} only")
                } else {
                    format!("the epochs {oldest} to {latest}")
                };
                let text = format!("epoch {epoch} is not kept: this node has {kept}");
                return Err(Fault::new(Reason::EpochUnavailable, text));
            }
            if is_stopped() {
                return Err(Fault::new(Reason::Cancelled, "the query was cancelled"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs blocking work off the async threads, in the caller's span.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let context = Arc::clone(self);
        let span = Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&context)))
            .await
            .unwrap_or_else(|error| Err(Fault::internal(format!("a task failed: {error}"))))
    }
}

/// The placement of a request, with the addresses of its nodes.
#[derive(Clone, Debug)]
pub struct AddressedShardMap {
    pub shard_map: ShardMap,
    addresses: BTreeMap<NodeId, String>,
}

impl AddressedShardMap {
    /// The shard_map of all holders, or of the participants only.
    pub fn new(me: NodeId, map: &PlacementMap, participants: &[NodeId]) -> Self {
        let (placement, addresses): (Placement, _) = convert::placement_parts(map);
        let mut shard_map = ShardMap::of_all_holders(me, placement);
        if !participants.is_empty() {
            shard_map.nodes = participants.to_vec();
            shard_map.nodes.sort_unstable();
        }
        Self { shard_map, addresses }
    }

    /// The address of a node's peer port.
    pub fn address(&self, node: NodeId) -> Result<String, Fault> {
        self.addresses.get(&node).cloned().ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, "a node's address is not known").with_shards(self.shards_of(node))
        })
    }

    /// Turns the failure to reach a node into `ShardsUnavailable` with its address and shards; other faults stay unchanged.
    pub fn unreachable(&self, node: NodeId) -> impl FnOnce(Fault) -> Fault + Send + use<> {
        let place = self.address(node).map_or_else(|_| "of this process".to_owned(), |address| format!("at {address}"));
        let shards = self.shards_of(node);
        move |fault| match fault.reason {
            Reason::ShardsUnavailable | Reason::DeadlineExceeded | Reason::NotReady => {
                let message = format!("the node {place} cannot be reached: {}", fault.message);
                Fault::new(Reason::ShardsUnavailable, message).with_shards(shards)
            }
            _ => fault,
        }
    }

    /// The shards that this node holds, as text: `0,3,7`.
    pub fn own_shards(&self) -> String {
        let shards: Vec<String> = self.shards_of(self.shard_map.me).iter().map(ToString::to_string).collect();
        shards.join(",")
    }

    /// The shards that a node holds.
    pub fn shards_of(&self, node: NodeId) -> Vec<ShardId> {
        let holders = self.shard_map.placement.holders.iter().enumerate();
        holders.filter(|(_, holder)| **holder == node).map(|(shard, _)| ShardId(shard as u16)).collect()
    }
}

/// The store's dictionary, as the `Texts` of the evaluator.
pub struct StoreTexts(pub Arc<Store>);

impl entail_logic::eval::Texts for StoreTexts {
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        self.0.texts(ids)
    }
}

#[cfg(test)]
impl Context {
    /// A small node over a test's directory.
    pub fn of_directory(data: &std::path::Path, runtime: Handle) -> Self {
        let options = crate::store::OpenOptions { memory_budget: 16 << 20 };
        let store = Store::open(data, options).expect("an empty directory");
        let _inside = runtime.enter();
        let coordinator = Coordinator::at("http://127.0.0.1:1", store.node()).expect("a URL");
        Self {
            node: store.node(),
            store: Arc::new(store),
            peers: Peers::default(),
            runtime: runtime.clone(),
            coordinator: Arc::new(coordinator),
            room: Arc::new(MemoryBudget::new(1 << 20, data.to_owned())),
            resident_pairs_max: 1 << 20,
            metrics: Metrics::new(&entail_telemetry::metrics::Registry::default()),
            pool: rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be made"),
        }
    }
}
