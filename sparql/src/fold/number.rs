//! SUM and AVG: numbers are added as the operator `+` adds them, in the widest type among them.

use super::aggregate::Accumulate;
use super::decoded::Decoded;
use super::{Made, Rows};
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_expression::Value;
use entail_expression::value::number::Number;
use entail_expression::value::{Typed, View};
use entail_model::Fault;
use entail_model::term::{InlineValue, inline_value};
use entail_syntax::ast::Arithmetic;

/// The number that a term is.
fn number(view: View<'_>) -> Option<Number> {
    match view.typed() {
        Ok(Typed::Number(number)) => Some(number),
        _ => None,
    }
}

/// The integer that an id carries.
fn integer(code: Code) -> Option<Number> {
    match inline_value(code)? {
        InlineValue::Integer(number) => Some(Number::integer(number.into())),
        _ => None,
    }
}

/// Adds up the numbers of each group.
pub struct Sum {
    cell: usize,
    is_average: bool,
    numbers: Decoded<Option<Number>>,
    /// The sum, `None` after an error, and how many values there are.
    sums: Vec<(Option<Number>, i64)>,
}

impl Sum {
    /// The sum of the values in a cell.
    pub fn new(cell: usize) -> Self {
        Self { cell, is_average: false, numbers: Decoded::new(number, |_| 0), sums: Vec::new() }
    }

    /// The average of the values in a cell.
    pub fn average(cell: usize) -> Self {
        Self { is_average: true, ..Self::new(cell) }
    }
}

impl Accumulate for Sum {
    fn begin(&mut self) {
        self.sums.push((Some(Number::integer(0)), 0));
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        // Integers that their ids carry need no decoding.
        if rows.column(self.cell).all(|code| code == UNBOUND || integer(code).is_some()) {
            return Ok(Fit::Whole(()));
        }
        self.numbers.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        let cell = row[self.cell];
        let number = integer(cell).or_else(|| self.numbers.get(cell).copied().flatten());
        let (sum, count) = &mut self.sums[group];
        *count += i64::from(row[self.cell] != UNBOUND);
        *sum = sum.zip(number).and_then(|(sum, number)| sum.compute(Arithmetic::Add, number));
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<(Option<Number>, i64)>()
    }

    fn finish(&self, group: usize) -> Made {
        let number = match self.sums[group] {
            // Of no values the average is zero, however many errors there are (18.5.1.4).
            (_, 0) if self.is_average => Some(Number::integer(0)),
            (sum, count) if self.is_average => {
                sum.and_then(|sum| sum.compute(Arithmetic::Divide, Number::integer(count.into())))
            }
            (sum, _) => sum,
        };
        Made::Value(number.map_or(Value::Error, Value::Number))
    }
}
