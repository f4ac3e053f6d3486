//! Whatever happens to the files of a store that is closed: it says what it said, or that it is damaged, or it does not
//! open and leaves its directory as it is.

use super::place::{OPTIONS, Place, bind};
use crate::store::Store;
use crate::store::directory::Directory;
use crate::store::inspect::inspect;
use entail_directory::damage::{self, Files};
use entail_logic::columns::{Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::random::Random;
use entail_model::{Attempt, Direction, Epoch, Fault, Mark, Reason, Relation, ShardId, TermId, TermKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RELATION: Relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
const WORDS: u64 = 300;
const FACTS: u64 = 20_000;

/// How many damages, and the seed of the first: both can be set, to replay one or to try more (`make test-long` does).
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn words(epoch: u64) -> Vec<String> {
    // One of them is too large for a block.
    let large = format!("S{}{epoch}", "large ".repeat(6_000));
    (0..WORDS).map(|n| format!("Ihttp://example.org/{epoch}/{n}")).chain([large]).collect()
}

fn pairs(epoch: u64) -> Vec<Pair> {
    let id = |shard: u64, local| TermId::dictionary(ShardId(shard as u16), local, TermKind::Iri);
    (0..FACTS).map(|n| (id(n * 4 / FACTS, n), id(0, (epoch << 20) | (n * 7 % FACTS)))).collect()
}

fn commit(store: &Store, epoch: u64) {
    seal(store, epoch);
    store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
}

/// The facts of the epoch before, but for some: of the first epochs all go, run by run.
fn removed(epoch: u64) -> Vec<(Relation, Direction, Mark, Arc<Run>)> {
    let is_gone = |n: &usize| epoch < 4 || !n.is_multiple_of(3);
    let gone = || (0..).zip(pairs(epoch - 1)).filter(|(n, _)| is_gone(n)).map(|(_, pair)| pair).collect();
    let run = |mark| Run::resident(mark, gone()).expect("not empty");
    let of = |copy, mark| (RELATION, copy, mark, run(mark));
    if epoch == 1 {
        return Vec::new();
    }
    vec![of(Direction::Forward, Mark::Asserted), of(Direction::Inverse, Mark::Derived)]
}

fn seal(store: &Store, epoch: u64) {
    store.intern(Attempt(epoch), &words(epoch)).expect("room");
    let run = |mark| Run::resident(mark, pairs(epoch)).expect("not empty");
    let added =
        vec![(RELATION, Direction::Forward, run(Mark::Asserted)), (RELATION, Direction::Inverse, run(Mark::Derived))];
    let changes = Changes { added, removed: removed(epoch), is_rebuild: false };
    store.seal(Attempt(epoch), changes).expect("room");
}

/// All that a store says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    epoch: Epoch,
    undecided: Vec<Attempt>,
    counts: Vec<(ShardId, u64, u64)>,
    digest: Option<u64>,
    facts: [Vec<Pair>; 2],
    words: Vec<String>,
}

fn said(store: &Store) -> Result<Said, Fault> {
    let latest = store.latest();
    let all = |copy| {
        let mut facts = Vec::new();
        for run in latest.runs(RELATION, copy) {
            facts.extend(run.to_vec()?);
        }
        facts.sort_unstable();
        Ok(facts)
    };
    let mut found = Vec::new();
    for epoch in 1..=9 {
        let ids: Vec<TermId> = store.lookup(&words(epoch))?.into_iter().flatten().collect();
        let texts = store.texts(&ids)?;
        found.extend(texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()));
    }
    Ok(Said {
        epoch: latest.epoch,
        undecided: store.undecided(),
        counts: store.shard_counts().iter().map(|(shard, counts)| (*shard, counts.asserted, counts.terms)).collect(),
        digest: store.committed().digest,
        facts: [all(Direction::Forward)?, all(Direction::Inverse)?],
        words: found,
    })
}

/// Directories of one store: as it was at the end, and at an earlier time.
struct Original {
    newest: Files,
    older: Files,
    said: Said,
    said_then: Said,
}

/// A store that has been opened several times, so that it has tables and logs, and was killed with a seal that is not
/// decided.
fn original() -> Original {
    let place = Place::on_disk();
    let open = || {
        let store = Store::open(place.path(), OPTIONS).expect("nothing is lost");
        bind(&store);
        store
    };
    let store = open();
    (1..=3).for_each(|epoch| commit(&store, epoch));
    drop(store);
    let store = open();
    (4..=5).for_each(|epoch| commit(&store, epoch));
    while store.compact_step().expect("room") {}
    let (older, said_then) = (place.copy(), said(&store).expect("sound data"));
    drop(store);
    let store = open();
    commit(&store, 6);
    while store.compact_step().expect("room") {}
    store.keep_inventory();
    seal(&store, 7);
    let (newest, said) = (place.copy(), said(&store).expect("sound data"));
    let files = |place: &Place| damage::read(place.path()).expect("readable");
    Original { newest: files(&newest), older: files(&older), said, said_then }
}

/// How a store took a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    Corrupt,
    Refused,
    /// The state of an earlier time, which only the coordinator can tell from the newest.
    Older,
}

