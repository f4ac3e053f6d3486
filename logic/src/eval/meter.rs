//! Measuring a plan's work at one node: rows, bytes and time of each operator, by shard.
//!
//! Operators hand their pieces on depth first, so exactly one of them works at any moment. The clock is read at each
//! change of the working operator, and the time since the last reading is added to the previous one: the times of all
//! operators add up to the time of the thread, and none includes the time of others.
//!
//! A node evaluates all its shards together, so the time of one run of an operator is *shared* among the shards in
//! proportion to its output rows, or its input rows if there is no output. Rows and bytes are counted, not shared.

use super::Batch;
use crate::plan::{Arg, Op, Plan, Route};
use entail_model::{Direction, ShardId, TermId, fact};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A clock; only differences of its times are used.
pub trait Clock: Send + Sync {
    /// Nanoseconds since a fixed moment.
    fn nanoseconds(&self) -> u64;
}

/// An operator: the stage and the position in it. The position after the last stands for handing rows on, to the next
/// stage or to the coordinator.
pub type OperatorId = (usize, usize);

/// The work of an operator for one shard; without a shard for rows that belong to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Output rows.
    pub rows: u64,
    /// Bytes of rows that left the node.
    pub bytes: u64,
    /// Messages with rows that left the node.
    pub messages: u64,
    pub nanoseconds: u64,
}

/// The work of every operator, by shard.
pub type Report = BTreeMap<(OperatorId, Option<ShardId>), Work>;

/// Counts and times of one plan at one node.
pub struct Meter {
    clock: Arc<dyn Clock>,
    rdf_type: Option<TermId>,
    plan: Arc<Plan>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The operator that works now; `since` is the time of the last reading.
    worker: Option<OperatorId>,
    since: u64,
    /// Times that are not shared among shards yet.
    spent: BTreeMap<OperatorId, u64>,
    /// The output rows of each operator in its present run.
    given: BTreeMap<OperatorId, Shares>,
    report: Report,
}

/// Rows by shard.
type Shares = BTreeMap<Option<ShardId>, u64>;

