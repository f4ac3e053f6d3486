//! Facts that go: what a lost, stray or wrong deletion vector does, deletions beside merges, and what is refused.

use super::place::{OPTIONS, Place, bind};
use crate::store::rocks::RocksTable;
use crate::store::schema::{Column, DeletedRecord, Key, RunId, encode_value};
use crate::store::table::{Batch, Durability, Table};
use crate::store::{Snapshot, Store};
use entail_logic::columns::spine::{Spill, merge_runs};
use entail_logic::columns::{ChunkKey, Deleted, Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Epoch, Fault, Mark, Reason, Relation, TermId};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

const RELATION: Relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };

fn run(mark: Mark, numbers: Range<u64>, step: usize) -> Arc<Run> {
    let pairs = numbers.step_by(step).map(|n| (TermId(n * 4), TermId((n + 7) * 4))).collect();
    Run::resident(mark, pairs).expect("not empty")
}

fn adding(runs: &[Arc<Run>]) -> Changes {
    let added = runs.iter().map(|run| (RELATION, Direction::Forward, Arc::clone(run))).collect();
    Changes { added, ..Changes::default() }
}

fn removing(runs: &[Arc<Run>]) -> Changes {
    let removed = runs.iter().map(|run| (RELATION, Direction::Forward, run.mark, Arc::clone(run))).collect();
    Changes { removed, ..Changes::default() }
}

fn commit(store: &Store, epoch: u64, changes: Changes) {
    store.seal(Attempt(epoch), changes).expect("room");
    store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
}

fn numbers(snapshot: &Snapshot) -> Vec<u64> {
    let runs = snapshot.runs(RELATION, Direction::Forward);
    let pairs: Vec<Pair> = runs.iter().flat_map(|run| run.to_vec().expect("readable")).collect();
    let mut numbers: Vec<u64> = pairs.iter().map(|pair| pair.0.0 / 4).collect();
    numbers.sort_unstable();
    numbers
}

fn open(place: &Place) -> Result<Store, Fault> {
    let store = Store::open(place.path(), OPTIONS)?;
    bind(&store);
    Ok(store)
}

/// The keys of all deletion vectors.
fn vectors(table: &dyn Table) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut visit = |key: Key, _: &[u8]| {
        keys.extend(matches!(key, Key::Deleted { .. }).then_some(key));
        Ok(ControlFlow::Continue(()))
    };
    table.scan(&Key::manifest(), &mut visit).expect("readable");
    keys
}

/// A store with facts deleted in two chunks of one run, which was killed.
fn original() -> Place {
    let place = Place::on_disk();
    let store = open(&place).expect("an empty directory");
    commit(&store, 1, adding(&[run(Mark::Asserted, 0..40_000, 1)]));
    commit(&store, 2, removing(&[run(Mark::Asserted, 16_000..17_000, 10)]));
    assert_eq!(vectors(&*store.table).len(), 2);
    place.copy()
}

