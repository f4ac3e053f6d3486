//! Running a plan's operators over batches of rows at one node.
//!
//! [`run_stage`] pushes a batch depth-first through a stage's operators in bounded pieces, so that a join with a large
//! answer never holds more than a few pieces per operator, and hands what comes out to the caller, who routes it.

pub mod batch;
pub mod condition;
mod matching;

pub use batch::Batch;
pub use condition::Conditions;

use crate::columns::Run;
use crate::plan::{Op, Plan, View};
use entail_model::{Copy, Fault, Relation, TermId};
use std::sync::Arc;

/// The facts that one node can read.
pub trait Facts: Sync {
    /// The runs of a local copy: disjoint, no promoted ones.
    fn runs(&self, relation: Relation, copy: Copy, view: View) -> Vec<Arc<Run>>;

    /// Every relation that has facts at this node, in order.
    fn relations(&self) -> Vec<Relation>;
}

/// The texts of the terms whose home is this node.
pub trait Texts: Sync {
    /// The canonical bytes of each dictionary id.
    ///
    /// # Errors
    /// `Corrupt` for an id that the node does not know.
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault>;
}

/// Everything that operators need beside the rows.
pub struct Scope<'a> {
    pub facts: &'a dyn Facts,
    pub texts: &'a dyn Texts,
    pub conditions: &'a Conditions,
}

/// Rows in a piece: what an operator hands on at once.
pub const PIECE_ROWS: usize = 16_384;

/// Runs the operators of `plan`'s stage over `batch`; `output` gets the rows that come out, in pieces.
pub fn run_stage(
    scope: &Scope<'_>,
    plan: &Plan,
    stage: usize,
    batch: Batch,
    output: &mut dyn FnMut(Batch) -> Result<(), Fault>,
) -> Result<(), Fault> {
    run_ops(scope, &plan.stages[stage].ops, batch, output)
}

fn run_ops(
    scope: &Scope<'_>,
    ops: &[Op],
    batch: Batch,
    output: &mut dyn FnMut(Batch) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if batch.rows == 0 {
        return Ok(());
    }
    let Some((op, rest)) = ops.split_first() else { return output(batch) };
    match op {
        Op::Match { atom, copy, view } => {
            let step = matching::Step { facts: scope.facts, atom, copy: *copy, view: *view };
            step.run(&batch, &mut |piece| run_ops(scope, rest, piece, output))
        }
        Op::Resolve { slot } => {
            let mut batch = batch;
            batch.resolve(*slot, scope.texts)?;
            run_ops(scope, rest, batch, output)
        }
        Op::Filter(condition) => {
            let kept = scope.conditions.keep(condition, &batch)?;
            run_ops(scope, rest, batch.take_rows(&kept), output)
        }
    }
}
