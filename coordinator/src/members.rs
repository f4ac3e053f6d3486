//! The nodes as the coordinator sees them: registered nodes, their liveness, and the shards that they hold.
//!
//! Registrations and placement are in the metadata log. Heartbeats and statistics are in memory only: after a restart of the
//! coordinator nodes are asked to register again.
//!
//! Invariant: only a node itself speaks for it. A node is told a secret when it registers, and what comes in the name of a
//! node that is alive is refused without it: a heartbeat, a goodbye, a registration from elsewhere. Ids and incarnations
//! can be guessed.

mod health;
mod log;
mod names;
mod secrets;
mod server;

pub use health::NodeState;
pub use log::Log;
pub use secrets::Secrets;
pub use server::ClusterServer;

use crate::in_flight::InFlight;
use crate::metalog::{Entry, Incarnation, Seal};
use crate::nodes::{Holders, Nodes};
use entail_model::{Attempt, Epoch, Fault, NodeId, Placement, Reason, Secret};
use entail_proto::convert;
use entail_proto::internal::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Without a heartbeat for this long a node counts as down.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// Without a heartbeat for this long, work that waits for the node fails.
pub const LOST_AFTER: Duration = Duration::from_secs(10);

/// The state of a node according to its registration and its heartbeats.
#[derive(Clone, Debug)]
pub struct Live {
    pub last_seen: Instant,
    /// The node has announced that it shuts down.
    pub has_left: bool,
    /// It proves with its secret that its calls are its own; nodes of earlier versions do not.
    pub has_secret: bool,
    pub epoch: Epoch,
    /// None until its first heartbeat.
    pub stats: Option<NodeStats>,
    pub version: String,
}

impl Live {
    /// The state by the age of the last heartbeat and by the node's announcement to leave.
    fn state(&self) -> NodeState {
        match (self.last_seen.elapsed() < SUSPECT_AFTER, self.has_left) {
            (false, true) => NodeState::Stopped,
            (false, false) => NodeState::Down,
            (true, true) => NodeState::Leaving,
            (true, false) => NodeState::Up,
        }
    }
}

/// All nodes.
pub struct Members {
    pub log: Log,
    pub secrets: Secrets,
    live: Mutex<HashMap<NodeId, Live>>,
    /// For each node that registered without the last epoch it had sealed: that epoch, as of this registration.
    behind: Mutex<HashMap<NodeId, Epoch>>,
    nodes: Nodes,
    in_flight: InFlight,
    min_nodes: usize,
    started: Instant,
    /// Held while a node registers: the check of its name and the entry in the log are one step.
    registering: tokio::sync::Mutex<()>,
}

