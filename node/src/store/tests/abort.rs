//! Aborts of sealed attempts: whatever record a crash or a full disk leaves as the last of the inventory, the store opens
//! with what it has decided.

use super::place::Place;
use crate::store::Store;
use entail_directory::INVENTORY;
use entail_logic::columns::Run;
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Epoch, Mark, Relation, TermId};
use std::fs;

const RELATION: Relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };

fn seal(store: &Store, attempt: u64) {
    store.intern(Attempt(attempt), &[format!("Ihttp://example.org/{attempt}")]).expect("room");
    let run = Run::resident(Mark::Asserted, vec![(TermId(4), TermId(attempt * 4))]).expect("not empty");
    let added = vec![(RELATION, Direction::Forward, run)];
    store.seal(Attempt(attempt), Changes { added, ..Changes::default() }).expect("room");
}

fn inventory(place: &Place) -> Vec<u8> {
    fs::read(place.path().join(INVENTORY)).expect("there is one")
}

/// The files of this moment with an inventory of an earlier one: its later records had no room, or were not written before
/// the machine lost its power.
fn with_inventory(place: &Place, inventory: &[u8]) -> Place {
    let copy = place.copy();
    fs::write(copy.path().join(INVENTORY), inventory).expect("room");
    copy
}

#[test]
fn an_inventory_may_name_as_sealed_what_was_aborted_since() {
    let place = Place::on_disk();
    let store = place.open();
    seal(&store, 1);
    store.decide(Attempt(1), Some(Epoch(1))).expect("sealed");
    seal(&store, 2);
    let sealed = inventory(&place);
    store.decide(Attempt(2), None).expect("an abort needs no room");
    let aborted = with_inventory(&place, &sealed);
    // Syncs the abort's batch.
    seal(&store, 3);
    let followed = with_inventory(&place, &sealed);
    store.decide(Attempt(3), Some(Epoch(2))).expect("sealed");
    let committed = with_inventory(&place, &sealed);
    for (place, epoch, undecided) in [(aborted, 1, vec![]), (followed, 1, vec![Attempt(3)]), (committed, 2, vec![])] {
        let store = place.open();
        assert_eq!((store.latest().epoch, store.undecided()), (Epoch(epoch), undecided));
    }
}

/// Also the id of `rdf:type`, which is kept in the same record.
#[test]
fn an_attempt_that_was_aborted_stays_over() {
    let place = Place::on_disk();
    let store = place.open();
    seal(&store, 1);
    store.decide(Attempt(1), None).expect("an abort");
    store.set_rdf_type(TermId(8)).expect("room");
    drop(store);
    let store = place.open();
    assert_eq!((store.latest().epoch, store.latest().rdf_type), (Epoch::default(), Some(TermId(8))));
    assert!(store.admit(Attempt(1)).is_err(), "it is over");
    assert_eq!(store.admit(Attempt(2)), Ok(()));
}
