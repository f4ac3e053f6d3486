//! Comparisons of two columns. Inline integers, most numbers of most graphs, are compared without making a value of them.

use super::Run;
use super::operand::{Operand, inline_integer, small_integer};
use crate::Budget;
use crate::column::{Source, Truth};
use crate::compare;
use crate::program::Index;
use crate::value::{Value, View};
use entail_model::{Fault, TermId};
use entail_syntax::ast::Comparison;
use std::cmp::Ordering;

impl Run<'_> {
    pub(super) fn compare(
        &self,
        operator: Comparison,
        left: Index,
        right: Index,
        rows: &[u32],
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Truth>, Fault> {
        let left = self.operand(left, rows, budget)?;
        let right = self.operand(right, rows, budget)?;
        if let Some(number) = constant_integer(&right)
            && let Operand::Source(Source::Ids { ids, .. }, _) = &left
        {
            return with_integer(operator, ids, number, rows, |at| (left.view(at), right.view(at)));
        }
        let mut truths = Vec::with_capacity(rows.len());
        for at in 0..rows.len() {
            let (one, other) = (left.view(at), right.view(at));
            if let (Some(one), Some(other)) = (small_integer(one), small_integer(other)) {
                truths.push(Truth::of(Some(holds(operator, one.cmp(&other)))));
                continue;
            }
            budget.work(one.bytes().min(other.bytes()))?;
            truths.push(Truth::of(compare::compare(operator, one, other)?));
        }
        Ok(truths)
    }
}

/// The integer that an operand is in all rows, if it is inline.
fn constant_integer(operand: &Operand<'_>) -> Option<i64> {
    match operand {
        Operand::Constant(Value::Stored { id, text: None }, _) => inline_integer(*id),
        _ => None,
    }
}

/// A column of ids compared with one integer. `views` gives both values of a place, for rows that are no inline integers.
fn with_integer<'v>(
    operator: Comparison,
    ids: &[TermId],
    number: i64,
    rows: &[u32],
    views: impl Fn(usize) -> (View<'v>, View<'v>),
) -> Result<Vec<Truth>, Fault> {
    let mut truths = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let truth = match inline_integer(ids[*row as usize]) {
            Some(value) => Some(holds(operator, value.cmp(&number))),
            None => {
                let (one, other) = views(at);
                compare::compare(operator, one, other)?
            }
        };
        truths.push(Truth::of(truth));
    }
    Ok(truths)
}

#[inline]
fn holds(operator: Comparison, order: Ordering) -> bool {
    match operator {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
