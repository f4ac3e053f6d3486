//! Messages to nodes of this process. The tests know no addresses, so nodes outside of the process cannot be reached.

use super::*;
use bytes::Bytes;
use entail_logic::exchange::{Message, Payload};
use entail_model::term::TermHash;
use entail_model::{Attempt, Direction, Epoch, Placement, Relation, Round, TermId};
use entail_node_api::{
    Blocks, Execute, LocalNodes, Parts, RelationChange, RoundAnswer, RoundRequest, Scan, SealAnswer, Show, Staged,
};
use entail_proto::convert;
use entail_proto::internal::RelationSize;
use entail_telemetry::metrics::Registry;
use std::collections::BTreeMap;
use std::sync::mpsc;

/// A node that keeps received messages, and may refuse the first one.
#[derive(Debug, Default)]
struct Peer {
    received: Mutex<Vec<(NodeId, Message)>>,
    refuses: Mutex<Option<Reason>>,
}

const ONLY_EXCHANGE: &str = "peers only hand over messages";

#[tonic::async_trait]
impl NodeApi for Peer {
    async fn exchange(&self, _: Call, exchange: Exchange) -> Result<u64, Fault> {
        if let Some(reason) = self.refuses.lock().expect("no panics").take() {
            return Err(Fault::new(reason, "refused"));
        }
        self.received.lock().expect("no panics").push((exchange.from, exchange.message));
        Ok(16)
    }

    async fn intern(&self, _: Call, _: Attempt, _: &[&[u8]], _: &[TermHash]) -> Result<Vec<TermId>, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn lookup(&self, _: Call, _: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn texts(&self, _: Call, _: &[TermId], _: u64, _: Show<'_>) -> Result<(), Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn stage(&self, _: Call, _: Staged) -> Result<(), Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn reason(&self, _: Call, _: RoundRequest) -> Result<RoundAnswer, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn seal(&self, _: Call, _: Attempt) -> Result<SealAnswer, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn preview(&self, _: Call, _: Attempt) -> Result<Vec<(Relation, RelationChange)>, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn decide(&self, _: Call, _: Attempt, _: Option<Epoch>) -> Result<(), Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn execute(&self, _: Call, _: Execute) -> Result<Parts, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn sizes(&self, _: Call, _: Epoch) -> Result<Vec<RelationSize>, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn scan(&self, _: Call, _: Scan) -> Result<Blocks, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }

    async fn trace(&self, _: Call, _: [u8; 16]) -> Result<Bytes, Fault> {
        unreachable!("{ONLY_EXCHANGE}")
    }
}

fn message() -> Message {
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
    let payload = Payload::Copies { relation, pairs: vec![Direction::Inverse.pair(TermId(8), TermId(12))] };
    Message { round: Round(1), level: 1, sequence: 0, payload: Arc::new(payload) }
}

/// The outcome of a message: taken, or refused for a reason.
type Outcome = Result<(), Reason>;

/// Sends a message to node 2, whose address is not known. Returns the result of the call, the outcome that is known when
/// it returns, and the outcome that arrives later.
fn send(nodes: &Arc<LocalNodes>) -> (Outcome, Option<Outcome>, Option<Outcome>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let peers = Peers::new(Connections::new(Arc::clone(nodes)));
    let nowhere = convert::placement_map(&Placement::default(), &BTreeMap::new());
    let shard_maps = AddressedShardMap::new(NodeId(1), &nowhere, &[]);
    let (stop, metrics) = (AtomicBool::new(false), Metrics::new(&Registry::default()));
    let exchange = Exchange { flow: FlowId::Attempt(Attempt(7)), from: NodeId(1), message: message() };
    let (cluster, secret, to) = (ClusterId(1), Secret::NONE, NodeId(2));
    let envelope = Envelope { cluster, secret, to, exchange, stop: &stop, metrics: &metrics };
    let (told, outcome) = mpsc::channel();
    let done = move |result: Result<(), Fault>| told.send(result.map_err(|fault| fault.reason)).expect("it is awaited");
    let sent = peers.send(runtime.handle(), &shard_maps, envelope, done);
    let at_once = outcome.try_recv().ok();
    (sent.map_err(|fault| fault.reason), at_once, outcome.recv_timeout(Duration::from_secs(10)).ok())
}

#[test]
fn a_node_of_this_process_takes_messages_as_they_are() {
    let (nodes, peer) = (Arc::<LocalNodes>::default(), Arc::<Peer>::default());
    let presence = nodes.enter(NodeId(2), Arc::clone(&peer) as Arc<dyn NodeApi>);
    assert_eq!(send(&nodes), (Ok(()), Some(Ok(())), None), "the sender has its receipt when the call is over");
    assert_eq!(*peer.received.lock().expect("no panics"), [(NodeId(1), message())]);
    drop(presence);
    assert_eq!(send(&nodes), (Err(Reason::ShardsUnavailable), None, None), "it has left");
}

#[test]
fn what_a_node_says_of_a_message_is_told_unless_it_may_take_it_later() {
    for (reason, expected) in [
        (Reason::Fenced, (Ok(()), Some(Err(Reason::Fenced)), None)),
        (Reason::DiskFull, (Ok(()), Some(Err(Reason::DiskFull)), None)),
        (Reason::NotReady, (Ok(()), None, Some(Ok(())))),
    ] {
        let nodes = Arc::<LocalNodes>::default();
        let peer = Peer { refuses: Mutex::new(Some(reason)), ..Peer::default() };
        let _presence = nodes.enter(NodeId(2), Arc::new(peer));
        assert_eq!(send(&nodes), expected, "{reason:?}");
    }
}
