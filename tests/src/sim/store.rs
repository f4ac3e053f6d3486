//! A node's simulated disk, and the state that a node reads from it.
//!
//! The disk is a journal. A crash keeps the synced entries and any prefix of the rest. The state of a node is the
//! replay of the journal, so a restart uses the same code as a running node.

use entail_logic::epoch::NodeSeal;
use entail_logic::failpoints::is_broken;
use entail_logic::fixpoint::Base;
use entail_logic::fixpoint::State;
use entail_model::{Attempt, Direction, Epoch, Mark};
use std::collections::BTreeMap;
use std::sync::Arc;

use entail_model::random::Random;

/// The number of committed epochs that a node keeps for readers.
const EPOCHS_KEPT: usize = 4;

/// An entry of the journal.
#[derive(Clone, Debug)]
pub enum Record {
    Sealed { attempt: Attempt, stage: Stage },
    Decided { attempt: Attempt, epoch: Option<Epoch> },
}

/// The complete contents of a node if the attempt commits.
#[derive(Clone, Debug)]
pub struct Stage {
    pub relations: Base,
    /// Without the incarnation.
    pub seal: NodeSeal,
}

impl Stage {
    /// Applies an attempt's changes to `base`.
    pub fn new(base: &Base, state: &State) -> Self {
        let mut relations = base.clone();
        let changes = state.changes().expect("runs are in memory");
        for (relation, _) in base.iter().filter(|_| changes.is_rebuild) {
            let keep_asserted =
                |runs: &mut Vec<_>| runs.retain(|run: &Arc<entail_logic::columns::Run>| run.mark == Mark::Asserted);
            relations.change(relation, |copies| copies.iter_mut().for_each(keep_asserted));
        }
        let removed = if is_broken("seal-deletions") { Vec::new() } else { changes.removed };
        for (relation, copy, mark, gone) in removed {
            let gone = gone.to_vec().expect("runs are in memory");
            relations.change(relation, |copies| {
                let runs = std::mem::take(&mut copies[copy as usize]);
                let rest = runs.into_iter().filter_map(|run| match run.mark == mark {
                    true => run.without(&gone).expect("runs are in memory").rest,
                    false => Some(run),
                });
                copies[copy as usize] = rest.collect();
            });
        }
        for (relation, copy, run) in changes.added {
            relations.change(relation, |copies| copies[copy as usize].push(run));
        }
        let seal = seal_of(&relations);
        Self { relations, seal }
    }
}

/// Counts, and a digest that does not depend on the division of pairs into runs.
fn seal_of(relations: &Base) -> NodeSeal {
    let mut seal = NodeSeal { digest: 0xCBF2_9CE4_8422_2325, ..NodeSeal::default() };
    for (relation, copies) in relations.iter() {
        for copy in Direction::BOTH {
            for mark in Mark::ALL {
                let pairs = pairs_of(&copies[copy as usize], mark);
                if copy == Direction::Forward {
                    let count = pairs.len() as u64;
                    match mark {
                        Mark::Asserted => seal.asserted += count,
                        Mark::Derived => seal.derived += count,
                        Mark::Promoted => (seal.asserted, seal.derived) = (seal.asserted + count, seal.derived - count),
                    }
                }
                for pair in pairs {
                    let words = [relation.predicate.0, copy as u64, mark as u64, pair.0.0, pair.1.0];
                    for word in words {
                        seal.digest = (seal.digest ^ word).wrapping_mul(0x100_0000_01B3).rotate_left(23);
                    }
                }
            }
        }
    }
    seal
}

/// The pairs of all runs with a mark, sorted, including duplicates.
pub fn pairs_of(runs: &[Arc<entail_logic::columns::Run>], mark: Mark) -> Vec<entail_logic::columns::Pair> {
    let runs = runs.iter().filter(|run| run.mark == mark);
    let mut pairs: Vec<_> = runs.flat_map(|run| run.to_vec().expect("runs are in memory")).collect();
    pairs.sort_unstable();
    pairs
}

/// The contents of the disk.
#[derive(Debug, Default)]
pub struct Disk {
    records: Vec<Record>,
    synced: usize,
}

impl Disk {
    pub fn write(&mut self, record: Record) {
        self.records.push(record);
    }

    pub fn sync(&mut self) {
        self.synced = self.records.len();
    }

    /// Loses a suffix, perhaps empty, of the unsynced entries.
    pub fn crash(&mut self, random: &mut Random) {
        let kept = random.among(self.synced as u64..=self.records.len() as u64);
        self.records.truncate(kept as usize);
        self.synced = self.records.len();
    }

    /// The state that a starting process reads.
    pub fn open(&self) -> Store {
        let mut store = Store::new();
        self.records.iter().for_each(|record| store.apply(record));
        store
    }
}

/// A committed epoch.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub attempt: Attempt,
    pub stage: Stage,
}

/// The state of a node as read from its disk.
#[derive(Debug)]
pub struct Store {
    snapshots: BTreeMap<Epoch, Snapshot>,
    sealed: BTreeMap<Attempt, Stage>,
}

impl Store {
    fn new() -> Self {
        let empty = Stage { relations: Base::default(), seal: seal_of(&Base::default()) };
        let snapshot = Snapshot { attempt: Attempt(0), stage: empty };
        Self { snapshots: BTreeMap::from([(Epoch(0), snapshot)]), sealed: BTreeMap::new() }
    }

    /// Applies a record, new or replayed.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Sealed { attempt, stage } => _ = self.sealed.insert(*attempt, stage.clone()),
            Record::Decided { attempt, epoch } => {
                if let (Some(stage), Some(epoch)) = (self.sealed.remove(attempt), epoch) {
                    self.snapshots.insert(*epoch, Snapshot { attempt: *attempt, stage });
                }
                while self.snapshots.len() > EPOCHS_KEPT {
                    self.snapshots.pop_first();
                }
            }
        }
    }

    /// The latest committed epoch.
    pub fn epoch(&self) -> Epoch {
        *self.snapshots.keys().next_back().expect("there is always one")
    }

    /// A committed epoch, if it is kept.
    pub fn snapshot(&self, epoch: Epoch) -> Option<&Snapshot> {
        self.snapshots.get(&epoch)
    }

    /// The sealed stage of an attempt, while it is undecided.
    pub fn sealed(&self, attempt: Attempt) -> Option<&Stage> {
        self.sealed.get(&attempt)
    }

    /// Sealed attempts whose outcome is unknown.
    pub fn undecided(&self) -> Vec<Attempt> {
        self.sealed.keys().copied().collect()
    }
}
