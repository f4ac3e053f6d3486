//! Messages to other nodes: one unary call each, its answer the receipt. Nodes of this process are handed them as they are.
//!
//! The sender's thread waits when too many messages to one peer are under way; a receipt never waits for work, only for
//! the message to be in the receiver's memory or on its disk, so two nodes that send to each other cannot wait in a
//! circle. Messages carry no trace: they are too many for spans, and [`Traffic`](crate::traffic::Traffic) has one for all.

use crate::context::AddressedShardMap;
use crate::metrics::Metrics;
use crate::traffic;
use crate::waiting::wait;
use bytes::Bytes;
use entail_logic::exchange::{Message, wire};
use entail_logic::near::{FlowId, Nearby};
use entail_model::{ClusterId, Fault, NodeId, Reason};
use entail_proto::connection::Connection;
use entail_proto::inside::Inside;
use entail_proto::internal::ExchangeRequest;
use entail_proto::internal::exchange_request::Flow;
use entail_proto::internal::peer_service_client::PeerServiceClient;
use entail_proto::{addressee, status};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Messages under way to one peer.
const IN_FLIGHT_MAX: usize = 8;

/// How long after its first failure a message is tried again: a peer that starts anew is there by then, and whoever waits
/// for a peer that is not learns it soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// The deadline of one try.
const DEADLINE: Duration = Duration::from_secs(20);

/// The largest message, encoded: 32,768 rows of a wide plan with texts stay below.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Connections to other nodes, by address.
#[derive(Debug, Default)]
pub struct Peers {
    nearby: Arc<Nearby>,
    inside: Inside,
    connections: Mutex<HashMap<String, (Connection, Arc<Semaphore>)>>,
}

/// One message on its way.
pub struct Envelope<'s> {
    pub cluster: ClusterId,
    pub owner: FlowId,
    pub from: NodeId,
    pub to: NodeId,
    pub message: Message,
    /// Set when nobody needs it any more.
    pub stop: &'s AtomicBool,
    pub metrics: &'s Metrics,
}

impl Peers {
    /// No connections yet: those to nodes of this process will need no sockets, and `nearby` are called without any.
    pub fn new(nearby: Arc<Nearby>, inside: Inside) -> Self {
        Self { nearby, inside, connections: Mutex::default() }
    }

    /// The connection to an address; made inside the runtime, since the caller's thread is not one of its own.
    fn connection(&self, runtime: &Handle, address: &str) -> Result<(Connection, Arc<Semaphore>), Fault> {
        let _inside = runtime.enter();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(address).filter(|(connection, _)| !connection.is_misled()) {
            return Ok(connection.clone());
        }
        let connection = Connection::to(address, &self.inside, |endpoint| endpoint)?;
        let connection = (connection, Arc::new(Semaphore::new(IN_FLIGHT_MAX)));
        connections.insert(address.to_owned(), connection.clone());
        Ok(connection)
    }

    /// Gives a message to a node of this process; `None` if it is none, or is not ready: then it is asked as others are,
    /// again and again.
    fn hand_over(&self, envelope: &Envelope<'_>) -> Option<Result<(), Fault>> {
        let node = self.nearby.find(envelope.to)?;
        match node.receive(envelope.cluster, envelope.owner, envelope.from, envelope.message.clone()) {
            Ok(()) => {
                envelope.count(traffic::bytes(&envelope.message.payload));
                Some(Ok(()))
            }
            Err(fault) if may_pass(&fault) => None,
            Err(fault) => Some(Err(fault)),
        }
    }

    /// Sends a message; called on a thread that may wait, until `parcel.stop` is set. `done` learns of the receipt or
    /// the failure.
    pub fn send(
        &self,
        runtime: &Handle,
        shard_maps: &AddressedShardMap,
        envelope: Envelope<'_>,
        done: impl FnOnce(Result<(), Fault>) + Send + 'static,
    ) -> Result<(), Fault> {
        if let Some(taken) = self.hand_over(&envelope) {
            done(taken);
            return Ok(());
        }
        let to = envelope.to;
        let address = shard_maps.address(to)?;
        let (connection, permits) = self.connection(runtime, &address)?;
        let message: Bytes = wire::encode(&envelope.message).into();
        let flow = match envelope.owner {
            FlowId::Attempt(attempt) => Flow::Attempt(attempt.0),
            FlowId::Query(query) => Flow::Query(query),
        };
        envelope.count(message.len() as u64);
        let request = ExchangeRequest { cluster: envelope.cluster.0, flow: Some(flow), from: envelope.from.0, message };
        let shards = shard_maps.shards_of(to);
        let permit = wait(runtime, envelope.stop, permits.acquire_owned())?
            .map_err(|_| Fault::new(Reason::Cancelled, "the node is shutting down"))?;
        runtime.spawn(async move {
            let result = deliver(connection, to, request).await;
            drop(permit);
            done(result.map_err(|fault| match fault.reason {
                Reason::ShardsUnavailable | Reason::DeadlineExceeded | Reason::NotReady => {
                    let message = format!("the node at {address} cannot be reached: {}", fault.message);
                    Fault::new(Reason::ShardsUnavailable, message).with_shards(shards)
                }
                _ => fault,
            }));
        });
        Ok(())
    }
}

impl Envelope<'_> {
    fn count(&self, bytes: u64) {
        match self.owner {
            FlowId::Attempt(_) => self.metrics.attempts_sent.count(bytes),
            FlowId::Query(_) => self.metrics.queries_sent.count(bytes),
        }
    }
}

/// May a peer that refused a message for this take it a moment later?
fn may_pass(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::ShardsUnavailable | Reason::NotReady | Reason::DeadlineExceeded)
}

/// Tries a few times: messages are counted once however often they come.
async fn deliver(connection: Connection, to: NodeId, request: ExchangeRequest) -> Result<(), Fault> {
    let mut client = PeerServiceClient::new(connection).max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut wait = Duration::from_millis(50);
    let mut failing: Option<Instant> = None;
    loop {
        let mut request = tonic::Request::new(request.clone());
        addressee::address(&mut request, to);
        request.set_timeout(DEADLINE);
        let fault = match client.exchange(request).await {
            Ok(_) => return Ok(()),
            Err(error) => status::to_fault(&error),
        };
        if !may_pass(&fault) || failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(fault);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

#[cfg(test)]
mod tests;
