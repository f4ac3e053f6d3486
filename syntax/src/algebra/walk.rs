//! Traversals. Every pass over patterns uses [`children`] and [`expressions`], every pass over expressions [`operands`] and
//! [`map`], so a new operator of the algebra is added in two places.

use super::{AggregateExpression, Expression, GraphPattern, OrderExpression};
use oxrdf::Variable;
use std::collections::BTreeSet;

/// The direct inputs of an operator. Patterns of EXISTS are part of its [`expressions`].
pub fn children(pattern: &GraphPattern) -> Vec<&GraphPattern> {
    match pattern {
        GraphPattern::Bgp { .. }
        | GraphPattern::Path { .. }
        | GraphPattern::Values { .. }
        | GraphPattern::Leaf { .. } => Vec::new(),
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
        GraphPattern::OrderBy { expression, .. } => expression.iter().map(OrderExpression::expression).collect(),
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

/// The direct operands. An EXISTS has none.
pub fn operands(expression: &Expression) -> Vec<&Expression> {
    match expression {
        Expression::NamedNode(_)
        | Expression::Literal(_)
        | Expression::Variable(_)
        | Expression::Bound(_)
        | Expression::Exists(_) => Vec::new(),
        Expression::Or(a, b)
        | Expression::And(a, b)
        | Expression::Equal(a, b)
        | Expression::SameTerm(a, b)
        | Expression::Greater(a, b)
        | Expression::GreaterOrEqual(a, b)
        | Expression::Less(a, b)
        | Expression::LessOrEqual(a, b)
        | Expression::Add(a, b)
        | Expression::Subtract(a, b)
        | Expression::Multiply(a, b)
        | Expression::Divide(a, b) => vec![a, b],
        Expression::UnaryPlus(a) | Expression::UnaryMinus(a) | Expression::Not(a) => vec![a],
        Expression::If(a, b, c) => vec![a, b, c],
        Expression::In(element, list) => std::iter::once(element.as_ref()).chain(list).collect(),
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) | Expression::Custom(_, list) => {
            list.iter().collect()
        }
    }
}

/// Does `holds` hold for the expression or any operand in it? Patterns of EXISTS are not looked into.
pub fn any(expression: &Expression, holds: &mut dyn FnMut(&Expression) -> bool) -> bool {
    holds(expression) || operands(expression).into_iter().any(|operand| any(operand, holds))
}

/// The variables of an expression, those of `BOUND` included, those of EXISTS not.
pub fn variables(expression: &Expression) -> BTreeSet<Variable> {
    let mut found = BTreeSet::new();
    any(expression, &mut |part| {
        if let Expression::Variable(variable) | Expression::Bound(variable) = part {
            found.insert(variable.clone());
        }
        false
    });
    found
}

/// The patterns of the EXISTS in an expression.
pub fn exists_patterns(expression: &Expression) -> Vec<&GraphPattern> {
    let own = match expression {
        Expression::Exists(pattern) => vec![pattern.as_ref()],
        _ => Vec::new(),
    };
    own.into_iter().chain(operands(expression).into_iter().flat_map(exists_patterns)).collect()
}

/// The expression with `change` applied to each part, operands first. Patterns of EXISTS are not looked into.
pub fn map(expression: Expression, change: &mut dyn FnMut(Expression) -> Expression) -> Expression {
    let mut one = |part: Box<Expression>| Box::new(map(*part, change));
    let changed = match expression {
        Expression::NamedNode(_)
        | Expression::Literal(_)
        | Expression::Variable(_)
        | Expression::Bound(_)
        | Expression::Exists(_) => expression,
        Expression::Or(a, b) => Expression::Or(one(a), one(b)),
        Expression::And(a, b) => Expression::And(one(a), one(b)),
        Expression::Equal(a, b) => Expression::Equal(one(a), one(b)),
        Expression::SameTerm(a, b) => Expression::SameTerm(one(a), one(b)),
        Expression::Greater(a, b) => Expression::Greater(one(a), one(b)),
        Expression::GreaterOrEqual(a, b) => Expression::GreaterOrEqual(one(a), one(b)),
        Expression::Less(a, b) => Expression::Less(one(a), one(b)),
        Expression::LessOrEqual(a, b) => Expression::LessOrEqual(one(a), one(b)),
        Expression::Add(a, b) => Expression::Add(one(a), one(b)),
        Expression::Subtract(a, b) => Expression::Subtract(one(a), one(b)),
        Expression::Multiply(a, b) => Expression::Multiply(one(a), one(b)),
        Expression::Divide(a, b) => Expression::Divide(one(a), one(b)),
        Expression::UnaryPlus(a) => Expression::UnaryPlus(one(a)),
        Expression::UnaryMinus(a) => Expression::UnaryMinus(one(a)),
        Expression::Not(a) => Expression::Not(one(a)),
        Expression::If(a, b, c) => Expression::If(one(a), one(b), one(c)),
        Expression::In(a, list) => Expression::In(one(a), map_all(list, change)),
        Expression::Coalesce(list) => Expression::Coalesce(map_all(list, change)),
        Expression::FunctionCall(function, list) => Expression::FunctionCall(function, map_all(list, change)),
        Expression::Custom(name, list) => Expression::Custom(name, map_all(list, change)),
    };
    change(changed)
}

fn map_all(list: Vec<Expression>, change: &mut dyn FnMut(Expression) -> Expression) -> Vec<Expression> {
    list.into_iter().map(|part| map(part, change)).collect()
}