impl Meter {
    /// A meter for a plan; `rdf_type` is needed to find the shards of facts about classes.
    pub fn new(clock: Arc<dyn Clock>, plan: Arc<Plan>, rdf_type: Option<TermId>) -> Self {
        Self { clock, rdf_type, plan, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an operator the working one; returns the previous one.
    pub fn pass(&self, to: Option<OperatorId>) -> Option<OperatorId> {
        let now = self.clock.nanoseconds();
        let mut state = self.lock();
        let elapsed = now.saturating_sub(state.since);
        if let Some(worker) = state.worker {
            *state.spent.entry(worker).or_default() += elapsed;
        }
        state.since = now;
        std::mem::replace(&mut state.worker, to)
    }

    /// Counts output rows of an operator.
    pub fn gave(&self, place: OperatorId, piece: &Batch) {
        let shares = self.shares_of_output(place, piece);
        let mut state = self.lock();
        for (shard, rows) in shares {
            *state.given.entry(place).or_default().entry(shard).or_default() += rows;
            state.report.entry((place, shard)).or_default().rows += rows;
        }
    }

    /// Shares the time of an operator's run that ends among the shards; `batch` was its input.
    pub fn ended(&self, place: OperatorId, batch: &Batch) {
        let given = self.lock().given.remove(&place);
        let shares = given.unwrap_or_else(|| self.shares_of_input(place, batch));
        let mut state = self.lock();
        let spent = state.spent.remove(&place).unwrap_or(0);
        state.share_out(place, spent, &shares);
    }

    /// Counts rows that are handed on from a stage, `bytes` of which leave the node.
    pub fn handed_on(&self, stage: usize, piece: &Batch, bytes: u64) {
        let place = self.handing_on(stage);
        let shares = self.shares_of_handed_on(stage, piece);
        let mut state = self.lock();
        for (shard, rows) in shares {
            *state.given.entry(place).or_default().entry(shard).or_default() += rows;
            let work = state.report.entry((place, shard)).or_default();
            work.rows += rows;
            // All rows of a piece have the same width, apart from their texts.
            work.bytes += bytes * rows / piece.rows as u64;
        }
    }

    /// The operator id that stands for handing on a stage's rows.
    pub fn handing_on(&self, stage: usize) -> OperatorId {
        (stage, self.plan.stages[stage].ops.len())
    }

    /// Counts a message with rows for a stage.
    pub fn sent(&self, to_stage: usize) {
        self.lock().report.entry((self.handing_on(to_stage - 1), None)).or_default().messages += 1;
    }

    /// The measured work; complete when no operator runs any more.
    pub fn report(&self) -> Report {
        let state = self.lock();
        let mut report = state.report.clone();
        for (place, spent) in &state.spent {
            report.entry((*place, None)).or_default().nanoseconds += spent;
        }
        report.retain(|_, work| *work != Work::default());
        report
    }

    fn shares_of_output(&self, place: OperatorId, piece: &Batch) -> Shares {
        shares(piece.rows, |row| self.home(place, piece, row))
    }

    /// The shards of the facts that an operator reads for each row, as far as the rows determine them.
    fn shares_of_input(&self, place: OperatorId, batch: &Batch) -> Shares {
        shares(batch.rows, |row| match self.op(place).and_then(Op::leading) {
            Some((atom, copy)) => value(atom.key_value(copy).0, batch, row)?.home(),
            None => self.home(place, batch, row),
        })
    }

    fn shares_of_handed_on(&self, stage: usize, piece: &Batch) -> Shares {
        let slot = match self.plan.stages.get(stage + 1).map(|next| &next.route) {
            // Rows to the coordinator count for the shards of their origin.
            None => return self.shares_of_output(self.handing_on(stage), piece),
            Some(Route::Subject(slot) | Route::Object(slot) | Route::Texts(slot)) => *slot,
            Some(Route::Everywhere | Route::Broadcast | Route::Shard(_) | Route::Next) => {
                return Shares::from([(None, piece.rows as u64)]);
            }
        };
        let from = |row| self.home(self.handing_on(stage), piece, row);
        let to = |row| value(Arg::Slot(slot), piece, row).and_then(TermId::home);
        match self.plan.stages[stage + 1].route {
            Route::Texts(_) => shares(piece.rows, |row| to(row).or_else(|| from(row))),
            _ => shares(piece.rows, to),
        }
    }

    fn op(&self, (stage, op): OperatorId) -> Option<&Op> {
        self.plan.stages[stage].ops.get(op)
    }

    /// The shard of an operator's row: that of the fact that was matched last, or the one that the row was sent to.
    fn home(&self, (stage, op): OperatorId, piece: &Batch, row: usize) -> Option<ShardId> {
        let ops = &self.plan.stages[stage].ops;
        for op in ops[..(op + 1).min(ops.len())].iter().rev() {
            if let Some((atom, copy)) = op.leading() {
                let subject = value(atom.subject, piece, row)?;
                return match copy {
                    Direction::Forward => subject.home(),
                    Direction::Inverse => {
                        let (predicate, object) = (value(atom.predicate, piece, row)?, value(atom.object, piece, row)?);
                        fact::in_home(subject, predicate, object, self.rdf_type)
                    }
                };
            }
            if let Op::Resolve { slot } = op
                && let Some(home) = value(Arg::Slot(*slot), piece, row).and_then(TermId::home)
            {
                return Some(home);
            }
        }
        match &self.plan.stages[stage].route {
            Route::Subject(slot) | Route::Object(slot) => value(Arg::Slot(*slot), piece, row)?.home(),
            // The texts of inline values are everywhere: their rows stay at their node.
            Route::Texts(slot) => {
                let home = value(Arg::Slot(*slot), piece, row).and_then(TermId::home);
                home.or_else(|| self.home(self.handing_on(stage.checked_sub(1)?), piece, row))
            }
            Route::Shard(shard) => Some(*shard),
            Route::Everywhere | Route::Broadcast | Route::Next => None,
        }
    }
}

impl State {
    fn share_out(&mut self, place: OperatorId, spent: u64, shares: &Shares) {
        let total: u64 = shares.values().sum();
        let mut left = spent;
        for (shard, rows) in shares {
            let part = (u128::from(spent) * u128::from(*rows) / u128::from(total.max(1))) as u64;
            self.report.entry((place, *shard)).or_default().nanoseconds += part;
            left -= part;
        }
        // The remainder of rounding, or everything if there were no rows.
        let rest = shares.keys().next().copied().flatten();
        self.report.entry((place, rest)).or_default().nanoseconds += left;
    }
}

fn shares(rows: usize, home: impl Fn(usize) -> Option<ShardId>) -> Shares {
    let mut shares = Shares::new();
    let mut row = 0;
    while row < rows {
        // Rows of one shard are mostly adjacent.
        let shard = home(row);
        let first = row;
        while row < rows && (row == first || home(row) == shard) {
            row += 1;
        }
        *shares.entry(shard).or_default() += (row - first) as u64;
    }
    shares
}

/// The value of an argument in a row; `None` while it is unbound, or if it was dropped because no operator reads it.
fn value(arg: Arg, batch: &Batch, row: usize) -> Option<TermId> {
    match arg {
        Arg::Const(term) => Some(term),
        Arg::Slot(slot) => batch.columns[slot].get(row).copied(),
    }
}
