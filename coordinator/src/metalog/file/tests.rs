//! The file against crashes at every byte, flipped bits, other owners, and its own compaction.

use super::*;
use crate::metalog::vouched::Vouched;
use crate::metalog::{Cluster, Crash, EpochKind, MemoryLog, RequestId, Seal};
use entail_model::{Attempt, ClusterId, Epoch, NodeId, Placement, ShardCount};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn temporary() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn create() -> Entry {
    let shards = ShardCount::new(2).expect("a power of two");
    Entry::CreateCluster(Cluster { cluster: ClusterId(3), shards, hash_key: [5; 16] })
}

pub(super) fn begin_entry(state: &State) -> Entry {
    let request = RequestId(format!("request {}", state.index()));
    Entry::BeginEpoch { previous: state.epoch(), kind: EpochKind::Facts, request, rules: 0 }
}

fn abort(state: &State) -> Entry {
    let attempt = state.open().map_or(Attempt(0), |open| open.attempt);
    Entry::AbortEpoch { attempt, reason: "no room".to_owned() }
}

pub(super) fn commit_entry(state: &State) -> Entry {
    let attempt = state.open().map_or(Attempt(0), |open| open.attempt);
    let seal = |node: &NodeId| Seal {
        node: *node,
        incarnation: state.nodes()[node].incarnation,
        digest: attempt.0,
        counts: Default::default(),
    };
    let nodes = state.placement().nodes().iter().map(seal).collect();
    Entry::CommitEpoch { attempt, epoch: state.epoch().next(), nodes, result: b"answer".to_vec(), rules: None }
}

/// A cluster of one node with `epochs` epochs, an aborted attempt after each.
pub(super) fn fill(log: &mut dyn MetaLog, epochs: usize) {
    let register = Entry::RegisterNode { node: NodeId(1), name: "one".to_owned(), address: "host:1".to_owned() };
    let place = Entry::Place { placement: Placement { version: 1, holders: vec![NodeId(1); 2] } };
    for entry in [create(), register, place] {
        log.append(&entry).expect("a new log");
    }
    let steps: [fn(&State) -> Entry; 4] = [begin_entry, commit_entry, begin_entry, abort];
    for step in (0..epochs).flat_map(|_| steps) {
        let entry = step(log.state());
        log.append(&entry).expect("it fits the state");
    }
}

/// The reason of the failure to open `directory`.
fn refusal(directory: &Path) -> Option<Reason> {
    FileLog::open(directory).err().map(|fault| fault.reason)
}

/// A filled log's directory, its file's bytes, and its state.
fn filled(epochs: usize) -> (TempDir, Vec<u8>, State) {
    let directory = temporary();
    let mut log = FileLog::open(directory.path()).expect("an empty directory");
    fill(&mut log, epochs);
    let bytes = fs::read(file(&directory)).expect("the file is there");
    (directory, bytes, log.state)
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join(NAME)
}

/// Lets the inventory name so much of a log: what a process that was killed in its last append has left.
fn vouch(directory: &TempDir, bytes: &[u8]) {
    let opened = Directory::open(directory.path(), |_| true).expect("free");
    Vouched::begin(&opened, Extent::of(bytes)).expect("room");
}

#[test]
fn reopening_gives_the_same_state_and_goes_on() {
    let (directory, _, state) = filled(3);
    let mut log = FileLog::open(directory.path()).expect("nothing is wrong");
    assert_eq!(log.state(), &state);
    assert_eq!(log.state().epoch(), Epoch(3));
    let entry = begin_entry(log.state());
    assert_eq!(log.append(&entry), Ok((state.index() + 1, Applied::Begun(Attempt(state.index() + 1)))));
}

#[test]
fn a_file_of_the_first_version_is_written_anew() {
    let (directory, mut bytes, state) = filled(3);
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    fs::write(file(&directory), &bytes).expect("room");
    vouch(&directory, &bytes);
    let log = FileLog::open(directory.path()).expect("an earlier version is read");
    assert_eq!(log.state(), &state);
    drop(log);
    let header = record::file_header();
    let written = fs::read(file(&directory)).expect("the file is there");
    assert_eq!(&written[..header.len()], &header, "an earlier program must not read what follows");
    assert_eq!(FileLog::open(directory.path()).expect("nothing is wrong").state(), &state);
}

