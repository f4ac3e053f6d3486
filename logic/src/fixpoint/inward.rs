//! In copies of a dense relation, where several nodes have some and nobody reads them.
//!
//! ```text
//! facts by subject ──blocks, turned about──► home of the objects: a pile ──► a run, when the attempt ends
//! ```
//!
//! A new fact is in the matrix of its out copies, and owes its in copy. What is owed goes out when a round finds nothing
//! new: for most recursion that is once, and all together, in [blocks](crate::columns::blocks).
//!
//! # Invariants
//! - A fact that is in the matrix and not in `given` owes its in copy; all others have given it.
//! - No attempt ends while anything is owed: a node that owes is active.

use super::dense::Dense;
use super::state::State;
use crate::columns::blocks::{Blocks, Words};
use crate::columns::matrix::{Matrix, Snapshot};
use crate::columns::pile::Pile;
use entail_model::{Copy, Fault, Relation, TermId};

/// A dense relation's in copies.
#[derive(Debug, Default)]
pub(super) struct Inward {
    /// Those that are at home here, and in no run.
    pub(super) here: Pile,
    /// The facts whose in copies have been given away, or kept.
    given: Snapshot,
    /// How many have not.
    owed: u64,
}

impl Inward {
    /// Nothing is owed of these facts.
    pub(super) fn new(facts: &Matrix) -> Self {
        Self { given: facts.snapshot(), ..Self::default() }
    }

    /// Calls `visit` with the facts that owe their in copies, by object; then none does.
    pub(super) fn give(
        &mut self,
        facts: &Matrix,
        visit: impl FnMut(TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if std::mem::take(&mut self.owed) > 0 { facts.turned_since(&mut self.given, visit) } else { Ok(()) }
    }
}

impl State {
    /// New facts are in the matrix, and owe their in copies; false if they must have them at once.
    pub fn owe_in(&mut self, relation: Relation, facts: u64) -> bool {
        let inward = self.dense.get_mut(&relation).and_then(|dense| dense.into.as_mut());
        inward.map(|inward| inward.owed += facts).is_some()
    }

    /// Does any fact owe its in copy?
    pub fn owes_any(&self) -> bool {
        self.dense.values().any(|dense| dense.into.as_ref().is_some_and(|inward| inward.owed > 0))
    }

    /// Calls `visit` with everything that is owed, as blocks by object, and then nothing is.
    pub fn give_in(
        &mut self,
        mut visit: impl FnMut(Relation, TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (relation, Dense { facts, into, .. }) in &mut self.dense {
            let Some(inward) = into else { continue };
            inward.give(facts, |keys, values, words| visit(*relation, keys, values, words))?;
        }
        Ok(())
    }

    /// Keeps in copies that came as blocks, of this node's own or of another one's facts. Each comes once.
    pub fn keep_blocks(&mut self, relation: Relation, blocks: Blocks) -> Result<(), Fault> {
        let unlisted = self.dense.get(&relation).map_or(0, |dense| dense.unlisted[Copy::In as usize]);
        let max = self.matrix_max(relation, unlisted, self.times(relation));
        if let Some(dense) = self.dense.get_mut(&relation)
            && dense.matrices() + blocks.bytes() <= max
            && let Some(inward) = &mut dense.into
        {
            dense.unlisted[Copy::In as usize] += blocks.len();
            inward.here.add(blocks);
            self.measure_matrices();
            return Ok(());
        }
        self.keep_copies(relation, &blocks.pairs())
    }
}
