//! Messages to other nodes: one call each, whose answer is the receipt.
//!
//! The sender's thread waits when too many messages to one peer are in flight. A receipt never waits for work, only for
//! the message to be in the receiver's memory or on its disk, so two nodes that send to each other cannot wait in a
//! circle. Messages have no spans, since they are too many; [`Traffic`](crate::traffic::Traffic) has one span for all.
//!
//! The call begins on the sender's thread. A node of this process takes the message on that thread; any other call
//! continues in the async runtime.

use crate::context::AddressedShardMap;
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::waiting::wait;
use entail_model::{ClusterId, Fault, NodeId, Reason, Secret};
use entail_node_api::{Call, Connections, Exchange, FlowId, NodeApi};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::{Instrument, Span};

/// The most messages in flight to one peer.
const IN_FLIGHT_MAX: usize = 8;

/// How long after its first failure a message is sent again: long enough for a peer to restart, short enough for the
/// sender to learn of a lost peer soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bound of the wait before the first retry of a message.
const RETRY_FIRST: Duration = Duration::from_millis(50);

/// The other nodes.
#[derive(Debug, Default)]
pub struct Peers {
    connections: Connections,
    /// Permits for messages in flight, by node.
    permits: Mutex<HashMap<NodeId, Arc<Semaphore>>>,
}

/// A message to be sent.
pub struct Envelope<'s> {
    pub cluster: ClusterId,
    /// Of the attempt that the message belongs to, if it belongs to one.
    pub secret: Secret,
    pub to: NodeId,
    pub exchange: Exchange,
    /// Set when the message is no longer needed.
    pub stop: &'s AtomicBool,
    pub metrics: &'s Metrics,
}

impl Peers {
    /// The peers behind these connections.
    pub fn new(connections: Connections) -> Self {
        Self { connections, permits: Mutex::default() }
    }

    fn permits(&self, to: NodeId) -> Arc<Semaphore> {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(permits.entry(to).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT_MAX))))
    }

    /// Sends a message; may block the calling thread until `envelope.stop` is set. `done` is called with the receipt or the
    /// failure.
    pub fn send(
        &self,
        runtime: &Handle,
        shard_maps: &AddressedShardMap,
        envelope: Envelope<'_>,
        done: impl FnOnce(Result<(), Fault>) + Send + 'static,
    ) -> Result<(), Fault> {
        let Envelope { cluster, secret, to, exchange, stop, metrics } = envelope;
        let permit = wait(runtime, stop, self.permits(to).acquire_owned())?
            .map_err(|_| Fault::new(Reason::Cancelled, "the node is shutting down"))?;
        // Connections are made inside the runtime, to which this thread does not belong.
        let _inside = runtime.enter();
        let peer = self.connections.node(to, || shard_maps.address(to))?;
        let sent = match exchange.flow {
            FlowId::Attempt(_) => metrics.attempts_sent.clone(),
            FlowId::Query(_) => metrics.queries_sent.clone(),
        };
        let unreachable = shard_maps.unreachable(to);
        let call = Call { cluster, until: None, secret };
        let delivery = async move {
            let result = deliver(&*peer, call, exchange).await.map(|bytes| sent.count(bytes));
            drop(permit);
            done(result.map_err(unreachable));
        };
        let mut delivery = Box::pin(delivery.instrument(Span::none()));
        if delivery.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            runtime.spawn(delivery);
        }
        Ok(())
    }
}

/// May a peer that refused a message with this fault take it a moment later?
fn may_pass(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::ShardsUnavailable | Reason::NotReady | Reason::DeadlineExceeded)
}

/// Delivers a message, with retries for [`PATIENCE`]: receivers count repeated messages once. Returns the message's bytes.
async fn deliver(peer: &dyn NodeApi, call: Call, exchange: Exchange) -> Result<u64, Fault> {
    let mut backoff = Backoff::new(RETRY_FIRST, PATIENCE, exchange.from.0 ^ exchange.message.sequence);
    let mut failing: Option<Instant> = None;
    loop {
        let fault = match peer.exchange(call, exchange.clone()).await {
            Ok(bytes) => return Ok(bytes),
            Err(fault) => fault,
        };
        if !may_pass(&fault) || failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(fault);
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

#[cfg(test)]
mod tests;
