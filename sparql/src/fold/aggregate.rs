//! Accumulators of aggregates over variables: SPARQL 1.1, 18.5.1.
//!
//! A value that is unbound, or that the aggregate is not defined for, is an error. COUNT and SAMPLE skip errors, which come
//! before all values for MIN and MAX; the other aggregates give no value for a group with an error.

use super::extreme::Extreme;
use super::joined::Joined;
use super::number::Sum;
use super::{Made, Rows, places};
use crate::plan::codes::RowSet;
use crate::rewrite::fold::Aggregate;
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_expression::Value;
use entail_model::{Fault, TermId};
use entail_syntax::algebra::AggregateFunction;
use oxrdf::Variable;
use std::cmp::Ordering;

/// The accumulator of an aggregate over rows whose columns are `inputs`.
pub(crate) fn accumulator(aggregate: &Aggregate, inputs: &[Variable]) -> Box<dyn Accumulate> {
    let cells = places(inputs, &aggregate.of);
    let Some(function) = &aggregate.function else {
        return match aggregate.distinct {
            true => Box::new(Distinct::new(cells, Count::default())),
            false => Box::new(Count::default()),
        };
    };
    let cell = cells[0];
    match function {
        AggregateFunction::Count => distinct(aggregate, Count { cell: Some(cell), ..Count::default() }, cell),
        AggregateFunction::Sum => distinct(aggregate, Sum::new(cell), cell),
        AggregateFunction::Avg => distinct(aggregate, Sum::average(cell), cell),
        AggregateFunction::GroupConcat { separator } => {
            distinct(aggregate, Joined::new(cell, separator.as_deref().unwrap_or(" ")), cell)
        }
        AggregateFunction::Min => Box::new(Extreme::new(cell, Ordering::Less)),
        AggregateFunction::Max => Box::new(Extreme::new(cell, Ordering::Greater)),
        AggregateFunction::Sample => Box::new(Sample { cell, found: Vec::new() }),
    }
}

/// `inner`, behind a filter for repeated values if the aggregate is DISTINCT.
fn distinct<A: Accumulate + 'static>(aggregate: &Aggregate, inner: A, cell: usize) -> Box<dyn Accumulate> {
    match aggregate.distinct {
        true => Box::new(Distinct::new(vec![cell], inner)),
        false => Box::new(inner),
    }
}

/// Accumulates an aggregate's values, for all groups.
pub trait Accumulate {
    /// Begins the next group; groups are numbered from zero.
    fn begin(&mut self);

    /// Decodes the terms of rows before they are added, if their texts fit.
    ///
    /// # Errors
    /// Errors of the cluster.
    fn learn(&mut self, _rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        Ok(Fit::Whole(()))
    }

    /// Adds a row to a group, `times` times; more than once only if the aggregate [counts](Aggregate::counts).
    fn add(&mut self, group: usize, row: &[Code], times: u64);

    /// To be called after the rows of a batch were added.
    ///
    /// # Errors
    /// `LimitExceeded` if a value is too large.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Bytes in memory.
    fn bytes(&self) -> usize;

    /// The value of a group.
    fn finish(&self, group: usize) -> Made;
}

/// Counts rows, or rows that bind a cell.
#[derive(Default)]
struct Count {
    cell: Option<usize>,
    counts: Vec<u64>,
}

impl Accumulate for Count {
    fn begin(&mut self) {
        self.counts.push(0);
    }

    fn add(&mut self, group: usize, row: &[Code], times: u64) {
        self.counts[group] += if self.cell.is_none_or(|cell| row[cell] != UNBOUND) { times } else { 0 };
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }

    fn finish(&self, group: usize) -> Made {
        Made::Value(Value::integer(self.counts[group].into()))
    }
}

/// Passes each value of a group on once.
struct Distinct<A> {
    cells: Vec<usize>,
    /// The group and the values.
    seen: RowSet,
    inner: A,
    row: Vec<Code>,
}

impl<A> Distinct<A> {
    fn new(cells: Vec<usize>, inner: A) -> Self {
        Self { seen: RowSet::new(cells.len() + 1), cells, inner, row: Vec::new() }
    }
}

impl<A: Accumulate> Accumulate for Distinct<A> {
    fn begin(&mut self) {
        self.inner.begin();
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        self.inner.learn(rows)
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        self.row.clear();
        self.row.push(TermId(group as u64));
        self.row.extend(self.cells.iter().map(|cell| row[*cell]));
        if self.seen.is_new(&self.row) {
            self.inner.add(group, row, 1);
        }
    }

    fn check(&self) -> Result<(), Fault> {
        self.inner.check()
    }

    fn bytes(&self) -> usize {
        self.seen.bytes() + self.inner.bytes()
    }

    fn finish(&self, group: usize) -> Made {
        self.inner.finish(group)
    }
}

/// Keeps the first value of each group.
struct Sample {
    cell: usize,
    found: Vec<Code>,
}

impl Accumulate for Sample {
    fn begin(&mut self) {
        self.found.push(UNBOUND);
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        if self.found[group] == UNBOUND {
            self.found[group] = row[self.cell];
        }
    }

    fn bytes(&self) -> usize {
        self.found.capacity() * size_of::<u64>()
    }

    fn finish(&self, group: usize) -> Made {
        Made::Code(self.found[group])
    }
}
