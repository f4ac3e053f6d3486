//! What the store must still hold when it is opened again, kept outside of the database.
//!
//! ```text
//! seal:     chunks, texts ──► [synced batch: runs, deletions, seal] ──► inventory: files, sealed ──► answer to the coordinator
//! commit:   [batch: the seal goes, the epoch is there] ────► inventory: epoch, counts
//! abort:    [batch: the seal and its runs go, the attempt is decided] ──► inventory: nothing is sealed
//! rest:     manifest of the database has grown ──► inventory: files ──► files without use are deleted
//! opening:  inventory ──► files ──► database, read only ──► counts │ refused, or: opened for writing ──► new inventory
//! ```
//!
//! A record names, as a lower bound, what is durable: the extents of the database's logs and manifest (a sum over their
//! bytes, so over everything that was ever written to them), the epoch, what the epoch holds by count (so a deletion vector
//! that is lost is noticed as facts that are too many), and an attempt that
//! must be found sealed *or decided*. Nothing makes such a bound lower: the batch that deletes a seal says in the database
//! that the attempt is decided ([`decide`](super::decide)). A record comes *after* what makes the bound higher, and may come
//! late, or never. So it is appended without a sync of its own (`entail_directory::Inventory`) and costs no second wait for
//! the disk, and on a full disk attempts are aborted without it. Every moment at which the process may be killed, or the
//! machine may lose its power, then leaves a record that the store keeps:
//!
//! | what happens | the store | the last record |
//! |---|---|---|
//! | killed before the synced batch of a seal, or in it | has no seal, or a torn one, which was never answered | of the state before |
//! | killed between that batch and the record | has the seal | of the state before: less than there is |
//! | killed within the record | has the seal | the one before, as a torn one does not count |
//! | killed between a commit's batch and its record | has the epoch | of the epoch before, with this attempt sealed |
//! | power lost after a commit's batch, which is not synced | may have lost the batch; the seal is there | of the epoch: allowed, as the attempt that made it is sealed; the coordinator tells its outcome again |
//! | killed between an abort's batch and its record | has no seal, and the attempt as decided | of the state before, with this attempt sealed: allowed, as it is decided |
//! | power lost after an abort's batch, which is not synced | has the seal, or the attempt as decided | with this attempt sealed: allowed in both cases; or that nothing is sealed: less than there is |
//! | killed within a merge, or a sweep of chunks | has a prefix of its batches | is not changed by either: they change no count, as a merge writes what is left of runs with deletions |
//! | killed between an opening's conversion of an earlier format and the new record | has the present format | of the earlier version, whose counts are the same |
//! | killed while the database opens | has new logs and a new manifest | the older ones: a later manifest is taken, and a log may be gone if that has no use for it |
//! | killed between opening and the new record | the same | the same |
//! | power lost before the system wrote the record | has everything that was synced, also what was synced after it | an older one: a weaker bound. An attempt that it names as sealed is decided, if its seal is gone. What the coordinator's log says of the node's last seal is the closer bound |
//! | no room for the record of a seal, a commit or an abort | has everything | an older one: as in the line before |
//!
//! So the check refuses nothing that a crash leaves. What it does not see by itself is a copy of the whole directory of an
//! earlier time: that is for the coordinator to tell (`coordinator/src/members`).

use super::Store;
use super::catalog::Catalog;
use super::recover::Manifest;
use super::schema::{Column, Counts, ShardRecord, decode_value, encode_value};
use super::table::DurableFiles;
use entail_logic::columns::pairs;
use entail_model::{Attempt, Direction, Epoch, Fault, Mark, NodeId, ShardId, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Files without use are looked for after so many rounds in which the manifest has not changed: readers may have held them.
const ROUNDS_BETWEEN_RELEASES: u32 = 64;

/// Pairs by column, without those that are deleted: all that merging leaves as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// By direction and mark.
    facts: [[u64; 3]; 2],
    /// Entries of the dictionary's index.
    index: u64,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose directory it is.
    pub node: NodeId,
    pub epoch: Epoch,
    /// The last attempt that was sealed and is decided.
    pub attempt: Option<Attempt>,
    /// An attempt that was sealed and not decided: from then on it is one of the two.
    pub sealed: Option<Attempt>,
    pub tally: Tally,
    /// A sum over the shards of what each has.
    pub shards: u64,
    pub files: DurableFiles,
}

