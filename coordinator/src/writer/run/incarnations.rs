//! Detects nodes of the running attempt that have restarted or gone silent.

use crate::members::Members;
use crate::metalog::Incarnation;
use crate::nodes::Holders;
use entail_logic::epoch::Event;
use entail_model::{Fault, NodeId, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often unanswered control messages are repeated and lost nodes detected.
pub const TICK: Duration = Duration::from_secs(1);

/// The incarnations of the nodes at the attempt's begin: a node that restarts loses what it has not sealed.
pub struct IncarnationWatch {
    members: Arc<Members>,
    holders: Arc<Holders>,
    incarnations: BTreeMap<NodeId, Incarnation>,
}

impl IncarnationWatch {
    /// The present incarnations of all holders.
    pub fn new(members: Arc<Members>, holders: Arc<Holders>) -> Self {
        let incarnations = holders.links.keys().map(|node| (*node, members.incarnation(*node))).collect();
        Self { members, holders, incarnations }
    }

    /// The incarnation of a participating node at the attempt's begin.
    pub fn incarnation(&self, node: NodeId) -> Incarnation {
        self.incarnations[&node]
    }

    /// The events of one tick.
    pub fn tick(&self) -> impl Iterator<Item = Event> {
        with_tick(self.failures())
    }

    /// Completes when a node has failed.
    pub async fn failure(&self) -> Fault {
        loop {
            tokio::time::sleep(TICK).await;
            if let Some((_, fault)) = self.failures().pop() {
                return fault;
            }
        }
    }

    /// Nodes that are lost or have restarted.
    fn failures(&self) -> Vec<(NodeId, Fault)> {
        let failure = |(node, incarnation): (&NodeId, &Incarnation)| {
            let link = &self.holders.links[node];
            let fault = if self.members.incarnation(*node) != *incarnation {
                format!("node {} has restarted", link.name)
            } else if self.members.is_lost(*node) {
                format!("node {} has been silent for too long", link.name)
            } else {
                return None;
            };
            Some((*node, Fault::new(Reason::ShardsUnavailable, fault).with_shards(link.shards.clone())))
        };
        self.incarnations.iter().filter_map(failure).collect()
    }
}

/// The tick follows even if nodes have failed: it repeats an abort that the log had no space for.
fn with_tick(failures: Vec<(NodeId, Fault)>) -> impl Iterator<Item = Event> {
    let failed = failures.into_iter().map(|(node, fault)| Event::Failed { node: Some(node), fault });
    failed.chain([Event::Tick])
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::epoch::{Effect, EpochMachine, EpochSetup};
    use entail_model::{Attempt, Epoch};

    #[test]
    fn an_abort_without_room_is_asked_for_again_while_a_node_is_lost() {
        let node = NodeId(1);
        let lost = || vec![(node, Fault::new(Reason::ShardsUnavailable, "node 1 has been silent for too long"))];
        let mut machine = EpochMachine::new(EpochSetup { nodes: vec![node], previous: Epoch(0), rounds_max: 1 });
        machine.step(Event::Start);
        machine.step(Event::Begun(Ok(Attempt(7))));
        let pass = |machine: &mut EpochMachine| -> Vec<Effect> {
            with_tick(lost()).flat_map(|event| machine.step(event)).collect()
        };
        let is_abort = |effects: &[Effect]| matches!(effects, [Effect::LogAbort { .. }]);
        assert!(is_abort(&pass(&mut machine)));
        machine.step(Event::Aborted(Err(Fault::new(Reason::DiskFull, "no room"))));
        assert!(is_abort(&pass(&mut machine)));
    }
}