#[test]
fn a_vector_that_is_lost_or_wrong_is_corrupt() {
    type Damage = fn(&[Key], &mut Batch);
    let record = |positions: Range<u32>| {
        let fences = Some(((TermId(0), TermId(28)), (TermId(4), TermId(32))));
        DeletedRecord { fences, positions: Deleted::new(positions).expect("within a chunk").encode() }
    };
    let Key::Deleted { run, chunk, .. } = vectors(&*open(&original()).expect("sound data").table)[0] else {
        panic!("a vector");
    };
    let damages: [(&str, Damage); 6] = [
        ("lost", |keys, batch| batch.delete(keys[0])),
        ("cut", |keys, batch| batch.put(keys[0], vec![0; 7])),
        ("of an attempt that is not decided", |keys, batch| {
            let Key::Deleted { run, chunk, .. } = keys[0] else { return };
            batch.put(Key::Deleted { run, chunk, attempt: Attempt(9) }, vec![0, 0]);
        }),
        ("a second one", |keys, batch| {
            let Key::Deleted { run, chunk, .. } = keys[0] else { return };
            batch.put(Key::Deleted { run, chunk, attempt: Attempt(1) }, vec![0, 0]);
        }),
        ("of a run that is not there", |_, batch| {
            batch.put(Key::Deleted { run: RunId(77), chunk: ChunkKey(0), attempt: Attempt(1) }, vec![0, 0]);
        }),
        ("of a chunk of another run", |keys, batch| {
            let Key::Deleted { run, .. } = keys[0] else { return };
            batch.put(Key::Deleted { run, chunk: ChunkKey(7_000), attempt: Attempt(1) }, vec![0, 0]);
        }),
    ];
    let wrong = [("of other pairs", record(3..5)), ("of too many", record(0..16_384))];
    let put = |record: &DeletedRecord, batch: &mut Batch| {
        batch.put(Key::Deleted { run, chunk, attempt: Attempt(2) }, encode_value(record));
    };
    let mut batches = Vec::new();
    for (what, damage) in damages {
        let mut batch = Batch::default();
        damage(&[Key::Deleted { run, chunk, attempt: Attempt(2) }], &mut batch);
        batches.push((what, batch));
    }
    for (what, record) in &wrong {
        let mut batch = Batch::default();
        put(record, &mut batch);
        batches.push((what, batch));
    }
    let place = original();
    assert_eq!(numbers(&open(&place).expect("sound data").latest()).len(), 39_900);
    for (what, batch) in batches {
        let place = original();
        drop(open(&place).expect("sound data"));
        let table = RocksTable::open(&place.path().join("data"), 4 << 20).expect("sound data");
        table.commit(batch, Durability::Now).expect("room");
        drop(table);
        let refused = open(&place).map(drop).expect_err(what);
        assert_eq!(refused.reason, Reason::Corrupt, "{what}: {refused}");
    }
}

/// The deletions of a seal are not written: when the store opens again, deleted facts are back, and that is noticed.
#[cfg(feature = "broken-guards")]
#[test]
fn a_seal_without_its_deletions_is_noticed() {
    use entail_logic::failpoints::set_broken;
    for has_reopened_sealed in [false, true] {
        let place = Place::on_disk();
        let store = open(&place).expect("an empty directory");
        commit(&store, 1, adding(&[run(Mark::Asserted, 0..100, 1)]));
        set_broken(Some("seal-deletions"));
        let sealed = store.seal(Attempt(2), removing(&[run(Mark::Asserted, 0..50, 1)]));
        set_broken(None);
        sealed.expect("room");
        let store = if has_reopened_sealed {
            drop(store);
            open(&place).expect("what is sealed is not read yet")
        } else {
            store
        };
        let decided = store.decide(Attempt(2), Some(Epoch(2)));
        drop(store);
        let refused = decided.and_then(|()| open(&place).map(drop)).expect_err("facts came back");
        assert_eq!(refused.reason, Reason::Corrupt, "{refused}");
    }
}

#[test]
fn facts_that_are_not_there_cannot_go() {
    let place = Place::in_memory();
    let store = place.open();
    let derived = run(Mark::Derived, 0..10, 1);
    let asserted = run(Mark::Asserted, 10..20, 1);
    commit(&store, 1, adding(&[Arc::clone(&derived), asserted]));
    let before = store.committed();
    let absent = run(Mark::Asserted, 15..25, 1);
    let refused = [
        removing(&[absent]),
        removing(&[run(Mark::Asserted, 0..10, 1)]),
        removing(&[run(Mark::Promoted, 0..10, 1)]),
        Changes { is_rebuild: true, ..removing(&[derived]) },
    ];
    for changes in refused {
        store.seal(Attempt(2), changes).expect_err("they are not there with this mark");
        assert_eq!((store.committed(), store.undecided()), (before, vec![]));
    }
    commit(&store, 2, removing(&[run(Mark::Asserted, 15..20, 1), run(Mark::Derived, 0..5, 1)]));
    assert_eq!(numbers(&store.latest()), (5..15).collect::<Vec<_>>());
    while store.compact_step().expect("in memory") {}
    assert_eq!(vectors(&*store.table), [], "what is left was written anew");
}

