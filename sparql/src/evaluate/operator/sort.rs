//! ORDER BY: all rows by their sort keys, in a sort that can be interrupted.

use super::{Kind, Operator, Shared, Stream, open};
use crate::algebra::order::sort_key;
use crate::evaluate::batch::{Batch, ROWS_MAX};
use crate::evaluate::expression::{Seeds, strings_max};
use crate::evaluate::run::Env;
use crate::rewrite::fold::SortOrder;
use crate::session::code::Code;
use crate::session::lock;
use crate::session::memory::Reservation;
use crate::session::texts::Fit;
use entail_expression::value::View;
use entail_expression::{Budget, Column};
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

/// The rows so far with their keys, row after row.
struct Gathered {
    codes: Vec<Code>,
    keys: Vec<Key>,
    /// Bytes of the keys' texts.
    texts: usize,
    rows: usize,
    held: Reservation,
}

impl Gathered {
    fn bytes(&self) -> usize {
        let cells = self.codes.capacity() * size_of::<Code>() + self.keys.capacity() * size_of::<Key>();
        cells + self.texts + 8 * self.rows
    }

    /// Adds rows with the columns of their keys.
    fn add(&mut self, batch: &Batch, columns: Vec<Vec<Key>>) -> Result<(), Fault> {
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for row in 0..batch.rows {
            self.codes.extend(batch.columns.iter().map(|column| column[row]));
            self.keys.extend(columns.iter_mut().map(|column| column.next().flatten()));
        }
        let added = &self.keys[self.keys.len() - batch.rows * columns.len()..];
        self.texts += added.iter().map(text_bytes).sum::<usize>();
        self.rows += batch.rows;
        self.held.set(self.bytes())
    }
}

fn text_bytes(key: &Key) -> usize {
    key.as_ref().map_or(0, |key| key.len() + 16)
}

impl Sort {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Self {
        Self { operator, env: env.clone(), sorted: None }
    }

    fn sort(&self) -> Result<Sorted, Fault> {
        let Kind::Sort { inner, keys: by } = &self.operator.kind else { return Err(Fault::internal("no order")) };
        let Gathered { codes, keys, rows, held, .. } = self.gathered(inner, by)?;
        let width = by.len();
        let compare = |one: u32, other: u32| {
            let (one, other) = (one as usize * width, other as usize * width);
            let mut keys = by.iter().enumerate().map(|(at, (_, by))| by.apply(keys[one + at].cmp(&keys[other + at])));
            keys.find(|order: &Ordering| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let rows = u32::try_from(rows).map_err(|_| Fault::internal("more than 2^32 rows in memory"))?;
        let order = sorted(rows, &compare, &|| self.env.run.session.check())?;
        Ok(Sorted { codes, order: order.into_iter(), _held: held })
    }

    /// All rows of the input with their keys.
    fn gathered(&self, inner: &Arc<Operator>, by: &[(Shared, SortOrder)]) -> Result<Gathered, Fault> {
        let session = &self.env.run.session;
        let (mut rows, mut seeds) = (open(inner, &self.env)?, Seeds::new(session));
        let (codes, keys, held) = (Vec::new(), Vec::new(), session.reservation());
        let mut all = Gathered { codes, keys, texts: 0, rows: 0, held };
        while let Some(batch) = rows.next()? {
            let (mut at, mut at_once) = (0, batch.rows);
            while at < batch.rows {
                at_once = at_once.min(batch.rows - at);
                let piece = batch.piece(at, at_once);
                match self.keys(&piece, by, &seeds, &mut all)? {
                    Fit::Rows(fewer) => at_once = fewer,
                    Fit::Whole(columns) => {
                        all.add(&piece, columns)?;
                        seeds.pass(piece.rows);
                        at += piece.rows;
                    }
                }
                session.check()?;
            }
        }
        Ok(all)
    }

    /// The keys of rows, by columns. They count before they are added.
    fn keys(
        &self,
        piece: &Batch,
        by: &[(Shared, SortOrder)],
        seeds: &Seeds,
        all: &mut Gathered,
    ) -> Result<Fit<Vec<Vec<Key>>>, Fault> {
        let session = &self.env.run.session;
        let check = || session.check();
        let (mut columns, mut bytes) = (Vec::with_capacity(by.len()), all.bytes());
        for (number, (expression, _)) in by.iter().enumerate() {
            let mut budget = Budget::new(strings_max(session), &check);
            let column = match lock(expression).evaluate(piece, &self.env, seeds, number, &mut budget)? {
                Fit::Rows(fewer) => return Ok(Fit::Rows(fewer)),
                Fit::Whole(column) => column,
            };
            all.held.set(bytes + budget.bytes_built as usize)?;
            let keys = keys_of(&column);
            bytes += keys.iter().map(text_bytes).sum::<usize>() + keys.len() * size_of::<Key>();
            all.held.set(bytes)?;
            columns.push(keys);
        }
        Ok(Fit::Whole(columns))
    }
}

fn keys_of(column: &Column) -> Vec<Key> {
    let key = |row| match column.view(row) {
        View::Error => None,
        view => Some(sort_key(view).into()),
    };
    (0..column.len()).map(key).collect()
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
