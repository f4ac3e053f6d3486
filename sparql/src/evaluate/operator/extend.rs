//! BIND and expressions of SELECT: new columns.
//!
//! Neighbouring ones are one operator, so that BNODE with one label gives one node in a solution, wherever it stands. A batch
//! with long texts is passed on in pieces, so that not all that is built of them is there at a time.

use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::expression::{Seeds, strings_max};
use crate::evaluate::run::Env;
use crate::session::code::UNBOUND;
use crate::session::lock;
use crate::session::texts::Fit;
use entail_expression::Budget;
use entail_model::Fault;
use std::sync::Arc;

pub struct Extend {
    operator: Arc<Operator>,
    rows: Rows,
    env: Env,
    seeds: Seeds,
    /// What is left of the batch, from this row on.
    batch: Batch,
    done: usize,
    at_once: usize,
}

impl Extend {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Extend { inner, .. } = &operator.kind else { return Err(Fault::internal("no new columns")) };
        let (rows, seeds) = (open(inner, env)?, Seeds::new(&env.run.session));
        Ok(Self { rows, operator, env: env.clone(), seeds, batch: Batch::default(), done: 0, at_once: 0 })
    }

    /// The next rows of the batch, with their new columns.
    fn extended(&mut self) -> Result<Batch, Fault> {
        loop {
            let rows = self.at_once.min(self.batch.rows - self.done);
            let is_whole = rows == self.batch.rows;
            let mut piece = if is_whole { std::mem::take(&mut self.batch) } else { self.batch.slice(self.done, rows) };
            let width = piece.columns.len();
            match self.add_columns(&mut piece)? {
                Fit::Whole(()) => {
                    self.done += if is_whole { 0 } else { rows };
                    self.seeds.pass(rows);
                    return Ok(self.given_ones(piece));
                }
                Fit::Rows(fewer) => {
                    self.at_once = fewer;
                    if is_whole {
                        piece.columns.truncate(width);
                        self.batch = piece;
                    }
                }
            }
        }
    }

    fn add_columns(&self, piece: &mut Batch) -> Result<Fit<()>, Fault> {
        let Kind::Extend { made, .. } = &self.operator.kind else { return Err(Fault::internal("no new columns")) };
        let session = &self.env.run.session;
        let check = || session.check();
        let mut held = session.reservation();
        for (number, expression) in made.iter().enumerate() {
            let mut budget = Budget::new(strings_max(session), &check);
            match lock(expression).evaluate(piece, &self.env, &self.seeds, number, &mut budget)? {
                Fit::Rows(fewer) => return Ok(Fit::Rows(fewer)),
                Fit::Whole(column) => {
                    held.set(budget.bytes_built as usize)?;
                    // From here on these are computed terms, which count by themselves.
                    held.set(0)?;
                    piece.columns.push(session.codes(&column.into_values())?);
                }
            }
        }
        Ok(Fit::Whole(()))
    }

    /// The rows whose new columns have the values that stand in place of their variables. Only now: labels of BNODE belong to the
    /// numbers of rows, which are the same for all expressions.
    fn given_ones(&self, batch: Batch) -> Batch {
        let Kind::Extend { made, .. } = &self.operator.kind else { return batch };
        let first = batch.columns.len() - made.len();
        let mut is_dropped = vec![false; batch.rows];
        for (column, variable) in batch.columns.iter().zip(&self.operator.variables).skip(first) {
            if let Some(given) = self.env.get(variable) {
                let is_other = column.iter().map(|code| *code != given && *code != UNBOUND);
                is_dropped.iter_mut().zip(is_other).for_each(|(dropped, other)| *dropped |= other);
            }
        }
        if !is_dropped.contains(&true) {
            return batch;
        }
        let kept = is_dropped.iter().enumerate().filter(|(_, dropped)| !**dropped).map(|(row, _)| row as u32);
        batch.gather(&kept.collect::<Vec<_>>())
    }
}

impl Stream for Extend {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        loop {
            if self.done == self.batch.rows {
                let Some(batch) = self.rows.next()? else { return Ok(None) };
                (self.at_once, self.done, self.batch) = (batch.rows, 0, batch);
            }
            let batch = self.extended()?;
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }
}