/// A merge takes its time, in which facts of its inputs may go.
#[test]
fn a_merge_brings_no_fact_back() {
    let place = Place::in_memory();
    let store = place.open();
    (0..4).for_each(|n| commit(&store, n + 1, adding(&[run(Mark::Asserted, n * 100..n * 100 + 100, 1)])));
    let inputs = store.catalog().next_merge().expect("four runs of one size");
    store.seal(Attempt(5), removing(&[run(Mark::Asserted, 250..350, 1)])).expect("room");
    let runs = |store: &Store| store.latest().runs(RELATION, Direction::Forward).len();
    store.merge(&inputs).expect("in memory");
    assert_eq!(runs(&store), 4, "no merge replaces a run that an undecided attempt takes facts from");
    assert!(!store.compact_step().expect("in memory"), "nor begins with it");
    let copy = place.open_again(store);
    assert!(!copy.compact_step().expect("in memory"), "nor after a restart");
    let store = copy;
    let inputs: Vec<_> = store.catalog().columns[&Column::Facts(RELATION, Direction::Forward)].clone();
    store.decide(Attempt(5), Some(Epoch(5))).expect("sealed");
    store.merge(&inputs).expect("in memory");
    let left: Vec<u64> = (0..250).chain(350..400).collect();
    assert_eq!((runs(&store), numbers(&store.latest())), (4, left.clone()), "the inputs had more facts");
    while store.compact_step().expect("in memory") {}
    assert_eq!((runs(&store), numbers(&store.latest())), (1, left));
    assert_eq!(vectors(&*store.table), []);
}

/// An attempt may take back what it has stored itself.
#[test]
fn a_stored_run_of_the_attempt_may_have_lost_pairs() {
    let place = Place::in_memory();
    let store = place.open();
    let spill = Spill { store: Some(store.chunk_store()), above: 0 };
    let stored = Arc::new(merge_runs(&[&run(Mark::Asserted, 0..20_000, 1)], &spill).expect("in memory"));
    let gone: Vec<Pair> = run(Mark::Asserted, 0..20_000, 2).to_vec().expect("in memory");
    let rest = stored.without(&gone).expect("in memory").rest.expect("the others");
    commit(&store, 1, adding(&[rest]));
    let store = place.open_again(store);
    assert_eq!(numbers(&store.latest()), (1..20_000).step_by(2).collect::<Vec<_>>());
}

/// An attempt that only deletes holds no run once it is over.
#[test]
fn an_aborted_deletion_leaves_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    (0..4).for_each(|n| commit(&store, n + 1, adding(&[run(Mark::Asserted, n * 100..n * 100 + 100, 1)])));
    let before = store.committed();
    store.seal(Attempt(5), removing(&[run(Mark::Asserted, 0..400, 3)])).expect("room");
    assert_eq!(vectors(&*store.table).len(), 4);
    store.decide(Attempt(5), None).expect("an abort");
    assert_eq!((vectors(&*store.table), store.committed()), (vec![], before));
    while store.compact_step().expect("in memory") {}
    assert_eq!(store.latest().runs(RELATION, Direction::Forward).len(), 1, "it is merged");
    assert_eq!(numbers(&store.latest()), (0..400).collect::<Vec<_>>());
}

#[test]
fn an_older_epoch_reads_as_it_was() {
    let place = Place::in_memory();
    let store = place.open();
    commit(&store, 1, adding(&[run(Mark::Asserted, 0..20_000, 1)]));
    commit(&store, 2, removing(&[run(Mark::Asserted, 0..20_000, 2)]));
    commit(&store, 3, removing(&[run(Mark::Asserted, 1..20_000, 2)]));
    while store.compact_step().expect("in memory") {}
    let at = |epoch| numbers(&store.snapshot(Epoch(epoch)).expect("it is kept"));
    assert_eq!(at(1), (0..20_000).collect::<Vec<_>>());
    assert_eq!(at(2), (1..20_000).step_by(2).collect::<Vec<_>>());
    assert!(at(3).is_empty());
    assert_eq!((store.chunks(), store.latest().relations.len()), (0, 0), "nothing is left of the relation");
}
