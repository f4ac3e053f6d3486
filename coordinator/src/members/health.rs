//! Counts of nodes and shards by state: `entail status` and the metrics use the same ones.

use super::Members;
use crate::metalog::Member;
use entail_model::NodeId;
use std::collections::BTreeMap;

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    Up,
    /// The node has announced that it shuts down, and still runs.
    Leaving,
    /// The node has announced that it shuts down, and is silent since.
    Stopped,
    Down,
}

impl NodeState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Up, Self::Leaving, Self::Stopped, Self::Down];

    /// The state's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Leaving => "leaving",
            Self::Stopped => "stopped",
            Self::Down => "down",
        }
    }
}

/// The nodes by their state, in the order of [`NodeState::ALL`], and the shards by whether theirs is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterHealth {
    pub nodes: [usize; 4],
    pub available: usize,
    pub missing: usize,
}

impl Members {
    /// The nodes that count: all that have registered, except replaced nodes that hold no shards.
    pub fn listed(&self) -> BTreeMap<NodeId, Member> {
        self.log.read(|state| {
            let holders = state.placement().nodes();
            let is_listed = |node: &NodeId| holders.contains(node) || !state.is_replaced(*node);
            let listed = state.nodes().iter().filter(|(node, _)| is_listed(node));
            listed.map(|(node, member)| (*node, member.clone())).collect()
        })
    }

    /// Counts the nodes and the shards.
    pub fn health(&self) -> ClusterHealth {
        let states: Vec<NodeState> = self.listed().into_keys().map(|node| self.state(node)).collect();
        let holders = self.log.read(|state| state.placement().holders.clone());
        let available = holders.iter().filter(|node| self.is_up(**node)).count();
        ClusterHealth {
            nodes: NodeState::ALL.map(|state| states.iter().filter(|one| **one == state).count()),
            available,
            missing: holders.len() - available,
        }
    }
}
