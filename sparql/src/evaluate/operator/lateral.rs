//! Joins row by row: the right side is evaluated with the values of each left row, for paths and single patterns, which find
//! little from a given node and much from none.
//!
//! Small results are kept, since many left rows have the same values.

use super::filter::kept;
use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::expression::Seeds;
use crate::evaluate::run::{Env, Given, Origin};
use crate::session::code::{Code, UNBOUND};
use entail_model::{Fault, TermId};
use std::collections::HashMap;
use std::sync::Arc;

/// Cells of results that are kept, of one row and in all.
const CELLS_MAX: usize = 1 << 12;
const CELLS_MAX_ALL: usize = 1 << 20;

pub struct Lateral {
    operator: Arc<Operator>,
    env: Env,
    rows: Rows,
    /// The columns of shared variables, on the left and on the right.
    shared: Vec<(usize, usize)>,
    batch: Batch,
    row: usize,
    found: Option<Found>,
    known: HashMap<Vec<Code>, Arc<Vec<Batch>>>,
    cells: usize,
    /// Which left rows have a right one, if that matters.
    met: Vec<bool>,
    seeds: Seeds,
    growth: Growth,
}

/// The right rows of one left row.
enum Found {
    Known(Arc<Vec<Batch>>, usize),
    /// As they come; kept unless they are too many.
    Coming {
        rows: Rows,
        key: Vec<Code>,
        so_far: Option<Vec<Batch>>,
        cells: usize,
    },
}

impl Lateral {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Lateral { left, right, .. } = &operator.kind else { return Err(Fault::internal("no join")) };
        let both = |(at, variable)| Some((at, right.column(variable)?));
        let shared = left.variables.iter().enumerate().filter_map(both).collect();
        Ok(Self {
            rows: open(left, env)?,
            shared,
            batch: Batch::default(),
            row: 0,
            found: None,
            known: HashMap::new(),
            cells: 0,
            met: Vec::new(),
            seeds: Seeds::new(&env.run.session),
            growth: Growth::default(),
            operator,
            env: env.clone(),
        })
    }

    /// The right rows of the current left row.
    fn begin(&mut self, right: &Arc<Operator>) -> Result<Found, Fault> {
        self.env.run.session.check()?;
        let key: Vec<Code> = self.shared.iter().map(|(left, _)| self.batch.columns[*left][self.row]).collect();
        if let Some(known) = self.known.get(&key) {
            return Ok(Found::Known(Arc::clone(known), 0));
        }
        let bound = self.shared.iter().zip(&key).filter(|(_, code)| **code != UNBOUND);
        let Kind::Lateral { nodes, .. } = &self.operator.kind else { return Err(Fault::internal("no join")) };
        let env = self.env.with(bound.map(|((_, column), code)| {
            let variable = &right.variables[*column];
            let origin = if nodes.contains(variable) { Origin::Node } else { Origin::Row };
            (variable, Given { code: *code, origin })
        }));
        Ok(Found::Coming { rows: open(right, &env)?, key, so_far: Some(Vec::new()), cells: 0 })
    }

    /// The next right rows of the current left row.
    fn more(&mut self) -> Result<Option<Batch>, Fault> {
        match &mut self.found {
            None => Ok(None),
            Some(Found::Known(batches, at)) => {
                *at += 1;
                Ok(batches.get(*at - 1).cloned())
            }
            Some(Found::Coming { rows, key, so_far, cells }) => match rows.next()? {
                Some(batch) => {
                    *cells += batch.rows * batch.columns.len().max(1);
                    if *cells > CELLS_MAX {
                        *so_far = None;
                    }
                    if let Some(so_far) = so_far {
                        so_far.push(batch.clone());
                    }
                    Ok(Some(batch))
                }
                None => {
                    if let Some(batches) = so_far.take() {
                        let size = *cells + key.len() + 8;
                        if self.cells + size > CELLS_MAX_ALL {
                            self.known.clear();
                            self.cells = 0;
                        }
                        self.cells += size;
                        self.known.insert(std::mem::take(key), Arc::new(batches));
                    }
                    Ok(None)
                }
            },
        }
    }

    /// Adds the current left row, joined with right rows, to `out`, and its number in a last column.
    fn join(&self, right: &Operator, found: &Batch, out: &mut Batch) {
        for (variable, column) in self.operator.variables.iter().zip(&mut out.columns) {
            let left = self.batch_column(variable).map_or(UNBOUND, |column| self.batch.columns[column][self.row]);
            match right.column(variable) {
                Some(at) if left == UNBOUND => column.extend_from_slice(&found.columns[at]),
                _ => column.extend(std::iter::repeat_n(left, found.rows)),
            }
        }
        if let Some(numbers) = out.columns.last_mut() {
            numbers.extend(std::iter::repeat_n(TermId(self.row as u64), found.rows));
        }
        out.rows += found.rows;
    }

    fn batch_column(&self, variable: &oxrdf::Variable) -> Option<usize> {
        let Kind::Lateral { left, .. } = &self.operator.kind else { return None };
        left.column(variable)
    }

    /// The next joined rows of the batch; none at its end.
    fn of_batch(&mut self, right: &Arc<Operator>) -> Result<Batch, Fault> {
        let mut out = Batch::new(self.operator.variables.len() + 1);
        while self.row < self.batch.rows && out.rows < self.growth.rows() {
            if self.found.is_none() {
                self.found = Some(self.begin(right)?);
            }
            match self.more()? {
                Some(found) => self.join(right, &found, &mut out),
                None => {
                    self.found = None;
                    self.row += 1;
                }
            }
        }
        self.growth.grow();
        Ok(out)
    }

    /// Left rows without a right one.
    fn alone(&mut self) -> Batch {
        let rows: Vec<u32> =
            self.met.drain(..).enumerate().filter(|(_, met)| !*met).map(|(row, _)| row as u32).collect();
        let column = |variable| match self.batch_column(variable) {
            Some(column) => rows.iter().map(|row| self.batch.columns[column][*row as usize]).collect(),
            None => vec![UNBOUND; rows.len()],
        };
        Batch { rows: rows.len(), columns: self.operator.variables.iter().map(column).collect() }
    }
}

impl Stream for Lateral {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let operator = Arc::clone(&self.operator);
        let Kind::Lateral { right, optional, .. } = &operator.kind else { return Err(Fault::internal("no join")) };
        loop {
            let mut joined = self.of_batch(right)?;
            if joined.rows > 0 {
                if let Some(conditions) = optional {
                    let rows = joined.rows;
                    joined = kept(conditions, joined, &self.env, &self.seeds)?;
                    self.seeds.pass(rows);
                    for number in joined.columns.last().into_iter().flatten() {
                        self.met[number.0 as usize] = true;
                    }
                }
                joined.columns.pop();
                if joined.rows > 0 {
                    return Ok(Some(joined));
                }
                continue;
            }
            if self.met.contains(&false) {
                return Ok(Some(self.alone()));
            }
            let Some(batch) = self.rows.next()? else { return Ok(None) };
            self.met = if optional.is_some() { vec![false; batch.rows] } else { Vec::new() };
            (self.batch, self.row) = (batch, 0);
        }
    }
}
