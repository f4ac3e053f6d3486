//! The placement of shards on nodes: explicit, versioned data; consistent hashing only proposes it.
//!
//! ```text
//! nodes ──► ring of virtual nodes ──► a node for each homeless shard ──► the load bound evens out ──► Placement
//! ```
//!
//! Let mean = shards / nodes, and the *bound* = max(ceil(mean), floor(1.25 mean)). [`Placement::propose`] keeps:
//! - every shard is placed on one of the given nodes, and the order of the nodes does not matter;
//! - no node is above the bound (so where mean >= 4 no node is above 1.25 x mean, else none above ceil(mean)),
//!   and as long as only proposals follow proposals every node has floor(mean) or ceil(mean) shards;
//! - after nodes were added a shard either stays or moves to a *new* node, and no new node gets more than its *fair
//!   share*, ceil(mean); a new node takes from the most loaded node while that has at least two shards more;
//! - after nodes left only their shards move; equal holders mean an equal version, other holders a higher one.
//!
//! Proposals do not depend on the process or the version of Rust: the ring hashes explicit bytes under a fixed key.

use crate::id::{NodeId, ShardCount, ShardId};
use hashring::HashRing;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};

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

    /// The shards that `node` holds, in order.
    pub fn shards_of(&self, node: NodeId) -> impl Iterator<Item = ShardId> {
        (0u16..).zip(&self.holders).filter(move |(_, holder)| **holder == node).map(|(shard, _)| ShardId(shard))
    }

    /// The nodes that hold at least one shard.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.holders.iter().copied().collect()
    }

    /// Places `shards` on `nodes`, with as few moves from `previous` as possible and the module's invariants.
    ///
    /// Without nodes nothing is placed.
    pub fn propose(previous: Option<&Placement>, nodes: &[NodeId], shards: ShardCount) -> Placement {
        let holders = match Draft::keep(previous, nodes, shards) {
            Some(mut draft) => {
                draft.place_homeless();
                draft.fill_new_nodes();
                draft.relieve_overloaded();
                draft.into_holders(shards)
            }
            None => Vec::new(),
        };
        match previous {
            Some(previous) if previous.holders == holders => previous.clone(),
            _ => Placement { version: previous.map_or(0, |previous| previous.version) + 1, holders },
        }
    }
}

/// The points of each node on the ring: enough for shares to differ by only some ten percent before they are evened out.
const VIRTUAL_NODES: u32 = 128;

/// The number of a shard's draws before the full nodes are removed from the ring.
const DRAWS: u32 = 8;

/// An unfinished placement: each node's shards, and those that have no node yet.
struct Draft {
    held: BTreeMap<NodeId, Vec<ShardId>>,
    homeless: Vec<ShardId>,
    /// Nodes that held nothing before.
    new: BTreeSet<NodeId>,
    /// The holder that the ring names for each shard when no node is full.
    wishes: Vec<NodeId>,
    share: Share,
}

/// The limits of a node's number of shards, as the module defines them.
#[derive(Clone, Copy)]
struct Share {
    floor: usize,
    ceil: usize,
    bound: usize,
}

impl Share {
    fn of(shards: usize, nodes: usize) -> Self {
        let ceil = shards.div_ceil(nodes);
        Self { floor: shards / nodes, ceil, bound: ceil.max(shards * 5 / (nodes * 4)) }
    }
}

impl Draft {
    /// A draft in which every shard stays at its node if that is still in `nodes`; `None` without nodes.
    fn keep(previous: Option<&Placement>, nodes: &[NodeId], shards: ShardCount) -> Option<Self> {
        let mut held: BTreeMap<NodeId, Vec<ShardId>> = nodes.iter().map(|node| (*node, Vec::new())).collect();
        let ring = ring(held.keys().copied());
        let wishes = shards.shards().map(|shard| ring.get(&Draw { shard, draw: 0 }).map(|point| point.node));
        let wishes = wishes.collect::<Option<Vec<_>>>()?;
        let mut homeless = Vec::new();
        for shard in shards.shards() {
            let holder = previous.and_then(|previous| previous.holder(shard));
            match holder.and_then(|holder| held.get_mut(&holder)) {
                Some(shards) => shards.push(shard),
                None => homeless.push(shard),
            }
        }
        let new = held.iter().filter(|(_, shards)| shards.is_empty()).map(|(node, _)| *node).collect();
        let share = Share::of(usize::from(shards.get()), held.len());
        Some(Self { held, homeless, new, wishes, share })
    }

    /// Gives every homeless shard a node by the ring, first up to floor(mean) on each node, then up to ceil(mean), so that
    /// the remainder is spread, one shard on each node.
    fn place_homeless(&mut self) {
        for limit in [self.share.floor, self.share.ceil] {
            self.place_up_to(limit);
        }
        // With all nodes at ceil(mean) and a shard left, there would be more than `shards` shards.
        assert!(self.homeless.is_empty(), "every shard finds a place");
    }

