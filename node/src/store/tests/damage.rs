//! Damaged data is detected and never returned.

use super::place::{OPTIONS, Place, bind};
use crate::store::Store;
use entail_logic::columns::{Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::term::HashKey;
use entail_model::{Attempt, ClusterId, Direction, Epoch, Mark, Reason, Relation, ShardCount, TermId};
use std::fs;
use std::path::PathBuf;

const RELATION: Relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };

/// Commits an epoch of `count` facts.
fn commit(store: &Store, epoch: u64, count: u64) {
    let pairs: Vec<Pair> = (0..count).map(|n| (TermId(n * 4), TermId((epoch << 30 | n) * 4))).collect();
    let run = Run::resident(Mark::Asserted, pairs).expect("not empty");
    let words: Vec<String> = (0..200).map(|n| format!("Ihttp://example.org/{epoch}/{n}")).collect();
    store.intern(Attempt(epoch), &words).expect("room");
    store
        .seal(Attempt(epoch), Changes { added: vec![(RELATION, Direction::Forward, run)], ..Changes::default() })
        .expect("room");
    store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
}

fn files(place: &Place, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path().join("data")).expect("the database");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn a_flipped_byte_in_a_table_is_corrupt() {
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    // More than the write buffers hold, so that table files are written, in the background.
    let mut epochs = 1..=400;
    epochs.by_ref().take(40).for_each(|epoch| commit(&store, epoch, 60_000));
    while files(&place, "sst").is_empty() {
        commit(&store, epochs.next().expect("the data is flushed some time"), 60_000);
    }
    drop(store);
    let tables = files(&place, "sst");
    for table in tables {
        let mut bytes = fs::read(&table).expect("a table");
        let middle = bytes.len() / 3;
        bytes[middle] ^= 0x10;
        fs::write(&table, bytes).expect("a table");
    }
    let fault = match Store::open(place.path(), OPTIONS) {
        Err(fault) => fault,
        Ok(store) => {
            let latest = store.latest();
            let runs = latest.runs(RELATION, Direction::Forward);
            runs.iter().find_map(|run| run.to_vec().err()).expect("a damaged chunk")
        }
    };
    assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
}

#[test]
fn a_flipped_byte_in_the_log_is_corrupt_and_a_torn_end_is_not() {
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    (1..=4).for_each(|epoch| commit(&store, epoch, 2_000));
    let (torn, flipped) = (place.copy(), place.copy());
    drop(store);

    let log = files(&torn, "log").pop().expect("a log");
    let length = fs::metadata(&log).expect("a log").len();
    fs::OpenOptions::new().write(true).open(&log).and_then(|file| file.set_len(length - 3)).expect("a log");
    let store = Store::open(torn.path(), OPTIONS).expect("a torn end is what a crash leaves");
    // The last record is the commit of epoch 4, whose seal was synced: the node must ask for its outcome.
    assert!(store.latest().epoch == Epoch(4) || store.undecided() == [Attempt(4)], "{:?}", store.latest().epoch);

    let log = files(&flipped, "log").pop().expect("a log");
    let mut bytes = fs::read(&log).expect("a log");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).expect("a log");
    let fault = Store::open(flipped.path(), OPTIONS).expect_err("acknowledged epochs are damaged");
    assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
}

#[test]
fn a_second_process_and_another_cluster_are_refused() {
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    let early = store.intern(Attempt(1), &["Ihttp://example.org/"]).expect_err("no cluster yet");
    assert_eq!(early.reason, Reason::NotReady);
    bind(&store);
    commit(&store, 1, 10);
    assert_eq!(Store::open(place.path(), OPTIONS).expect_err("in use").reason, Reason::DirectoryInUse);
    let shards = ShardCount::new(4).expect("a power of two");
    let other = store.bind_cluster(ClusterId(2), HashKey([9; 16]), shards).expect_err("another cluster");
    assert_eq!(other.reason, Reason::WrongCluster);
    assert_eq!(store.cluster(), Some(ClusterId(1)));
    assert_eq!(store.latest().epoch, Epoch(1), "nothing has changed");
}

#[test]
fn a_full_disk_refuses_an_attempt_and_loses_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    commit(&store, 1, 1_000);
    store.intern(Attempt(2), &["Ihttp://example.org/new"]).expect("room");
    place.set_full(true);
    let refused = store.intern(Attempt(2), &["Ihttp://example.org/newer"]).expect_err("full");
    assert_eq!(refused.reason, Reason::DiskFull);
    let pairs = vec![(TermId(4), TermId(8))];
    let run = Run::resident(Mark::Derived, pairs).expect("not empty");
    let sealed = Changes { added: vec![(RELATION, Direction::Inverse, run)], ..Changes::default() };
    assert_eq!(store.seal(Attempt(2), sealed.clone()).expect_err("full").reason, Reason::DiskFull);
    assert_eq!((store.latest().epoch, store.undecided()), (Epoch(1), vec![]));
    store.decide(Attempt(2), None).expect("giving up needs no room");
    place.set_full(false);
    let ids = store.intern(Attempt(3), &["Ihttp://example.org/newer"]).expect("room again");
    store.seal(Attempt(3), sealed).expect("room again");
    store.decide(Attempt(3), Some(Epoch(2))).expect("sealed");
    drop(store);
    let store = place.open();
    assert_eq!(store.lookup(&["Ihttp://example.org/newer"]).expect("readable"), [Some(ids[0])]);
    assert_eq!(store.latest().runs(RELATION, Direction::Forward)[0].len, 1_000);
    assert_eq!(store.latest().runs(RELATION, Direction::Inverse)[0].len, 1);
}

/// Messages of other attempts may arrive at any time.
#[test]
fn other_attempts_are_fenced() {
    let place = Place::in_memory();
    let store = place.open();
    let word = ["Ihttp://example.org/"];
    let reason = |outcome: Result<(), entail_model::Fault>| outcome.expect_err("fenced").reason;
    store.intern(Attempt(3), &word).expect("the first attempt");
    assert_eq!(reason(store.intern(Attempt(2), &word).map(drop)), Reason::Fenced);
    store.decide(Attempt(4), None).expect("an attempt that never came here: those before it are over too");
    assert_eq!(reason(store.intern(Attempt(3), &word).map(drop)), Reason::Fenced);
    assert_eq!(store.lookup(&word).expect("readable"), [None]);
    store.seal(Attempt(5), Changes::default()).expect("an attempt without terms");
    assert_eq!(reason(store.intern(Attempt(6), &word).map(drop)), Reason::Fenced);
    assert_eq!(reason(store.decide(Attempt(6), None)), Reason::Fenced);
    assert_eq!(reason(store.decide(Attempt(6), Some(Epoch(1)))), Reason::Internal);
    assert_eq!(store.undecided(), [Attempt(5)]);
    store.decide(Attempt(5), Some(Epoch(1))).expect("sealed");
    store.intern(Attempt(6), &word).expect("its turn");
}
