//! Extents: the part of a relation that an atom may read. A class is an extent of `rdf:type`: although rules fill that
//! relation, the facts with one object may be constant, and few.

use super::{Atom, Head};
use crate::plan::Arg;
use entail_model::{Relation, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The facts of a relation: all of them, or those with one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extent {
    pub relation: Relation,
    pub object: Option<TermId>,
}

impl Extent {
    /// All facts of a relation.
    pub fn all(relation: Relation) -> Self {
        Self { relation, object: None }
    }

    /// The extent that an atom reads; `None` if its predicate is a variable.
    pub fn of(atom: &Atom) -> Option<Self> {
        let object = match atom.object {
            Arg::Const(object) => Some(object),
            Arg::Slot(_) => None,
        };
        Some(Self { relation: atom.relation()?, object })
    }

    /// Does the extent have all facts of the other?
    pub fn covers(&self, other: &Self) -> bool {
        self.relation == other.relation && (self.object.is_none() || self.object == other.object)
    }

    /// May a head be a fact of the extent?
    pub fn may_have(&self, head: &Head) -> bool {
        let is_object = match head.object {
            Arg::Const(object) => self.object.is_none_or(|of| of == object),
            Arg::Slot(_) => true,
        };
        is_object && head.relation().map_or(head.graph == self.relation.graph, |of| of == self.relation)
    }
}

/// The objects of a relation's facts that are in some of the extents; `None` for all objects.
pub fn objects(extents: &[Extent], relation: Relation) -> Option<BTreeSet<TermId>> {
    extents.iter().filter(|extent| extent.relation == relation).map(|extent| extent.object).collect()
}