fn outcome(original: &Original, damaged: &Files) -> Outcome {
    let place = Place::on_disk();
    damage::write(place.path(), damaged).expect("room");
    let opened = Store::open(place.path(), OPTIONS);
    let store = match opened {
        Ok(store) => store,
        Err(fault) => {
            assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
            let left = damage::read(place.path()).expect("readable");
            assert!(left == *damaged, "a directory that is refused stays as it is: {fault}");
            return Outcome::Refused;
        }
    };
    if let Err(fault) = store.bind_cluster(entail_model::ClusterId(1), entail_model::term::HashKey([9; 16]), shards()) {
        assert!([Reason::Corrupt, Reason::WrongCluster].contains(&fault.reason), "{fault}");
        return Outcome::Corrupt;
    }
    match said(&store) {
        Err(fault) => {
            assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
            Outcome::Corrupt
        }
        Ok(found) if found == original.said => goes_on(&place, store),
        Ok(found) => {
            assert_eq!(found.epoch, original.said_then.epoch, "neither what it said, nor what it said earlier");
            assert!(found == original.said_then, "neither what it said, nor what it said earlier");
            Outcome::Older
        }
    }
}

/// What was sealed can be committed, and is there when the store is opened again.
fn goes_on(place: &Place, store: Store) -> Outcome {
    let committed = store.decide(Attempt(7), Some(Epoch(7))).and_then(|()| said(&store));
    drop(store);
    let again = committed.and_then(|before| {
        let store = Store::open(place.path(), OPTIONS)?;
        bind(&store);
        Ok((before, said(&store)?))
    });
    match again {
        Ok((before, after)) => {
            assert_eq!(before.epoch, Epoch(7));
            assert!(before == after, "it says something else when it is opened again");
            Outcome::Right
        }
        Err(fault) => {
            assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
            Outcome::Corrupt
        }
    }
}

fn shards() -> entail_model::ShardCount {
    entail_model::ShardCount::new(super::place::SHARDS).expect("a power of two")
}

#[test]
fn a_damaged_file_is_no_wrong_answer() {
    let (count, seed) = (setting("ENTAIL_DAMAGES", 200), setting("ENTAIL_DAMAGE_SEED", 1));
    let original = original();
    assert!(
        original.newest.keys().any(|name| name.extension().is_some_and(|found| found == "sst")),
        "there are tables"
    );
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let (mut kinds, mut sorts) = (BTreeSet::new(), BTreeSet::new());
    for seed in seed..seed + count {
        let damaged = damage::damage(&mut Random::new(seed), &original.newest, &original.older);
        println!("ENTAIL_DAMAGE_SEED={seed} ENTAIL_DAMAGES=1: {}", damaged.what);
        let found = outcome(&original, &damaged.files);
        println!("  {found:?}");
        assert!(found != Outcome::Older || damaged.file.is_none(), "one file has brought an earlier state back");
        *outcomes.entry(found).or_default() += 1;
        kinds.insert(damaged.kind);
        sorts.extend(damaged.file.as_deref().map(damage::sort_of));
    }
    println!("{outcomes:?} of {sorts:?}");
    if count >= 200 {
        let all = [Outcome::Right, Outcome::Refused, Outcome::Older];
        assert!(all.iter().all(|outcome| outcomes.contains_key(outcome)), "{outcomes:?}");
        assert!(kinds.iter().eq(&damage::ALL_KINDS), "{kinds:?}");
        let present: BTreeSet<String> = original.newest.keys().map(|name| damage::sort_of(name)).collect();
        assert_eq!(sorts, present, "a file of each sort was damaged");
    }
}

/// The damage that was found first: RocksDB takes a manifest that ends early for one that a crash has torn, and deletes the
/// table that the missing edit named.
#[test]
fn a_manifest_that_is_cut_is_refused() {
    let original = original();
    let is_manifest = |name: &&PathBuf| name.to_string_lossy().contains("MANIFEST");
    let manifest = original.newest.keys().rfind(is_manifest).expect("there is one").clone();
    let length = original.newest[&manifest].len();
    for cut in [1, 2, 10, 100, length / 2, length - 1, length] {
        let mut damaged = original.newest.clone();
        damaged.get_mut(&manifest).expect("it is there").truncate(length - cut);
        assert_eq!(outcome(&original, &damaged), Outcome::Refused, "cut by {cut}");
    }
}

/// What the check costs an opening: a million facts of as many terms, in runs as epochs leave them.
#[test]
#[ignore = "it measures"]
fn the_check_of_a_million_facts_takes_less_than_three_tenths_of_a_second() {
    let place = Place::on_disk();
    let open = || {
        let store = Store::open(place.path(), OPTIONS).expect("nothing is lost");
        bind(&store);
        store
    };
    let store = open();
    for epoch in 1..=1_000_000 / FACTS {
        let words: Vec<String> = (0..FACTS).map(|n| format!("Ihttp://example.org/{epoch}/{n}")).collect();
        store.intern(Attempt(epoch), &words).expect("room");
        commit(&store, epoch);
    }
    while store.compact_step().expect("room") {}
    drop(store);
    let mut times = Vec::new();
    for _ in 0..9 {
        let directory = Directory::open(place.path()).expect("our directory");
        let started = Instant::now();
        inspect(&directory, OPTIONS).expect("nothing is lost");
        let check = started.elapsed();
        drop(directory);
        let started = Instant::now();
        drop(open());
        times.push((check, started.elapsed()));
    }
    times.sort_unstable();
    let (check, whole) = times[times.len() / 2];
    println!("the check takes {check:?} of {whole:?}; {times:?}");
    assert!(check < Duration::from_millis(300), "{check:?}");
}
