//! Grouped queries: what they show is grouped or aggregated.

use super::modifier_expressions;
use super::variables::Scope;
use crate::Spot;
use crate::ast::{Columns, Expression, ExpressionKind, Projection, Solutions};
use entail_model::Fault;
use oxrdf::Variable;

/// Checks the columns of a query whose pattern and clauses bring `scope` into scope.
pub(super) fn check(projection: &Projection, solutions: &Solutions, scope: &Scope<'_>) -> Result<(), Fault> {
    if !is_grouped(projection, solutions) {
        return Ok(());
    }
    let Columns::List(columns) = &projection.columns else {
        return Err(projection.spot.syntax("SELECT * in a query with groups: name what it shows"));
    };
    let keys = &solutions.modifiers.group_by;
    let mut known: Scope<'_> =
        keys.iter().filter_map(|key| key.variable.as_ref()).map(|found| &found.variable).collect();
    known.extend(keys.iter().filter(|key| key.variable.is_none()).filter_map(|key| key.expression.variable()));
    known.extend(solutions.values.iter().flat_map(|values| &values.variables).map(|found| &found.variable));
    for column in columns {
        let hidden = |variable: &Variable| scope.contains(variable) && !known.contains(variable);
        match &column.expression {
            None if hidden(&column.variable.variable) => {
                return Err(ungrouped(&column.variable.variable, column.variable.spot));
            }
            None => {}
            Some(expression) => check_expression(expression, &hidden)?,
        }
        known.insert(&column.variable.variable);
    }
    Ok(())
}

/// Has the query groups: a GROUP BY, or an aggregate?
fn is_grouped(projection: &Projection, solutions: &Solutions) -> bool {
    let columns = match &projection.columns {
        Columns::Star(_) => &[][..],
        Columns::List(columns) => columns,
    };
    let mut shown = columns.iter().filter_map(|column| column.expression.as_ref());
    !solutions.modifiers.group_by.is_empty()
        || shown.any(has_aggregate)
        || modifier_expressions(solutions).any(has_aggregate)
}

fn has_aggregate(expression: &Expression) -> bool {
    let mut found = false;
    expression.walk(&mut |part| found |= matches!(part.kind, ExpressionKind::Aggregate(_)));
    found
}

/// Checks that no variable outside of aggregates is hidden by the groups.
fn check_expression(expression: &Expression, hidden: &impl Fn(&Variable) -> bool) -> Result<(), Fault> {
    match &expression.kind {
        ExpressionKind::Variable(variable) if hidden(variable) => Err(ungrouped(variable, expression.spot)),
        ExpressionKind::Aggregate(_) => Ok(()),
        _ => expression.operands().into_iter().try_for_each(|operand| check_expression(operand, hidden)),
    }
}

fn ungrouped(variable: &Variable, spot: Spot) -> Fault {
    spot.syntax(format!("{variable} is neither grouped nor aggregated"))
}
