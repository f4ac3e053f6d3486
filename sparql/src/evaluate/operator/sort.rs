//! ORDER BY: all rows by their sort keys, in a sort that can be interrupted.

use super::{Kind, Operator, Stream, open};
use crate::algebra::order::sort_key;
use crate::evaluate::batch::{Batch, ROWS_MAX};
use crate::evaluate::expression::{Seeds, strings_max};
use crate::evaluate::run::Env;
use crate::session::code::Code;
use crate::session::lock;
use crate::session::reservation::Reservation;
use entail_expression::Budget;
use entail_expression::value::View;
use entail_model::Fault;
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows that are sorted between two checks.
const RUN_ROWS: usize = 1 << 10;

/// The sort key of a value; `None` for one that is unbound or an error, which comes first.
type Key = Option<Box<str>>;

pub struct Sort {
    operator: Arc<Operator>,
    env: Env,
    sorted: Option<Sorted>,
}

/// All rows, and their order.
struct Sorted {
    codes: Vec<Code>,
    order: std::vec::IntoIter<u32>,
    _held: Reservation,
}

impl Sort {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Self {
        Self { operator, env: env.clone(), sorted: None }
    }

    fn sort(&self) -> Result<Sorted, Fault> {
        let Kind::Sort { inner, keys: by } = &self.operator.kind else { return Err(Fault::internal("no order")) };
        let session = &self.env.run.session;
        let (mut rows, mut seeds, mut held) = (open(inner, &self.env)?, Seeds::new(session), session.reservation());
        let (mut codes, mut keys, mut texts): (Vec<Code>, Vec<Key>, usize) = (Vec::new(), Vec::new(), 0);
        let (mut count, mut held_before) = (0, 0);
        let check = || session.check();
        while let Some(batch) = rows.next()? {
            let mut columns = Vec::with_capacity(by.len());
            // The columns of all keys are held together.
            let mut budget = Budget::new(strings_max(session), &check);
            for (number, (expression, _)) in by.iter().enumerate() {
                let mut expression = lock(expression);
                columns.push(expression.evaluate_within(&batch, &self.env, &seeds, number, &mut budget)?);
                held.set(held_before + budget.bytes_built as usize)?;
            }
            seeds.pass(batch.rows);
            session.check()?;
            for row in 0..batch.rows {
                codes.extend(batch.columns.iter().map(|column| column[row]));
                for column in &columns {
                    let key: Key = match column.view(row) {
                        View::Error => None,
                        view => Some(sort_key(view).into()),
                    };
                    texts += key.as_ref().map_or(0, |key| key.len() + 16);
                    keys.push(key);
                }
            }
            count += batch.rows;
            held_before = codes.capacity() * size_of::<Code>() + keys.capacity() * size_of::<Key>() + texts + 8 * count;
            held.set(held_before)?;
        }
        let width = by.len();
        let compare = |one: u32, other: u32| {
            let (one, other) = (one as usize * width, other as usize * width);
            let mut keys = by.iter().enumerate().map(|(at, (_, by))| by.apply(keys[one + at].cmp(&keys[other + at])));
            keys.find(|order: &Ordering| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let rows = u32::try_from(count).map_err(|_| Fault::internal("more than 2^32 rows in memory"))?;
        let order = sorted(rows, &compare, &|| session.check())?;
        Ok(Sorted { codes, order: order.into_iter(), _held: held })
    }
}

impl Stream for Sort {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        if self.sorted.is_none() {
            self.sorted = Some(self.sort()?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(None) };
        let width = self.operator.variables.len();
        let mut batch = Batch::new(width);
        for row in sorted.order.by_ref().take(ROWS_MAX) {
            batch.push(sorted.codes[row as usize * width..(row as usize + 1) * width].iter().copied());
        }
        self.env.run.session.check()?;
        Ok((batch.rows > 0).then_some(batch))
    }
}

/// The numbers below `count` in a stable order: short runs are sorted and then merged, with checks between.
pub fn sorted(
    count: u32,
    compare: &dyn Fn(u32, u32) -> Ordering,
    check: &dyn Fn() -> Result<(), Fault>,
) -> Result<Vec<u32>, Fault> {
    let mut rows: Vec<u32> = (0..count).collect();
    for run in rows.chunks_mut(RUN_ROWS) {
        check()?;
        run.sort_by(|one, other| compare(*one, *other));
    }
    let mut length = RUN_ROWS;
    let mut merged = Vec::with_capacity(rows.len());
    while length < rows.len() {
        merged.clear();
        for pair in rows.chunks(2 * length) {
            let (mut left, mut right) = pair.split_at(length.min(pair.len()));
            while let ([one, ..], [other, ..]) = (left, right) {
                if compare(*one, *other).is_le() {
                    merged.push(*one);
                    left = &left[1..];
                } else {
                    merged.push(*other);
                    right = &right[1..];
                }
                if merged.len() % RUN_ROWS == 0 {
                    check()?;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut rows, &mut merged);
        length *= 2;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Reason;
    use std::cell::Cell;

    #[test]
    fn runs_are_merged_in_a_stable_order() {
        for count in [0, 1, 1_023, 1_024, 1_025, 5_000] {
            let key = |row: u32| row.wrapping_mul(2_654_435_761) % 97;
            let found = sorted(count, &|one, other| key(one).cmp(&key(other)), &|| Ok(())).unwrap();
            let mut expected: Vec<u32> = (0..count).collect();
            expected.sort_by_key(|row| key(*row));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_sort_can_be_stopped() {
        let left = Cell::new(20);
        let check = || {
            left.set(left.get() - 1);
            if left.get() == 0 { Err(Fault::new(Reason::Cancelled, "enough")) } else { Ok(()) }
        };
        assert!(sorted(1 << 20, &|one, other| other.cmp(&one), &check).is_err());
    }
}
