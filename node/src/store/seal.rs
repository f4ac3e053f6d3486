//! Sealing: an attempt's runs, deletions and terms become durable, with one sync.
//!
//! Chunks are written first, unsynced; then one synced batch writes the run records, the deletion vectors and the
//! [`SealRecord`], which also syncs everything before. After a crash nothing refers to the chunks of an unsealed attempt.

use super::cache::{ChunkCache, Scratch};
use super::catalog::{self, StoredRun};
use super::deletion::{self, Shrunk};
use super::dictionary::ShardTerms;
use super::digest::Totals;
use super::schema::{Column, DeletedRecord, Key, RunId, RunRecord, SealRecord, encode_value};
use super::table::{Batch, Durability, Table};
use entail_logic::columns::spine::{Spill, merge_runs};
use entail_logic::columns::{Chunk, ChunkKey, ChunkStore, Run};
use entail_logic::failpoints::is_broken;
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Fault, Mark, Relation};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::info_span;

/// A durable attempt without an outcome.
#[derive(Debug)]
pub struct SealedAttempt {
    pub attempt: Attempt,
    pub record: SealRecord,
    pub runs: Vec<StoredRun>,
    /// The committed runs that lose facts.
    pub shrunk: Vec<Shrunk>,
}

impl SealedAttempt {
    /// The keys of its deletion vectors.
    pub fn vectors(&self) -> impl Iterator<Item = Key> {
        self.shrunk.iter().flat_map(|shrunk| shrunk.vectors(self.attempt))
    }
}

/// The parts of the store that sealing needs.
pub struct Sealing<'s> {
    pub table: &'s dyn Table,
    pub chunks: &'s Arc<ChunkCache>,
    pub next_run: &'s AtomicU64,
}

/// An attempt whose chunks are stored, and whose records are not.
pub struct Prepared {
    pub record: SealRecord,
    runs: Vec<(RunId, Column, Run)>,
    pub shrunk: Vec<Shrunk>,
    vectors: Vec<(RunId, Vec<(ChunkKey, DeletedRecord)>)>,
    /// Keeps the chunks until the records refer to them.
    _scratch: Arc<Scratch>,
}

/// Runs of one column and mark.
struct Group {
    column: Column,
    mark: Mark,
    runs: Vec<Arc<Run>>,
}

/// What leaves the runs of a column and mark.
struct Removal {
    totals: Totals,
    shrunk: Vec<(Shrunk, Vec<(ChunkKey, DeletedRecord)>)>,
}

/// The columns and marks whose runs lose facts.
pub fn shrinking(changes: &Changes) -> BTreeSet<(Column, Mark)> {
    removed(changes).map(|(column, mark, _)| (column, mark)).collect()
}

impl Sealing<'_> {
    /// Stores the chunks of the attempt, and finds what it deletes from the `held` runs, which are all of the columns and
    /// marks from which it removes facts.
    ///
    /// # Errors
    /// `Corrupt` if a fact that it removes is not there, or twice.
    pub fn prepare(&self, changes: &Changes, terms: &[ShardTerms], held: &[StoredRun]) -> Result<Prepared, Fault> {
        if changes.is_rebuild && removed(changes).any(|(_, mark, _)| mark != Mark::Asserted) {
            return Err(Fault::internal("a rebuild removes derived facts, which it drops anyway"));
        }
        let scratch = self.chunks.scratch();
        let added = group(added(changes, terms));
        let stored = info_span!("store runs", "entail.runs" = changes.added.len() as i64)
            .in_scope(|| added.par_iter().map(|group| store(group, &scratch)).collect::<Result<Vec<_>, Fault>>())?;
        let mut total = Totals::default();
        let mut runs = Vec::new();
        for (group, (stored, totals)) in added.iter().zip(stored) {
            total.add(totals);
            for run in stored {
                let id = RunId(self.next_run.fetch_add(1, Ordering::Relaxed));
                runs.push((id, group.column, run));
            }
        }
        let removed = group(removed(changes));
        let removals = info_span!("delete from runs", "entail.runs" = held.len() as i64)
            .in_scope(|| removed.par_iter().map(|group| remove(group, held)).collect::<Result<Vec<_>, Fault>>())?;
        let (mut shrunk, mut vectors) = (Vec::new(), Vec::new());
        for removal in removals {
            total.take(removal.totals);
            for (run, records) in removal.shrunk {
                vectors.push((run.id, records));
                shrunk.push(run);
            }
        }
        let record = SealRecord {
            digest: total.digest,
            is_digest_told: true,
            facts: total.facts.into_iter().collect(),
            terms: terms.iter().map(|terms| (terms.shard, terms.terms)).collect(),
            is_rebuild: changes.is_rebuild,
        };
        Ok(Prepared { record, runs, shrunk, vectors, _scratch: scratch })
    }

    /// Makes the attempt durable.
    pub fn write(&self, attempt: Attempt, prepared: Prepared) -> Result<SealedAttempt, Fault> {
        let Prepared { record, runs, shrunk, vectors, _scratch } = prepared;
        let runs: Vec<(RunId, RunRecord)> =
            runs.iter().map(|(id, column, run)| (*id, catalog::record(*column, run, Some(attempt)))).collect();
        let mut batch = Batch::default();
        runs.iter().for_each(|(id, run)| batch.put(Key::Run(*id), encode_value(run)));
        if !is_broken("seal-deletions") {
            for (run, records) in &vectors {
                for (chunk, record) in records {
                    batch.put(Key::Deleted { run: *run, chunk: *chunk, attempt }, encode_value(record));
                }
            }
        }
        batch.put(Key::Sealed(attempt), encode_value(&record));
        info_span!("sync").in_scope(|| self.table.commit(batch, Durability::Now))?;
        self.chunks.adopt(runs.iter().flat_map(|(_, run)| &run.chunks).map(|chunk| chunk.key));
        let runs = runs.iter().map(|(id, record)| StoredRun::new(*id, record, self.chunks)).collect();
        Ok(SealedAttempt { attempt, record, runs, shrunk })
    }
}

