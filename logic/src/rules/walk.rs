//! Walking over SPARQL expressions: their operands and variables.

use oxrdf::Variable;
use spargebra::algebra::Expression;
use std::collections::BTreeSet;

/// The direct operands.
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
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => list.iter().collect(),
    }
}

/// Does `holds` hold for the expression or any operand in it, EXISTS patterns excepted?
pub fn any(expression: &Expression, holds: &mut dyn FnMut(&Expression) -> bool) -> bool {
    holds(expression) || operands(expression).into_iter().any(|operand| any(operand, holds))
}

/// The variables of an expression without EXISTS, those of `BOUND` included.
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
