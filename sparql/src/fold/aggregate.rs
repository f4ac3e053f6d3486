//! Aggregates over variables, and what accumulates their values: SPARQL 1.1, 18.5.1.
//!
//! An error is a value that is not bound, or is none that the aggregate works on. COUNT and SAMPLE pass over errors, the
//! others have none then, for their group.

use super::extreme::Extreme;
use super::joined::Joined;
use super::number::Sum;
use super::{Rows, places};
use crate::evaluate::rows::{Codes, RowSet, UNBOUND};
use crate::evaluate::term::EvalTerm;
use entail_model::{Fault, term};
use oxrdf::vocab::xsd;
use oxrdf::{Literal, Term, Variable};
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// An aggregate over variables.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// `None`: whole solutions.
    function: Option<AggregateFunction>,
    of: Vec<Variable>,
    distinct: bool,
}

impl Aggregate {
    /// The aggregate, if it is one over a variable or whole solutions, whose variables are `visible`.
    pub fn of(aggregate: &AggregateExpression, visible: impl FnOnce() -> Vec<Variable>) -> Option<Self> {
        match aggregate {
            AggregateExpression::CountSolutions { distinct } => {
                Some(Self { function: None, of: if *distinct { visible() } else { Vec::new() }, distinct: *distinct })
            }
            AggregateExpression::FunctionCall { name: AggregateFunction::Custom(_), .. } => None,
            AggregateExpression::FunctionCall { name, expr: Expression::Variable(of), distinct } => {
                Some(Self { function: Some(name.clone()), of: vec![of.clone()], distinct: *distinct })
            }
            AggregateExpression::FunctionCall { .. } => None,
        }
    }

    /// The variables that it reads.
    pub fn inputs(&self) -> &[Variable] {
        &self.of
    }

    /// Does it need no more of rows that are the same than how many they are?
    pub fn counts(&self) -> bool {
        let adds = matches!(
            self.function,
            Some(AggregateFunction::Sum | AggregateFunction::Avg | AggregateFunction::GroupConcat { .. })
        );
        self.distinct || !adds
    }

    /// What accumulates it from rows of these inputs.
    pub fn accumulator(&self, inputs: &[Variable]) -> Box<dyn Accumulate> {
        let cells = places(inputs, &self.of);
        let Some(function) = &self.function else {
            return match self.distinct {
                true => Box::new(Distinct::new(cells, Count::default())),
                false => Box::new(Count::default()),
            };
        };
        let cell = cells[0];
        match function {
            AggregateFunction::Count => self.counted(Count { cell: Some(cell), ..Count::default() }, cell),
            AggregateFunction::Sum => self.counted(Sum::new(cell), cell),
            AggregateFunction::Avg => self.counted(Sum::average(cell), cell),
            AggregateFunction::GroupConcat { separator } => {
                self.counted(Joined::new(cell, separator.as_deref().unwrap_or(" ")), cell)
            }
            AggregateFunction::Min => Box::new(Extreme::new(cell, Ordering::Less)),
            AggregateFunction::Max => Box::new(Extreme::new(cell, Ordering::Greater)),
            // The others were refused.
            AggregateFunction::Sample | AggregateFunction::Custom(_) => Box::new(Sample { cell, found: Vec::new() }),
        }
    }

    fn counted<A: Accumulate + 'static>(&self, inner: A, cell: usize) -> Box<dyn Accumulate> {
        match self.distinct {
            true => Box::new(Distinct::new(vec![cell], inner)),
            false => Box::new(inner),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        match &self.function {
            None => write!(f, "COUNT({distinct}*)"),
            Some(function) => write!(f, "{function}({distinct}{})", self.of[0]),
        }
    }
}

/// Accumulates an aggregate's values, for all groups.
pub trait Accumulate {
    /// One more group, numbered as they come.
    fn begin(&mut self);

    /// Looks into the terms of rows that are going to be added.
    ///
    /// # Errors
    /// What the cluster gives.
    fn learn(&mut self, _rows: &Rows<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Adds a row to a group, as often as it is there; only [counts](Aggregate::counts) get a row more than once.
    fn add(&mut self, group: usize, row: &[u64], times: u64);

    /// Bytes that are kept.
    fn bytes(&self) -> usize;

    /// What came of a group.
    fn finish(&self, group: usize, names: &Codes) -> Option<EvalTerm>;
}

/// A computed term.
pub fn computed(term: Term) -> EvalTerm {
    term::inline_id(term.as_ref()).map_or_else(|| EvalTerm::Computed(Arc::new(term)), EvalTerm::Id)
}

/// Counts rows, or those that bind a cell.
#[derive(Default)]
struct Count {
    cell: Option<usize>,
    counts: Vec<u64>,
}

impl Accumulate for Count {
    fn begin(&mut self) {
        self.counts.push(0);
    }

    fn add(&mut self, group: usize, row: &[u64], times: u64) {
        self.counts[group] += if self.cell.is_none_or(|cell| row[cell] != UNBOUND) { times } else { 0 };
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }

    fn finish(&self, group: usize, _names: &Codes) -> Option<EvalTerm> {
        Some(computed(Literal::new_typed_literal(self.counts[group].to_string(), xsd::INTEGER).into()))
    }
}

/// Hands on each value of a group once.
struct Distinct<A> {
    cells: Vec<usize>,
    /// The group and the values.
    seen: RowSet,
    inner: A,
    row: Vec<u64>,
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

    fn learn(&mut self, rows: &Rows<'_>) -> Result<(), Fault> {
        self.inner.learn(rows)
    }

    fn add(&mut self, group: usize, row: &[u64], _times: u64) {
        self.row.clear();
        self.row.push(group as u64);
        self.row.extend(self.cells.iter().map(|cell| row[*cell]));
        if self.seen.is_new(&self.row) {
            self.inner.add(group, row, 1);
        }
    }

    fn bytes(&self) -> usize {
        self.seen.bytes() + self.inner.bytes()
    }

    fn finish(&self, group: usize, names: &Codes) -> Option<EvalTerm> {
        self.inner.finish(group, names)
    }
}

/// Keeps the first value of each group.
struct Sample {
    cell: usize,
    found: Vec<u64>,
}

impl Accumulate for Sample {
    fn begin(&mut self) {
        self.found.push(UNBOUND);
    }

    fn add(&mut self, group: usize, row: &[u64], _times: u64) {
        if self.found[group] == UNBOUND {
            self.found[group] = row[self.cell];
        }
    }

    fn bytes(&self) -> usize {
        self.found.capacity() * size_of::<u64>()
    }

    fn finish(&self, group: usize, names: &Codes) -> Option<EvalTerm> {
        names.term(self.found[group])
    }
}
