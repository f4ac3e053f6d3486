//! LIMIT and OFFSET.

use super::{Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::Env;
use entail_model::Fault;
use std::sync::Arc;

pub struct Slice {
    /// `None` once all rows were passed on.
    rows: Option<Rows>,
    skip: usize,
    left: usize,
}

impl Slice {
    pub fn new(inner: &Arc<Operator>, start: usize, length: Option<usize>, env: &Env) -> Result<Self, Fault> {
        let left = length.unwrap_or(usize::MAX);
        let rows = if left == 0 { None } else { Some(open(inner, env)?) };
        Ok(Self { rows, skip: start, left })
    }
}

impl Stream for Slice {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        while let Some(rows) = &mut self.rows {
            let Some(batch) = rows.next()? else {
                self.rows = None;
                break;
            };
            let skipped = self.skip.min(batch.rows);
            self.skip -= skipped;
            let batch = if skipped > 0 || batch.rows > self.left { batch.slice(skipped, self.left) } else { batch };
            self.left -= batch.rows;
            if self.left == 0 {
                // What runs below ends here.
                self.rows = None;
            }
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
