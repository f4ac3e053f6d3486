//! SPARQL algebra: traversals of the parser's trees, and the semantics of parts that need no data.
//!
//! Every pass over patterns uses [`children`] and [`expressions`], every pass over expressions
//! [`expression::operands`] and [`expression::map`], so a new operator of the algebra is added in two places.

pub(crate) mod constants;
pub(crate) mod expression;
pub(crate) mod order;
pub(crate) mod parameters;
pub(crate) mod template;

use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression};

/// First character of the IRIs that only this crate makes (leaf services, graphs with blank names, functions): no
/// parser accepts it, so no query can write them.
pub(crate) const INTERNAL: char = '\0';

/// The direct inputs of an operator. Patterns of EXISTS are part of its [`expressions`].
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

/// The expressions that an operator evaluates itself, without those of its inputs.
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
