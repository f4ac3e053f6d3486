//! Rows of leaves, which come from the cluster, and of tables.

use super::{Kind, Operator, Stream};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::run::Env;
use crate::fold::{self, Folded, Row};
use crate::plan::codes::Codes;
use crate::plan::union::{Columns, UnionRows};
use crate::rewrite::fold::Repetitions;
use crate::session::code::UNBOUND;
use crate::session::lock;
use entail_model::Fault;
use std::sync::Arc;

/// The rows of a leaf.
pub struct LeafRows {
    number: usize,
    env: Env,
    rows: UnionRows,
    codes: Codes,
    columns: Option<Columns>,
    at: usize,
    growth: Growth,
    /// The rows of a fold, once all input was read.
    folded: Option<Folded>,
}

impl LeafRows {
    pub fn new(number: usize, env: &Env) -> Self {
        let union = Arc::clone(&env.run.leaves[number].union);
        let codes = Codes::of(&union);
        let rows = UnionRows::new(Arc::clone(&env.run.session), union, None);
        let growth = Growth::default();
        Self { number, env: env.clone(), rows, codes, columns: None, at: 0, growth, folded: None }
    }

    fn next_folded(&mut self) -> Result<Option<Batch>, Fault> {
        let leaf = &self.env.run.leaves[self.number];
        let session = &self.env.run.session;
        if let (None, Some(fold)) = (&self.folded, &leaf.fold) {
            self.folded = Some(fold::run(fold, session, &mut self.rows)?);
        }
        let rows: Vec<Row> = self.folded.iter_mut().flatten().take(self.growth.rows()).collect();
        self.growth.grow();
        if rows.is_empty() {
            return Ok(None);
        }
        let width = leaf.variables.len();
        let (count, codes) = (rows.len(), fold::coded(session, rows)?);
        let mut batch = Batch::new(width);
        (0..count).for_each(|row| batch.push(codes[row * width..(row + 1) * width].iter().copied()));
        Ok(Some(batch))
    }

    fn next_rows(&mut self) -> Result<Option<Batch>, Fault> {
        let width = self.env.run.leaves[self.number].variables.len();
        loop {
            self.env.run.session.check()?;
            if self.columns.as_ref().is_none_or(|columns| self.at >= columns.batch.rows) {
                self.columns = self.rows.next()?;
                self.at = 0;
            }
            let Some(columns) = &self.columns else { return Ok(None) };
            let end = columns.batch.rows.min(self.at + self.growth.rows());
            let range = std::mem::replace(&mut self.at, end)..end;
            self.growth.grow();
            let mut batch = Batch::new(width);
            if self.rows.plan().repetitions != Repetitions::Dropped {
                for (cell, column) in batch.columns.iter_mut().enumerate() {
                    self.codes.extend(columns, range.clone(), cell, column);
                }
                batch.rows = range.len();
                return Ok(Some(batch));
            }
            let mut codes = Vec::with_capacity(width);
            for row in range {
                if self.rows.is_new(columns, row)? {
                    self.codes.read(columns, row, &mut codes);
                    batch.push(codes.iter().copied());
                }
            }
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }
}

impl Stream for LeafRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        if self.env.run.leaves[self.number].fold.is_some() { self.next_folded() } else { self.next_rows() }
    }
}

impl Drop for LeafRows {
    fn drop(&mut self) {
        lock(&self.env.run.profiles).add(self.number, self.rows.measured());
    }
}

/// The rows of a table. A variable that has a value already keeps only the rows with this value.
pub struct TableRows {
    operator: Arc<Operator>,
    env: Env,
    at: usize,
    growth: Growth,
}

impl TableRows {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Self {
        Self { operator, env: env.clone(), at: 0, growth: Growth::default() }
    }
}

impl Stream for TableRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let Kind::Table(codes) = &self.operator.kind else { return Err(Fault::internal("no table")) };
        let width = self.operator.variables.len();
        let rows = codes.len().checked_div(width).unwrap_or(codes.len());
        let given: Vec<_> = self.operator.variables.iter().map(|variable| self.env.get(variable)).collect();
        let mut batch = Batch::new(width);
        while self.at < rows && batch.rows < self.growth.rows() {
            let row = &codes[self.at * width..(self.at + 1) * width];
            self.at += 1;
            let fits = row
                .iter()
                .zip(&given)
                .all(|(code, given)| given.is_none_or(|given| *code == given || *code == UNBOUND));
            if fits {
                batch.push(row.iter().copied());
            }
        }
        self.growth.grow();
        self.env.run.session.check()?;
        Ok((batch.rows > 0).then_some(batch))
    }
}
