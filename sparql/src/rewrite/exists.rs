//! EXISTS at the coordinator: its patterns stay patterns, which are looked up row by row.

use crate::rewrite::body::Graph;
use crate::rewrite::expression;
use entail_model::{Fault, Reason};
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression};

/// The expression with the patterns of its EXISTS evaluated in `graph`.
///
/// # Errors
/// `Unsupported` for a SERVICE in a pattern.
pub fn in_graph(expression: Expression, graph: &Graph) -> Result<Expression, Fault> {
    if expression::exists_patterns(&expression).is_empty() {
        return Ok(expression);
    }
    let mut found = Ok(());
    let expression = expression::map(expression, &mut |part| match part {
        Expression::Exists(pattern) => {
            if has_service(&pattern) {
                found = Err(Fault::new(
                    Reason::Unsupported,
                    "SERVICE within EXISTS: other endpoints are not asked by this version",
                ));
            }
            Expression::Exists(Box::new(graph.wrap(*pattern)))
        }
        other => other,
    });
    found.map(|()| expression)
}

fn has_service(pattern: &GraphPattern) -> bool {
    matches!(pattern, GraphPattern::Service { .. })
        || children(pattern).into_iter().any(has_service)
        || expressions(pattern).into_iter().flat_map(expression::exists_patterns).any(has_service)
}

/// The patterns directly below.
pub fn children(pattern: &GraphPattern) -> Vec<&GraphPattern> {
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => Vec::new(),
        GraphPattern::Join { left, right }
        | GraphPattern::LeftJoin { left, right, .. }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => vec![left, right],
        GraphPattern::Filter { inner, .. }
        | GraphPattern::Graph { inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. }
        | GraphPattern::Group { inner, .. }
        | GraphPattern::Service { inner, .. } => vec![inner],
    }
}

/// The expressions of the operator itself.
pub fn expressions(pattern: &GraphPattern) -> Vec<&Expression> {
    match pattern {
        GraphPattern::LeftJoin { expression, .. } => expression.iter().collect(),
        GraphPattern::Filter { expr, .. } => vec![expr],
        GraphPattern::Extend { expression, .. } => vec![expression],
        GraphPattern::OrderBy { expression, .. } => expression
            .iter()
            .map(|key| match key {
                OrderExpression::Asc(by) | OrderExpression::Desc(by) => by,
            })
            .collect(),
        GraphPattern::Group { aggregates, .. } => aggregates
            .iter()
            .filter_map(|(_, aggregate)| match aggregate {
                AggregateExpression::FunctionCall { expr, .. } => Some(expr),
                AggregateExpression::CountSolutions { .. } => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
