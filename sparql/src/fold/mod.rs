//! Operators whose memory grows with their result, not with their input: groups, and the first rows in an order. They
//! read the rows of a leaf as codes, and decode only terms that are output or that aggregates read.
//!
//! ```text
//! leaf ──rows as codes──► groups: the cells of GROUP BY ──► an accumulator for each aggregate ──► a row for each group
//!                    └──► top: the k best rows so far ─────────────────────────────────────────► these, in order
//! ```
//!
//! In the algebra a folded leaf is a leaf like any other: HAVING, expressions over aggregates, and everything around them
//! stay with the [evaluator](crate::evaluate), which has the same accumulators for its own groups.

pub(crate) mod aggregate;
pub(crate) mod decoded;
mod extreme;
pub(crate) mod group;
mod joined;
mod number;
mod top;

use crate::plan::codes::Codes;
use crate::plan::union::{Columns, UnionRows};
use crate::rewrite::fold::{Fold, Repetitions};
use crate::session::Session;
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_expression::Value;
use entail_model::Fault;
use oxrdf::Variable;
use std::ops::Range;
use std::sync::Arc;

/// Consumes all rows of a leaf and returns the rows of the fold.
///
/// # Errors
/// `LimitExceeded` when groups, values or sorted rows need too much memory; errors of the leaf.
pub(crate) fn run(fold: &Fold, session: &Arc<Session>, rows: &mut UnionRows) -> Result<Folded, Fault> {
    match fold {
        Fold::Group(group) => Ok(Box::new(group::run(group, &fold.inputs(), session, rows)?)),
        Fold::Top(top) => Ok(Box::new(top::run(top, &fold.inputs(), session, rows)?)),
    }
}

/// An output row of a fold.
pub type Row = Vec<Made>;

/// A cell of an output row.
#[derive(Clone, Debug)]
pub enum Made {
    /// A cell of the input.
    Code(Code),
    /// A value that was computed; an error is an unbound cell.
    Value(Value),
}

/// The output rows of a fold, computed one by one from its state.
pub type Folded = Box<dyn Iterator<Item = Row>>;

/// Rows that are processed together. A batch that is only counted may stand for any number of rows.
const ROWS: usize = 4096;

/// Rows that arrived together, as codes.
pub struct Rows<'r> {
    pub session: &'r Session,
    pub width: usize,
    /// Row after row.
    pub codes: Vec<Code>,
    /// The number of rows that each row stands for.
    pub times: Vec<u64>,
}

impl<'r> Rows<'r> {
    /// No rows, of `width` codes each.
    pub fn new(session: &'r Session, width: usize) -> Self {
        Self { session, width, codes: Vec::new(), times: Vec::new() }
    }

    /// Passes all rows of a batch to `give`, as many at a time as it has room for; as one row with a count, if they are equal and
    /// only counted.
    fn each_of(
        &mut self,
        columns: &Columns,
        names: &Codes,
        input: &UnionRows,
        mut give: impl FnMut(&Self) -> Result<Fit<()>, Fault>,
    ) -> Result<(), Fault> {
        let all = columns.batch.rows;
        let is_number = columns.batch.columns.iter().all(Vec::is_empty);
        if is_number && all > 0 && input.plan().repetitions == Repetitions::Counted {
            self.take(columns, names, input, 0..1);
            self.times[0] = self.times[0].saturating_mul(all as u64);
            return give(self).map(|_| ());
        }
        let (mut start, mut rows) = (0, ROWS);
        while start < all {
            self.session.check()?;
            self.take(columns, names, input, start..all.min(start + rows));
            match give(self)? {
                Fit::Whole(()) => start += self.times.len(),
                Fit::Rows(fewer) => rows = fewer,
            }
        }
        Ok(())
    }

    /// Replaces these rows by rows of a batch.
    fn take(&mut self, columns: &Columns, names: &Codes, input: &UnionRows, rows: Range<usize>) {
        self.codes.clear();
        self.times.clear();
        for row in rows {
            self.times.push(input.times(columns, row));
            self.codes.extend((0..self.width).map(|cell| names.get(columns, row, cell)));
        }
    }

    /// The rows: their cells, and the number of rows that each stands for.
    pub fn each(&self) -> impl Iterator<Item = (&[Code], u64)> {
        self.times
            .iter()
            .enumerate()
            .map(|(row, times)| (&self.codes[row * self.width..(row + 1) * self.width], *times))
    }

    /// The cells of a column.
    pub fn column(&self, cell: usize) -> impl Iterator<Item = Code> {
        self.codes.iter().skip(cell).step_by(self.width.max(1)).copied()
    }
}

/// The positions of the variables among the inputs.
pub(crate) fn places(inputs: &[Variable], variables: &[Variable]) -> Vec<usize> {
    let place = |variable| inputs.iter().position(|input| input == variable).expect("inputs have what is asked for");
    variables.iter().map(place).collect()
}

/// The cells of some output rows as codes, row after row.
pub(crate) fn coded(session: &Session, rows: Vec<Row>) -> Result<Vec<Code>, Fault> {
    let mut codes = Vec::new();
    let (mut places, mut values) = (Vec::new(), Vec::new());
    for cell in rows.into_iter().flatten() {
        match cell {
            Made::Code(code) => codes.push(code),
            Made::Value(value) => {
                places.push(codes.len());
                values.push(value);
                codes.push(UNBOUND);
            }
        }
    }
    for (place, code) in places.into_iter().zip(session.known_codes(&values)?) {
        codes[place] = code;
    }
    Ok(codes)
}
