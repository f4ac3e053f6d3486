//! Facts, and the homes of their two copies.
//!
//! The *forward* copy of (s, p, o) is at home(s), sorted (s, o). The *inverse* copy, sorted (o, s), is at home(o),
//! unless the object is *scattered*: then it is at home(s) too, so that no shard becomes a hot spot, and a lookup by
//! that object asks every shard. Only [`in_home`] decides this.

use crate::id::{ShardId, TermId};
use serde::{Deserialize, Serialize};

/// Subject and object of a fact in the order of one copy; the first is the key by which a column is sorted.
pub type Pair = (TermId, TermId);

/// All facts with one graph and predicate: sorted pairs (subject, object).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relation {
    pub graph: TermId,
    pub predicate: TermId,
}

/// One fact: a subject, predicate and object in a graph ([`TermId::DEFAULT_GRAPH`] for the default one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    pub graph: TermId,
    pub predicate: TermId,
    pub subject: TermId,
    pub object: TermId,
}

impl Fact {
    /// The relation that holds the fact.
    pub fn relation(&self) -> Relation {
        Relation { graph: self.graph, predicate: self.predicate }
    }
}

/// The direction of a fact's copy: sorted by subject or by object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Direction {
    /// Pairs (subject, object), at the subject's home. The authority on the fact's existence and marks.
    Forward = 0,
    /// Pairs (object, subject), at the object's home or, for scattered objects, at the subject's.
    Inverse = 1,
}

impl Direction {
    /// Both copies.
    pub const BOTH: [Self; 2] = [Self::Forward, Self::Inverse];

    /// The fact's pair in this direction.
    pub fn pair(self, subject: TermId, object: TermId) -> (TermId, TermId) {
        match self {
            Self::Forward => (subject, object),
            Self::Inverse => (object, subject),
        }
    }
}

/// The origin of a run's facts: asserted, derived, or both.
///
/// The runs of one copy of a relation satisfy: `Asserted` and `Derived` runs are pairwise disjoint and together are the
/// closure; every pair of a `Promoted` run is also in a `Derived` run. So the asserted facts are Asserted + Promoted,
/// the facts that are only derived are Derived - Promoted, and a scan of the closure never reads Promoted runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Mark {
    /// Asserted by a user.
    Asserted = 0,
    /// Derived by rules, and not asserted when the run was made.
    Derived = 1,
    /// Asserted by a user after rules had derived it.
    Promoted = 2,
}

impl Mark {
    /// All marks.
    pub const ALL: [Self; 3] = [Self::Asserted, Self::Derived, Self::Promoted];
}

/// Is every object of this predicate scattered? True for `rdf:type`, whose objects are classes.
///
/// `rdf_type` is the id of `rdf:type` in this cluster, if the dictionary knows it.
pub fn is_scattered_predicate(predicate: TermId, rdf_type: Option<TermId>) -> bool {
    Some(predicate) == rdf_type
}

/// The shard that holds the inverse copy of (subject, predicate, object).
///
/// `None` only when the subject is an inline value, which no valid fact has.
pub fn in_home(subject: TermId, predicate: TermId, object: TermId, rdf_type: Option<TermId>) -> Option<ShardId> {
    if is_scattered_predicate(predicate, rdf_type) {
        return subject.home();
    }
    object.home().or_else(|| subject.home())
}
