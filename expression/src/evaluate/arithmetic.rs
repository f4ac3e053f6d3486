//! `+`, `-`, `*` and `/`: of numbers, and sums and differences of dates and durations (SEP-0002).

use super::Run;
use super::operand::{Operand, small_integer};
use crate::Budget;
use crate::column::Column;
use crate::program::Index;
use crate::value::{Typed, Value, View};
use entail_model::Fault;
use entail_syntax::ast::{Arithmetic, Unary};

impl Run<'_> {
    /// A chain of operators, from left to right.
    pub(super) fn chain<'s>(
        &'s self,
        first: Index,
        rest: &[(Arithmetic, Index)],
        rows: &'s [u32],
        budget: &mut Budget<'_>,
    ) -> Result<Operand<'s>, Fault> {
        let mut result = self.operand(first, rows, budget)?;
        for (operator, operand) in rest {
            let operand = self.operand(*operand, rows, budget)?;
            let mut values = Vec::with_capacity(rows.len());
            for at in 0..rows.len() {
                values.push(compute(*operator, result.view(at), operand.view(at))?);
            }
            budget.work(16 * rows.len())?;
            result = Operand::Computed(Column::Values(values));
        }
        Ok(result)
    }
}

fn compute(operator: Arithmetic, one: View<'_>, other: View<'_>) -> Result<Value, Fault> {
    if let (Some(one), Some(other)) = (small_integer(one), small_integer(other))
        && let Some(result) = of_small_integers(operator, one, other)
    {
        return Ok(Value::integer(result.into()));
    }
    let value = match (operator, one.typed()?, other.typed()?) {
        (_, Typed::Number(one), Typed::Number(other)) => one.compute(operator, other).map(Value::Number),
        (Arithmetic::Add, Typed::Instant(instant), Typed::Duration(duration))
        | (Arithmetic::Add, Typed::Duration(duration), Typed::Instant(instant)) => {
            instant.plus(duration).map(Value::Instant)
        }
        (Arithmetic::Subtract, Typed::Instant(instant), Typed::Duration(duration)) => {
            duration.checked_neg().and_then(|duration| instant.plus(duration)).map(Value::Instant)
        }
        (Arithmetic::Subtract, Typed::Instant(one), Typed::Instant(other)) if one.kind == other.kind => {
            one.since(other).map(Value::Duration)
        }
        (Arithmetic::Add, Typed::Duration(one), Typed::Duration(other)) => one.plus(other).map(Value::Duration),
        (Arithmetic::Subtract, Typed::Duration(one), Typed::Duration(other)) => {
            other.checked_neg().and_then(|other| one.plus(other)).map(Value::Duration)
        }
        _ => None,
    };
    Ok(value.unwrap_or(Value::Error))
}

/// Most numbers of most graphs. `None` where the general way is needed.
#[inline]
fn of_small_integers(operator: Arithmetic, one: i64, other: i64) -> Option<i64> {
    match operator {
        Arithmetic::Add => one.checked_add(other),
        Arithmetic::Subtract => one.checked_sub(other),
        Arithmetic::Multiply => one.checked_mul(other),
        Arithmetic::Divide => None,
    }
}

/// `+` or `-` before a number or a duration.
pub(super) fn signed(sign: Unary, view: View<'_>) -> Result<Value, Fault> {
    let is_minus = sign == Unary::Minus;
    let value = match view.typed()? {
        Typed::Number(number) if is_minus => number.checked_neg().map(Value::Number),
        Typed::Number(number) => Some(Value::Number(number)),
        Typed::Duration(duration) if is_minus => duration.checked_neg().map(Value::Duration),
        Typed::Duration(duration) => Some(Value::Duration(duration)),
        _ => None,
    };
    Ok(value.unwrap_or(Value::Error))
}
