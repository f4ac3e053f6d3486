//! Which node holds which shard: explicit data, versioned.

use crate::id::{NodeId, ShardId};
use serde::{Deserialize, Serialize};

/// The holder of every shard, in shard order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Grows with every change.
    pub version: u64,
    /// The node that holds each shard; the index is the shard's number.
    pub holders: Vec<NodeId>,
}

impl Placement {
    /// The node that holds `shard`, if the shard is placed.
    pub fn holder(&self, shard: ShardId) -> Option<NodeId> {
        self.holders.get(usize::from(shard.0)).copied()
    }
}