#[test]
fn a_crash_at_every_byte_leaves_a_prefix() {
    let (directory, bytes, _) = filled(2);
    let mut states = vec![State::default()];
    let mut ends = vec![record::file_header().len()];
    let mut memory = MemoryLog::default();
    fill(&mut memory, 2);
    for entry in memory.entries() {
        let mut state = states.last().expect("the first").clone();
        ends.push(ends.last().expect("the first") + record::entry(state.index() + 1, entry).expect("small").len());
        state.apply(state.index() + 1, entry).expect("it was applied before");
        states.push(state);
    }
    assert_eq!(ends.last(), Some(&bytes.len()));
    for length in ends[0]..=bytes.len() {
        fs::write(file(&directory), &bytes[..length]).expect("a temporary file");
        let whole = ends.iter().rposition(|end| *end <= length).expect("at least the header");
        vouch(&directory, &bytes[..ends[whole]]);
        let mut log = FileLog::open(directory.path()).expect("a torn tail is no damage");
        assert_eq!(log.state(), &states[whole], "cut at {length}");
        // The torn record is gone for good, and the log continues after the one before it.
        if let Some(entry) = memory.entries().get(whole) {
            log.append(entry).expect("it fits");
            drop(log);
            assert_eq!(FileLog::open(directory.path()).expect("whole").state(), &states[whole + 1]);
        }
    }
    for length in 0..ends[0] {
        fs::write(file(&directory), &bytes[..length]).expect("a temporary file");
        assert_eq!(refusal(directory.path()), Some(Reason::Corrupt), "a header is never torn");
    }
}

/// Blocks of the last record that never reached the disk read as zeros.
#[test]
fn a_tail_of_zeros_is_torn() {
    let (directory, bytes, state) = filled(2);
    let last = record::entry(state.index(), &abort_of_last(&state)).expect("small").len();
    for kept in bytes.len() - last..bytes.len() {
        let mut torn = bytes.clone();
        torn[kept..].fill(0);
        vouch(&directory, &bytes[..bytes.len() - last]);
        fs::write(file(&directory), &torn).expect("a temporary file");
        let log = FileLog::open(directory.path()).expect("a torn tail is no damage");
        assert!(log.state().index() + 1 >= state.index());
        assert!(log.state() == &state || log.state().index() + 1 == state.index());
    }
}

fn abort_of_last(state: &State) -> Entry {
    Entry::AbortEpoch { attempt: Attempt(state.index() - 1), reason: "no room".to_owned() }
}

/// The last record looks torn; the inventory knows better, unless it has not come to it yet.
#[test]
fn a_flipped_bit_in_an_acknowledged_record_is_damage() {
    let (directory, bytes, state) = filled(1);
    let last = record::entry(state.index(), &abort_of_last(&state)).expect("small").len();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(file(&directory), &flipped).expect("a temporary file");
        vouch(&directory, &bytes);
        assert_eq!(refusal(directory.path()), Some(Reason::Corrupt), "byte {at}");
        assert_eq!(fs::read(file(&directory)).expect("it is there"), flipped, "nothing is changed");
        vouch(&directory, &bytes[..bytes.len() - last]);
        let opened = FileLog::open(directory.path());
        match opened {
            Err(fault) => {
                assert_eq!(fault.reason, Reason::Corrupt, "byte {at}: {fault}");
                assert!(at < bytes.len() - last, "the last record looks torn: {fault}");
            }
            Ok(log) => {
                assert!(at >= bytes.len() - last, "byte {at} was flipped unseen");
                assert_eq!(log.state().index(), state.index() - 1);
            }
        }
    }
}

#[test]
fn a_lost_record_in_the_middle_is_damage() {
    let (directory, bytes, _) = filled(1);
    let first = record::file_header().len();
    let second = first + record::entry(1, &create()).expect("small").len();
    let spliced = [&bytes[..first], &bytes[second..]].concat();
    fs::write(file(&directory), spliced).expect("a temporary file");
    assert_eq!(refusal(directory.path()), Some(Reason::Corrupt));
}

