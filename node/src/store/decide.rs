//! The life of an attempt in the store: terms, seal, outcome.
//!
//! A commit is one small batch: deleting the [`SealRecord`] makes the runs that were written with it visible and its deletion
//! vectors take effect, without moving data; the vectors that they replace go. It need not be synced: the log knows the
//! outcome, and a node that lost it asks again. An abort is one small batch as well.
//!
//! | what happens | what the store opens with |
//! |---|---|
//! | killed before the synced batch of a seal, or in it | the epoch before; chunks of the attempt are deleted, its deletions were nowhere else |
//! | killed after it | the epoch before, which has no deletion of the attempt; and the sealed attempt, with the runs that it adds and what it leaves of others, which no merge replaces |
//! | killed after a commit's batch | the new epoch: its deletions take effect, and there is no vector that they replace |
//! | killed after an abort's batch | the epoch before, without vectors of the attempt |
//! | killed within a merge | the runs with their vectors, or the merged run, which has none |
//!
//! Invariant: the batch that deletes a seal also says that the attempt is decided ([`Committed::attempt`]). So an attempt
//! that was sealed once is found sealed or decided, whatever a crash has kept of the batches.

use super::Store;
use super::catalog::{Catalog, StoredRun};
use super::dictionary::{Dictionary, ShardTerms};
use super::digest::{CountChange, Digest};
use super::fence::{Phase, fenced};
use super::merge::drop_run;
use super::schema::{Column, Committed, Counts, Key, SealRecord, ShardRecord, encode_value};
use super::seal::{SealedAttempt, Sealing, shrinking};
use super::snapshot::Snapshot;
use super::table::{Batch, Durability};
use entail_logic::fixpoint::Changes;
use entail_model::term::TermHash;
use entail_model::{Attempt, Epoch, Fault, Mark, ShardId, TermId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The size of a sealed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealSummary {
    /// A digest over all facts of the node once the attempt is committed, as in `store::digest`.
    pub digest: u64,
    /// Pairs of forward copies that it adds and removes, by the subject's home and by mark, but for what a rebuild removes.
    pub shards: Vec<(ShardId, CountChange)>,
    /// Pairs of forward copies of the whole node once the attempt is committed.
    pub after: Counts,
}

impl SealSummary {
    fn of(catalog: &Catalog, sealed: &SealRecord) -> Result<Self, Fault> {
        let mut shards = catalog.shards.clone();
        shards.extend(shards_after(catalog, sealed)?);
        let mut after = Counts::default();
        shards.values().for_each(|record| after += record.facts);
        Ok(Self { digest: digest_after(catalog, sealed).total(), shards: sealed.facts.clone(), after })
    }
}

impl Store {
    /// The ids of terms at home at this node; terms without one get new ids, which are kept if the attempt is committed.
    ///
    /// Repeating a request gives the same ids. Many threads may intern for one attempt at once.
    ///
    /// # Errors
    /// `Fenced` when the attempt is over, is sealed, or cannot begin before an earlier one is decided.
    pub fn intern<T: AsRef<[u8]>>(&self, attempt: Attempt, terms: &[T]) -> Result<Vec<TermId>, Fault> {
        let hashes = self.dictionary()?.hashes(terms);
        self.intern_hashed(attempt, terms, &hashes)
    }

    /// The ids of terms with known hashes under the cluster's key, as [`intern`](Self::intern) gives them.
    ///
    /// # Errors
    /// Those of [`intern`](Self::intern).
    pub fn intern_hashed<T: AsRef<[u8]>>(
        &self,
        attempt: Attempt,
        terms: &[T],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault> {
        let dictionary = self.dictionary()?;
        loop {
            let fence = self.fence();
            match fence.phase(attempt)? {
                Some(Phase::Open) => return dictionary.intern(terms, hashes),
                Some(_) => return Err(fenced(format!("attempt {attempt} is sealed"))),
                None => drop(fence),
            }
            self.begin(attempt)?;
        }
    }

    /// Checks that work on the attempt may begin or continue at this node.
    ///
    /// # Errors
    /// `Fenced` when it is over, or cannot begin before an earlier one is decided.
    pub fn admit(&self, attempt: Attempt) -> Result<(), Fault> {
        self.fence().phase(attempt).map(drop)
    }

    /// Opens an attempt; an older unsealed one is dropped.
    fn begin(&self, attempt: Attempt) -> Result<(), Fault> {
        let mut fence = self.gate_mut();
        if fence.phase(attempt)?.is_some() {
            return Ok(());
        }
        if let Some(older) = fence.current() {
            self.dictionary()?.delete_staged()?;
            fence.close(older);
        }
        fence.enter(attempt, Phase::Open);
        Ok(())
    }

    /// Makes an attempt durable: the runs that it adds, the facts that it removes, and the terms that it interned. Repeating
    /// the call gives the same answer.
    ///
    /// Must not be called on a thread of a rayon pool, since it uses rayon itself.
    ///
    /// # Errors
    /// `Fenced` as in [`intern`](Self::intern); `DiskFull`, after which the attempt is still open; `Corrupt` if facts that it
    /// removes are not there.
    pub fn seal(&self, attempt: Attempt, changes: Changes) -> Result<SealSummary, Fault> {
        let mut sealed = self.sealed();
        self.begin(attempt)?;
        if let Some(sealed) = sealed.as_ref().filter(|sealed| sealed.attempt == attempt) {
            return SealSummary::of(&self.catalog(), &sealed.record);
        }
        self.gate_mut().enter(attempt, Phase::Sealing);
        let outcome = self.make_durable(attempt, &changes);
        let phase = if outcome.is_ok() { Phase::Sealed } else { Phase::Open };
        self.gate_mut().enter(attempt, phase);
        let mut catalog = self.catalog();
        let touched = outcome.iter().flat_map(|(new, _)| &new.shrunk).map(|shrunk| shrunk.id);
        catalog.hold_only(touched);
        let (new, summary) = outcome?;
        *sealed = Some(new);
        self.note(&catalog, Some(attempt));
        Ok(summary)
    }

    fn make_durable(&self, attempt: Attempt, changes: &Changes) -> Result<(SealedAttempt, SealSummary), Fault> {
        let sealing = Sealing { table: &*self.table, chunks: &self.chunks, next_run: &self.next_run };
        let terms = self.dictionary.get().map(Dictionary::staged).unwrap_or_default();
        let shrinking = shrinking(changes);
        let held = if shrinking.is_empty() { Vec::new() } else { self.catalog().hold(shrinking) };
        let prepared = sealing.prepare(changes, &terms, &held)?;
        let summary = SealSummary::of(&self.catalog(), &prepared.record)?;
        Ok((sealing.write(attempt, prepared)?, summary))
    }

    /// Applies the outcome of an attempt: its facts become visible as `epoch`, or are deleted. Repeating the call does
    /// nothing.
    ///
    /// # Errors
    /// `Internal` for the commit of an attempt that was not sealed at this node, or of an epoch that is not new, `Corrupt` if
    /// it removes more facts than there are: nothing is changed.
    pub fn decide(&self, attempt: Attempt, outcome: Option<Epoch>) -> Result<(), Fault> {
        let mut sealed = self.sealed();
        match outcome {
            Some(epoch) => self.commit(attempt, epoch, &mut sealed)?,
            None => self.abort(attempt, &mut sealed)?,
        }
        drop(sealed);
        self.chunks.sweep()
    }

    /// Drops the terms that an unsealed attempt has interned.
    ///
    /// # Errors
    /// `Fenced` if it is sealed: then only its outcome ends it.
    pub fn abandon(&self, attempt: Attempt) -> Result<(), Fault> {
        let sealed = self.sealed();
        if sealed.as_ref().is_some_and(|sealed| sealed.attempt == attempt) {
            return Err(fenced(format!("attempt {attempt} is sealed")));
        }
        self.end(attempt)?;
        drop(sealed);
        self.chunks.sweep()
    }

    /// The attempts that are sealed at this node without an outcome: at most one.
    pub fn undecided(&self) -> Vec<Attempt> {
        self.fence().undecided().into_iter().collect()
    }

    fn commit(&self, attempt: Attempt, epoch: Epoch, sealed: &mut Option<SealedAttempt>) -> Result<(), Fault> {
        let mut catalog = self.catalog();
        if catalog.committed.attempt >= Some(attempt) {
            return if epoch <= catalog.committed.epoch {
                Ok(())
            } else {
                Err(Fault::internal(format!("attempt {attempt} is over, but this node does not have epoch {epoch}")))
            };
        }
        let Some(ready) = sealed.take_if(|sealed| sealed.attempt == attempt) else {
            return Err(Fault::internal(format!("attempt {attempt} was not sealed, and cannot be epoch {epoch}")));
        };
        if epoch <= catalog.committed.epoch {
            let message = format!("attempt {attempt} cannot be epoch {epoch}, which is over");
            *sealed = Some(ready);
            return Err(Fault::internal(message));
        }
        let committed = Committed {
            epoch,
            attempt: Some(attempt),
            chunk_floor: self.chunks.floor(),
            rdf_type: catalog.committed.rdf_type,
            digest: digest_after(&catalog, &ready.record),
            is_digest_told: ready.record.is_digest_told,
        };
        let written = Change::of(&catalog, &ready).and_then(|change| {
            self.table.commit(change.batch(&ready, &committed), Durability::Later)?;
            Ok(change)
        });
        match written {
            Ok(change) => self.apply(&mut catalog, committed, change, ready),
            Err(fault) => {
                *sealed = Some(ready);
                return Err(fault);
            }
        }
        self.note(&catalog, None);
        self.gate_mut().close(attempt);
        Ok(())
    }

    /// Applies the change of the table to the state in memory.
    fn apply(&self, catalog: &mut Catalog, committed: Committed, change: Change, ready: SealedAttempt) {
        let mut columns: BTreeSet<Column> = ready.runs.iter().map(|stored| stored.column).collect();
        columns.extend(ready.shrunk.iter().map(|shrunk| shrunk.column));
        for stored in &change.dropped {
            columns.insert(stored.column);
            catalog.remove(stored.column, |other| other.id == stored.id);
            stored.mark_deleted();
        }
        for shrunk in ready.shrunk {
            let emptied = catalog.shrink(shrunk, ready.attempt);
            emptied.iter().for_each(StoredRun::mark_emptied);
        }
        catalog.hold_only(std::iter::empty());
        ready.runs.into_iter().for_each(|stored| catalog.add(stored));
        let interned: Vec<ShardId> = ready.record.terms.iter().map(|(shard, _)| *shard).collect();
        catalog.shards.extend(change.shards);
        catalog.committed = committed;
        if let Some(dictionary) = self.dictionary.get() {
            for shard in interned {
                let (runs, terms) = (catalog.runs(Column::Terms(shard)), catalog.shards[&shard].terms);
                dictionary.set_committed(ShardTerms { shard, runs, terms });
            }
            dictionary.end_attempt();
        }
        self.publish(catalog, columns);
    }

    /// Publishes the committed state, in which these columns have changed, to readers.
    pub(super) fn publish(&self, catalog: &Catalog, columns: BTreeSet<Column>) {
        let mut history = self.history_mut();
        let mut relations = history.latest().relations.clone();
        for column in columns {
            let Column::Facts(relation, copy) = column else { continue };
            relations.change(relation, |copies| copies[copy as usize] = catalog.runs(column));
        }
        let Committed { epoch, rdf_type, .. } = catalog.committed;
        history.push(Snapshot { epoch, relations, rdf_type }, Instant::now());
    }

    fn abort(&self, attempt: Attempt, sealed: &mut Option<SealedAttempt>) -> Result<(), Fault> {
        if let Some(ready) = sealed.as_ref().filter(|sealed| sealed.attempt == attempt) {
            self.delete_sealed(ready)?;
        }
        self.end(attempt)?;
        sealed.take_if(|sealed| sealed.attempt == attempt);
        Ok(())
    }

    /// Deletes the runs, the deletions and the seal of an attempt that is aborted, and says that it is decided: an inventory
    /// that a crash or a full disk has left behind may still name it as sealed.
    fn delete_sealed(&self, ready: &SealedAttempt) -> Result<(), Fault> {
        let mut catalog = self.catalog();
        let committed = Committed { attempt: Some(ready.attempt), ..catalog.committed.clone() };
        let mut batch = Batch::default();
        batch.delete(Key::Sealed(ready.attempt));
        batch.put(Key::Committed, encode_value(&committed));
        ready.runs.iter().for_each(|stored| drop_run(stored, &mut batch));
        ready.vectors().for_each(|vector| batch.delete(vector));
        self.table.commit(batch, Durability::Later)?;
        catalog.hold_only(std::iter::empty());
        catalog.committed = committed;
        ready.runs.iter().for_each(StoredRun::mark_deleted);
        self.note(&catalog, None);
        Ok(())
    }

    /// Ends an attempt, and drops the terms of the current one, which is this attempt or an abandoned earlier one.
    fn end(&self, attempt: Attempt) -> Result<(), Fault> {
        let mut fence = self.gate_mut();
        fence.check_end(attempt)?;
        let is_going_on = fence.current().is_some_and(|current| current <= attempt);
        if let (true, Some(dictionary)) = (is_going_on, self.dictionary.get()) {
            dictionary.delete_staged()?;
        }
        fence.close(attempt);
        Ok(())
    }
}

/// The digest once a sealed attempt is committed.
fn digest_after(catalog: &Catalog, sealed: &SealRecord) -> Digest {
    let before = catalog.committed.digest;
    let kept = if sealed.is_rebuild { before.of_asserted_runs() } else { before };
    kept + sealed.digest
}

/// The records that change when a sealed attempt is committed, of the shards that it changes.
fn shards_after(catalog: &Catalog, sealed: &SealRecord) -> Result<BTreeMap<ShardId, ShardRecord>, Fault> {
    let SealRecord { facts, terms, is_rebuild, .. } = sealed;
    let mut shards = if *is_rebuild { catalog.shards.clone() } else { BTreeMap::new() };
    for record in shards.values_mut() {
        record.facts = Counts { asserted: record.facts.asserted, ..Counts::default() };
    }
    let before = |shard: &ShardId| catalog.shards.get(shard).copied().unwrap_or_default();
    for (shard, change) in facts {
        let record = shards.entry(*shard).or_insert_with(|| before(shard));
        let less = || Fault::corrupt(format!("an attempt removes more facts of shard {shard} than it has"));
        record.facts = record.facts.changed(*change).ok_or_else(less)?;
    }
    for (shard, terms) in terms {
        shards.entry(*shard).or_insert_with(|| before(shard)).terms = *terms;
    }
    Ok(shards)
}

/// The changes of a commit to the manifest, apart from the runs and deletions of the attempt, which are there.
struct Change {
    /// The runs that a rebuild drops.
    dropped: Vec<StoredRun>,
    /// The runs that the attempt takes facts from, as they were.
    shrinking: Vec<StoredRun>,
    shards: BTreeMap<ShardId, ShardRecord>,
}

impl Change {
    fn of(catalog: &Catalog, ready: &SealedAttempt) -> Result<Self, Fault> {
        let all = || catalog.columns.values().flatten();
        let derived = |stored: &&StoredRun| stored.run.mark != Mark::Asserted;
        let dropped = if ready.record.is_rebuild { all().filter(derived).cloned().collect() } else { Vec::new() };
        let shrinking = ready.shrunk.iter().map(|shrunk| catalog.run(shrunk.column, shrunk.id).clone()).collect();
        Ok(Self { dropped, shrinking, shards: shards_after(catalog, &ready.record)? })
    }

    fn batch(&self, ready: &SealedAttempt, committed: &Committed) -> Batch {
        let attempt = ready.attempt;
        let mut batch = Batch::default();
        batch.delete(Key::Sealed(attempt));
        batch.put(Key::Committed, encode_value(committed));
        self.shards.iter().for_each(|(shard, record)| batch.put(Key::Shard(*shard), encode_value(record)));
        self.dropped.iter().for_each(|stored| drop_run(stored, &mut batch));
        for (stored, shrunk) in self.shrinking.iter().zip(&ready.shrunk) {
            if shrunk.rest.is_some() {
                shrunk.chunks.iter().filter_map(|chunk| stored.vector(*chunk)).for_each(|vector| batch.delete(vector));
            } else {
                drop_run(stored, &mut batch);
                shrunk.vectors(attempt).for_each(|vector| batch.delete(vector));
            }
        }
        batch
    }
}
