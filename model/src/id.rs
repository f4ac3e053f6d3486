//! Ids: one newtype per concept.
//!
//! A [`TermId`] has everything that routing needs, so routing a fact needs no lookup:
//!
//! ```text
//! dictionary term   0 | shard: 15 bits | local index: 46 bits | kind: 2 bits
//! inline value      1 | value kind: 4 bits | payload: 59 bits
//! ```
//!
//! Invariant: two terms are the same RDF term exactly when their ids are equal, within one cluster.
//! Local indexes are dense: the home shard assigns them in order, from zero.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// One of the fixed slices of the graph. The number of shards is a power of two, chosen at cluster creation.
    ShardId(u16)
}
number! {
    /// A node, identified by its data directory: a random id that is chosen when the directory is created.
    NodeId(u64)
}
number! {
    /// Identifies a cluster: a random id that is chosen when the cluster is created, and never changes.
    ClusterId(u64)
}
number! {
    /// One committed change of the whole cluster. Zero is the empty cluster; never reused.
    Epoch(u64)
}
number! {
    /// One try to commit an epoch: the log index of its `Begin` entry. Never reused.
    Attempt(u64)
}
number! {
    /// One cluster-wide step to the fixpoint, counted from one within an attempt.
    Round(u32)
}

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Round {
    /// The round after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The number of shards of a cluster: a power of two between 1 and 32,768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ShardCount(u16);

impl ShardCount {
    /// Checks that `count` is a power of two of at most 32,768.
    pub fn new(count: u32) -> Result<Self, String> {
        if count.is_power_of_two() && count <= 1 << 15 {
            Ok(Self(count as u16))
        } else {
            Err(format!("the number of shards must be a power of two between 1 and 32768, not {count}"))
        }
    }

    /// The number itself.
    pub fn get(self) -> u16 {
        self.0
    }

    /// All shards in order.
    pub fn shards(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }
}

impl TryFrom<u16> for ShardCount {
    type Error = String;
    fn try_from(count: u16) -> Result<Self, String> {
        Self::new(u32::from(count))
    }
}

impl From<ShardCount> for u16 {
    fn from(count: ShardCount) -> u16 {
        count.0
    }
}

/// The kind of RDF term of a dictionary id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TermKind {
    Iri = 0,
    BlankNode = 1,
    Literal = 2,
    Triple = 3,
}

impl TermKind {
    #[inline]
    fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Iri,
            1 => Self::BlankNode,
            2 => Self::Literal,
            _ => Self::Triple,
        }
    }
}

/// The 64-bit id of an RDF term, in the layout that the module's picture shows.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct TermId(pub u64);

const INLINE: u64 = 1 << 63;
const SHARD_SHIFT: u32 = 48;
const LOCAL_SHIFT: u32 = 2;
const LOCAL_BITS: u32 = SHARD_SHIFT - LOCAL_SHIFT;
const INLINE_KIND_SHIFT: u32 = 59;
const PAYLOAD_MASK: u64 = (1 << INLINE_KIND_SHIFT) - 1;

impl TermId {
    /// The default graph in the graph position of a fact; not a term.
    pub const DEFAULT_GRAPH: Self = Self(INLINE);

    /// The largest possible id, an upper bound for scans; no term has it.
    pub const MAX: Self = Self(u64::MAX);

    /// The id of the `local`-th term of `shard`.
    ///
    /// # Panics
    /// If `local` needs more than 46 bits or the shard more than 15: more terms than any disk holds.
    pub fn dictionary(shard: ShardId, local: u64, kind: TermKind) -> Self {
        assert!(local < 1 << LOCAL_BITS, "local index {local} does not fit");
        assert!(shard.0 < 1 << 15, "shard {shard} does not fit");
        Self(u64::from(shard.0) << SHARD_SHIFT | local << LOCAL_SHIFT | kind as u64)
    }

    pub(crate) fn inline(kind: u8, payload: u64) -> Self {
        debug_assert!(kind > 0 && kind < 16 && payload <= PAYLOAD_MASK);
        Self(INLINE | u64::from(kind) << INLINE_KIND_SHIFT | payload)
    }

    /// Does the id carry the term's value? Such a term has neither a dictionary entry nor a home.
    #[inline]
    pub fn is_inline(self) -> bool {
        self.0 & INLINE != 0
    }

    #[inline]
    pub(crate) fn inline_parts(self) -> Option<(u8, u64)> {
        self.is_inline().then_some(((self.0 >> INLINE_KIND_SHIFT & 15) as u8, self.0 & PAYLOAD_MASK))
    }

    /// The shard that owns the term; `None` for inline values.
    #[inline]
    pub fn home(self) -> Option<ShardId> {
        (!self.is_inline()).then_some(ShardId((self.0 >> SHARD_SHIFT) as u16))
    }

    /// The dense index within the home shard; `None` for inline values.
    #[inline]
    pub fn local(self) -> Option<u64> {
        (!self.is_inline()).then_some(self.0 >> LOCAL_SHIFT & ((1 << LOCAL_BITS) - 1))
    }

    /// The kind of term; inline values are literals.
    #[inline]
    pub fn kind(self) -> TermKind {
        if self.is_inline() { TermKind::Literal } else { TermKind::from_bits(self.0) }
    }

    /// Smallest and largest id that terms of `shard` can have: the bounds of its slice of a sorted column.
    pub fn shard_range(shard: ShardId) -> (Self, Self) {
        let first = u64::from(shard.0) << SHARD_SHIFT;
        (Self(first), Self(first | ((1 << SHARD_SHIFT) - 1)))
    }
}

impl fmt::Debug for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.home(), self.local(), self.inline_parts()) {
            (Some(shard), Some(local), _) => write!(f, "{:?}#{shard}/{local}", self.kind()),
            (_, _, Some((0, _))) => write!(f, "DefaultGraph"),
            (_, _, parts) => write!(f, "Inline{parts:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dictionary_ids_keep_their_parts(shard in 0u16..(1 << 15), local in 0u64..(1 << 46), kind in 0u64..4) {
            let kind = TermKind::from_bits(kind);
            let id = TermId::dictionary(ShardId(shard), local, kind);
            prop_assert_eq!(id.home(), Some(ShardId(shard)));
            prop_assert_eq!(id.local(), Some(local));
            prop_assert_eq!(id.kind(), kind);
            prop_assert!(!id.is_inline());
            let (first, last) = TermId::shard_range(ShardId(shard));
            prop_assert!(first <= id && id <= last);
        }
    }

    #[test]
    fn shard_counts_are_powers_of_two() {
        for good in [1, 2, 16, 1 << 15] {
            assert_eq!(u32::from(ShardCount::new(good).expect("a power of two").get()), good);
        }
        for bad in [0, 3, 1 << 16] {
            assert!(ShardCount::new(bad).is_err(), "{bad}");
        }
    }
}
