//! Sealing: an attempt's runs and terms become durable, with one sync.
//!
//! Chunks are written first, unsynced; then one synced batch writes the run records and the [`SealRecord`], which also
//! syncs everything before. After a crash nothing refers to the chunks of an unsealed attempt.

use super::cache::{ChunkCache, Scratch};
use super::catalog::{self, StoredRun};
use super::dictionary::ShardTerms;
use super::digest::Digest;
use super::schema::{Column, Key, RunId, RunRecord, SealRecord, encode_value};
use super::table::{Batch, Durability, Table};
use entail_logic::columns::spine::{Spill, merge_runs};
use entail_logic::columns::{ChunkStore, Run};
use entail_model::{Attempt, Direction, Fault, Mark, Relation};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::info_span;

/// The changes of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    pub added: Vec<(Relation, Direction, Arc<Run>)>,
    pub removed: Removed,
}

/// The facts that an attempt removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removed {
    #[default]
    None,
    /// All committed derived and promoted runs, since everything was derived again.
    DerivedAndPromoted,
}

/// A durable attempt without an outcome.
#[derive(Debug)]
pub struct SealedAttempt {
    pub attempt: Attempt,
    pub record: SealRecord,
    pub runs: Vec<StoredRun>,
}

/// The parts of the store that sealing needs.
pub struct Sealing<'s> {
    pub table: &'s dyn Table,
    pub chunks: &'s Arc<ChunkCache>,
    pub next_run: &'s AtomicU64,
}

/// Runs of one column and mark.
struct Group {
    column: Column,
    runs: Vec<Arc<Run>>,
}

impl Sealing<'_> {
    /// Makes the attempt durable.
    pub fn seal(&self, attempt: Attempt, changes: &Sealed, terms: &[ShardTerms]) -> Result<SealedAttempt, Fault> {
        let scratch = self.chunks.scratch();
        let groups = group(changes, terms);
        let stored = info_span!("store runs", "entail.runs" = changes.added.len() as i64)
            .in_scope(|| groups.par_iter().map(|group| store(group, &scratch)).collect::<Result<Vec<_>, Fault>>())?;
        let mut total = Digest::default();
        let mut records = Vec::new();
        for (group, (runs, sums)) in groups.iter().zip(stored) {
            total.merge(sums);
            for run in &runs {
                let id = RunId(self.next_run.fetch_add(1, Ordering::Relaxed));
                records.push((id, catalog::record(group.column, run, Some(attempt))));
            }
        }
        let record = SealRecord {
            digest: total.digest,
            facts: total.facts.into_iter().collect(),
            terms: terms.iter().map(|terms| (terms.shard, terms.terms)).collect(),
            is_rebuild: changes.removed == Removed::DerivedAndPromoted,
        };
        self.write(attempt, &record, &records)?;
        let runs = records.iter().map(|(id, record)| StoredRun::new(*id, record, self.chunks)).collect();
        Ok(SealedAttempt { attempt, record, runs })
    }

    fn write(&self, attempt: Attempt, record: &SealRecord, runs: &[(RunId, RunRecord)]) -> Result<(), Fault> {
        let mut batch = Batch::default();
        runs.iter().for_each(|(id, run)| batch.put(Key::Run(*id), encode_value(run)));
        batch.put(Key::Sealed(attempt), encode_value(record));
        info_span!("sync").in_scope(|| self.table.commit(batch, Durability::Now))?;
        self.chunks.adopt(runs.iter().flat_map(|(_, run)| &run.chunks).map(|chunk| chunk.key));
        Ok(())
    }
}

fn group(changes: &Sealed, terms: &[ShardTerms]) -> Vec<Group> {
    let facts = changes.added.iter().map(|(relation, copy, run)| (Column::Facts(*relation, *copy), run));
    let terms = terms.iter().flat_map(|terms| terms.runs.iter().map(|run| (Column::Terms(terms.shard), run)));
    let mut groups: BTreeMap<(Column, Mark), Vec<Arc<Run>>> = BTreeMap::new();
    for (column, run) in facts.chain(terms) {
        groups.entry((column, run.mark)).or_default().push(Arc::clone(run));
    }
    groups.into_iter().map(|((column, _), runs)| Group { column, runs }).collect()
}

/// Stores a group: stored runs stay unchanged, those in memory become one.
fn store(group: &Group, scratch: &Arc<Scratch>) -> Result<(Vec<Run>, Digest), Fault> {
    let is_stored = |run: &&Arc<Run>| run.chunks.iter().all(|chunk| chunk.key().is_some());
    let (stored, resident): (Vec<&Arc<Run>>, Vec<&Arc<Run>>) = group.runs.iter().partition(is_stored);
    let mut runs: Vec<Run> = stored.into_iter().map(|run| Run::clone(run)).collect();
    if !resident.is_empty() {
        let spill = Spill { store: Some(Arc::clone(scratch) as Arc<dyn ChunkStore>), above: 0 };
        runs.push(merge_runs(&resident, &spill)?);
    }
    let mut total = Digest::default();
    runs.iter().try_for_each(|run| total.add(group.column, run))?;
    Ok((runs, total))
}
