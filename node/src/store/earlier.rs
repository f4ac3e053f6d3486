//! Records of the manifest as formats 1 and 2 have them, and their conversion: what they lack is computed from the facts,
//! which are read once.
//!
//! One synced batch replaces them and says the format, before the directory's identity says it. So a conversion that a crash
//! interrupts is made again, or was made.

use super::catalog::{Catalog, StoredRun};
use super::digest::{CountChange, Digest, Totals};
use super::schema::{self, Counts, FORMAT, Key, decode_value, encode_value};
use super::seal::SealedAttempt;
use super::table::{Batch, Durability, Table};
use entail_model::{Attempt, Epoch, Fault, ShardId, TermId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The last decision.
#[derive(Serialize, Deserialize)]
struct Committed {
    epoch: Epoch,
    attempt: Option<Attempt>,
    chunk_floor: u64,
    rdf_type: Option<TermId>,
}

/// A sealed attempt.
#[derive(Serialize, Deserialize)]
struct SealRecord {
    /// Over the attempt's facts alone, by mark.
    digest: u64,
    facts: Vec<(ShardId, Counts)>,
    terms: Vec<(ShardId, u64)>,
    is_rebuild: bool,
}

/// The last decision, still without a digest.
pub fn committed(bytes: &[u8]) -> Result<schema::Committed, Fault> {
    let Committed { epoch, attempt, chunk_floor, rdf_type } = decode_value(bytes)?;
    let (digest, is_digest_told) = (Digest::default(), false);
    Ok(schema::Committed { epoch, attempt, chunk_floor, rdf_type, digest, is_digest_told })
}

/// A sealed attempt, still without a digest.
pub fn seal_record(bytes: &[u8]) -> Result<schema::SealRecord, Fault> {
    let SealRecord { facts, terms, is_rebuild, .. } = decode_value(bytes)?;
    let signed = |count: u64| i64::try_from(count).map_err(|_| Fault::corrupt("a count beyond all facts"));
    let change = |(shard, counts): (ShardId, Counts)| {
        let Counts { asserted, derived, promoted } = counts;
        let (asserted, derived, promoted) = (signed(asserted)?, signed(derived)?, signed(promoted)?);
        Ok((shard, CountChange { asserted, derived, promoted }))
    };
    let facts = facts.into_iter().map(change).collect::<Result<_, Fault>>()?;
    let (digest, is_digest_told) = (Digest::default(), false);
    Ok(schema::SealRecord { digest, is_digest_told, facts, terms, is_rebuild })
}

/// Computes the digests, and writes the records in the present format.
pub fn convert(table: &dyn Table, catalog: &mut Catalog, sealed: Option<&mut SealedAttempt>) -> Result<(), Fault> {
    let mut batch = Batch::default();
    batch.put(Key::Format, encode_value(&FORMAT));
    let committed: Vec<&StoredRun> = catalog.columns.values().flatten().collect();
    catalog.committed.digest = digest(&committed)?;
    batch.put(Key::Committed, encode_value(&catalog.committed));
    if let Some(sealed) = sealed {
        sealed.record.digest = digest(&sealed.runs.iter().collect::<Vec<_>>())?;
        batch.put(Key::Sealed(sealed.attempt), encode_value(&sealed.record));
    }
    table.commit(batch, Durability::Now)
}

fn digest(runs: &[&StoredRun]) -> Result<Digest, Fault> {
    let of = |stored: &&StoredRun| Totals::of(stored.column, stored.run.mark, &stored.run).map(|totals| totals.digest);
    runs.par_iter().map(of).try_reduce(Digest::default, |one, other| Ok(one + other))
}
