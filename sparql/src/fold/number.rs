//! SUM and AVG: numbers are added as the operator `+` adds them, in the widest type among them.

use super::Rows;
use super::aggregate::{Accumulate, computed};
use super::decoded::Decoded;
use crate::plan::codes::Codes;
use crate::session::term::EvalTerm;
use entail_model::Fault;
use oxrdf::Term;
use oxsdatatypes::{Decimal, Double, Float, Integer};
use spareval::ExpressionTerm;

/// A number of one of the types that are added.
#[derive(Clone, Copy)]
enum Number {
    Integer(Integer),
    Decimal(Decimal),
    Float(Float),
    Double(Double),
}

impl Number {
    /// The number that a term is.
    fn of(term: Term) -> Option<Self> {
        Some(match ExpressionTerm::from(term) {
            ExpressionTerm::IntegerLiteral(value) => Self::Integer(value),
            ExpressionTerm::DecimalLiteral(value) => Self::Decimal(value),
            ExpressionTerm::FloatLiteral(value) => Self::Float(value),
            ExpressionTerm::DoubleLiteral(value) => Self::Double(value),
            _ => return None,
        })
    }

    fn double(self) -> Double {
        match self {
            Self::Integer(value) => value.into(),
            Self::Decimal(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Double(value) => value,
        }
    }

    /// As a float; never called for a double.
    fn float(self) -> Float {
        match self {
            Self::Integer(value) => value.into(),
            Self::Decimal(value) => value.into(),
            Self::Float(value) => value,
            Self::Double(value) => value.into(),
        }
    }

    /// The sum; `None` if it does not fit its type.
    fn plus(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Double(_), _) | (_, Self::Double(_)) => Self::Double(self.double() + other.double()),
            (Self::Float(_), _) | (_, Self::Float(_)) => Self::Float(self.float() + other.float()),
            (Self::Integer(one), Self::Integer(other)) => Self::Integer(one.checked_add(other)?),
            (Self::Integer(one), Self::Decimal(other)) | (Self::Decimal(other), Self::Integer(one)) => {
                Self::Decimal(other.checked_add(one)?)
            }
            (Self::Decimal(one), Self::Decimal(other)) => Self::Decimal(one.checked_add(other)?),
        })
    }

    fn divided_by(self, count: Integer) -> Option<Self> {
        Some(match self {
            Self::Integer(value) => Self::Decimal(Decimal::from(value).checked_div(count)?),
            Self::Decimal(value) => Self::Decimal(value.checked_div(count)?),
            Self::Float(value) => Self::Float(value / Float::from(count)),
            Self::Double(value) => Self::Double(value / Double::from(count)),
        })
    }

    fn term(self) -> Term {
        match self {
            Self::Integer(value) => ExpressionTerm::IntegerLiteral(value),
            Self::Decimal(value) => ExpressionTerm::DecimalLiteral(value),
            Self::Float(value) => ExpressionTerm::FloatLiteral(value),
            Self::Double(value) => ExpressionTerm::DoubleLiteral(value),
        }
        .into()
    }
}

/// Adds up the numbers of each group.
pub struct Sum {
    cell: usize,
    is_average: bool,
    numbers: Decoded<Option<Number>>,
    /// Sum and count; `None` after an error.
    sums: Vec<Option<(Number, i64)>>,
}

impl Sum {
    /// The sum of the values in a cell.
    pub fn new(cell: usize) -> Self {
        Self { cell, is_average: false, numbers: Decoded::new(Number::of, |_| 0), sums: Vec::new() }
    }

    /// The average of the values in a cell.
    pub fn average(cell: usize) -> Self {
        Self { is_average: true, ..Self::new(cell) }
    }
}

impl Accumulate for Sum {
    fn begin(&mut self) {
        self.sums.push(Some((Number::Integer(0.into()), 0)));
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<(), Fault> {
        self.numbers.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[u64], _times: u64) {
        let number = self.numbers.get(row[self.cell]).copied().flatten();
        let sum = &mut self.sums[group];
        *sum = sum.zip(number).and_then(|((sum, count), number)| Some((sum.plus(number)?, count + 1)));
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<Option<(Number, i64)>>()
    }

    fn finish(&self, group: usize, _names: &Codes) -> Option<EvalTerm> {
        let (sum, count) = self.sums[group]?;
        let number = if self.is_average && count > 0 { sum.divided_by(count.into())? } else { sum };
        Some(computed(number.term()))
    }
}
