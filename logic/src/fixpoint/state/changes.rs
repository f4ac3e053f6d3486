//! The net changes of an attempt, for its seal.

use super::State;
use super::copy::CopyState;
use crate::columns::spine::{RunWriter, Spill};
use crate::columns::{Pair, Run};
use crate::fixpoint::phase::Phase;
use entail_model::{Direction, Fault, Mark, Relation};
use std::sync::Arc;

/// What an attempt changes at one node. A fact that was deleted and came back with the same mark is in neither list.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Runs that are added.
    pub added: Vec<(Relation, Direction, Arc<Run>)>,
    /// Pairs that leave the committed runs with the mark: each is in exactly one of those runs.
    pub removed: Vec<(Relation, Direction, Mark, Arc<Run>)>,
    /// Do all committed derived and promoted runs go? Then `removed` has asserted pairs only.
    pub is_rebuild: bool,
}

impl State {
    /// The net changes of the attempt so far.
    pub fn changes(&self) -> Result<Changes, Fault> {
        let mut changes = Changes { is_rebuild: self.phase == Phase::Recompute, ..Changes::default() };
        for (relation, copies) in &self.relations {
            for copy in Direction::BOTH {
                let state = &copies[copy as usize];
                let (added, removed) = state.changes(changes.is_rebuild, &self.spill)?;
                changes.added.extend(added.into_iter().map(|run| (*relation, copy, run)));
                changes.removed.extend(removed.into_iter().map(|(mark, run)| (*relation, copy, mark, run)));
            }
        }
        Ok(changes)
    }
}

impl CopyState {
    /// Added runs, and removed ones by the mark of the runs that they leave.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn changes(&self, is_rebuild: bool, spill: &Spill) -> Result<(Vec<Arc<Run>>, Vec<(Mark, Arc<Run>)>), Fault> {
        let mut added: Vec<Arc<Run>> = self.added.runs().chain(&self.promoted.runs).cloned().collect();
        let mut removed = Vec::new();
        let mut remove = |mark: Mark, runs: &[Arc<Run>]| removed.extend(runs.iter().map(|run| (mark, Arc::clone(run))));
        remove(Mark::Asserted, &self.removed_asserted.runs);
        if is_rebuild {
            return Ok((added, removed));
        }
        remove(Mark::Promoted, &self.removed_promoted.runs);
        let deleted: Vec<Arc<Run>> = self.deleted.runs().cloned().collect();
        if !deleted.is_empty() {
            let derived = difference(&deleted, &self.removed_asserted.runs, spill)?;
            let (found, others): (Vec<_>, Vec<_>) = added.into_iter().partition(|run| run.mark == Mark::Derived);
            remove(Mark::Derived, &difference(&derived, &found, spill)?);
            added = others;
            added.extend(difference(&found, &derived, spill)?);
        }
        Ok((added, removed))
    }
}

/// The runs without the pairs of others.
fn difference(runs: &[Arc<Run>], others: &[Arc<Run>], spill: &Spill) -> Result<Vec<Arc<Run>>, Fault> {
    if others.is_empty() {
        return Ok(runs.to_vec());
    }
    let mut rest = Vec::new();
    for run in runs {
        let mut writer = RunWriter::new(run.mark, run.len, spill);
        run.for_each_piece(|piece| {
            let left = others.iter().try_fold(piece.to_vec(), |left: Vec<Pair>, other| other.subtract_from(left))?;
            writer.extend(&left)
        })?;
        rest.extend(writer.finish()?.map(Arc::new));
    }
    Ok(rest)
}
