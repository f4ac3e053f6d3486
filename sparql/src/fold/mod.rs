//! Operators that keep little of many rows: groups, and the first rows in an order. They take the rows of a leaf as they
//! come, as codes, so only what is kept takes memory, and only what is looked into or shown is decoded.
//!
//! ```text
//! leaf ──pieces of rows──► groups: the cells of GROUP BY ──► an accumulator for each aggregate ──► a row for each group
//!                     └──► top: the k best rows so far ─────────────────────────────────────────► these, in order
//! ```
//!
//! In the algebra a folded leaf is a service as others are: HAVING, expressions over aggregates, and everything around them
//! are the evaluator's.

mod aggregate;
mod decoded;
mod extreme;
mod group;
mod joined;
mod number;
mod top;

use crate::evaluate::rows::Codes;
use crate::evaluate::session::Session;
use crate::evaluate::term::EvalTerm;
use crate::plan::piece::{Columns, PieceRows, Repetitions};
use crate::rewrite::body::Body;
use entail_model::Fault;
use oxrdf::Variable;
use serde_json::{Value, json};
use spargebra::algebra::AggregateExpression;
use std::ops::Range;
use std::sync::Arc;

pub use aggregate::Aggregate;
pub use top::By;

/// What becomes of a leaf's rows.
#[derive(Clone, Debug)]
pub enum Fold {
    Group(Group),
    Top(Top),
}

/// GROUP BY with its aggregates, each of which gives a variable.
#[derive(Clone, Debug)]
pub struct Group {
    pub by: Vec<Variable>,
    pub aggregates: Vec<(Variable, Aggregate)>,
}

/// The first rows in an order.
#[derive(Clone, Debug)]
pub struct Top {
    pub by: Vec<(Variable, By)>,
    pub shown: Vec<Variable>,
    pub length: usize,
    /// Is each row wanted once? Then it is ordered by what it shows.
    pub distinct: bool,
}

/// A row of what a fold gives.
pub type Row = Vec<Option<EvalTerm>>;

/// The rows that a fold gives, made one by one from what it keeps.
pub type Folded = Box<dyn Iterator<Item = Row>>;

/// Rows that are looked at together. A batch that is only counted may stand for any number.
const ROWS: usize = 4096;

/// Rows that came together, as codes.
pub struct Rows<'r> {
    pub session: &'r Session,
    pub names: &'r Codes,
    width: usize,
    codes: Vec<u64>,
    /// For how many each row stands.
    times: Vec<u64>,
}

impl<'r> Rows<'r> {
    fn new(session: &'r Session, names: &'r Codes, width: usize) -> Self {
        Self { session, names, width, codes: Vec::new(), times: Vec::new() }
    }

    /// Gives all rows of a batch, some at a time; as one, where they are the same and only counted.
    fn each_of(
        &mut self,
        columns: &Columns,
        piece: &PieceRows,
        mut give: impl FnMut(&Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let all = columns.batch.rows;
        let is_number = columns.batch.columns.iter().all(Vec::is_empty);
        if is_number && all > 0 && piece.piece().repetitions == Repetitions::Counted {
            self.take(columns, piece, 0..1);
            self.times[0] = self.times[0].saturating_mul(all as u64);
            return give(self);
        }
        for start in (0..all).step_by(ROWS) {
            self.session.check()?;
            self.take(columns, piece, start..all.min(start + ROWS));
            give(self)?;
        }
        Ok(())
    }

    /// Takes rows of a batch in place of those that were here.
    fn take(&mut self, columns: &Columns, piece: &PieceRows, rows: Range<usize>) {
        self.codes.clear();
        self.times.clear();
        for row in rows {
            self.times.push(piece.times(columns, row));
            self.codes.extend((0..self.width).map(|cell| self.names.get(columns, row, cell)));
        }
    }

    /// The rows: their cells, and for how many each stands.
    pub fn each(&self) -> impl Iterator<Item = (&[u64], u64)> {
        self.times
            .iter()
            .enumerate()
            .map(|(row, times)| (&self.codes[row * self.width..(row + 1) * self.width], *times))
    }

    /// The cells of a column.
    pub fn column(&self, cell: usize) -> impl Iterator<Item = u64> {
        self.codes.iter().skip(cell).step_by(self.width.max(1)).copied()
    }
}

impl Fold {
    /// The fold of a GROUP BY over bodies; `None` if it looks into more than variables.
    pub fn group(bodies: &[Body], by: &[Variable], aggregates: &[(Variable, AggregateExpression)]) -> Option<Self> {
        let aggregates = aggregates.iter().map(|(name, aggregate)| {
            let aggregate = Aggregate::of(aggregate, || visible(bodies))?;
            Some((name.clone(), aggregate))
        });
        let mut by = by.to_vec();
        by.sort_unstable();
        by.dedup();
        Some(Self::Group(Group { by, aggregates: aggregates.collect::<Option<_>>()? }))
    }

