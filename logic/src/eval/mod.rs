//! Running a plan's operators over batches of rows at one node.
//!
//! [`run_stage`] pushes a batch depth-first through a stage's operators in bounded pieces, so that a join with a large
//! answer never holds more than a few pieces per operator, and hands the resulting rows to the caller, which routes them.
//! Every operator checks the scope's `stop` before each piece, with or without output rows.

mod anti;
pub mod batch;
mod budget;
pub mod condition;
mod described;
mod intersect;
mod join;
pub mod key_sets;
mod matching;
pub mod meter;

pub use batch::Batch;
pub use budget::RowBudget;
pub use condition::Conditions;

use crate::columns::Run;
use crate::plan::{Op, Plan, Sink, Slot, Stage, View};
use entail_model::{Direction, Fault, Reason, Relation, TermId};
use key_sets::KeySets;
use meter::Meter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The facts that one node can read.
pub trait Facts: Sync {
    /// The runs of a local copy: disjoint, no promoted ones.
    fn runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>>;

    /// Every relation that has facts at this node, in order.
    fn relations(&self) -> Vec<Relation>;

    /// Calls `visit` with all runs of a graph's local copies, relation by relation, and the predicate of each.
    fn visit_runs(&self, graph: TermId, copy: Direction, view: View, visit: Visit<'_>) -> Result<(), Fault> {
        for relation in self.relations().into_iter().filter(|relation| relation.graph == graph) {
            let runs = self.runs(relation, copy, view);
            runs.iter().try_for_each(|run| visit(relation.predicate, run))?;
        }
        Ok(())
    }
}

/// A callback for runs, each with its predicate.
pub type Visit<'v> = &'v mut dyn FnMut(TermId, &Run) -> Result<(), Fault>;

/// The texts of the terms at home at this node.
pub trait Texts: Sync {
    /// The canonical bytes of each dictionary id.
    ///
    /// # Errors
    /// `Corrupt` for an id that the node does not know.
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault>;
}

/// The facts, texts, limits and measures that operators need beside the rows.
pub struct Scope<'a> {
    pub facts: &'a dyn Facts,
    pub texts: &'a dyn Texts,
    pub conditions: &'a Conditions,
    /// Ends the work when it is set.
    pub stop: Option<&'a AtomicBool>,
    /// Measures the work.
    pub meter: Option<&'a Meter>,
    /// The memory that [hash indexes](crate::columns::hash_index) of small runs may still take, in pairs; if present, the
    /// order of rows is kept.
    pub groups: Option<&'a AtomicU64>,
    /// Sets of the keys with one value; present only while the facts do not change.
    pub key_sets: Option<&'a KeySets>,
    /// The rows that all operators together may still take in; ends work that is larger than expected.
    pub rows_left: Option<&'a RowBudget>,
}

impl Scope<'_> {
    /// Must the work end?
    fn check(&self) -> Result<(), Fault> {
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            Err(Fault::new(Reason::Cancelled, "the work was stopped"))
        } else {
            Ok(())
        }
    }

    /// Counts the rows that an operator takes in; rows without columns, which are only counted, are free.
    fn take(&self, batch: &Batch) -> Result<(), Fault> {
        if batch.columns.iter().all(Vec::is_empty) { Ok(()) } else { self.spend(batch.rows) }
    }

    fn spend(&self, rows: usize) -> Result<(), Fault> {
        self.rows_left.map_or(Ok(()), |left| left.take(rows as u64))
    }
}

/// The most rows in a piece, which an operator hands on at once.
pub const PIECE_ROWS: usize = 16_384;

/// Runs the operators of `plan`'s stage over `batch`; `output` gets the resulting rows, in pieces.
pub fn run_stage(scope: &Scope<'_>, plan: &Plan, stage: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
    let is_last = stage + 1 == plan.stages.len() && matches!(plan.sink, Sink::Gather(_));
    Ops { scope, stage, of: &plan.stages[stage], is_last }.run(0, batch, output)
}

/// The operators of one stage.
struct Ops<'a> {
    scope: &'a Scope<'a>,
    stage: usize,
    of: &'a Stage,
    /// Are the rows of this stage the answer?
    is_last: bool,
}

impl Ops<'_> {
    /// Runs the operators from `op` on.
    fn run(&self, op: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
        if batch.rows == 0 {
            return Ok(());
        }
        self.scope.check()?;
        self.scope.take(&batch)?;
        let Some(meter) = self.scope.meter.filter(|_| op < self.of.ops.len()) else {
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

    /// Runs one operator, which hands its rows on to the operators after it.
    fn run_one(&self, op: usize, batch: Batch, output: Output<'_>) -> Result<(), Fault> {
        let scope = self.scope;
        let mut next = |piece: Batch| self.hand_on(op, piece, output);
        match self.of.ops.get(op) {
            None => output(batch),
            Some(Op::Match { atom, copy, view }) => {
                let live = self.live_after(op);
                let is_counted = self.is_last && live.is_empty() && op + 1 == self.of.ops.len();
                let live = scope.meter.is_none().then_some(&live[..]);
                matching::Step { scope, atom, copy: *copy, view: *view, live, is_counted }.run(&batch, &mut next)
            }
            Some(Op::Intersect { slot, sides }) => {
                let live = self.live_after(op);
                let is_counted = self.is_last && live.is_empty() && op + 1 == self.of.ops.len();
                let live = scope.meter.is_none().then_some(&live[..]);
                intersect::Step { scope, slot: *slot, sides, live, is_counted }.run(&batch, &mut next)
            }
            Some(Op::Resolve { slot }) => {
                let mut batch = batch;
                batch.resolve(*slot, scope.texts)?;
                next(batch)
            }
            Some(Op::Filter(condition)) => {
                let kept = scope.conditions.keep(condition, &batch, scope)?;
                next(batch.take_rows(&kept))
            }
            Some(Op::AntiMatch { sides, conditions }) => {
                let kept = anti::Step { scope, sides, conditions }.keep(&batch)?;
                next(batch.take_rows(&kept))
            }
        }
    }

    /// The slots that are read after an operator, in order.
    fn live_after(&self, op: usize) -> Vec<Slot> {
        let mut live = self.of.live.clone();
        live.extend(self.of.ops[op + 1..].iter().flat_map(Op::slots));
        live.sort_unstable();
        live.dedup();
        live
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
