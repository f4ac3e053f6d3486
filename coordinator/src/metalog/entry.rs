//! The entries of the log, one variant per decision. All are small; facts and terms never go through the log.
//!
//! The encoding (postcard) is positional: variants and fields are only ever added at the end, and with a new version in
//! the file's header.

use entail_model::{Attempt, ClusterId, Epoch, NodeId, Placement, ShardCount};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The first entry: the cluster's constants.
    CreateCluster(Cluster),
    /// A node has started. The index of the entry is its [`Incarnation`].
    RegisterNode { node: NodeId, name: String, address: String },
    /// The placement of the shards from now on.
    Place { placement: Placement },
    /// An attempt at the epoch after `previous` starts. The index of the entry is its [`Attempt`].
    BeginEpoch {
        previous: Epoch,
        kind: EpochKind,
        /// The client's request that the epoch answers.
        request: RequestId,
        /// The version of the rule sets that the attempt started from.
        rules: u64,
    },
    /// The attempt's sealed stages become the epoch.
    CommitEpoch {
        attempt: Attempt,
        epoch: Epoch,
        /// One seal for each node that holds shards.
        nodes: Vec<Seal>,
        /// The answer to the client, opaque here, kept for retries of the same request.
        result: Vec<u8>,
        /// The rule sets from this epoch on; given exactly by epochs of [`EpochKind::Rules`].
        rules: Option<RuleSets>,
    },
    /// The attempt ends without effect.
    AbortEpoch { attempt: Attempt, reason: String },
    /// The attempt's sealed stages become the epoch, an epoch of [`EpochKind::Facts`] that answers several requests: that of
    /// the attempt's beginning is one of them, or had no effect. Since version 2 of the file.
    CommitGroup { attempt: Attempt, epoch: Epoch, nodes: Vec<Seal>, answers: Vec<(RequestId, Vec<u8>)> },
}

/// The constants of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub cluster: ClusterId,
    pub shards: ShardCount,
    /// The key of the term hash.
    pub hash_key: [u8; 16],
}

/// What an epoch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EpochKind {
    /// Asserted facts, and what they entail.
    Facts,
    /// The rule sets, and what they entail.
    Rules,
}

/// One run of a node's process: the index of the entry that registered it. Higher is later; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a client's request, the same on every retry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node's guarantee that its stage of an attempt is durable and will not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub node: NodeId,
    /// The incarnation of the node that sealed.
    pub incarnation: Incarnation,
    /// A digest over all facts of the node at the new epoch. Nodes of earlier versions told one over the attempt's facts, and
    /// do not name it when they register.
    pub digest: u64,
    /// Facts that the node owns at the new epoch.
    pub counts: Counts,
}

/// Numbers of facts by origin; a fact that is both asserted and derived counts as asserted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub asserted: u64,
    pub derived: u64,
}

/// All rule sets of the cluster at an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSets {
    /// Grows by one with every change.
    pub version: u64,
    /// In order of their names, which are distinct.
    pub sets: Vec<RuleSet>,
}

impl RuleSets {
    /// The set of this name.
    pub fn get(&self, name: &str) -> Option<&RuleSet> {
        self.sets.iter().find(|set| set.name == name)
    }
}

/// Rules that were applied together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    pub name: String,
    /// The IRI of the graph that the rules read and write; the default graph if none.
    pub graph: Option<String>,
    /// The rules as their author wrote them.
    pub source: String,
    /// The [`RuleSets::version`] that last changed the set.
    pub version: u64,
}
