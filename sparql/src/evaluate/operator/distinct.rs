//! DISTINCT: each row once.

use super::{Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::Env;
use crate::plan::codes::RowSet;
use crate::session::memory::Reservation;
use entail_model::Fault;
use std::sync::Arc;

pub struct Distinct {
    rows: Rows,
    seen: RowSet,
    held: Reservation,
}

impl Distinct {
    pub fn new(inner: &Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let seen = RowSet::new(inner.variables.len());
        Ok(Self { rows: open(inner, env)?, seen, held: env.run.session.reservation() })
    }
}

impl Stream for Distinct {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let mut codes = Vec::new();
        while let Some(batch) = self.rows.next()? {
            let mut is_new = |row: &u32| {
                batch.read(*row as usize, &mut codes);
                self.seen.is_new(&codes)
            };
            let new: Vec<u32> = (0..batch.rows as u32).filter(&mut is_new).collect();
            self.held.set(self.seen.bytes())?;
            if new.len() == batch.rows {
                return Ok(Some(batch));
            }
            if !new.is_empty() {
                return Ok(Some(batch.gather(&new)));
            }
        }
        Ok(None)
    }
}
