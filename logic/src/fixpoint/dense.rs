//! Dense relations: relations that an attempt keeps as a bit matrix, beside their runs or instead of them.
//!
//! A lookup in the matrix shows whether a candidate is new, so no candidates are sorted and subtracted from runs. A copy
//! whose facts no plan reads after the step in which they are new is *matrix only*: its facts are in no run until the
//! attempt ends. Heads that go to other nodes have a second matrix, so that each is sent once; inverse copies that no plan
//! reads have a third structure (`deferred_inverse.rs`). [`State`](super::State) owns the matrices
//! (`state/matrices.rs`).
//!
//! # Invariants
//! - A relation's matrix holds every fact of the forward copy: base, settled, published, pending, recent.
//! - A matrix-only fact is in none of its copy's runs, except for recent ones.
//! - A head in the matrix of sent heads has been given to the outbox in this attempt, and is not sent again.

use super::deferred_inverse::DeferredInverse;
use crate::columns::matrix::{Matrix, Row};
use crate::columns::run::CHUNK_PAIRS;
use crate::columns::spine::{RunWriter, Spill};
use crate::columns::{Pair, Run};
use entail_model::{Direction, Fault, Mark, TermId};
use std::sync::Arc;

/// A relation with fewer candidates gets no matrix: building it would cost more than it saves.
pub const CANDIDATES_MIN: u64 = 1 << 16;

/// A relation with candidates in fewer steps gets no matrix: its rules may not be recursive.
const STEPS_MIN: u32 = 3;

/// A relation's candidates so far, which decide whether it becomes dense.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandidateHistory {
    pub(super) candidates: u64,
    /// Steps that had candidates.
    pub(super) steps: u32,
    /// The number of candidates before which the relation is not considered again.
    pub(super) wait: u64,
    /// Last size estimate of its matrix in bytes; kept because each estimate samples different values.
    pub(super) bytes: u64,
}

impl CandidateHistory {
    /// Will a matrix of `facts` facts have enough lookups to pay for building it? A recursion that has had `steps` steps,
    /// the last with `count` candidates, is expected to have about as many more; a few facts that another rule adds late
    /// are no recursion.
    pub(super) fn pays(&self, count: u64, facts: u64) -> bool {
        let expected = count.saturating_mul(u64::from(self.steps)) / 2 * 3;
        self.steps >= STEPS_MIN && self.candidates.min(expected) >= facts
    }
}

/// A relation's matrices.
#[derive(Debug)]
pub struct Dense {
    pub(super) facts: Matrix,
    /// Heads that have been sent to other nodes.
    pub(super) sent: Matrix,
    /// Inverse copies that arrive from other nodes and that no plan reads.
    pub(super) deferred_inverse: Option<DeferredInverse>,
    /// By direction: is the copy kept in a matrix only?
    pub(super) matrix_only: [bool; 2],
    /// By direction: facts that are in a matrix only.
    pub(super) unlisted: [u64; 2],
}

/// How a node may keep a relation that becomes dense.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// By direction: may the copy be kept in a matrix only? The inverse copy only where its home is this node.
    pub matrix_only: [bool; 2],
    /// Do inverse copies arrive from other nodes without being read by any plan?
    pub collects_inverse: bool,
}

