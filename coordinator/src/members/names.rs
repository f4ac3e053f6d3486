//! Names of nodes: tables, metrics and errors tell nodes apart by them, so no two have the same.
//!
//! A name belongs to the node that registered with it, as long as that node holds shards or is alive. A node keeps its
//! name over restarts, also at another address; if its directory was lost, the next node at its address gets the name.

use crate::metalog::State;
use entail_model::{Fault, NodeId, Reason};

/// The liveness of the node that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Alive,
    /// The node has announced that it shuts down, or has been silent for too long.
    Gone,
    /// The coordinator started less than [`LOST_AFTER`](super::LOST_AFTER) ago and has had no heartbeat of the node.
    Unknown,
}

/// Checks that a node may register under a name.
///
/// # Errors
/// `AlreadyExists` if another node has the name, `NotReady` if another may still have it.
pub fn check(
    state: &State,
    node: NodeId,
    name: &str,
    address: &str,
    life: impl Fn(NodeId) -> Life,
) -> Result<(), Fault> {
    let holders = state.placement().nodes();
    let keeps_it = state.nodes().get(&node).is_some_and(|member| member.name == name) && holders.contains(&node);
    if name.is_empty() || keeps_it {
        return Ok(());
    }
    let others = state.nodes().iter().filter(|(other, member)| **other != node && member.name == name);
    for (other, member) in others.filter(|(_, member)| member.address != address) {
        let id = format!("{:016x}", other.0);
        let taken = |why: &str| {
            let text = format!("the name {name} belongs to node {id} at {}, {why}", member.address);
            Err(Fault::new(Reason::AlreadyExists, text))
        };
        match life(*other) {
            _ if state.is_replaced(*other) => {}
            Life::Alive => return taken("which is running: use another --name"),
            _ if holders.contains(other) => {
                return taken("which holds shards: use another --name, or the data directory of that node");
            }
            Life::Unknown => {
                let text = format!("the name {name} belonged to node {id} at {}, which may still run", member.address);
                return Err(Fault::new(Reason::NotReady, text));
            }
            Life::Gone => {}
        }
    }
    Ok(())
}
