//! Expressions (17): operators, functional forms, and the calls of functions.

use crate::evaluate::{Evaluator, Place};
use crate::number::Number;
use crate::query::*;
use crate::value::{self, Value, equal, is_true, order};
use crate::{Fail, Solution, function, undecided};
use oxrdf::{BlankNode, Literal, Term};
use std::cmp::Ordering;

/// What an expression is evaluated for.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    pub solution: &'r Solution,
    /// The solutions of the row's group, for aggregates.
    pub group: Option<&'r [Solution]>,
    pub place: Place<'r>,
    /// Tells solutions apart, for BNODE with a label.
    pub number: u64,
}

pub fn boolean(value: bool) -> Term {
    Literal::from(value).into()
}

/// The number that a term is.
pub fn number_of(term: &Term) -> Result<Number, Fail> {
    match Value::of(term)? {
        Value::Number(number) => Ok(number),
        _ => Err(Fail::Error),
    }
}

impl Evaluator<'_> {
    /// The effective boolean value of an expression.
    pub fn condition(&self, expression: &Expression, row: &Row<'_>) -> Result<bool, Fail> {
        is_true(&self.expression(expression, row)?)
    }

    pub fn expression(&self, expression: &Expression, row: &Row<'_>) -> Result<Term, Fail> {
        match expression {
            Expression::Variable(name) => row.solution.get(name).cloned().ok_or(Fail::Error),
            Expression::Term(term) => Ok(term.clone()),
            Expression::Or(one, other) => {
                either(self.condition(one, row), self.condition(other, row), true).map(boolean)
            }
            Expression::And(one, other) => {
                either(self.condition(one, row), self.condition(other, row), false).map(boolean)
            }
            Expression::Not(one) => Ok(boolean(!self.condition(one, row)?)),
            Expression::Compare(operator, one, other) => {
                let (one, other) = (self.expression(one, row)?, self.expression(other, row)?);
                compare(*operator, &one, &other).map(boolean)
            }
            Expression::In(one, list) => self.is_in(one, list, row).map(boolean),
            Expression::NotIn(one, list) => Ok(boolean(!self.is_in(one, list, row)?)),
            Expression::Compute(operator, one, other) => {
                let one = number_of(&self.expression(one, row)?)?;
                let other = number_of(&self.expression(other, row)?)?;
                Ok(compute(*operator, one, other)?.literal().into())
            }
            Expression::Negative(one) => Ok(number_of(&self.expression(one, row)?)?.negative().literal().into()),
            Expression::Call(function, arguments) => self.call(*function, arguments, row),
            Expression::Exists(group) => Ok(boolean(self.exists(group, row.solution, row.place)?)),
            Expression::Aggregate(aggregate) => {
                let group = row.group.ok_or_else(|| undecided("an aggregate without groups"))?;
                self.aggregate(aggregate, group, row.place)
            }
        }
    }

    /// `IN`: a disjunction of `=`.
    fn is_in(&self, one: &Expression, list: &[Expression], row: &Row<'_>) -> Result<bool, Fail> {
        let one = self.expression(one, row)?;
        list.iter().try_fold(Ok(false), |found: Result<bool, Fail>, item| {
            let is_equal = self.expression(item, row).and_then(|item| equal(&one, &item));
            match either(found, is_equal, true) {
                Err(undecided @ Fail::Undecided(_)) => Err(undecided),
                found => Ok(found),
            }
        })?
    }

    fn call(&self, function: Function, arguments: &[Expression], row: &Row<'_>) -> Result<Term, Fail> {
        match (function, arguments) {
            (Function::Bound, [Expression::Variable(name)]) => Ok(boolean(row.solution.contains_key(name))),
            (Function::If, [condition, one, other]) => {
                self.expression(if self.condition(condition, row)? { one } else { other }, row)
            }
            (Function::Coalesce, _) => {
                for argument in arguments {
                    match self.expression(argument, row) {
                        Err(Fail::Error) => {}
                        found => return found,
                    }
                }
                Err(Fail::Error)
            }
            (Function::Bnode, []) => Ok(BlankNode::new_unchecked(format!("new{}", self.number())).into()),
            (Function::Bnode, [label]) => {
                let label = self.expression(label, row)?;
                let Value::Text(label) = Value::of(&label)? else { return Err(Fail::Error) };
                let label: String = label.bytes().map(|byte| format!("{byte:x}")).collect();
                Ok(BlankNode::new_unchecked(format!("row{}label{label}", row.number)).into())
            }
            _ => {
                let terms = arguments.iter().map(|argument| self.expression(argument, row));
                function::call(function, &terms.collect::<Result<Vec<Term>, Fail>>()?)
            }
        }
    }
}

/// `||` (`decides` is true) and `&&` (false): one operand may decide, even beside an error.
fn either(one: Result<bool, Fail>, other: Result<bool, Fail>, decides: bool) -> Result<bool, Fail> {
    match (one, other) {
        (Err(undecided @ Fail::Undecided(_)), _) | (_, Err(undecided @ Fail::Undecided(_))) => Err(undecided),
        (Ok(value), _) | (_, Ok(value)) if value == decides => Ok(decides),
        (Ok(_), Ok(_)) => Ok(!decides),
        _ => Err(Fail::Error),
    }
}

fn compare(operator: Comparison, one: &Term, other: &Term) -> Result<bool, Fail> {
    let is = |holds: fn(Ordering) -> bool| order(one, other).map(|order| order.is_some_and(holds));
    match operator {
        Comparison::Equal => equal(one, other),
        Comparison::NotEqual => not_equal(one, other),
        Comparison::Less => is(Ordering::is_lt),
        Comparison::LessOrEqual => is(Ordering::is_le),
        Comparison::Greater => is(Ordering::is_gt),
        Comparison::GreaterOrEqual => is(Ordering::is_ge),
    }
}

fn not_equal(one: &Term, other: &Term) -> Result<bool, Fail> {
    equal(one, other).map(|equal| !equal)
}

fn compute(operator: Arithmetic, one: Number, other: Number) -> Result<Number, Fail> {
    match operator {
        Arithmetic::Add => one.plus(other, 1),
        Arithmetic::Subtract => one.plus(other, -1),
        Arithmetic::Multiply => one.times(other),
        Arithmetic::Divide => one.over(other),
    }
}

/// sameTerm as a function.
pub fn same(one: &Term, other: &Term) -> Term {
    boolean(value::same_term(one, other))
}
