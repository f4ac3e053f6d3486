//! Deferred inverse copies: those of a dense relation whose inverse copy is spread over several nodes and read by no plan.
//!
//! ```text
//! facts by subject ──blocks, transposed──► home of the objects: a buffer of blocks ──► a run, when the attempt ends
//! ```
//!
//! A new fact is in the matrix of forward copies, and *owes* its inverse copy. Owed copies are sent in a round that finds
//! nothing new: for most recursions once, and all together, in [blocks](crate::columns::blocks).
//!
//! # Invariants
//! - A fact that is in the matrix and not in `given` owes its inverse copy; every other fact has given it.
//! - No attempt ends while a copy is owed: a node that owes copies is active.

use crate::columns::block_buffer::BlockBuffer;
use crate::columns::blocks::Words;
use crate::columns::matrix::{Matrix, MatrixSnapshot};
use entail_model::{Fault, TermId};

/// The inverse copies of a dense relation.
#[derive(Debug, Default)]
pub(super) struct DeferredInverse {
    /// Inverse copies that are at home at this node and in no run.
    pub(super) local: BlockBuffer,
    /// The facts whose inverse copies have been given to their homes.
    given: MatrixSnapshot,
    /// How many facts owe their inverse copies.
    pub(super) owed: u64,
}

impl DeferredInverse {
    /// The state in which these facts owe no inverse copies.
    pub(super) fn new(facts: &Matrix) -> Self {
        Self { given: facts.snapshot(), ..Self::default() }
    }

    /// Calls `visit` with the facts that owe their inverse copies, in blocks by object. Afterwards no fact owes one.
    pub(super) fn give(
        &mut self,
        facts: &Matrix,
        visit: impl FnMut(TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if std::mem::take(&mut self.owed) > 0 { facts.turned_since(&mut self.given, visit) } else { Ok(()) }
    }
}
