//! Joins: the side with fewer expected rows is held in a [`Table`], the rows of the other look their partners up.

use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::run::Env;
use crate::evaluate::table::{Search, Table};
use crate::session::code::{Code, UNBOUND};
use entail_model::Fault;
use std::sync::Arc;

/// Rows of a chain that are followed between two checks.
const STEPS_BETWEEN_CHECKS: usize = 1 << 12;

pub struct Join {
    operator: Arc<Operator>,
    env: Env,
    /// The side that is streamed, and whether it is the left one.
    rows: Rows,
    probe_is_left: bool,
    pairs: Option<Pairs>,
    growth: Growth,
}

impl Join {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Join { left, right } = &operator.kind else { return Err(Fault::internal("no join")) };
        let probe_is_left = right.estimate <= left.estimate;
        let rows = open(if probe_is_left { left } else { right }, env)?;
        Ok(Self { rows, operator, env: env.clone(), probe_is_left, pairs: None, growth: Growth::default() })
    }
}

impl Stream for Join {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let Kind::Join { left, right } = &self.operator.kind else { return Err(Fault::internal("no join")) };
        let (probe, build) = if self.probe_is_left { (left, right) } else { (right, left) };
        loop {
            if let Some(pairs) = &mut self.pairs {
                let found = pairs.next(self.growth.rows())?;
                if !found.is_empty() {
                    self.growth.grow();
                    return Ok(Some(pairs.joined(&found, &self.operator)));
                }
                if pairs.table.len() == 0 {
                    return Ok(None);
                }
            }
            let Some(batch) = self.rows.next()? else { return Ok(None) };
            // The table is made when there is a row to look up.
            if self.pairs.is_none() {
                self.pairs = Some(Pairs::new(probe, build, &self.env)?);
            }
            if let Some(pairs) = &mut self.pairs {
                pairs.probe(batch);
            }
        }
    }
}

/// The pairs of compatible rows: one of a batch, one of a table.
pub struct Pairs {
    env: Env,
    pub table: Table,
    /// The columns of the shared variables in the batch.
    shared: Vec<usize>,
    /// Of which variables the columns are.
    probe: Arc<Operator>,
    build: Arc<Operator>,
    pub batch: Batch,
    row: usize,
    search: Option<Search>,
    key: Vec<Code>,
}

impl Pairs {
    /// Reads all rows of `build` into a table.
    pub fn new(probe: &Arc<Operator>, build: &Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let both = |variable| Some((probe.column(variable)?, build.column(variable)?));
        let (shared, other): (Vec<usize>, Vec<usize>) = build.variables.iter().filter_map(both).unzip();
        let mut table = Table::new(&env.run.session, build.variables.len(), other)?;
        let mut rows = open(build, env)?;
        while let Some(batch) = rows.next()? {
            env.run.session.check()?;
            table.extend(&batch)?;
        }
        let (probe, build) = (Arc::clone(probe), Arc::clone(build));
        let (batch, key) = (Batch::default(), Vec::new());
        Ok(Self { env: env.clone(), table, shared, probe, build, batch, row: 0, search: None, key })
    }

    /// Sets the rows whose partners are looked up next.
    pub fn probe(&mut self, batch: Batch) {
        (self.batch, self.row, self.search) = (batch, 0, None);
    }

    /// The key of a row of the batch.
    pub fn key(&self, row: usize, key: &mut Vec<Code>) {
        key.clear();
        key.extend(self.shared.iter().map(|column| self.batch.columns[*column][row]));
    }

    /// The next pairs, at most `most`; none at the end of the batch.
    pub fn next(&mut self, most: usize) -> Result<Vec<(u32, u32)>, Fault> {
        let mut found = Vec::new();
        let mut steps = 0;
        let mut key = std::mem::take(&mut self.key);
        while self.row < self.batch.rows && found.len() < most {
            steps += 1;
            if steps % STEPS_BETWEEN_CHECKS == 0 {
                self.env.run.session.check()?;
            }
            if self.search.is_none() {
                self.key(self.row, &mut key);
                self.search = Some(self.table.search(&key));
            }
            let Some(search) = &mut self.search else { break };
            match self.table.next(search, &key)? {
                Some(other) => found.push((self.row as u32, other)),
                None => {
                    self.search = None;
                    self.row += 1;
                }
            }
        }
        self.key = key;
        Ok(found)
    }

    /// The rows of pairs, with the columns of `operator`.
    pub fn joined(&self, pairs: &[(u32, u32)], operator: &Operator) -> Batch {
        let column = |variable| {
            let (probe, build) = (self.probe.column(variable), self.build.column(variable));
            let cell = |(row, other): &(u32, u32)| {
                let own = probe.map_or(UNBOUND, |column| self.batch.columns[column][*row as usize]);
                match build {
                    Some(column) if own == UNBOUND => self.table.row(*other)[column],
                    _ => own,
                }
            };
            pairs.iter().map(cell).collect()
        };
        Batch { rows: pairs.len(), columns: operator.variables.iter().map(column).collect() }
    }

    /// Rows of the batch without a partner, with the columns of `operator`.
    pub fn alone(&self, rows: &[u32], operator: &Operator) -> Batch {
        let column = |variable| match self.probe.column(variable) {
            Some(column) => rows.iter().map(|row| self.batch.columns[column][*row as usize]).collect(),
            None => vec![UNBOUND; rows.len()],
        };
        Batch { rows: rows.len(), columns: operator.variables.iter().map(column).collect() }
    }
}
