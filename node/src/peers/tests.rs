//! Messages to nodes of this process: no address is known here, so what is not handed over as it is fails.

use super::*;
use entail_logic::eval::Batch;
use entail_logic::exchange::Payload;
use entail_logic::near::{Ask, Near, Staged};
use entail_model::term::TermHash;
use entail_model::{Attempt, Direction, Placement, Relation, Round, TermId};
use entail_proto::convert;
use entail_telemetry::metrics::Registry;
use std::collections::BTreeMap;

/// A node that keeps what it receives, or refuses it.
#[derive(Debug, Default)]
struct Peer {
    received: Mutex<Vec<(NodeId, Message)>>,
    refuses: Option<Reason>,
}

impl Near for Peer {
    fn receive(&self, _: ClusterId, _: FlowId, from: NodeId, message: Message) -> Result<(), Fault> {
        match self.refuses {
            Some(reason) => Err(Fault::new(reason, "refused")),
            None => {
                self.received.lock().expect("no panics").push((from, message));
                Ok(())
            }
        }
    }

    fn answer(&self, _: Ask) -> Result<Option<Vec<Batch>>, Fault> {
        unreachable!("peers ask nothing")
    }

    fn lookup(&self, _: ClusterId, _: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        unreachable!("peers ask nothing")
    }

    fn intern(&self, _: ClusterId, _: Attempt, _: &[&[u8]], _: &[TermHash]) -> Result<Vec<TermId>, Fault> {
        unreachable!("peers intern nothing")
    }

    fn stage(&self, _: Staged) -> Result<(), Fault> {
        unreachable!("peers stage nothing")
    }

    fn texts(&self, _: ClusterId, _: &[TermId], _: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        unreachable!("peers ask nothing")
    }
}

fn message() -> Message {
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
    let payload = Payload::Copies { relation, pairs: vec![Direction::Inverse.pair(TermId(8), TermId(12))] };
    Message { round: Round(1), level: 1, sequence: 0, payload: Arc::new(payload) }
}

/// What becomes of a message to node 2, of which nobody knows the address: of the call, and of the message.
fn send(nearby: &Arc<Nearby>) -> (Result<(), Reason>, Option<Result<(), Reason>>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let peers = Peers::new(Arc::clone(nearby), Inside::default());
    let nowhere = convert::placement_map(&Placement::default(), &BTreeMap::new());
    let shard_maps = AddressedShardMap::new(NodeId(1), Some(&nowhere), &[]).expect("a placement");
    let (stop, metrics) = (AtomicBool::new(false), Metrics::new(&Registry::default()));
    let owner = FlowId::Attempt(Attempt(7));
    let (cluster, from, to) = (ClusterId(1), NodeId(1), NodeId(2));
    let envelope = Envelope { cluster, owner, from, to, message: message(), stop: &stop, metrics: &metrics };
    let outcome = Arc::new(Mutex::new(None));
    let told = Arc::clone(&outcome);
    let done =
        move |result: Result<(), Fault>| *told.lock().expect("no panics") = Some(result.map_err(|fault| fault.reason));
    let sent = peers.send(runtime.handle(), &shard_maps, envelope, done);
    let outcome = outcome.lock().expect("no panics").take();
    (sent.map_err(|fault| fault.reason), outcome)
}

#[test]
fn a_node_of_this_process_takes_messages_as_they_are() {
    let (nearby, peer) = (Arc::<Nearby>::default(), Arc::<Peer>::default());
    let presence = nearby.enter(NodeId(2), Arc::clone(&peer) as Arc<dyn Near>);
    assert_eq!(send(&nearby), (Ok(()), Some(Ok(()))));
    assert_eq!(*peer.received.lock().expect("no panics"), [(NodeId(1), message())]);
    drop(presence);
    assert_eq!(send(&nearby), (Err(Reason::ShardsUnavailable), None), "it has left");
}

#[test]
fn what_a_node_of_this_process_says_of_a_message_is_told() {
    for (reason, expected) in [
        (Reason::Fenced, (Ok(()), Some(Err(Reason::Fenced)))),
        (Reason::DiskFull, (Ok(()), Some(Err(Reason::DiskFull)))),
        // It may be ready a moment later, and is asked as others are, which needs its address.
        (Reason::NotReady, (Err(Reason::ShardsUnavailable), None)),
    ] {
        let nearby = Arc::<Nearby>::default();
        let _presence = nearby.enter(NodeId(2), Arc::new(Peer { refuses: Some(reason), ..Peer::default() }));
        assert_eq!(send(&nearby), expected, "{reason:?}");
    }
}
