//! FILTER: the rows for which all conditions are true.

use super::{Operator, Rows, Shared, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::expression::Seeds;
use crate::evaluate::run::Env;
use crate::session::lock;
use entail_model::Fault;
use std::sync::Arc;

pub struct Filter {
    rows: Rows,
    conditions: Vec<Shared>,
    env: Env,
    seeds: Seeds,
}

impl Filter {
    pub fn new(inner: &Arc<Operator>, conditions: &[Shared], env: &Env) -> Result<Self, Fault> {
        let seeds = Seeds::new(&env.run.session);
        Ok(Self { rows: open(inner, env)?, conditions: conditions.to_vec(), env: env.clone(), seeds })
    }
}

impl Stream for Filter {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        while let Some(batch) = self.rows.next()? {
            let rows = batch.rows;
            let kept = kept(&self.conditions, batch, &self.env, &self.seeds)?;
            self.seeds.pass(rows);
            if kept.rows > 0 {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }
}

/// The rows for which all conditions are true. Each condition has its own random numbers.
pub fn kept(conditions: &[Shared], batch: Batch, env: &Env, seeds: &Seeds) -> Result<Batch, Fault> {
    let mut batch = batch;
    for (number, condition) in conditions.iter().enumerate() {
        if batch.rows == 0 {
            break;
        }
        let rows = lock(condition).keep(&batch, env, seeds, number)?;
        if rows.len() < batch.rows {
            batch = batch.gather(&rows);
        }
    }
    Ok(batch)
}