#[test]
fn compaction_keeps_the_state() {
    let directory = temporary();
    let open = || FileLog::open_compacting_at(directory.path(), 2000).expect("nothing is wrong");
    let mut log = open();
    fill(&mut log, 200);
    let mut memory = MemoryLog::default();
    fill(&mut memory, 200);
    assert_eq!(log.state(), memory.state());
    let appended: u64 = (1u64..)
        .zip(memory.entries())
        .map(|(index, entry)| record::entry(index, entry).map_or(0, |r| r.len() as u64))
        .sum();
    assert!(log.journal.length() < appended, "{} bytes of {appended}", log.journal.length());
    drop(log);
    let mut log = open();
    assert_eq!(log.state(), memory.state());
    log.compact().expect("there is room");
    let entry = begin_entry(log.state());
    log.append(&entry).expect("appends go to the new file");
    let state = log.state().clone();
    drop(log);
    assert_eq!(open().state(), &state);
}

#[test]
fn a_crash_while_compacting_leaves_the_old_file() {
    let (directory, bytes, state) = filled(2);
    fs::write(directory.path().join(NEW_NAME), &bytes[..40]).expect("a temporary file");
    let mut log = FileLog::open(directory.path()).expect("half a new file does not count");
    assert_eq!(log.state(), &state);
    log.compact().expect("half a new file is no obstacle");
    assert_eq!(log.state(), &state);
}

#[test]
fn a_refused_entry_leaves_no_trace() {
    let (directory, bytes, state) = filled(1);
    let mut log = FileLog::open(directory.path()).expect("nothing is wrong");
    assert_eq!(log.append(&create()).map_err(|fault| fault.reason), Err(Reason::AlreadyExists));
    assert_eq!((log.state(), fs::read(file(&directory)).expect("the file is there")), (&state, bytes));
    assert!(!log.is_poisoned());
}