/// The inventory that an open store writes.
#[derive(Debug)]
pub struct Keeper {
    inventory: entail_directory::Inventory,
    last: Record,
    has_warned: bool,
    rounds: u32,
}

impl Tally {
    /// Counts the pairs of a run.
    pub fn add(&mut self, column: Column, mark: Mark, pairs: u64) {
        *self.cell(column, mark) += pairs;
    }

    /// The pairs of a run are gone.
    pub fn take(&mut self, column: Column, mark: Mark, pairs: u64) {
        *self.cell(column, mark) -= pairs;
    }

    /// The pairs of both copies of all facts.
    pub fn pairs(&self) -> u64 {
        self.facts.iter().flatten().sum()
    }

    fn cell(&mut self, column: Column, mark: Mark) -> &mut u64 {
        match column {
            Column::Facts(_, copy) => &mut self.facts[copy as usize][mark as usize],
            Column::Terms(_) => &mut self.index,
        }
    }

    /// What a tally of the same epoch has instead; `None` if it is the same.
    fn missing_in(&self, found: &Self) -> Option<String> {
        for (copy, name) in [(Direction::Forward, "facts by subject"), (Direction::Inverse, "facts by object")] {
            for mark in Mark::ALL {
                let cell = |tally: &Self| tally.facts[copy as usize][mark as usize];
                if cell(found) != cell(self) {
                    return Some(format!("{} of {} {mark:?} {name}", cell(found), cell(self)));
                }
            }
        }
        (found.index != self.index).then(|| format!("{} of {} terms", found.index, self.index))
    }
}

/// A sum over shards and what each has, in any order.
fn sum_of(shards: &BTreeMap<ShardId, ShardRecord>) -> u64 {
    let one = |(shard, record): (&ShardId, &ShardRecord)| {
        let Counts { asserted, derived, promoted } = record.facts;
        let numbers = [record.terms, asserted, derived, promoted];
        let numbered = (0u64..).zip(numbers).map(|(at, number)| (TermId(u64::from(shard.0) << 2 | at), TermId(number)));
        pairs::sum(&numbered.collect::<Vec<_>>())
    };
    shards.iter().map(one).fold(0, u64::wrapping_add)
}

impl Record {
    /// What the store holds, beside the files.
    pub fn of(node: NodeId, catalog: &Catalog, sealed: Option<Attempt>) -> Self {
        Self {
            node,
            epoch: catalog.committed.epoch,
            attempt: catalog.committed.attempt,
            sealed,
            tally: catalog.tally,
            shards: sum_of(&catalog.shards),
            files: DurableFiles::default(),
        }
    }

    /// The record in the bytes of the inventory.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        decode_value(bytes).map_err(|_| Fault::corrupt("the inventory has a record that cannot be read"))
    }

    /// Checks that a store with this manifest holds what the record says.
    ///
    /// # Errors
    /// `Corrupt`, with what is missing.
    pub fn check(&self, manifest: &Manifest) -> Result<(), Fault> {
        let committed = &manifest.committed;
        let has_sealed = |attempt: Attempt| manifest.sealed.contains_key(&attempt);
        let (has, had) = (committed.epoch, self.epoch);
        if has < had && !self.attempt.is_some_and(has_sealed) {
            return Err(Fault::corrupt(format!("the database has epoch {has}, and had come to epoch {had}")));
        }
        if let Some(sealed) = self.sealed
            && committed.attempt < Some(sealed)
            && !has_sealed(sealed)
        {
            return Err(Fault::corrupt(format!("the database has lost attempt {sealed}, which it had sealed")));
        }
        if has == had {
            let mut found = Tally::default();
            manifest.committed_runs().for_each(|(run, pairs)| found.add(run.column, run.mark, pairs));
            if let Some(missing) = self.tally.missing_in(&found) {
                return Err(Fault::corrupt(format!("the database has {missing} of epoch {has}")));
            }
            if sum_of(&manifest.shards) != self.shards {
                return Err(Fault::corrupt(format!("the database has other counts of shards at epoch {has}")));
            }
        }
        Ok(())
    }
}