impl Members {
    /// The members of a log's cluster, none of them seen yet.
    pub fn new(log: Log, min_nodes: usize, nodes: Nodes, secrets: Secrets) -> Self {
        Self {
            log,
            secrets,
            live: Mutex::default(),
            behind: Mutex::default(),
            nodes,
            in_flight: InFlight::default(),
            min_nodes: min_nodes.max(1),
            started: Instant::now(),
            registering: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's state, if it has registered since the coordinator started.
    pub fn live(&self, node: NodeId) -> Option<Live> {
        self.lock().get(&node).cloned()
    }

    /// The state of a node.
    pub fn state(&self, node: NodeId) -> NodeState {
        self.lock().get(&node).map_or(NodeState::Down, Live::state)
    }

    /// Is the node's last heartbeat recent, and has the node not announced to leave?
    pub fn is_up(&self, node: NodeId) -> bool {
        self.state(node) == NodeState::Up
    }

    /// Has the node been silent for longer than [`LOST_AFTER`], or not been heard of at all?
    pub fn is_lost(&self, node: NodeId) -> bool {
        self.lock().get(&node).is_none_or(|live| live.last_seen.elapsed() > LOST_AFTER)
    }

    /// Why the node cannot be called, if that is known.
    fn absence(&self, node: NodeId) -> Option<&'static str> {
        if self.log.read(|state| state.is_replaced(node)) {
            return Some("was replaced: another node has registered at its address");
        }
        let live = self.lock();
        let live = live.get(&node)?;
        if live.has_left {
            return Some("is shutting down");
        }
        (live.last_seen.elapsed() > LOST_AFTER).then_some("has been silent for too long")
    }

    /// Whether the node still uses its name.
    fn life(&self, node: NodeId) -> names::Life {
        match self.lock().get(&node) {
            Some(live) if live.state() == NodeState::Up => names::Life::Alive,
            None if self.started.elapsed() < LOST_AFTER => names::Life::Unknown,
            _ => names::Life::Gone,
        }
    }

    fn up_nodes(&self) -> Vec<NodeId> {
        let live = self.lock();
        let up = live.iter().filter(|(_, live)| live.state() == NodeState::Up);
        let mut nodes: Vec<NodeId> = up.map(|(node, _)| *node).collect();
        nodes.sort_unstable();
        nodes
    }

    /// Why the cluster cannot be written to now; `None` when it can.
    pub fn not_ready(&self) -> Option<Fault> {
        let placement = self.log.read(|state| state.placement().clone());
        let up = self.up_nodes();
        if placement.holders.is_empty() {
            let (have, want) = (up.len(), self.min_nodes);
            return (have < want).then(|| {
                Fault::new(Reason::NotReady, format!("waiting for nodes ({have} of {want} have registered)"))
            });
        }
        let missing: Vec<_> = placement
            .holders
            .iter()
            .enumerate()
            .filter(|(_, node)| !up.contains(node))
            .map(|(shard, _)| entail_model::ShardId(shard as u16))
            .collect();
        (!missing.is_empty()).then(|| {
            let text = format!("{} of {} shards are on nodes that are down", missing.len(), placement.holders.len());
            Fault::new(Reason::ShardsUnavailable, text).with_shards(missing)
        })
    }

    /// Places the shards before the first epoch; afterwards the placement stays, since data does not move yet.
    pub async fn ensure_placement(&self) -> Result<(), Fault> {
        let (epoch, current, shards) = self
            .log
            .read(|state| (state.epoch(), state.placement().clone(), state.cluster().map(|cluster| cluster.shards)));
        let shards = shards.ok_or_else(|| Fault::internal("the cluster has not been created"))?;
        if epoch == Epoch(0) {
            let up = self.up_nodes();
            if up.len() < self.min_nodes {
                let (have, want) = (up.len(), self.min_nodes);
                return Err(Fault::new(
                    Reason::NotReady,
                    format!("waiting for nodes ({have} of {want} have registered)"),
                ));
            }
            let previous = Some(&current).filter(|placement| !placement.holders.is_empty());
            let proposed = Placement::propose(previous, &up, shards);
            if proposed.holders != current.holders {
                self.log.append(Entry::Place { placement: proposed }).await?;
            }
        }
        self.not_ready().map_or(Ok(()), Err)
    }

    /// Links to the nodes that hold shards.
    pub fn holders(&self) -> Result<Holders, Fault> {
        let (cluster, placement, addresses, mut known) = self.log.read(|state| {
            let addresses: BTreeMap<NodeId, String> =
                state.nodes().iter().map(|(node, member)| (*node, member.address.clone())).collect();
            let names: BTreeMap<NodeId, (String, Option<&'static str>)> =
                state.nodes().iter().map(|(node, member)| (*node, (member.name.clone(), None))).collect();
            (state.cluster().map(|cluster| cluster.cluster), state.placement().clone(), addresses, names)
        });
        let cluster = cluster.ok_or_else(|| Fault::internal("the cluster has not been created"))?;
        // Begun before the nodes' states are read: a node that leaves meanwhile waits for this use.
        let in_use = self.in_flight.begin();
        known.iter_mut().for_each(|(node, (_, absence))| *absence = self.absence(*node));
        let map = convert::placement_map(&placement, &addresses);
        Ok(Holders::new(&self.nodes, cluster, map, &known)?.in_use(in_use))
    }

    /// The node's present incarnation in the log.
    pub fn incarnation(&self, node: NodeId) -> Incarnation {
        self.log.read(|state| state.nodes().get(&node).map_or(Incarnation(0), |member| member.incarnation))
    }

    /// Does a call in the name of a registered node come from the node itself?
    fn is_itself(&self, node: NodeId, incarnation: u64, secret: u64) -> bool {
        let incarnation = Incarnation(incarnation);
        let has_secret = self.lock().get(&node).is_some_and(|live| live.has_secret);
        let is_told = !has_secret || self.secrets.of_registration(node, incarnation) == Secret(secret);
        self.incarnation(node) == incarnation && is_told
    }

    /// A node that is alive registers again only by itself: with the secret of its last registration.
    fn check_takeover(&self, node: NodeId, last_secret: u64) -> Result<(), Fault> {
        let is_alive = self.lock().get(&node).is_some_and(|live| live.has_secret && live.state() == NodeState::Up);
        if !is_alive || self.secrets.of_registration(node, self.incarnation(node)) == Secret(last_secret) {
            return Ok(());
        }
        let text = format!("a node of the id {:016x} is running; another can register when it is down", node.0);
        Err(Fault::new(Reason::NotReady, text))
    }

    fn check_node(&self, request: &RegisterRequest) -> Result<(), Fault> {
        let (cluster, epoch) = self.log.read(|state| (state.cluster().map(|cluster| cluster.cluster.0), state.epoch()));
        if request.cluster != 0 && Some(request.cluster) != cluster {
            let theirs = request.cluster;
            return Err(Fault::new(
                Reason::WrongCluster,
                format!("the node's directory belongs to cluster {theirs:016x}, not to this one"),
            ));
        }
        if request.epoch > epoch.0 {
            let (node, log) = (request.epoch, epoch.0);
            let text = format!(
                "the node has epoch {node}, the coordinator's log ends at {log}: the coordinator's data directory is an older copy"
            );
            return Err(Fault::corrupt(text));
        }
        self.check_facts(request)?;
        let decisions = self.decisions(&request.undecided)?;
        let has_latest = request.epoch == epoch.0 || decisions.iter().any(|decision| decision.epoch == epoch.0);
        self.check_past(NodeId(request.node), Epoch(request.epoch), has_latest)
    }

    /// Refuses a node that has other facts at the last epoch than it had when it sealed it: its directory is not the one of
    /// then, or has lost some. A node of an earlier version does not say what it has.
    fn check_facts(&self, request: &RegisterRequest) -> Result<(), Fault> {
        let seal = self.log.read(|state| {
            let is_latest = state.epoch().0 == request.epoch;
            state.seals().iter().find(|seal| is_latest && seal.node.0 == request.node).cloned()
        });
        let Some(seal) = seal else { return Ok(()) };
        check_counts(&seal, request)?;
        match request.digest {
            Some(digest) if digest != seal.digest => {
                let (epoch, sealed) = (request.epoch, seal.digest);
                Err(Fault::corrupt(format!(
                    "the node has facts with the digest {digest:016x} at epoch {epoch}, and had sealed {sealed:016x}: its \
                     directory is another one, or has other facts"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a node that sealed the last epoch in an earlier incarnation and does not have it now: its directory is an
    /// older copy. The first such request is only answered with `NotReady`, as it may have been sent before the epoch was
    /// sealed; a request after that answer counts.
    fn check_past(&self, node: NodeId, has: Epoch, has_latest: bool) -> Result<(), Fault> {
        let (epoch, has_sealed) =
            self.log.read(|state| (state.epoch(), state.seals().iter().any(|seal| seal.node == node)));
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if has_latest || !has_sealed {
            behind.remove(&node);
            return Ok(());
        }
        let text = format!("the node has epoch {has}, but it had sealed epoch {epoch}");
        match behind.insert(node, epoch) {
            Some(told) if has < told => {
                let text = format!("{text}: its directory is an older copy; its shards need the newest one");
                Err(Fault::corrupt(text))
            }
            _ => Err(Fault::new(Reason::NotReady, format!("{text}; asking the node again"))),
        }
    }

    /// The log's decisions on attempts that a node has sealed.
    fn decisions(&self, undecided: &[u64]) -> Result<Vec<Decision>, Fault> {
        let undecided: Vec<Attempt> = undecided.iter().copied().map(Attempt).collect();
        let decisions = self.log.read(|state| state.decisions(&undecided))?;
        let decision = |(attempt, epoch): (Attempt, Option<Epoch>)| Decision {
            attempt: attempt.0,
            epoch: epoch.map_or(0, |epoch| epoch.0),
        };
        Ok(decisions.into_iter().map(decision).collect())
    }

    async fn register_node(&self, request: RegisterRequest) -> Result<RegisterResponse, Fault> {
        let node = NodeId(request.node);
        self.check_takeover(node, request.last_secret)?;
        self.check_node(&request)?;
        if request.name.chars().any(char::is_control) {
            return Err(Fault::new(Reason::InvalidRequest, "the node's name has control characters"));
        }
        let _one_at_a_time = self.registering.lock().await;
        self.log.read(|state| names::check(state, node, &request.name, &request.address, |other| self.life(other)))?;
        let entry = Entry::RegisterNode { node, name: request.name.clone(), address: request.address.clone() };
        let incarnation = self.log.append(entry).await?;
        self.lock().insert(
            node,
            Live {
                last_seen: Instant::now(),
                has_left: request.leaving,
                has_secret: request.has_secret,
                epoch: Epoch(request.epoch),
                stats: None,
                version: request.version,
            },
        );
        tracing::info!(
            node = %format_args!("{:016x}", node.0),
            name = request.name,
            address = request.address,
            incarnation,
            epoch = request.epoch,
            "a node has registered"
        );
        let decisions = self.decisions(&request.undecided)?;
        Ok(self.log.read(|state| {
            let cluster = state.cluster().expect("it was checked above");
            RegisterResponse {
                cluster: cluster.cluster.0,
                hash_key: cluster.hash_key.to_vec().into(),
                shards: u32::from(cluster.shards.get()),
                incarnation,
                epoch: state.epoch().0,
                decisions,
                secret: self.secrets.of_registration(node, Incarnation(incarnation)).0,
                first_query: self.secrets.first_query(),
            }
        }))
    }

    /// Handles a heartbeat. A node that missed an outcome learns it here: the writer calls each node once, then goes on.
    fn hear(&self, request: HeartbeatRequest) -> HeartbeatResponse {
        let node = NodeId(request.node);
        let is_known = self.is_itself(node, request.incarnation, request.secret);
        let decisions = self.decisions(&request.undecided);
        let mut live = self.lock();
        let Some(live) = live.get_mut(&node).filter(|_| is_known) else {
            return HeartbeatResponse { register_again: true, ..HeartbeatResponse::default() };
        };
        *live = Live {
            last_seen: Instant::now(),
            has_left: live.has_left || request.leaving,
            has_secret: live.has_secret,
            epoch: Epoch(request.epoch),
            stats: request.stats,
            version: std::mem::take(&mut live.version),
        };
        // Registration reports the fault, which ends the node.
        let register_again = decisions.is_err();
        HeartbeatResponse { register_again, decisions: decisions.unwrap_or_default() }
    }
}

/// Does the node have as many facts as it had sealed?
fn check_counts(seal: &Seal, request: &RegisterRequest) -> Result<(), Fault> {
    let sealed = (seal.counts.asserted, seal.counts.derived);
    let (Some(asserted), Some(derived)) = (request.asserted, request.derived) else { return Ok(()) };
    if sealed == (asserted, derived) {
        return Ok(());
    }
    let (epoch, (sealed_asserted, sealed_derived)) = (request.epoch, sealed);
    Err(Fault::corrupt(format!(
        "the node has {asserted} asserted and {derived} derived facts at epoch {epoch}, and had sealed {sealed_asserted} \
         and {sealed_derived}: its directory is another one, or has lost facts"
    )))
}

#[cfg(test)]
mod tests;
