//! OPTIONAL: the right side is held in a table; left rows without a partner stay.

use super::filter::kept;
use super::join::Pairs;
use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::expression::Seeds;
use crate::evaluate::run::Env;
use entail_model::{Fault, TermId};

use std::sync::Arc;

pub struct Optional {
    operator: Arc<Operator>,
    env: Env,
    rows: Rows,
    pairs: Option<Pairs>,
    /// Which rows of the batch have a partner.
    met: Vec<bool>,
    seeds: Seeds,
    growth: Growth,
}

impl Optional {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::Optional { left, .. } = &operator.kind else { return Err(Fault::internal("no OPTIONAL")) };
        let (rows, seeds) = (open(left, env)?, Seeds::new(&env.run.session));
        Ok(Self { operator, env: env.clone(), rows, pairs: None, met: Vec::new(), seeds, growth: Growth::default() })
    }

    /// The next rows of the batch; `None` at its end.
    fn of_batch(&mut self) -> Result<Option<Batch>, Fault> {
        let Kind::Optional { conditions, .. } = &self.operator.kind else { return Ok(None) };
        let Some(pairs) = &mut self.pairs else { return Ok(None) };
        loop {
            let found = pairs.next(self.growth.rows())?;
            self.growth.grow();
            if found.is_empty() {
                let alone = self.met.iter().enumerate().filter(|(_, met)| !**met).map(|(row, _)| row as u32);
                let alone: Vec<u32> = alone.collect();
                self.met.clear();
                pairs.batch.rows = 0;
                return Ok((!alone.is_empty()).then(|| pairs.alone(&alone, &self.operator)));
            }
            let joined = pairs.joined(&found, &self.operator);
            if conditions.is_empty() {
                found.iter().for_each(|(row, _)| self.met[*row as usize] = true);
                return Ok(Some(joined));
            }
            // The last column tells which pair a row is of.
            let mut numbered = joined;
            numbered.columns.push((0..found.len() as u64).map(TermId).collect());
            let rows = numbered.rows;
            let mut kept = kept(conditions, numbered, &self.env, &self.seeds)?;
            self.seeds.pass(rows);
            for pair in kept.columns.pop().unwrap_or_default() {
                self.met[found[pair.0 as usize].0 as usize] = true;
            }
            if kept.rows > 0 {
                return Ok(Some(kept));
            }
        }
    }
}

impl Stream for Optional {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        loop {
            if !self.met.is_empty()
                && let Some(batch) = self.of_batch()?
            {
                return Ok(Some(batch));
            }
            let Some(batch) = self.rows.next()? else { return Ok(None) };
            let Kind::Optional { left, right, .. } = &self.operator.kind else { return Ok(None) };
            // Nothing is read for an empty left side.
            if self.pairs.is_none() {
                self.pairs = Some(Pairs::new(left, right, &self.env)?);
            }
            self.met = vec![false; batch.rows];
            if let Some(pairs) = &mut self.pairs {
                pairs.probe(batch);
            }
        }
    }
}
