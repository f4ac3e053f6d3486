//! Queries that only count: nodes send row counts instead of rows.

use crate::cluster::Interrupt;
use crate::evaluate::answer::Block;
use crate::plan::profile::Profiles;
use crate::plan::union::{UnionPlan, UnionRows};
use crate::session::{Session, lock};
use entail_expression::Value;
use std::sync::{Arc, Mutex};

/// The rows of one leaf, to be counted.
pub struct Counted {
    pub union: Arc<UnionPlan>,
}

impl Counted {
    /// Counts the rows; the only solution is their number.
    pub fn run(&self, session: &Arc<Session>, profiles: &Mutex<Profiles>) -> Result<Block, Interrupt> {
        let mut rows = UnionRows::new(Arc::clone(session), Arc::clone(&self.union), None);
        let result = Self::count(session, &mut rows);
        lock(profiles).add(0, rows.measured());
        let count = session.codes(&[Value::integer(result?.into())])?;
        Ok(Block { width: 1, rows: 1, cells: count })
    }

    fn count(session: &Session, rows: &mut UnionRows) -> Result<u64, Interrupt> {
        let mut count = 0;
        while let Some(columns) = rows.next()? {
            session.check()?;
            count += columns.batch.rows as u64;
        }
        Ok(count)
    }
}
