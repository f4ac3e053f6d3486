//! GROUP BY and aggregates, with the accumulators that [folds](crate::fold) have.

use super::{Kind, Operator, Stream, open};
use crate::evaluate::batch::{Batch, ROWS_MAX};
use crate::evaluate::run::Env;
use crate::fold::group::Groups;
use crate::fold::{Rows, coded};
use crate::rewrite::fold::Fold;
use crate::session::code::UNBOUND;
use crate::session::memory::Reservation;
use crate::session::texts::Fit;
use entail_model::Fault;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub struct GroupRows {
    operator: Arc<Operator>,
    env: Env,
    grouped: Option<Grouped>,
}

struct Grouped {
    groups: Groups,
    order: std::vec::IntoIter<usize>,
    _held: Reservation,
}

impl GroupRows {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Self {
        Self { operator, env: env.clone(), grouped: None }
    }

    fn group(&self) -> Result<Grouped, Fault> {
        let Kind::Group { inner, group, forgets } = &self.operator.kind else {
            return Err(Fault::internal("no group"));
        };
        let session = &self.env.run.session;
        let inputs = Fold::Group(group.clone()).inputs();
        let places: Vec<Option<usize>> = inputs.iter().map(|variable| inner.column(variable)).collect();
        // The variables of the input are its own: a group shows others.
        let mut input = open(inner, &self.env.only(&group.by))?;
        let (mut groups, mut held) = (Groups::new(group, &inputs), session.reservation());
        let mut rows = Rows::new(session, inputs.len());
        while let Some(batch) = input.next()? {
            let (mut at, mut at_once) = (0, batch.rows);
            while at < batch.rows {
                session.check()?;
                let end = batch.rows.min(at + at_once);
                rows.times.clear();
                rows.codes.clear();
                rows.times.resize(end - at, 1);
                for row in at..end {
                    let cell = |place: &Option<usize>| place.map_or(UNBOUND, |place| batch.columns[place][row]);
                    rows.codes.extend(places.iter().map(cell));
                }
                match groups.add(&rows)? {
                    Fit::Whole(()) => at = end,
                    Fit::Rows(fewer) => at_once = fewer,
                }
                held.set(groups.bytes())?;
            }
            if forgets.load(Ordering::Relaxed) {
                session.release();
            }
        }
        let order = groups.order().into_iter();
        Ok(Grouped { groups, order, _held: held })
    }
}

impl Stream for GroupRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        if self.grouped.is_none() {
            self.grouped = Some(self.group()?);
        }
        let session = &self.env.run.session;
        let width = self.operator.variables.len();
        let given: Vec<_> = self.operator.variables.iter().map(|variable| self.env.get(variable)).collect();
        while let Some(grouped) = &mut self.grouped {
            session.check()?;
            let rows: Vec<_> =
                grouped.order.by_ref().take(ROWS_MAX).map(|group| grouped.groups.finish(group)).collect();
            if rows.is_empty() {
                return Ok(None);
            }
            let (count, codes) = (rows.len(), coded(session, rows)?);
            let mut batch = Batch::new(width);
            for row in 0..count {
                let row = &codes[row * width..(row + 1) * width];
                let fits =
                    |(code, given): (&_, &Option<_>)| given.is_none_or(|given| *code == given || *code == UNBOUND);
                if row.iter().zip(&given).all(fits) {
                    batch.push(row.iter().copied());
                }
            }
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