/// The runs that an attempt adds, with their columns and marks.
fn added<'c>(changes: &'c Changes, terms: &'c [ShardTerms]) -> impl Iterator<Item = (Column, Mark, &'c Arc<Run>)> {
    let column = |relation: &Relation, copy: &Direction| Column::Facts(*relation, *copy);
    let facts = changes.added.iter().map(move |(relation, copy, run)| (column(relation, copy), run.mark, run));
    let runs = |terms: &'c ShardTerms| terms.runs.iter().map(|run| (Column::Terms(terms.shard), run.mark, run));
    facts.chain(terms.iter().flat_map(runs))
}

/// The facts that an attempt removes, with their columns and marks.
fn removed(changes: &Changes) -> impl Iterator<Item = (Column, Mark, &Arc<Run>)> {
    changes.removed.iter().map(|(relation, copy, mark, run)| (Column::Facts(*relation, *copy), *mark, run))
}

fn group<'r>(runs: impl Iterator<Item = (Column, Mark, &'r Arc<Run>)>) -> Vec<Group> {
    let mut groups: BTreeMap<(Column, Mark), Vec<Arc<Run>>> = BTreeMap::new();
    runs.for_each(|(column, mark, run)| groups.entry((column, mark)).or_default().push(Arc::clone(run)));
    groups.into_iter().map(|((column, mark), runs)| Group { column, mark, runs }).collect()
}

/// Stores a group: stored runs stay unchanged, those in memory and those that have lost pairs become one.
fn store(group: &Group, scratch: &Arc<Scratch>) -> Result<(Vec<Run>, Totals), Fault> {
    let is_whole = |chunk: &Chunk| chunk.key().is_some() && chunk.deleted().is_none();
    let is_stored = |run: &&Arc<Run>| run.chunks.iter().all(is_whole);
    let (stored, resident): (Vec<&Arc<Run>>, Vec<&Arc<Run>>) = group.runs.iter().partition(is_stored);
    let mut runs: Vec<Run> = stored.into_iter().map(|run| Run::clone(run)).collect();
    if !resident.is_empty() {
        let spill = Spill { store: Some(Arc::clone(scratch) as Arc<dyn ChunkStore>), above: 0 };
        runs.push(merge_runs(&resident, &spill)?);
    }
    let mut total = Totals::default();
    runs.iter().try_for_each(|run| Totals::of(group.column, group.mark, run).map(|totals| total.add(totals)))?;
    Ok((runs, total))
}

/// Finds the pairs of a group in the held runs of its column and mark.
fn remove(group: &Group, held: &[StoredRun]) -> Result<Removal, Fault> {
    let is_of = |stored: &&StoredRun| stored.column == group.column && stored.run.mark == group.mark;
    let mut removal = Removal { totals: Totals::default(), shrunk: Vec::new() };
    let mut missing = 0;
    for gone in &group.runs {
        missing += gone.len as i64;
        removal.totals.add(Totals::of(group.column, group.mark, gone)?);
    }
    for stored in held.iter().filter(is_of) {
        let mut rest = Some(Arc::clone(&stored.run));
        for gone in &group.runs {
            let Some(run) = &rest else { break };
            let (left, removed) = deletion::without(run, gone)?;
            (rest, missing) = (left, missing - removed as i64);
        }
        let records = deletion::records(&stored.run, rest.as_deref());
        if !records.is_empty() {
            let chunks = records.iter().map(|(chunk, _)| *chunk).collect();
            removal.shrunk.push((Shrunk { id: stored.id, column: stored.column, rest, chunks }, records));
        }
    }
    if missing != 0 {
        let (column, all) = (group.column, group.runs.iter().map(|run| run.len).sum::<u64>());
        let text = format!("an attempt removes {all} facts of {column:?}, and the store has {missing} less of them");
        return Err(Fault::corrupt(text));
    }
    Ok(removal)
}
