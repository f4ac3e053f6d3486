//! Aggregates (18.5.1): the list of the values of a group, with errors as elements, and what becomes of it.

use crate::evaluate::{Evaluator, Place};
use crate::expression::{Row, number_of};
use crate::number::Number;
use crate::query::{Aggregate, Fold};
use crate::value::{same_term, sort_order};
use crate::{Fail, Solution, or_unbound, undecided};
use oxrdf::{Literal, Term};
use std::cmp::Ordering;
use std::collections::HashSet;

impl Evaluator<'_> {
    pub fn aggregate(&self, aggregate: &Aggregate, group: &[Solution], place: Place<'_>) -> Result<Term, Fail> {
        let Some(argument) = &aggregate.argument else {
            return Ok(count(if aggregate.is_distinct { distinct_solutions(group) } else { group.len() }));
        };
        let mut values = Vec::new();
        for solution in group {
            let row = Row { solution, group: None, place, number: self.number() };
            values.push(or_unbound(self.expression(argument, &row))?);
        }
        if aggregate.is_distinct {
            values = distinct(values);
        }
        if aggregate.function == Fold::Count {
            return Ok(count(values.iter().flatten().count()));
        }
        fold(&aggregate.function, &values)
    }
}

fn count(number: usize) -> Term {
    Literal::from(number as i64).into()
}

/// The number of different solutions, of their variables alone.
fn distinct_solutions(group: &[Solution]) -> usize {
    let visible = |solution: &Solution| -> Vec<(String, Term)> {
        solution.clone().into_iter().filter(|(name, _)| !name.starts_with("_:")).collect()
    };
    group.iter().map(visible).collect::<HashSet<_>>().len()
}

fn distinct(values: Vec<Option<Term>>) -> Vec<Option<Term>> {
    let mut kept: Vec<Option<Term>> = Vec::new();
    for value in values {
        let is_same = |own: &Option<Term>| match (own, &value) {
            (Some(own), Some(value)) => same_term(own, value),
            (own, value) => own.is_none() && value.is_none(),
        };
        if !kept.iter().any(is_same) {
            kept.push(value);
        }
    }
    kept
}

fn fold(function: &Fold, values: &[Option<Term>]) -> Result<Term, Fail> {
    match function {
        Fold::Sum => Ok(sum(values)?.literal().into()),
        // Sum / Count, and 0 where Count is 0: errors are not counted, but make the sum an error.
        Fold::Avg if values.iter().flatten().count() == 0 => Ok(count(0)),
        Fold::Avg => Ok(sum(values)?.over(Number::Integer(values.len() as i128))?.literal().into()),
        Fold::Min => first(values, Ordering::Less),
        Fold::Max => first(values, Ordering::Greater),
        Fold::Sample => match values {
            [] => Err(Fail::Error),
            [one, others @ ..] if others.iter().all(|other| other == one) => one.clone().ok_or(Fail::Error),
            _ => Err(undecided("a sample of different terms")),
        },
        Fold::GroupConcat(separator) => {
            let texts = values.iter().map(|value| text(value.as_ref().ok_or(Fail::Error)?));
            let texts = texts.collect::<Result<Vec<String>, Fail>>()?;
            Ok(Literal::new_simple_literal(texts.join(separator)).into())
        }
        Fold::Count => unreachable!("counted before"),
    }
}

fn sum(values: &[Option<Term>]) -> Result<Number, Fail> {
    let mut sum = Number::Integer(0);
    for value in values.iter().rev() {
        sum = number_of(value.as_ref().ok_or(Fail::Error)?)?.plus(sum, 1)?;
    }
    Ok(sum)
}

/// The element that no other is before, in the order of ORDER BY: an error is before everything.
fn first(values: &[Option<Term>], order: Ordering) -> Result<Term, Fail> {
    if values.is_empty() {
        return Err(Fail::Error);
    }
    for value in values {
        let mut is_first = true;
        for other in values {
            let found = sort_order(value.as_ref(), other.as_ref())?;
            is_first &= found == Some(Ordering::Equal) || found == Some(order);
        }
        if is_first {
            return value.clone().ok_or(Fail::Error);
        }
    }
    Err(undecided("the first of terms that are in no order"))
}

/// GROUP_CONCAT takes the texts of terms, as other implementations do; the standard's CONCAT knows strings only.
fn text(term: &Term) -> Result<String, Fail> {
    match term {
        Term::NamedNode(node) => Ok(node.as_str().to_owned()),
        Term::Literal(literal) => Ok(literal.value().to_owned()),
        Term::BlankNode(_) | Term::Triple(_) => Err(Fail::Error),
    }
}