impl Dense {
    /// The row of a head's subject, in the matrix of facts or of sent heads.
    pub fn row(&self, subject: TermId) -> Option<Row<'_>> {
        let mut rows = [&self.facts, &self.sent].into_iter().filter_map(|matrix| matrix.row(subject));
        rows.find(|row| !row.is_empty())
    }

    /// Bytes of the matrices.
    pub(super) fn matrices(&self) -> u64 {
        self.facts.bytes()
            + self.sent.bytes()
            + self.deferred_inverse.as_ref().map_or(0, |inverse| inverse.local.bytes())
    }

    /// Bytes of the matrices and of the snapshot of facts that have sent their inverse copies.
    pub(super) fn bytes(&self) -> u64 {
        self.matrices() + if self.deferred_inverse.is_some() { self.facts.bytes() } else { 0 }
    }

    /// Writes the matrix-only facts of a copy as a run.
    pub(super) fn list(&self, copy: Direction, known: &[Arc<Run>], spill: &Spill) -> Result<Option<Run>, Fault> {
        let mut writer = RunWriter::new(Mark::Derived, self.unlisted[copy as usize], spill);
        let mut buffer: Vec<Pair> = Vec::new();
        let mut write = |buffer: &mut Vec<Pair>| {
            let new = known.iter().try_fold(std::mem::take(buffer), |rest, run| run.subtract_from(rest))?;
            writer.extend(&new)
        };
        let mut visit = |pairs: &mut Vec<Pair>| {
            buffer.extend_from_slice(pairs);
            if buffer.len() >= CHUNK_PAIRS { write(&mut buffer) } else { Ok(()) }
        };
        match (copy, &self.deferred_inverse) {
            (Direction::Forward, _) => self.facts.by_keys(&mut visit)?,
            (Direction::Inverse, Some(inverse)) => inverse.local.by_keys(&mut visit)?,
            (Direction::Inverse, None) => self.facts.by_values(&mut visit)?,
        }
        write(&mut buffer)?;
        writer.finish()
    }
}

/// The values of all candidates and of a sample of the facts.
pub(super) fn values_of(runs: &[Arc<Run>], candidates: &[&Vec<Pair>]) -> Result<Vec<TermId>, Fault> {
    let mut values = Vec::new();
    for run in runs {
        values.extend(run.chunks[0].pairs()?.iter().take(CHUNK_PAIRS).map(|pair| pair.1));
    }
    values.extend(candidates.iter().flat_map(|pairs| pairs.iter()).map(|pair| pair.1));
    Ok(values)
}

/// The pairs of runs as a matrix; `None` if it would take more than `bytes_max`.
pub(super) fn matrix_of(empty: Matrix, runs: &[Arc<Run>], bytes_max: u64) -> Result<Option<Matrix>, Fault> {
    let mut matrix = empty;
    // Columns are placed before the rows, so that each row has all of them.
    let mut fits = true;
    for run in runs {
        run.for_each_piece(|piece| {
            // Scattered values take as much memory as facts do.
            fits = fits && matrix.bytes() <= bytes_max;
            if fits {
                matrix.place_values(piece);
            }
            Ok(())
        })?;
    }
    for run in runs {
        run.for_each_piece(|piece| {
            fits = fits && matrix.place(piece, bytes_max);
            if fits {
                piece.iter().for_each(|pair| _ = matrix.insert(*pair));
            }
            Ok(())
        })?;
        if !fits {
            return Ok(None);
        }
    }
    Ok(Some(matrix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first step in which a matrix pays, if all candidates are new.
    fn pays_at(counts: impl IntoIterator<Item = u64>) -> Option<u32> {
        let (mut offered, mut facts) = (CandidateHistory::default(), 0);
        let mut counts = counts.into_iter();
        counts.find_map(|count| {
            offered.candidates += count;
            offered.steps += 1;
            let pays = offered.candidates >= CANDIDATES_MIN && offered.pays(count, facts);
            facts += count;
            pays.then_some(offered.steps)
        })
    }

    #[test]
    fn recursion_pays_and_a_few_late_facts_do_not() {
        // The closure of a chain, of a grid, and of a random graph.
        assert_eq!(pays_at((0..2000).map(|step| 2000 - step)), Some(34));
        assert_eq!(pays_at((1..200).map(|step| step * 10_000)), Some(4));
        assert_eq!(pays_at([12_000, 41_000, 140_000, 470_000]), Some(3));
        // Heads of many facts, and then of the few that another rule has added to them.
        assert_eq!(pays_at([528_402, 36_340, 36_340]), None);
        assert_eq!(pays_at([36_340, 528_402, 36_340, 0]), None);
    }
}
