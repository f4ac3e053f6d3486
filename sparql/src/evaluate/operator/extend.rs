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
        let rows = batch.rows;
        for (number, expression) in made.iter().enumerate() {
            let column = lock(expression).evaluate(&batch, &self.env, &self.seeds, number)?;
            let codes = session.codes(&column.into_values())?;
            let variable = &self.operator.variables[batch.columns.len()];
            batch.columns.push(codes);
            if let Some(given) = self.env.get(variable) {
                let is_same = |code| code == given || code == UNBOUND;
                let column = batch.columns.last().into_iter().flatten().enumerate();
                let kept: Vec<u32> = column.filter(|(_, code)| is_same(**code)).map(|(row, _)| row as u32).collect();
                batch = batch.gather(&kept);
            }
        }
        self.seeds.pass(rows);
        Ok(batch)
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
