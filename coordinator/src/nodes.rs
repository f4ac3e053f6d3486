//! Calls to nodes: one typed function per call, with its deadline, and faults instead of status.

use crate::balance::{Balancer, Candidate, PickRequest};
use crate::in_flight::Use;
use bytes::Bytes;
use entail_logic::near::{Near, Nearby};
use entail_model::{ClusterId, Fault, NodeId, Reason, ShardId, TermId};
use entail_proto::connection::Connection;
use entail_proto::inside::Inside;
use entail_proto::internal::node_service_client::NodeServiceClient;
use entail_proto::internal::*;
use entail_proto::{addressee, convert, status};
use entail_telemetry::ClientSpans;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

/// The deadline of calls that only look something up or change a little.
const SHORT: Duration = Duration::from_secs(30);

/// The deadline of looking at a trace, for which somebody waits who has an answer already.
const TRACE: Duration = Duration::from_secs(2);

/// Beyond a query's deadline: the query ends by its own clock, and the node's only counts when nobody tells it so.
const GRACE: Duration = Duration::from_secs(1);

/// The largest message from or to a node.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Connections to nodes, by address, and the nodes that need none.
#[derive(Debug, Default)]
pub struct Connections {
    inside: Inside,
    peers: Mutex<HashMap<String, Peer>>,
    nearby: Arc<Nearby>,
}

/// A connection, and how many queries are at work behind it.
#[derive(Clone, Debug)]
struct Peer {
    connection: ClientSpans<Connection>,
    at_work: Arc<AtomicU32>,
}

impl Connections {
    /// No connections yet: those to nodes of this process will need no sockets, and `nearby` are asked without any.
    pub fn new(inside: Inside, nearby: Arc<Nearby>) -> Self {
        Self { inside, nearby, peers: Mutex::default() }
    }

    fn peer(&self, address: &str) -> Result<Peer, Fault> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(address).filter(|peer| !peer.connection.get_ref().is_misled()) {
            return Ok(peer.clone());
        }
        let windows =
            |endpoint: Endpoint| endpoint.initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
        let connection = Connection::to(address, &self.inside, windows)?;
        let connection = ClientSpans::new(connection, entail_telemetry::Peer::new(address));
        let peer = Peer { connection, at_work: Arc::default() };
        peers.insert(address.to_owned(), peer.clone());
        Ok(peer)
    }
}

/// The nodes that hold shards, as of one placement.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    pub cluster: ClusterId,
    pub map: PlacementMap,
    pub links: BTreeMap<NodeId, Link>,
    /// Tells that the nodes are used, for as long as there is a clone of this.
    _in_use: Use,
}

/// One node to call.
#[derive(Clone, Debug)]
pub struct Link {
    pub node: NodeId,
    pub name: String,
    pub shards: Vec<ShardId>,
    cluster: ClusterId,
    peer: Peer,
    /// The node itself, if it is in this process.
    near: Option<Arc<dyn Near>>,
    /// Why it is not there, if that was known when the link was made.
    absence: Option<&'static str>,
}