    /// The variables that it needs of the leaf, each once; first those that decide what becomes of a row.
    pub fn inputs(&self) -> Vec<Variable> {
        let mut inputs = Vec::new();
        let mut add = |variables: &[Variable]| {
            for variable in variables {
                if !inputs.contains(variable) {
                    inputs.push(variable.clone());
                }
            }
        };
        match self {
            Self::Group(group) => {
                add(&group.by);
                group.aggregates.iter().for_each(|(_, aggregate)| add(aggregate.inputs()));
            }
            Self::Top(top) => {
                top.by.iter().for_each(|(variable, _)| add(std::slice::from_ref(variable)));
                add(&top.shown);
            }
        }
        inputs
    }

    /// The variables that it gives.
    pub fn outputs(&self) -> Vec<Variable> {
        match self {
            Self::Group(group) => {
                group.by.iter().chain(group.aggregates.iter().map(|(name, _)| name)).cloned().collect()
            }
            Self::Top(top) => top.shown.clone(),
        }
    }

    /// What it needs of rows that are the same.
    pub fn repetitions(&self) -> Repetitions {
        match self {
            Self::Group(group) if group.aggregates.iter().all(|(_, aggregate)| aggregate.counts()) => {
                Repetitions::Counted
            }
            Self::Top(top) if top.distinct => Repetitions::Counted,
            Self::Group(_) | Self::Top(_) => Repetitions::Together,
        }
    }

    /// Takes in all rows of a piece.
    ///
    /// # Errors
    /// `LimitExceeded` when too much is kept; what the piece gives.
    pub fn run(&self, session: &Arc<Session>, rows: &mut PieceRows) -> Result<Folded, Fault> {
        match self {
            Self::Group(group) => Ok(Box::new(group::run(group, &self.inputs(), session, rows)?)),
            Self::Top(top) => Ok(Box::new(top::run(top, &self.inputs(), session, rows)?)),
        }
    }

    /// How the fold is explained.
    pub fn explain(&self) -> Value {
        let words = |words: Vec<String>| words.join(" ");
        let (op, detail) = match self {
            Self::Group(group) => {
                let by = group.by.iter().map(ToString::to_string);
                let aggregates = group.aggregates.iter().map(|(name, aggregate)| format!("{name} := {aggregate}"));
                ("group", words(by.chain(aggregates).collect()))
            }
            Self::Top(top) => {
                let by = words(top.by.iter().map(|(variable, by)| by.words(variable)).collect());
                ("first rows", format!("{} by {by}", top.length))
            }
        };
        json!({ "op": op, "detail": detail })
    }
}

/// The variables of the bodies' solutions; those that stand for blank nodes are none.
fn visible(bodies: &[Body]) -> Vec<Variable> {
    let all = crate::rewrite::leaf::variables(bodies);
    all.into_iter().filter(|variable| !variable.as_str().starts_with("_:")).collect()
}

/// Where the variables are among the inputs.
fn places(inputs: &[Variable], variables: &[Variable]) -> Vec<usize> {
    let place = |variable| inputs.iter().position(|input| input == variable).expect("inputs have what is asked for");
    variables.iter().map(place).collect()
}