#[test]
fn a_directory_has_one_owner() {
    let (directory, ..) = filled(1);
    let log = FileLog::open(directory.path()).expect("free");
    assert_eq!(refusal(directory.path()), Some(Reason::DirectoryInUse));
    drop(log);
    assert_eq!(refusal(directory.path()), None);

    let directory = temporary();
    let identity = directory.path().join("IDENTITY");
    fs::write(&identity, r#"{"role":"node","node":17}"#).expect("a temporary file");
    assert_eq!(refusal(directory.path()), Some(Reason::WrongCluster));
    fs::write(&identity, "{").expect("a temporary file");
    assert_eq!(refusal(directory.path()), Some(Reason::Corrupt));
}

#[test]
fn directories_are_made_and_other_files_refused() {
    let directory = temporary();
    let deep = directory.path().join("a/b/c");
    assert_eq!(refusal(&deep), None);
    fs::write(deep.join(NAME), "<http://example.org/s> <http://example.org/p> 1 .").expect("a temporary file");
    assert_eq!(refusal(&deep), Some(Reason::Corrupt));
}

#[test]
fn a_later_version_is_refused_as_such() {
    let (directory, mut bytes, _) = filled(1);
    bytes[8] += 1;
    let sum = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    fs::write(file(&directory), bytes).expect("a temporary file");
    assert_eq!(refusal(directory.path()), Some(Reason::Unsupported));
}

/// A disk whose only space is what the ballast frees.
struct FullDisk {
    ballast: PathBuf,
}

impl crate::metalog::journal::Medium for FullDisk {
    fn append(&mut self, _: &[u8]) -> std::io::Result<()> {
        if self.ballast.exists() { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk with space.
impl crate::metalog::journal::Medium for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        Vec::truncate(self, length as usize);
        Ok(())
    }
}

#[test]
fn on_a_full_disk_commits_are_refused_and_aborts_are_not() {
    let (directory, ..) = filled(1);
    let mut log = FileLog::open(directory.path()).expect("nothing is wrong");
    let entry = begin_entry(log.state());
    log.append(&entry).expect("there is room");
    let ballast = directory.path().join("BALLAST");
    log.journal = open_journal(Box::new(FullDisk { ballast }), 0, 0).expect("nothing is written");
    let before = log.state().clone();
    let entry = commit_entry(log.state());
    assert_eq!(log.append(&entry).map_err(|fault| fault.reason), Err(Reason::DiskFull));
    assert_eq!(log.state(), &before);
    let entry = abort(log.state());
    log.append(&entry).expect("the ballast makes room");
    assert!(log.state().open().is_none());

    // Without space for the ballast no attempt begins: it could not be aborted.
    fs::create_dir(directory.path().join("BALLAST")).expect("a temporary directory");
    let entry = begin_entry(log.state());
    log.append(&entry).expect_err("a directory is in the way");
    assert!(log.state().open().is_none() && !log.is_poisoned());
    fs::remove_dir(directory.path().join("BALLAST")).expect("it is empty");
    log.journal = open_journal(Box::new(Vec::new()), 0, 0).expect("nothing is written");
    log.append(&entry).expect("there is room again");
    assert!(directory.path().join("BALLAST").exists());
}

#[test]
fn memory_crashes_look_the_same_and_differ_after_restart() {
    for (crash, kept) in [(Crash::BeforeDurable, 0), (Crash::AfterDurable, 1)] {
        let mut log = MemoryLog::default();
        fill(&mut log, 1);
        let before = log.entries().len();
        log.crash_next(crash);
        let entry = begin_entry(log.state());
        for _ in 0..2 {
            assert_eq!(log.append(&entry).map_err(|fault| fault.reason), Err(Reason::OutcomeUnknown));
            assert!(log.is_poisoned());
        }
        let log = MemoryLog::restart(log.entries().to_vec()).expect("what was durable fits");
        assert_eq!(log.entries().len(), before + kept);
        assert_eq!(log.state().open().is_some(), kept == 1);
    }
}

/// A file that cannot be synced.
struct Unsynced;

impl Medium for Unsynced {
    fn append(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Other.into())
    }

    fn truncate(&mut self, _length: u64) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_new_file_that_fails_loses_nothing_that_is_acknowledged_later() {
    let (directory, _, _) = filled(2);
    let mut log = FileLog::open(directory.path()).expect("nothing is wrong");
    let bytes = [record::file_header(), record::snapshot(log.state()).expect("small")].concat();
    log.directory.write_new(NEW_NAME, &bytes).expect("a temporary file");
    assert!(log.replace(Box::new(Unsynced), Extent::of(&bytes)).is_err());
    let entry = begin_entry(log.state());
    let acknowledged = log.append(&entry).is_ok();
    let state = log.state().clone();
    drop(log);
    let log = FileLog::open(directory.path()).expect("nothing is wrong");
    assert!(!acknowledged || log.state() == &state);
    assert!(acknowledged, "the old file goes on");
}

/// Directories of versions without inventories are taken as they are, and have one from then on.
#[test]
fn a_directory_without_an_inventory_is_converted() {
    let (directory, bytes, state) = filled(2);
    fs::remove_file(directory.path().join("INVENTORY")).expect("it is there");
    assert_eq!(refusal(directory.path()), Some(Reason::Corrupt), "one with an inventory must have it");
    fs::write(directory.path().join("IDENTITY"), r#"{"role":"coordinator"}"#).expect("a temporary file");
    let log = FileLog::open(directory.path()).expect("nothing is wrong");
    assert_eq!(log.state(), &state);
    drop(log);
    fs::write(file(&directory), &bytes[..bytes.len() - 1]).expect("a temporary file");
    assert_eq!(refusal(directory.path()), Some(Reason::Corrupt), "from now on a cut is seen");
}

/// The rename of a compaction, and the inventory's record after it, are two steps.
#[test]
fn a_crash_after_the_rename_of_a_compaction_is_no_damage() {
    let (directory, bytes, state) = filled(2);
    let mut log = FileLog::open(directory.path()).expect("nothing is wrong");
    let compacted = [record::file_header(), record::snapshot(&state).expect("small")].concat();
    log.vouched.may_become(Extent::of(&compacted)).expect("room");
    drop(log);
    let inventory = fs::read(directory.path().join("INVENTORY")).expect("it is there");
    for file_then in [&bytes, &compacted] {
        fs::write(directory.path().join("INVENTORY"), &inventory).expect("a temporary file");
        fs::write(file(&directory), file_then).expect("a temporary file");
        assert_eq!(FileLog::open(directory.path()).expect("either file is whole").state(), &state);
    }
}
