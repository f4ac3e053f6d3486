//! What every part of a node shares: its store, its place in the cluster, its threads.

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
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tracing::Span;

/// How long a reader waits for an epoch that the log has and this node has not been told of.
const UNTOLD: Duration = Duration::from_secs(2);

/// A node's shared parts.
pub struct Context {
    pub store: Arc<Store>,
    pub node: NodeId,
    pub peers: Peers,
    pub runtime: Handle,
    /// Set once the node has registered.
    pub membership: OnceLock<Membership>,
    /// Where messages wait for their attempts and queries.
    pub room: Arc<MemoryBudget>,
    /// Pairs of an attempt that may be in memory, of all relations together; the others are stored while it goes on.
    pub resident_pairs_max: u64,
    pub metrics: Metrics,
    /// Evaluates: one pool for all, never the async runtime.
    pub pool: rayon::ThreadPool,
}

/// What registration told.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub cluster: ClusterId,
}

impl Context {
    /// The same in bytes.
    pub fn resident_bytes_max(&self) -> u64 {
        self.resident_pairs_max * size_of::<Pair>() as u64
    }

    /// The cluster that this node belongs to.
    ///
    /// # Errors
    /// `NotReady` before the node has registered.
    pub fn cluster(&self) -> Result<ClusterId, Fault> {
        let membership = self.membership.get();
        membership.map(|m| m.cluster).ok_or_else(|| Fault::new(Reason::NotReady, "the node has not registered yet"))
    }

    /// Refuses messages of another cluster.
    pub fn check_cluster(&self, cluster: u64) -> Result<(), Fault> {
        match self.cluster()?.0 == cluster {
            true => Ok(()),
            false => Err(Fault::new(Reason::WrongCluster, "the message belongs to another cluster")),
        }
    }

    /// The snapshot of the epoch, on a thread that may wait: a little, for one that was committed and is not yet known
    /// here, unless nobody wants it any more.
    ///
    /// # Errors
    /// `EpochUnavailable` when the epoch is not kept any more, or does not come; `Cancelled`.
    pub fn snapshot(&self, epoch: Epoch, is_stopped: &dyn Fn() -> bool) -> Result<Arc<Snapshot>, Fault> {
        let started = Instant::now();
        loop {
            if let Some(snapshot) = self.store.snapshot(epoch) {
                return Ok(snapshot);
            }
            let (oldest, latest) = self.store.kept_epochs();
            if latest >= epoch || started.elapsed() > UNTOLD {
                let text = format!("epoch {epoch} is not kept: this node has the epochs {oldest} to {latest}");
                return Err(Fault::new(Reason::EpochUnavailable, text));
            }
            if is_stopped() {
                return Err(Fault::new(Reason::Cancelled, "the query was cancelled"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs work that takes time off the async threads, in the span of whoever asks for it.
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

/// The placement that a message came with, and where its nodes are.
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

    /// Where a node's peer port is.
    pub fn address(&self, node: NodeId) -> Result<String, Fault> {
        self.addresses.get(&node).cloned().ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, "a node's address is not known").with_shards(self.shards_of(node))
        })
    }

    /// What a node that cannot be reached is said to be, by its address and shards; other failures stay as they are.
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

    /// The shards that this node holds, as people write them: `0,3,7`.
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

/// The store's dictionary as the evaluator wants it.
pub struct StoreTexts(pub Arc<Store>);

impl entail_logic::eval::Texts for StoreTexts {
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        self.0.texts(ids)
    }
}

#[cfg(test)]
impl Context {
    /// A small node over a directory of a test.
    pub fn of_directory(data: &std::path::Path, runtime: Handle) -> Self {
        let options = crate::store::OpenOptions { memory_budget: 16 << 20 };
        let store = Store::open(data, options).expect("an empty directory");
        Self {
            node: store.node(),
            store: Arc::new(store),
            peers: Peers::default(),
            runtime,
            membership: OnceLock::new(),
            room: Arc::new(MemoryBudget::new(1 << 20, data.to_owned())),
            resident_pairs_max: 1 << 20,
            metrics: Metrics::new(&entail_telemetry::metrics::Registry::default()),
            pool: rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be made"),
        }
    }
}