/// Checks that a manifest is complete in itself: each shard has the terms that it says, and all have the facts.
///
/// # Errors
/// `Corrupt`, with what is missing.
pub fn check_alone(manifest: &Manifest) -> Result<(), Fault> {
    let (mut facts, mut terms) = (Counts::default(), BTreeMap::<ShardId, u64>::new());
    for (run, pairs) in manifest.committed_runs() {
        match run.column {
            Column::Facts(_, Direction::Forward) => facts += Counts::of(run.mark, pairs),
            Column::Facts(_, Direction::Inverse) => {}
            Column::Terms(shard) => *terms.entry(shard).or_default() += pairs,
        }
    }
    let mut said = Counts::default();
    for (shard, record) in &manifest.shards {
        said += record.facts;
        let (found, terms) = (terms.remove(shard).unwrap_or_default(), record.terms);
        if found != terms {
            return Err(Fault::corrupt(format!("the database has {found} of {terms} terms of shard {shard}")));
        }
    }
    if facts != said || !terms.is_empty() {
        return Err(Fault::corrupt(format!("the database has {facts:?}, and its shards say {said:?}")));
    }
    Ok(())
}

impl Keeper {
    /// Goes on with an inventory whose last record is this.
    pub fn new(inventory: entail_directory::Inventory, last: Record) -> Self {
        Self { inventory, last, has_warned: false, rounds: 0 }
    }

    fn append(&mut self, record: Record) {
        match self.inventory.append(&encode_value(&record)) {
            Ok(()) => self.last = record,
            Err(fault) if !self.has_warned => {
                self.has_warned = true;
                tracing::warn!(%fault, "the inventory cannot be written: a loss in the database may go unnoticed");
            }
            Err(_) => {}
        }
    }
}

impl Store {
    /// Notes what the store holds: after it has come to hold that.
    pub(super) fn note(&self, catalog: &Catalog, sealed: Option<Attempt>) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.table.durable();
        let record = Record { files, ..Record::of(keeper.last.node, catalog, sealed) };
        keeper.append(record);
    }

    /// Notes how far the database's files have grown, and lets go of those that it has no use for: to be called again and
    /// again, some times a second.
    pub fn keep_inventory(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.table.durable();
        keeper.rounds += 1;
        if files != keeper.last.files {
            let record = Record { files, ..keeper.last.clone() };
            keeper.append(record);
        } else if keeper.rounds < ROUNDS_BETWEEN_RELEASES {
            return;
        }
        keeper.rounds = 0;
        drop(keeper);
        self.table.release();
    }

    /// Makes the inventory durable.
    pub(super) fn sync_inventory(&self) -> Result<(), Fault> {
        self.keep_inventory();
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).inventory.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryTable;
    use super::super::recover;
    use super::super::schema::{Committed, FORMAT, Key, SealRecord};
    use super::super::table::{Batch, Durability, Table};
    use super::*;
    use entail_model::Reason;

    /// A manifest without facts, with its last decided attempt and the one that is sealed.
    fn manifest(decided: u64, sealed: Option<u64>) -> Manifest {
        let table = MemoryTable::default();
        let committed = Committed { attempt: Some(Attempt(decided)), ..Committed::default() };
        let mut batch = Batch::default();
        batch.put(Key::Format, encode_value(&FORMAT));
        batch.put(Key::Committed, encode_value(&committed));
        if let Some(sealed) = sealed {
            batch.put(Key::Sealed(Attempt(sealed)), encode_value(&SealRecord::default()));
        }
        table.commit(batch, Durability::Later).expect("memory");
        recover::read(&table).expect("our own records")
    }

    #[test]
    fn an_attempt_that_was_sealed_is_sealed_or_decided() {
        let record = Record {
            node: NodeId(1),
            epoch: Epoch::default(),
            attempt: Some(Attempt(6)),
            sealed: Some(Attempt(7)),
            tally: Tally::default(),
            shards: 0,
            files: DurableFiles::default(),
        };
        for (decided, sealed) in [(6, Some(7)), (7, None), (7, Some(8)), (8, None)] {
            assert_eq!(record.check(&manifest(decided, sealed)), Ok(()), "{decided} {sealed:?}");
        }
        for (decided, sealed) in [(6, None), (6, Some(8)), (5, None)] {
            let lost = record.check(&manifest(decided, sealed)).expect_err("neither sealed nor decided");
            assert_eq!(lost.reason, Reason::Corrupt, "{lost}");
        }
    }
}
