//! Stores that earlier versions have left are read and converted.

use super::place::{OPTIONS, Place, bind};
use crate::store::Store;
use crate::store::digest::Totals;
use crate::store::schema::{Column, FORMAT};
use entail_directory::damage;
use entail_logic::columns::{Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Epoch, Mark, Relation, ShardId, TermId, TermKind};
use std::fs;
use std::path::{Path, PathBuf};

/// The last committed epoch of a fixture; the attempt after it is sealed and not decided.
const EPOCHS: u64 = 6;

const RELATIONS: [Relation; 2] = [
    Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) },
    Relation { graph: TermId(8), predicate: TermId(12) },
];

fn iri(number: u64) -> TermId {
    TermId::dictionary(ShardId((number % 4) as u16), number / 4, TermKind::Iri)
}

/// The facts that an attempt adds: the promoted ones were derived by the attempt before.
fn facts(attempt: u64, mark: Mark) -> Vec<(TermId, TermId)> {
    let fact = |of: u64, n: u64| (iri(of * 100 + n), iri(n * 3));
    match mark {
        Mark::Asserted => (0..50).map(|n| fact(attempt, n)).collect(),
        Mark::Derived => (50..80).map(|n| fact(attempt, n)).collect(),
        Mark::Promoted if attempt > 1 => (50..60).map(|n| fact(attempt - 1, n)).collect(),
        Mark::Promoted => Vec::new(),
    }
}

fn words(attempt: u64) -> Vec<String> {
    (0..20).map(|n| format!("Ihttp://example.org/{attempt}/{n}")).collect()
}

fn pairs(attempt: u64, mark: Mark, copy: Direction) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = facts(attempt, mark).into_iter().map(|(s, o)| copy.pair(s, o)).collect();
    pairs.sort_unstable();
    pairs
}

fn seal(store: &Store, attempt: u64) {
    store.intern(Attempt(attempt), &words(attempt)).expect("room");
    let mut added = Vec::new();
    for relation in RELATIONS {
        for copy in Direction::BOTH {
            let runs = Mark::ALL.into_iter().filter_map(|mark| Run::resident(mark, pairs(attempt, mark, copy)));
            added.extend(runs.map(|run| (relation, copy, run)));
        }
    }
    store.seal(Attempt(attempt), Changes { added, ..Changes::default() }).expect("room");
}

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/tests/fixtures/format-{format}"))
}

/// Makes the fixture of the present format: `cargo test -p entail-node --lib a_new_fixture -- --ignored`.
#[test]
#[ignore = "writes into the source tree"]
fn a_new_fixture() {
    let place = Place::on_disk();
    let open = || {
        let store = Store::open(place.path(), OPTIONS).expect("sound data");
        bind(&store);
        store
    };
    let commit = |store: &Store, epoch: u64| {
        seal(store, epoch);
        store.decide(Attempt(epoch), Some(Epoch(epoch))).expect("sealed");
    };
    let store = open();
    (1..EPOCHS).for_each(|epoch| commit(&store, epoch));
    while store.compact_step().expect("room") {}
    drop(store);
    // Tables for what is there, and a log for the rest.
    let store = open();
    commit(&store, EPOCHS);
    store.keep_inventory();
    seal(&store, EPOCHS + 1);
    let mut files = damage::read(place.copy().path()).expect("readable");
    files.retain(|name, _| {
        let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.starts_with("LOCK") && !name.starts_with("LOG") && !name.starts_with("OPTIONS")
    });
    damage::write(&fixture(FORMAT), &files).expect("room");
}

/// The facts that attempts add, by column and mark, if they are committed.
fn model(attempts: u64) -> Vec<(Relation, Direction, Mark, Vec<Pair>)> {
    let mut all = Vec::new();
    for relation in RELATIONS {
        for copy in Direction::BOTH {
            for mark in Mark::ALL {
                let mut of_mark: Vec<Pair> = (1..=attempts).flat_map(|attempt| pairs(attempt, mark, copy)).collect();
                of_mark.sort_unstable();
                all.push((relation, copy, mark, of_mark));
            }
        }
    }
    all
}

