//! What an attempt changes, by relation: counted in the forward copies of what it hands to the store.

use entail_logic::fixpoint::Changes;
use entail_model::{Direction, Mark, Relation};
use entail_node_api::RelationChange;
use std::collections::BTreeMap;

/// The changes of each relation that has some. When everything is derived anew, derived facts only come: those that were
/// there before are not counted.
pub fn of(sealed: &Changes) -> BTreeMap<Relation, RelationChange> {
    let mut changes: BTreeMap<Relation, RelationChange> = BTreeMap::new();
    for (relation, _, run) in sealed.added.iter().filter(|(_, copy, _)| *copy == Direction::Forward) {
        let change = changes.entry(*relation).or_default();
        match run.mark {
            Mark::Asserted | Mark::Promoted => change.asserted += run.len,
            Mark::Derived => change.derived += run.len,
        }
    }
    for (relation, _, mark, run) in sealed.removed.iter().filter(|(_, copy, ..)| *copy == Direction::Forward) {
        let change = changes.entry(*relation).or_default();
        match mark {
            Mark::Asserted | Mark::Promoted => change.removed += run.len,
            Mark::Derived => change.derived_removed += run.len,
        }
    }
    changes
}

/// Derived facts that have come and gone; none if everything was derived anew.
pub fn derived(sealed: &Changes) -> [u64; 2] {
    if sealed.is_rebuild {
        return [0, 0];
    }
    let changes = of(sealed);
    [changes.values().map(|change| change.derived).sum(), changes.values().map(|change| change.derived_removed).sum()]
}
