//! UNION, and the choice of columns.

use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::Env;
use crate::session::code::UNBOUND;
use entail_model::Fault;
use std::sync::Arc;

/// The rows of one input after the other.
pub struct Union {
    operator: Arc<Operator>,
    env: Env,
    next: usize,
    rows: Option<(Rows, Vec<Option<usize>>)>,
}

impl Union {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Self {
        Self { operator, env: env.clone(), next: 0, rows: None }
    }
}

impl Stream for Union {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let Kind::Union(inputs) = &self.operator.kind else { return Err(Fault::internal("no union")) };
        loop {
            if let Some((rows, columns)) = &mut self.rows
                && let Some(batch) = rows.next()?
            {
                return Ok(Some(chosen(batch, columns)));
            }
            self.rows = None;
            let Some(input) = inputs.get(self.next) else { return Ok(None) };
            self.next += 1;
            self.rows = Some((open(input, &self.env)?, columns(&self.operator, input)));
        }
    }
}

/// For each column of an operator that of its input.
fn columns(operator: &Operator, input: &Operator) -> Vec<Option<usize>> {
    operator.variables.iter().map(|variable| input.column(variable)).collect()
}

fn chosen(mut batch: Batch, columns: &[Option<usize>]) -> Batch {
    let rows = batch.rows;
    // Columns of an operator are distinct, so each is taken once.
    let column = |column: &Option<usize>| match column {
        Some(column) => std::mem::take(&mut batch.columns[*column]),
        None => vec![UNBOUND; rows],
    };
    Batch { rows, columns: columns.iter().map(column).collect() }
}

/// Some columns of the input. Variables that are not among them are the input's own, whatever their names.
pub struct Projected {
    rows: Rows,
    columns: Vec<Option<usize>>,
    /// The values that the columns must have.
    given: Vec<crate::session::code::Code>,
}

impl Projected {
    pub fn new(operator: Arc<Operator>, inner: &Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let rows = open(inner, &env.only(&operator.variables))?;
        let given = operator.variables.iter().map(|variable| env.get(variable).unwrap_or(UNBOUND)).collect();
        Ok(Self { rows, columns: columns(&operator, inner), given })
    }
}

impl Stream for Projected {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        while let Some(batch) = self.rows.next()? {
            let mut batch = chosen(batch, &self.columns);
            for (column, given) in self.given.iter().enumerate().filter(|(_, given)| **given != UNBOUND) {
                let codes = batch.columns[column].iter().enumerate();
                let fits = codes.filter(|(_, code)| **code == *given || **code == UNBOUND);
                let kept: Vec<u32> = fits.map(|(row, _)| row as u32).collect();
                batch = batch.gather(&kept);
            }
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