fn contents(store: &Store) -> Vec<(Relation, Direction, Mark, Vec<Pair>)> {
    let latest = store.latest();
    let mut all = model(0);
    for (relation, copy, mark, found) in &mut all {
        for run in latest.runs(*relation, *copy).iter().filter(|run| run.mark == *mark) {
            found.extend(run.to_vec().expect("readable"));
        }
        found.sort_unstable();
    }
    all
}

fn digest(contents: &[(Relation, Direction, Mark, Vec<Pair>)]) -> u64 {
    let mut total = Totals::default();
    for (relation, copy, mark, pairs) in contents {
        let Some(run) = Run::resident(*mark, pairs.clone()) else { continue };
        total.add(Totals::of(Column::Facts(*relation, *copy), *mark, &run).expect("in memory"));
    }
    total.digest.total()
}

/// The fixture's files in a place of their own.
fn placed(format: u32) -> Place {
    let place = Place::on_disk();
    let files = damage::read(&fixture(format)).expect("it is in the source tree");
    damage::write(place.path(), &files).expect("room");
    place
}

fn opened(place: &Place) -> Store {
    let store = Store::open(place.path(), OPTIONS).expect("sound data");
    bind(&store);
    store
}

fn check(store: &Store, attempts: u64) {
    let found = contents(store);
    assert_eq!(found, model(attempts));
    assert_eq!(store.catalog().committed.digest.total(), digest(&found));
    for attempt in 1..=attempts {
        let known = store.lookup(&words(attempt)).expect("readable");
        assert!(known.iter().all(Option::is_some), "{attempt}");
    }
}

#[test]
fn a_store_of_format_2_is_read_and_converted() {
    let place = placed(2);
    let store = opened(&place);
    let identity = fs::read_to_string(place.path().join("IDENTITY")).expect("there is one");
    assert!(identity.contains(&format!("\"format\": {FORMAT}")), "{identity}");
    assert_eq!((store.latest().epoch, store.undecided()), (Epoch(EPOCHS), vec![Attempt(EPOCHS + 1)]));
    check(&store, EPOCHS);
    assert_eq!(store.committed().digest, None, "the coordinator has another digest of this epoch");
    let aborting = place.copy();
    store.decide(Attempt(EPOCHS + 1), Some(Epoch(EPOCHS + 1))).expect("sealed");
    check(&store, EPOCHS + 1);
    assert_eq!(store.committed().digest, None, "an earlier version sealed this one, too");
    drop(store);
    let store = opened(&place);
    check(&store, EPOCHS + 1);

    let store_aborting = opened(&aborting);
    store_aborting.decide(Attempt(EPOCHS + 1), None).expect("an abort");
    check(&store_aborting, EPOCHS);

    let gone = Run::resident(Mark::Asserted, pairs(1, Mark::Asserted, Direction::Forward)).expect("not empty");
    let removed = vec![(RELATIONS[0], Direction::Forward, Mark::Asserted, gone)];
    let summary = store.seal(Attempt(EPOCHS + 2), Changes { removed, ..Changes::default() }).expect("room");
    store.decide(Attempt(EPOCHS + 2), Some(Epoch(EPOCHS + 2))).expect("sealed");
    assert_eq!(store.committed().digest, Some(summary.digest));
    drop(store);
    let store = opened(&place);
    assert_eq!((store.committed().digest, digest(&contents(&store))), (Some(summary.digest), summary.digest));
}

/// A crash between the batch of the conversion and the directory's identity, which says the format.
#[test]
fn a_conversion_that_was_interrupted_goes_on() {
    let place = placed(2);
    let before = damage::read(place.path()).expect("readable");
    drop(opened(&place));
    for name in ["IDENTITY", "INVENTORY"] {
        fs::write(place.path().join(name), &before[Path::new(name)]).expect("room");
        let again = place.copy();
        check(&opened(&again), EPOCHS);
    }
}

/// The newest records of the manifest are gone, and with them its format.
#[test]
fn a_database_of_an_earlier_format_is_not_that_of_the_directory() {
    let place = placed(2);
    drop(opened(&place));
    let identity = fs::read(place.path().join("IDENTITY")).expect("there is one");
    let earlier = placed(2);
    fs::write(earlier.path().join("IDENTITY"), identity).expect("room");
    let refused = Store::open(earlier.path(), OPTIONS).expect_err("an older copy of the database");
    assert_eq!(refused.reason, entail_model::Reason::Corrupt, "{refused}");
}
