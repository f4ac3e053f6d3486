//! Sizes: more data than memory, the time to open many facts, their disk space, and that of facts that are gone.

use super::place::{OPTIONS, Place, bind};
use crate::scan;
use crate::store::directory::Directory;
use crate::store::inspect::inspect;
use crate::store::{OpenOptions, Store};
use entail_logic::columns::{Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Epoch, Mark, Relation, ShardId, TermId, TermKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn relation(number: u64) -> Relation {
    Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(number * 4) }
}

fn iri(number: u64) -> TermId {
    TermId::dictionary(ShardId((number % 4) as u16), number / 4, TermKind::Iri)
}

fn fact(n: u64, count: u64) -> (TermId, TermId) {
    (iri(n / 3), iri(n.wrapping_mul(2_654_435_761) % count))
}

/// Facts of both copies, as in a loaded graph: a few objects per subject.
fn facts(count: u64) -> [Arc<Run>; 2] {
    Direction::BOTH.map(|copy| {
        let mut pairs: Vec<Pair> = (0..count).map(|n| fact(n, count)).map(|(s, o)| copy.pair(s, o)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        Run::resident(Mark::Asserted, pairs).expect("not empty")
    })
}

fn commit(store: &Store, epoch: u64, relation: Relation, runs: &[Arc<Run>; 2]) {
    let added = Direction::BOTH.into_iter().zip(runs).map(|(copy, run)| (relation, copy, Arc::clone(run)));
    store.seal(Attempt(epoch), Changes { added: added.collect(), ..Changes::default() }).expect("room");
    store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
}

#[test]
fn a_graph_larger_than_the_budget_is_read_right() {
    let place = Place::on_disk();
    // Three quarters of the budget are for chunks: 6 MiB, for 48 MiB of decoded pairs.
    let store = Store::open(place.path(), OpenOptions { memory_budget: 8 << 20 }).expect("an empty directory");
    bind(&store);
    let runs = facts(400_000);
    (1..=4).for_each(|epoch| commit(&store, epoch, relation(epoch), &runs));
    let latest = store.latest();
    for epoch in 1..=4 {
        for copy in Direction::BOTH {
            for stored in latest.runs(relation(epoch), copy) {
                assert_eq!(stored.to_vec().expect("readable"), runs[copy as usize].to_vec().expect("in memory"));
                assert!(store.cache_bytes() <= 6 << 20);
            }
        }
    }
    let sizes = scan::sizes(&latest, None).expect("no classes to count");
    assert_eq!(sizes.iter().map(|size| size.facts).sum::<u64>(), 4 * runs[0].len);
}

#[test]
fn a_million_facts_open_quickly_and_take_little() {
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    let runs = facts(1_000_000);
    commit(&store, 1, relation(1), &runs);
    let chunks = store.chunks();
    drop(store);
    let started = Instant::now();
    let store = Store::open(place.path(), OPTIONS).expect("sound data");
    let elapsed = started.elapsed();
    assert!(elapsed.as_millis() < 1000, "{elapsed:?}");
    assert_eq!((store.chunks(), store.latest().epoch), (chunks, Epoch(1)));
    store.keep_inventory();
    let disk = store.disk().expect("a disk");
    assert!(disk.used < 15_000_000, "{} bytes for a million facts", disk.used);
}

/// The facts of [`facts`] with such numbers.
fn some(count: u64, is_in: impl Fn(u64) -> bool) -> [Arc<Run>; 2] {
    Direction::BOTH.map(|copy| {
        let numbers = (0..count).filter(|n| is_in(*n));
        let mut pairs: Vec<Pair> = numbers.map(|n| fact(n, count)).map(|(s, o)| copy.pair(s, o)).collect();
        pairs.sort_unstable();
        Run::resident(Mark::Asserted, pairs).expect("not empty")
    })
}

fn delete(store: &Store, epoch: u64, relation: Relation, runs: &[Arc<Run>; 2]) {
    let removed = Direction::BOTH.into_iter().zip(runs);
    let removed = removed.map(|(copy, run)| (relation, copy, Mark::Asserted, Arc::clone(run))).collect();
    store.seal(Attempt(epoch), Changes { removed, ..Changes::default() }).expect("room");
    store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
}

/// The bytes of a database's tables and logs. Its options, and its log of messages, are no data.
fn data_bytes(place: &Place) -> u64 {
    let entries = std::fs::read_dir(place.path().join("data")).expect("the database");
    let files = entries.map(|entry| entry.expect("readable"));
    let data =
        files.filter(|file| [".sst", ".log"].iter().any(|end| file.file_name().to_string_lossy().ends_with(end)));
    data.map(|file| file.metadata().expect("readable").len()).sum()
}

/// Disk, memory for chunks, and chunks of a store once it is idle and all of it was read.
fn idle(place: &Place, store: Store) -> [u64; 3] {
    store.history_mut().trim(Instant::now() + Duration::from_secs(3600));
    while store.compact_step().expect("room") {}
    let latest = store.latest();
    for copy in Direction::BOTH {
        latest.runs(relation(1), copy).iter().for_each(|run| _ = run.to_vec().expect("readable"));
    }
    let (memory, chunks) = (store.cache_bytes(), store.chunks());
    drop((latest, store));
    // What is still in a log comes into tables.
    let store = Store::open(place.path(), OPTIONS).expect("sound data");
    store.keep_inventory();
    [data_bytes(place), memory, chunks]
}

/// Nine of ten facts go in several changes, scattered over all chunks and in ranges.
#[test]
fn deleted_facts_give_their_space_back() {
    const COUNT: u64 = 1_000_000;
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    commit(&store, 1, relation(1), &some(COUNT, |_| true));
    let parts: [fn(u64) -> bool; 4] = [
        |n| n % 10 < 5,
        |n| n % 10 > 4 && n < COUNT / 2,
        |n| n % 10 == 5 && n >= COUNT / 2,
        |n| n % 10 > 7 && n >= COUNT / 2,
    ];
    for (epoch, part) in (2..).zip(parts) {
        delete(&store, epoch, relation(1), &some(COUNT, part));
        if epoch == 3 {
            while store.compact_step().expect("room") {}
        }
    }
    let left = |n: u64| matches!(n % 10, 6 | 7) && n >= COUNT / 2;
    let deleted = idle(&place, store);
    let other = Place::on_disk();
    let store = Store::open(other.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    commit(&store, 1, relation(1), &some(COUNT, left));
    let fresh = idle(&other, store);
    println!("disk, memory, chunks: {deleted:?} after deleting, {fresh:?} without");
    for (deleted, fresh) in deleted.into_iter().zip(fresh) {
        assert!(deleted * 10 <= fresh * 12, "{deleted} of {fresh}");
    }
}

/// What the inventory and its check cost: `cargo test -p entail-node --lib cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_an_inventory() {
    let place = Place::on_disk();
    let open = || {
        let store = Store::open(place.path(), OPTIONS).expect("sound data");
        bind(&store);
        store
    };
    let median = |times: &[Duration]| times[times.len() / 2];
    let store = open();
    let words: Vec<String> = (0..300_000).map(|n| format!("Ihttp://example.org/some/thing/{n}")).collect();
    for words in words.chunks(1000) {
        store.intern(Attempt(1), words).expect("room");
    }
    commit(&store, 1, relation(1), &facts(1_000_000));
    drop(store);
    for start in ["with logs, as a killed process leaves them", "without"] {
        let directory = Directory::open(place.path()).expect("free");
        let times = timed(20, || inspect(&directory, OPTIONS).expect("nothing is lost"));
        println!("1,000,000 facts, {start}: checked in {:?}, at best {:?}", median(&times), times[0]);
        drop(directory);
        let opened = timed(1, || drop(open()));
        println!("  and opened with the check in {:?}", opened[0]);
    }
    let store = open();
    let mut epoch = 1;
    let writes = timed(200, || {
        epoch += 1;
        let pair = |n: u64| Run::resident(Mark::Asserted, vec![(iri(epoch), iri(n))]).expect("not empty");
        commit(&store, epoch, relation(1), &[pair(1), pair(2)]);
    });
    let records = timed(200, || store.note(&store.catalog(), None));
    let (write, record) = (median(&writes), median(&records));
    println!("one fact sealed and committed in {write:?}; a record, of which that writes two, takes {record:?}");
}

/// How long an act takes, of so many times, in order.
fn timed(count: usize, mut act: impl FnMut()) -> Vec<Duration> {
    let mut once = || {
        let started = Instant::now();
        act();
        started.elapsed()
    };
    let mut times: Vec<Duration> = (0..count).map(|_| once()).collect();
    times.sort_unstable();
    times
}

/// A merge of large runs takes longer than a process has for its shutdown.
#[test]
fn a_store_that_is_closed_merges_no_further() {
    let place = Place::in_memory();
    let store = place.open();
    let run = |epoch: u64| {
        let mut pairs: Vec<Pair> = (0..100_000).map(|n| (iri(n), iri(epoch * 100_000 + n))).collect();
        pairs.sort_unstable();
        Run::resident(Mark::Asserted, pairs).expect("not empty")
    };
    (1..=4).for_each(|epoch| commit(&store, epoch, relation(1), &[run(epoch), run(epoch + 10)]));
    store.close().expect("in memory");
    assert_eq!(store.compact_step(), Ok(true), "it is no failure");
    for copy in Direction::BOTH {
        assert_eq!(store.latest().runs(relation(1), copy).len(), 4);
    }
    drop(store);
    let store = place.open();
    while store.compact_step().expect("in memory") {}
    for copy in Direction::BOTH {
        assert_eq!(store.latest().runs(relation(1), copy).len(), 1, "another life does it");
    }
}

/// Threads that intern overlapping terms at once agree on every id.
#[test]
fn many_threads_intern_alike() {
    let place = Place::on_disk();
    let store = Store::open(place.path(), OPTIONS).expect("an empty directory");
    bind(&store);
    let words: Vec<String> = (0..20_000).map(|n| format!("Ihttp://example.org/{n}")).collect();
    let ids: Vec<Vec<TermId>> = std::thread::scope(|threads| {
        let spawn = |thread: usize| {
            let (store, words) = (&store, &words);
            threads.spawn(move || {
                let starts = (0..words.len()).step_by(1000).map(|start| (start + thread * 5000) % words.len());
                let mut ids = vec![TermId::MAX; words.len()];
                for start in starts {
                    let found = store.intern(Attempt(1), &words[start..start + 1000]).expect("room");
                    ids[start..start + 1000].copy_from_slice(&found);
                }
                ids
            })
        };
        let threads: Vec<_> = (0..4).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(ids.iter().all(|other| *other == ids[0]));
    store.seal(Attempt(1), Changes::default()).expect("room");
    store.decide(Attempt(1), Some(Epoch(1))).expect("sealed");
    let found: Vec<TermId> = store.lookup(&words).expect("readable").into_iter().flatten().collect();
    assert_eq!(found, ids[0]);
    assert_eq!(store.shard_counts().iter().map(|(_, counts)| counts.terms).sum::<u64>(), 20_000);
}
