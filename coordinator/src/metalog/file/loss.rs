//! Whatever happens to the files of a log that is closed: its state is what it was, or it does not open and its directory
//! stays as it is.

use super::tests::fill;
use super::*;
use entail_directory::damage::{self, Files};
use entail_model::random::Random;
use std::collections::BTreeSet;

/// A number that can be set, to replay a damage or to try more.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The files of a log, and those of an earlier time, with the states that they say.
fn original() -> [(Files, State); 2] {
    let place = tempfile::tempdir().expect("a temporary directory");
    let files = || damage::read(place.path()).expect("readable");
    let open = || FileLog::open_compacting_at(place.path(), 3000).expect("nothing is wrong");
    let mut log = open();
    fill(&mut log, 12);
    let older = (files(), log.state().clone());
    drop(log);
    let mut log = open();
    for _ in 0..9 {
        for step in [super::tests::begin_entry, super::tests::commit_entry] {
            let entry = step(log.state());
            log.append(&entry).expect("it fits the state");
        }
    }
    [(files(), log.state().clone()), older]
}

#[test]
fn a_damaged_file_is_no_other_state() {
    let (count, seed) = (setting("ENTAIL_DAMAGES", 200), setting("ENTAIL_DAMAGE_SEED", 1));
    let [(newest, state), (older, state_then)] = original();
    let (mut same, mut refused, mut earlier) = (0, 0, 0);
    let (mut kinds, mut sorts) = (BTreeSet::new(), BTreeSet::new());
    for seed in seed..seed + count {
        let damaged = damage::damage(&mut Random::new(seed), &newest, &older);
        println!("ENTAIL_DAMAGE_SEED={seed} ENTAIL_DAMAGES=1: {}", damaged.what);
        let place = tempfile::tempdir().expect("a temporary directory");
        damage::write(place.path(), &damaged.files).expect("room");
        match FileLog::open(place.path()) {
            Ok(log) if log.state() == &state => same += 1,
            Ok(log) => {
                // Nodes that have the later epochs refuse such a log.
                assert!(log.state() == &state_then && damaged.file.is_none(), "another state");
                earlier += 1;
            }
            Err(fault) => {
                assert_eq!(fault.reason, Reason::Corrupt, "{fault}");
                let left = damage::read(place.path()).expect("readable");
                assert!(left == damaged.files, "a directory that is refused stays as it is: {fault}");
                refused += 1;
            }
        }
        kinds.insert(damaged.kind);
        sorts.extend(damaged.file.as_deref().map(damage::sort_of));
    }
    println!("{same} the same, {refused} refused, {earlier} of the earlier time, {sorts:?}");
    if count >= 200 {
        assert!(same > 0 && refused > 0 && earlier > 0);
        assert!(kinds.iter().eq(&damage::ALL_KINDS), "{kinds:?}");
        let present: BTreeSet<String> = newest.keys().map(|name| damage::sort_of(name)).collect();
        assert_eq!(sorts, present, "a file of each sort was damaged");
    }
}
