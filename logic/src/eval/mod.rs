//! Running a plan's operators over batches of rows at one node.
//!
//! [`run_stage`] pushes a batch depth-first through a stage's operators in bounded pieces, so that a join with a large
//! answer never holds more than a few pieces per operator, and hands what comes out to the caller, who routes it. Every
//! operator looks at the scope's `stop` before each piece, whether or not anything ever comes out of it.

pub mod batch;
pub mod condition;
mod matching;
pub mod meter;

pub use batch::Batch;
pub use condition::Conditions;

use crate::columns::Run;
use crate::plan::{Op, Plan, View};
use entail_model::{Copy, Fault, Reason, Relation, TermId};
use meter::Meter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// Ends the work when it is set.
    pub stop: Option<&'a AtomicBool>,
    /// Measures the work.
    pub meter: Option<&'a Meter>,
    /// Room for [groups](crate::columns::groups) of small runs, in pairs: where rows are to stay in the order in which
    /// they come.
    pub groups: Option<&'a AtomicU64>,
}

impl Scope<'_> {
    /// Must the work end?
    fn check(&self) -> Result<(), Fault> {
        match self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            true => Err(Fault::new(Reason::Cancelled, "the work was stopped")),
            false => Ok(()),
        }
    }
}

/// Rows in a piece: what an operator hands on at once.
pub const PIECE_ROWS: usize = 16_384;

/// Runs the operators of `plan`'s stage over `batch`; `output` gets the rows that come out, in pieces.
pub fn run_stage(scope: &Scope<'_>, plan: &Plan, stage: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
    Ops { scope, stage, ops: &plan.stages[stage].ops }.run(0, batch, output)
}

/// The operators of one stage.
struct Ops<'a> {
    scope: &'a Scope<'a>,
    stage: usize,
    ops: &'a [Op],
}

impl Ops<'_> {
    /// Runs the operators from `op` on.
    fn run(&self, op: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
        if batch.rows == 0 {
            return Ok(());
        }
        self.scope.check()?;
        let Some(meter) = self.scope.meter.filter(|_| op < self.ops.len()) else {
            return self.run_one(op, batch, output);
        };
        let place = (self.stage, op);
        let before = meter.pass(Some(place));
        let input = batch.clone();
        let result = self.run_one(op, batch, output);
        meter.pass(before);
        meter.ended(place, &input);
        result
    }

    /// Runs the operator, which hands on to those after it.
    fn run_one(&self, op: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
        let scope = self.scope;
        let mut next = |piece: Batch| self.hand_on(op, piece, output);
        match self.ops.get(op) {
            None => output(batch),
            Some(Op::Match { atom, copy, view }) => {
                matching::Step { scope, atom, copy: *copy, view: *view }.run(&batch, &mut next)
            }
            Some(Op::Resolve { slot }) => {
                let mut batch = batch;
                batch.resolve(*slot, scope.texts)?;
                next(batch)
            }
            Some(Op::Filter(condition)) => {
                let kept = scope.conditions.keep(condition, &batch)?;
                next(batch.take_rows(&kept))
            }
        }
    }

    fn hand_on(&self, op: usize, piece: Batch, output: Output<'_>) -> Result<(), Fault> {
        let Some(meter) = self.scope.meter else { return self.run(op + 1, piece, output) };
        meter.gave((self.stage, op), &piece);
        let before = meter.pass(None);
        let result = self.run(op + 1, piece, output);
        meter.pass(before);
        result
    }
}

type Output<'o> = &'o mut dyn FnMut(Batch) -> Result<(), Fault>;
