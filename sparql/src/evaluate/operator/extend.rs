//! BIND and expressions of SELECT: new columns.
//!
//! Neighbouring ones are one operator, so that BNODE with one label gives one node in a solution, wherever it stands.

use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::expression::Seeds;
use crate::evaluate::run::Env;
use crate::session::code::UNBOUND;
use crate::session::lock;
use entail_model::Fault;
use std::sync::Arc;

pub struct Extend {
    operator: Arc<Operator>,
    rows: Rows,
    env: Env,
    seeds: Seeds,
}

impl Extend {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Extend { inner, .. } = &operator.kind else { return Err(Fault::internal("no new columns")) };
        let rows = open(inner, env)?;
        Ok(Self { rows, operator, env: env.clone(), seeds: Seeds::new(&env.run.session) })
    }

    fn extended(&mut self, mut batch: Batch) -> Result<Batch, Fault> {
        let Kind::Extend { made, .. } = &self.operator.kind else { return Err(Fault::internal("no new columns")) };
        let session = &self.env.run.session;
        let mut is_dropped = vec![false; batch.rows];
        for (number, expression) in made.iter().enumerate() {
            let column = lock(expression).evaluate(&batch, &self.env, &self.seeds, number)?;
            let codes = session.codes(&column.into_values())?;
            let variable = &self.operator.variables[batch.columns.len()];
            batch.columns.push(codes);
            if let Some(given) = self.env.get(variable) {
                let column = batch.columns.last().into_iter().flatten();
                let is_other = column.map(|code| *code != given && *code != UNBOUND);
                is_dropped.iter_mut().zip(is_other).for_each(|(dropped, other)| *dropped |= other);
            }
        }
        self.seeds.pass(batch.rows);
        // Only now: labels of BNODE belong to the numbers of rows, which are the same for all expressions.
        if !is_dropped.contains(&true) {
            return Ok(batch);
        }
        let kept = is_dropped.iter().enumerate().filter(|(_, dropped)| !**dropped).map(|(row, _)| row as u32);
        Ok(batch.gather(&kept.collect::<Vec<_>>()))
    }
}

impl Stream for Extend {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        while let Some(batch) = self.rows.next()? {
            let batch = self.extended(batch)?;
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
