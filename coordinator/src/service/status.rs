//! The state of the cluster, and the numbers of its facts.

use super::Coordinator;
use entail_model::NodeId;
use entail_proto::v1::{NodeStatus, ShardStatus, StatusRequest, StatusResponse};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// How long a status waits for the nodes' statistics of the last epoch: longer than a heartbeat interval.
const HEARD_WITHIN: Duration = Duration::from_millis(1000);

impl Coordinator {
    /// The state of the cluster, with the nodes' statistics of the last epoch if they arrive in time.
    pub async fn status(&self, request: StatusRequest) -> StatusResponse {
        self.hear_nodes().await;
        let (cluster, epoch, placement) =
            self.members.log.read(|state| (state.cluster().cloned(), state.epoch(), state.placement().clone()));
        let state = self.members.not_ready().map_or_else(|| "serving".to_owned(), |fault| fault.message);
        let nodes = self.members.listed().into_iter().map(|(node, member)| {
            let shards = placement.holders.iter().filter(|holder| **holder == node).count() as u32;
            self.node_status(node, member.name, member.address, shards)
        });
        let nodes: Vec<NodeStatus> = nodes.collect();
        let metrics = &self.shared.metrics;
        StatusResponse {
            cluster_id: cluster.as_ref().map_or_else(String::new, |cluster| format!("{:016x}", cluster.cluster.0)),
            epoch: epoch.0,
            state,
            facts_asserted: nodes.iter().map(|node| node.facts_asserted).sum(),
            facts_derived: nodes.iter().map(|node| node.facts_derived).sum(),
            nodes,
            shards: if request.shards { self.shard_status(&placement.holders) } else { Vec::new() },
            shard_count: cluster.map_or(0, |cluster| u32::from(cluster.shards.get())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            placement_version: placement.version,
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            queries_at_work: self.queries_at_work() as u32,
            changes_at_work: self.writer.in_flight() as u32,
            queries_total: metrics.queries.get(),
            rows_total: metrics.query_rows.get(),
            asserted_total: metrics.asserted.get(),
            derived_total: metrics.derived.get(),
        }
    }

    /// Waits, for a limited time, until every node that is up has reported statistics of the last epoch, so that a status
    /// right after a change shows its effect.
    async fn hear_nodes(&self) {
        let members = &self.members;
        let (epoch, holders): (_, BTreeSet<NodeId>) =
            members.log.read(|state| (state.epoch(), state.placement().holders.iter().copied().collect()));
        let is_behind = |node: &NodeId| {
            members.is_up(*node) && members.live(*node).is_some_and(|live| live.epoch < epoch || live.stats.is_none())
        };
        let started = Instant::now();
        while holders.iter().any(is_behind) && started.elapsed() < HEARD_WITHIN {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn node_status(&self, node: NodeId, name: String, address: String, shards: u32) -> NodeStatus {
        let live = self.members.live(node);
        let mut status = NodeStatus {
            node_id: format!("{:016x}", node.0),
            name,
            address,
            state: self.members.state(node).name().to_owned(),
            shards,
            ..NodeStatus::default()
        };
        if let Some(live) = live {
            let stats = live.stats.unwrap_or_default();
            status.facts_asserted = stats.shards.iter().map(|shard| shard.asserted).sum();
            status.facts_derived = stats.shards.iter().map(|shard| shard.derived).sum();
            status.terms = stats.shards.iter().map(|shard| shard.terms).sum();
            status.memory_bytes = stats.memory_bytes;
            status.cache_bytes = stats.cache_bytes;
            status.disk_bytes = stats.disk_bytes;
            status.disk_free_bytes = stats.disk_free_bytes;
            status.queries = stats.queries;
            status.epoch = live.epoch.0;
            status.version = live.version;
            status.silent_seconds = Some(live.last_seen.elapsed().as_secs_f64());
        }
        status
    }

    fn shard_status(&self, holders: &[NodeId]) -> Vec<ShardStatus> {
        let mut stats = HashMap::new();
        for node in holders {
            for shard in self.members.live(*node).and_then(|live| live.stats).unwrap_or_default().shards {
                stats.insert((*node, shard.shard), shard);
            }
        }
        let shards = holders.iter().enumerate().map(|(shard, node)| {
            let counts = stats.get(&(*node, shard as u32)).copied().unwrap_or_default();
            ShardStatus {
                shard: shard as u32,
                node_id: format!("{:016x}", node.0),
                facts_asserted: counts.asserted,
                facts_derived: counts.derived,
                terms: counts.terms,
                available: self.members.is_up(*node),
            }
        });
        shards.collect()
    }
}