    fn place_up_to(&mut self, limit: usize) {
        let mut places = ring(self.below(limit));
        let mut left = Vec::new();
        for shard in std::mem::take(&mut self.homeless) {
            match self.draw(&mut places, shard, limit) {
                Some(node) => self.held.entry(node).or_default().push(shard),
                None => left.push(shard),
            }
        }
        self.homeless = left;
    }

    /// A node below `limit`, drawn on the ring; `None` if there is none. After a full node the shard draws again; after
    /// `DRAWS` full ones the full nodes are removed from the ring: it is seldom rebuilt and never searched for long.
    fn draw(&self, places: &mut Ring, shard: ShardId, limit: usize) -> Option<NodeId> {
        for draw in 0..DRAWS {
            let node = places.get(&Draw { shard, draw })?.node;
            if self.load(node) < limit {
                return Some(node);
            }
        }
        *places = ring(self.below(limit));
        places.get(&Draw { shard, draw: 0 }).map(|point| point.node)
    }

    /// Moves shards from the most loaded nodes to new ones, up to their fair share.
    fn fill_new_nodes(&mut self) {
        while let (Some(receiver), Some(donor)) = (self.least_loaded(self.new.iter()), self.most_loaded()) {
            if self.load(receiver) >= self.share.ceil || self.load(donor) < self.load(receiver) + 2 {
                return;
            }
            self.give(donor, receiver);
        }
    }

    /// Reduces nodes above the bound to it. Only a previous placement that was not proposed can need this.
    fn relieve_overloaded(&mut self) {
        while let (Some(receiver), Some(donor)) = (self.least_loaded(self.held.keys()), self.most_loaded()) {
            if self.load(donor) <= self.share.bound {
                return;
            }
            self.give(donor, receiver);
        }
    }

    /// Moves one shard, if possible one that the ring assigns to the receiver.
    fn give(&mut self, donor: NodeId, receiver: NodeId) {
        let Some(shards) = self.held.get_mut(&donor) else { return };
        let wished = shards.iter().rposition(|shard| self.wishes[usize::from(shard.0)] == receiver);
        let moved = wished.map(|index| shards.remove(index)).or_else(|| shards.pop());
        self.held.entry(receiver).or_default().extend(moved);
    }

    fn load(&self, node: NodeId) -> usize {
        self.held.get(&node).map_or(0, Vec::len)
    }

    fn below(&self, limit: usize) -> impl Iterator<Item = NodeId> {
        self.held.iter().filter(move |(_, shards)| shards.len() < limit).map(|(node, _)| *node)
    }

    fn least_loaded<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> Option<NodeId> {
        nodes.copied().min_by_key(|node| (self.load(*node), *node))
    }

    fn most_loaded(&self) -> Option<NodeId> {
        self.held.keys().copied().max_by_key(|node| (self.load(*node), *node))
    }

    fn into_holders(self, shards: ShardCount) -> Vec<NodeId> {
        let mut holders = vec![NodeId::default(); usize::from(shards.get())];
        for (node, shards) in self.held {
            for shard in shards {
                holders[usize::from(shard.0)] = node;
            }
        }
        holders
    }
}

type Ring = HashRing<Point, RingHash>;

/// The ring of all points of `nodes`, which must be in order, since that decides between colliding points.
fn ring(nodes: impl Iterator<Item = NodeId>) -> Ring {
    let mut ring = HashRing::with_hasher(RingHash);
    ring.batch_add(nodes.flat_map(|node| (0..VIRTUAL_NODES).map(move |number| Point { node, number })).collect());
    ring
}

/// One of the points that a node owns on the ring.
struct Point {
    node: NodeId,
    number: u32,
}

/// The position of a shard on the ring for one draw.
struct Draw {
    shard: ShardId,
    draw: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        write_bytes(state, b'N', self.node.0, self.number);
    }
}

impl Hash for Draw {
    fn hash<H: Hasher>(&self, state: &mut H) {
        write_bytes(state, b'S', u64::from(self.shard.0), self.draw);
    }
}

/// One write of explicit bytes: the bytes that std's `Hash` writes for integers may change.
fn write_bytes(state: &mut impl Hasher, tag: u8, number: u64, part: u32) {
    let mut bytes = [tag; 13];
    bytes[1..9].copy_from_slice(&number.to_le_bytes());
    bytes[9..].copy_from_slice(&part.to_le_bytes());
    state.write(&bytes);
}

/// SipHash-1-3 under a key that never changes: placements may be proposed by any coordinator of any version.
#[derive(Clone)]
struct RingHash;

impl BuildHasher for RingHash {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(b"entail placement")
    }
}

#[cfg(test)]
mod tests;