/// A query's part at a node, counted for as long as this lives.
pub struct AtWork(Arc<AtomicU32>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Holders {
    /// Links to every holder of the placement; what is known of each node is its name and why it is not there, if so.
    pub fn new(
        connections: &Connections,
        cluster: ClusterId,
        map: PlacementMap,
        known: &BTreeMap<NodeId, (String, Option<&'static str>)>,
    ) -> Result<Self, Fault> {
        let mut links = BTreeMap::new();
        let (placement, addresses) = convert::placement_parts(&map);
        for (shard, node) in placement.holders.iter().enumerate() {
            if !links.contains_key(node) {
                let address = addresses.get(node).ok_or_else(|| Fault::internal("a holder without an address"))?;
                let (name, absence) = known.get(node).cloned().unwrap_or_else(|| (address.clone(), None));
                let peer = connections.peer(address)?;
                let near = connections.nearby.find(*node);
                links.insert(*node, Link { node: *node, name, shards: Vec::new(), cluster, peer, near, absence });
            }
            let link = links.get_mut(node).expect("it was just inserted");
            link.shards.push(ShardId(shard as u16));
        }
        Ok(Self { cluster, map, links, _in_use: Use::default() })
    }

    /// The same, counted as a use of the nodes.
    pub fn in_use(mut self, one: Use) -> Self {
        self._in_use = one;
        self
    }

    /// The node that holds a shard.
    pub fn holder(&self, shard: ShardId) -> Result<&Link, Fault> {
        let node = self.map.holders.get(usize::from(shard.0)).map(|node| NodeId(*node));
        node.and_then(|node| self.links.get(&node)).ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }

    /// The node that holds everything, if it is one, in this process.
    pub fn only_near(&self) -> Option<(&Link, &Arc<dyn Near>)> {
        let link = self.links.values().next().filter(|_| self.links.len() == 1)?;
        link.near().map(|near| (link, near))
    }

    /// Are all nodes that hold something in this process?
    pub fn are_near(&self) -> bool {
        self.links.values().all(|link| link.near().is_some())
    }

    /// The replicas that could answer for a shard: its one holder, as long as there is one copy of each shard.
    fn replicas(&self, shard: usize) -> Vec<Candidate> {
        let node = self.map.holders.get(shard).map(|node| NodeId(*node));
        let link = node.and_then(|node| self.links.get(&node));
        let candidate = |link: &Link| Candidate {
            node: link.node,
            in_flight: link.peer.at_work.load(Ordering::Relaxed),
            weight: 1,
        };
        link.map(candidate).into_iter().collect()
    }

    /// The same with one replica of each shard, as a balancer picks them: what one query reads from, so that all of its
    /// parts agree on who answers for a shard.
    pub fn picked(mut self, balancer: &dyn Balancer, random: impl Fn(usize) -> u64) -> Self {
        self.links.values_mut().for_each(|link| link.shards.clear());
        for shard in 0..self.map.holders.len() {
            let candidates = self.replicas(shard);
            let request = PickRequest { candidates: &candidates, key: shard as u64, random: random(shard) };
            if let Some(picked) = balancer.pick(&request).map(|index| candidates[index].node) {
                self.map.holders[shard] = picked.0;
                let link = self.links.get_mut(&picked).expect("candidates have links");
                link.shards.push(ShardId(shard as u16));
            }
        }
        self.links.retain(|_, link| !link.shards.is_empty());
        self
    }
}

impl Link {
    /// Counts a query's part at this node.
    pub fn begin(&self) -> AtWork {
        self.peer.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.peer.at_work))
    }

    /// The node itself, if it is in this process and known to be there.
    pub fn near(&self) -> Option<&Arc<dyn Near>> {
        self.near.as_ref().filter(|_| self.absence.is_none())
    }

    fn client(&self) -> NodeServiceClient<ClientSpans<Connection>> {
        NodeServiceClient::new(self.peer.connection.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A request to the node, unless it is known that it is not there.
    fn request<T>(&self, message: T, deadline: Option<Duration>) -> Result<Request<T>, Fault> {
        if let Some(absence) = self.absence {
            return Err(self.unreachable(absence));
        }
        let mut request = Request::new(message);
        addressee::address(&mut request, self.node);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }

    /// The same, of a query that ends at `until`: the node is told how much of its time is left.
    fn request_until<T>(
        &self,
        message: T,
        deadline: Option<Duration>,
        until: Option<Instant>,
    ) -> Result<Request<T>, Fault> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()) + GRACE);
        self.request(message, deadline.into_iter().chain(left).min())
    }

    fn unreachable(&self, why: &str) -> Fault {
        Fault::new(Reason::ShardsUnavailable, format!("node {} {why}", self.name)).with_shards(self.shards.clone())
    }

    /// The cluster that the node belongs to.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// A failure of this node's, naming it where somebody has to look after it, and its shards when it cannot be reached.
    fn fault(&self, error: &Status) -> Fault {
        let fault = status::to_fault(error);
        // One that has not registered yet is as good as away.
        let is_away = matches!(fault.reason, Reason::ShardsUnavailable | Reason::DeadlineExceeded | Reason::NotReady);
        if is_away && fault.shards.is_empty() {
            return self.unreachable(&format!("cannot be reached: {}", fault.message));
        }
        self.named(fault)
    }

    /// A failure that somebody has to look after names the node.
    pub fn named(&self, mut fault: Fault) -> Fault {
        if matches!(fault.reason, Reason::DiskFull | Reason::Corrupt) {
            fault.message = format!("node {}: {}", self.name, fault.message);
        }
        fault
    }

    /// Ids for terms, new ones if need be.
    pub async fn intern(&self, attempt: u64, terms: Terms, hashes: Bytes) -> Result<Vec<TermId>, Fault> {
        let request = InternRequest { cluster: self.cluster.0, attempt, terms: Some(terms), hashes };
        let reply = self.client().intern(self.request(request, Some(SHORT * 4))?).await;
        convert::ids_from_bytes(&reply.map_err(|error| self.fault(&error))?.get_ref().ids)
    }

    /// Ids of known terms; [`TermId::MAX`] for others.
    pub async fn lookup(&self, terms: Terms, until: Option<Instant>) -> Result<Vec<TermId>, Fault> {
        let request = LookupRequest { cluster: self.cluster.0, terms: Some(terms) };
        let reply = self.client().lookup(self.request_until(request, Some(SHORT), until)?).await;
        convert::ids_from_bytes(&reply.map_err(|error| self.fault(&error))?.get_ref().ids)
    }

    /// The canonical bytes of ids.
    pub async fn decode(&self, ids: &[TermId], until: Option<Instant>) -> Result<Vec<Bytes>, Fault> {
        let request = DecodeRequest { cluster: self.cluster.0, ids: convert::ids_to_bytes(ids) };
        let reply = self.client().decode(self.request_until(request, Some(SHORT), until)?).await;
        convert::term_slices(&reply.map_err(|error| self.fault(&error))?.into_inner().terms.unwrap_or_default())
    }

    /// Stages facts.
    pub async fn stage(&self, mut request: StageRequest) -> Result<(), Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().stage(self.request(request, Some(SHORT * 4))?).await;
        reply.map(drop).map_err(|error| self.fault(&error))
    }

    /// Runs a round. It has no deadline of its own: rounds may be long, and heartbeats tell whether the node lives.
    pub async fn reason(&self, mut request: ReasonRequest) -> Result<ReasonResponse, Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().reason(self.request(request, None)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }

    /// Makes an attempt's runs durable.
    pub async fn seal(&self, attempt: u64) -> Result<SealResponse, Fault> {
        let request = SealRequest { cluster: self.cluster.0, attempt };
        let reply = self.client().seal(self.request(request, None)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }

    /// Tells the outcome of an attempt.
    pub async fn decide(&self, decision: Decision) -> Result<(), Fault> {
        let request = DecideRequest { cluster: self.cluster.0, decision: Some(decision) };
        let reply = self.client().decide(self.request(request, Some(SHORT))?).await;
        reply.map(drop).map_err(|error| self.fault(&error))
    }

    /// Starts a query's part; dropping the stream stops it.
    pub async fn execute(
        &self,
        mut request: ExecuteRequest,
        until: Option<Instant>,
    ) -> Result<Streaming<ExecuteResponse>, Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().execute(self.request_until(request, None, until)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }

    /// The next part of a stream of this node's.
    pub async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Fault> {
        stream.message().await.map_err(|error| self.fault(&error))
    }

    /// The sizes of the relations at an epoch.
    pub async fn sizes(&self, epoch: u64, until: Option<Instant>) -> Result<Vec<RelationSize>, Fault> {
        let request = SizesRequest { cluster: self.cluster.0, epoch };
        let reply = self.client().sizes(self.request_until(request, Some(SHORT), until)?).await;
        reply.map(|reply| reply.into_inner().relations).map_err(|error| self.fault(&error))
    }

    /// What the node still has of a trace.
    pub async fn trace(&self, trace: [u8; 16]) -> Result<Bytes, Fault> {
        let request = TraceRequest { trace: trace.to_vec().into() };
        let reply = self.client().trace(self.request(request, Some(TRACE))?).await;
        reply.map(|reply| reply.into_inner().spans).map_err(|error| self.fault(&error))
    }

    /// Streams the node's facts.
    pub async fn scan(&self, mut request: ScanRequest) -> Result<Streaming<ScanResponse>, Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().scan(self.request(request, None)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::RoundRobin;
    use entail_model::Placement;

    /// Three nodes, of which the third holds nothing yet.
    fn holders() -> Holders {
        let addresses = BTreeMap::from([1, 2, 3].map(|node| (NodeId(node), format!("127.0.0.1:{node}"))));
        let placement = Placement { version: 1, holders: [1, 2, 1, 2].map(NodeId).to_vec() };
        let map = convert::placement_map(&placement, &addresses);
        Holders::new(&Connections::default(), ClusterId(9), map, &BTreeMap::new()).expect("addresses are known")
    }

    #[tokio::test]
    async fn with_one_copy_the_pick_is_the_holder() {
        let all = holders();
        let picked = all.clone().picked(&RoundRobin::default(), |shard| shard as u64);
        assert_eq!(picked.map.holders, all.map.holders);
        assert_eq!(picked.links[&NodeId(2)].shards, [ShardId(1), ShardId(3)]);
        assert_eq!(picked.links.len(), 2);
    }

    #[tokio::test]
    async fn a_node_is_told_how_much_time_is_left() {
        let holders = holders();
        let link = holders.holder(ShardId(0)).expect("it is placed");
        let told = |deadline: Option<Duration>, until: Option<Instant>| {
            entail_proto::deadline::deadline_of(&link.request_until((), deadline, until).expect("it is not lost"))
        };
        let second = Duration::from_secs(1);
        assert_eq!(told(None, None), None);
        assert_eq!(told(Some(SHORT), None), Some(SHORT));
        assert_eq!(told(Some(SHORT), Some(Instant::now() + SHORT * 2)), Some(SHORT), "no call has more than its own");
        let left = told(None, Some(Instant::now() + second * 9)).expect("the query has an end");
        assert!(left > second * 8 && left <= second * 9 + GRACE, "{left:?}");
        assert!(told(Some(SHORT), Some(Instant::now())).expect("the query has an end") <= GRACE);
    }

    #[tokio::test]
    async fn replicas_know_what_is_at_work_at_them() {
        let holders = holders();
        let in_flight = || holders.replicas(0).iter().map(|candidate| candidate.in_flight).collect::<Vec<_>>();
        let link = holders.holder(ShardId(0)).expect("it is placed");
        let (one, other) = (link.begin(), link.clone().begin());
        assert_eq!(in_flight(), [2]);
        drop((one, other));
        assert_eq!(in_flight(), [0]);
        assert_eq!(holders.replicas(4), []);
    }
}
