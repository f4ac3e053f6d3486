//! Calls to nodes: one typed function per call, with its deadline, and faults instead of status.

use bytes::Bytes;
use entail_model::{ClusterId, Fault, NodeId, Reason, ShardId, TermId};
use entail_proto::internal::node_service_client::NodeServiceClient;
use entail_proto::internal::*;
use entail_proto::{convert, status};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

/// The deadline of calls that only look something up or change a little.
const SHORT: Duration = Duration::from_secs(30);

/// The largest message from or to a node.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Connections to nodes, by address.
#[derive(Debug, Default)]
pub struct Connections {
    channels: Mutex<HashMap<String, Channel>>,
}

impl Connections {
    fn channel(&self, address: &str) -> Result<Channel, Fault> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Fault::new(Reason::InvalidRequest, format!("a node's address {address}: {error}")))?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(3))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        let channel = endpoint.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

/// The nodes that hold shards, as of one placement.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    pub cluster: ClusterId,
    pub map: PlacementMap,
    pub links: BTreeMap<NodeId, Link>,
}

/// One node to call.
#[derive(Clone, Debug)]
pub struct Link {
    pub node: NodeId,
    pub name: String,
    pub shards: Vec<ShardId>,
    cluster: ClusterId,
    channel: Channel,
    /// Was it silent for too long when the link was made?
    is_lost: bool,
}

impl Holders {
    /// Links to every holder of the placement; what is known of each node is its name and whether it is lost.
    pub fn new(
        connections: &Connections,
        cluster: ClusterId,
        map: PlacementMap,
        known: &BTreeMap<NodeId, (String, bool)>,
    ) -> Result<Self, Fault> {
        let mut links = BTreeMap::new();
        let (placement, addresses) = convert::placement_parts(&map);
        for (shard, node) in placement.holders.iter().enumerate() {
            if !links.contains_key(node) {
                let address = addresses.get(node).ok_or_else(|| Fault::internal("a holder without an address"))?;
                let (name, is_lost) = known.get(node).cloned().unwrap_or_else(|| (address.clone(), false));
                let channel = connections.channel(address)?;
                links.insert(*node, Link { node: *node, name, shards: Vec::new(), cluster, channel, is_lost });
            }
            let link = links.get_mut(node).expect("it was just inserted");
            link.shards.push(ShardId(shard as u16));
        }
        Ok(Self { cluster, map, links })
    }

    /// The node that holds a shard.
    pub fn holder(&self, shard: ShardId) -> Result<&Link, Fault> {
        let node = self.map.holders.get(usize::from(shard.0)).map(|node| NodeId(*node));
        node.and_then(|node| self.links.get(&node)).ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }
}

impl Link {
    fn client(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A request to the node, unless it has not been heard of for so long that waiting for it makes no sense.
    fn request<T>(&self, message: T, deadline: Option<Duration>) -> Result<Request<T>, Fault> {
        if self.is_lost {
            return Err(self.unreachable("has been silent for too long"));
        }
        let mut request = Request::new(message);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }

    fn unreachable(&self, why: &str) -> Fault {
        Fault::new(Reason::ShardsUnavailable, format!("node {} {why}", self.name)).with_shards(self.shards.clone())
    }

    /// A failure of this node's, naming it where somebody has to look after it, and its shards when it cannot be reached.
    fn fault(&self, error: &Status) -> Fault {
        let mut fault = status::to_fault(error);
        let is_silent = matches!(fault.reason, Reason::ShardsUnavailable | Reason::DeadlineExceeded);
        if is_silent && fault.shards.is_empty() {
            return self.unreachable(&format!("cannot be reached: {}", fault.message));
        }
        if matches!(fault.reason, Reason::DiskFull | Reason::Corrupt) {
            fault.message = format!("node {}: {}", self.name, fault.message);
        }
        fault
    }

    /// Ids for terms, new ones if need be.
    pub async fn intern(&self, attempt: u64, terms: Terms) -> Result<Vec<TermId>, Fault> {
        let request = InternRequest { cluster: self.cluster.0, attempt, terms: Some(terms) };
        let reply = self.client().intern(self.request(request, Some(SHORT * 4))?).await;
        convert::ids_from_bytes(&reply.map_err(|error| self.fault(&error))?.get_ref().ids)
    }

    /// Ids of known terms; [`TermId::MAX`] for others.
    pub async fn lookup(&self, terms: Terms) -> Result<Vec<TermId>, Fault> {
        let request = LookupRequest { cluster: self.cluster.0, terms: Some(terms) };
        let reply = self.client().lookup(self.request(request, Some(SHORT))?).await;
        convert::ids_from_bytes(&reply.map_err(|error| self.fault(&error))?.get_ref().ids)
    }

    /// The canonical bytes of ids.
    pub async fn decode(&self, ids: &[TermId]) -> Result<Vec<Bytes>, Fault> {
        let request = DecodeRequest { cluster: self.cluster.0, ids: convert::ids_to_bytes(ids) };
        let reply = self.client().decode(self.request(request, Some(SHORT))?).await;
        convert::term_slices(&reply.map_err(|error| self.fault(&error))?.into_inner().terms.unwrap_or_default())
    }

    /// Stages facts.
    pub async fn stage(&self, attempt: u64, sequence: u64, blocks: Vec<PairBlock>) -> Result<(), Fault> {
        let request = StageRequest { cluster: self.cluster.0, attempt, sequence, blocks };
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
    pub async fn execute(&self, mut request: ExecuteRequest) -> Result<Streaming<ExecuteResponse>, Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().execute(self.request(request, None)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }

    /// The next part of a stream of this node's.
    pub async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Fault> {
        stream.message().await.map_err(|error| self.fault(&error))
    }

    /// The sizes of the relations at an epoch.
    pub async fn sizes(&self, epoch: u64) -> Result<Vec<RelationSize>, Fault> {
        let request = SizesRequest { cluster: self.cluster.0, epoch };
        let reply = self.client().sizes(self.request(request, Some(SHORT))?).await;
        reply.map(|reply| reply.into_inner().relations).map_err(|error| self.fault(&error))
    }

    /// Streams the node's facts.
    pub async fn scan(&self, mut request: ScanRequest) -> Result<Streaming<ScanResponse>, Fault> {
        request.cluster = self.cluster.0;
        let reply = self.client().scan(self.request(request, None)?).await;
        reply.map(|reply| reply.into_inner()).map_err(|error| self.fault(&error))
    }
}
