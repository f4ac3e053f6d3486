//! MINUS: left rows without a compatible right row that binds one of their variables (SPARQL 1.1, 18.5).

use super::join::Pairs;
use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::Env;
use entail_model::Fault;
use std::sync::Arc;

pub struct Minus {
    operator: Arc<Operator>,
    env: Env,
    rows: Rows,
    pairs: Option<Pairs>,
    /// Of the shared variables those that are no values of the environment, which stand in place of variables.
    counted: Vec<bool>,
}

impl Minus {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Minus { left, right } = &operator.kind else { return Err(Fault::internal("no MINUS")) };
        let shared = right.variables.iter().filter(|variable| left.column(variable).is_some());
        let counted = shared.map(|variable| env.get(variable).is_none()).collect();
        Ok(Self { rows: open(left, env)?, operator, env: env.clone(), pairs: None, counted })
    }
}

impl Stream for Minus {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let Kind::Minus { left, right } = &self.operator.kind else { return Err(Fault::internal("no MINUS")) };
        let mut key = Vec::new();
        while let Some(batch) = self.rows.next()? {
            if !self.counted.contains(&true) {
                return Ok(Some(batch));
            }
            if self.pairs.is_none() {
                self.pairs = Some(Pairs::new(left, right, &self.env)?);
            }
            let Some(pairs) = &mut self.pairs else { return Ok(None) };
            pairs.probe(batch);
            let mut kept = Vec::new();
            for row in 0..pairs.batch.rows {
                pairs.key(row, &mut key);
                if !pairs.table.excludes(&key, &self.counted)? {
                    kept.push(row as u32);
                }
            }
            self.env.run.session.check()?;
            if !kept.is_empty() {
                return Ok(Some(pairs.batch.gather(&kept)));
            }
        }
        Ok(None)
    }
}
