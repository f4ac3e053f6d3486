//! Properties of expressions that the rewriting uses.

use entail_expression::Program;
use entail_syntax::algebra::{Expression, Function};
pub use entail_syntax::algebra::{any, exists_patterns, map, variables};
use oxrdf::Variable;

/// The parts of a conjunction.
pub fn conjuncts(expression: Expression, parts: &mut Vec<Expression>) {
    match expression {
        Expression::And(left, right) => {
            conjuncts(*left, parts);
            conjuncts(*right, parts);
        }
        other => parts.push(other),
    }
}

/// The conjunction of `parts`; `None` if there are none.
pub fn conjunction(parts: impl IntoIterator<Item = Expression>) -> Option<Expression> {
    parts.into_iter().reduce(|left, right| Expression::And(Box::new(left), Box::new(right)))
}

/// May any node evaluate the expression in place of the coordinator? Its value must depend on its variables only.
pub fn is_pushable(expression: &Expression) -> bool {
    !any(expression, &mut is_tied_to_place) && Program::of_algebra(expression, &mut |_| Some(0)).is_ok()
}

/// May two evaluations of the expression over the same solution differ? Patterns of EXISTS are not looked into.
pub fn is_random(expression: &Expression) -> bool {
    any(expression, &mut |part| matches!(part, Expression::FunctionCall(function, _) if function.is_random()))
}

/// Does the expression need the whole query, its time or its evaluator? Relative IRIs need the base.
fn is_tied_to_place(expression: &Expression) -> bool {
    match expression {
        Expression::Exists(_) => true,
        Expression::FunctionCall(function, _) => matches!(
            function,
            Function::Now | Function::Rand | Function::Uuid | Function::StrUuid | Function::BNode | Function::Iri
        ),
        _ => false,
    }
}

/// The expression with a constant in place of a variable that is always bound to it.
pub fn substitute(expression: &Expression, variable: &Variable, constant: &Expression) -> Expression {
    map(expression.clone(), &mut |part| match part {
        Expression::Variable(own) if own == *variable => constant.clone(),
        Expression::Bound(own) if own == *variable => oxrdf::Literal::from(true).into(),
        other => other,
    })
}

/// `variable = IRI` and equivalent expressions: the variable, and the terms of which it must be one, without
/// repetitions.
///
/// Exact because an IRI equals only itself. Literals are left to the filter: equal values have many forms.
pub fn iri_choice(expression: &Expression) -> Option<(Variable, Vec<oxrdf::NamedNode>)> {
    match expression {
        Expression::Equal(a, b) | Expression::SameTerm(a, b) => match (a.as_ref(), b.as_ref()) {
            (Expression::Variable(variable), Expression::NamedNode(node))
            | (Expression::NamedNode(node), Expression::Variable(variable)) => {
                Some((variable.clone(), vec![node.clone()]))
            }
            _ => None,
        },
        Expression::In(element, list) => {
            let Expression::Variable(variable) = element.as_ref() else { return None };
            let mut nodes = Vec::new();
            for item in list {
                let Expression::NamedNode(node) = item else { return None };
                if !nodes.contains(node) {
                    nodes.push(node.clone());
                }
            }
            Some((variable.clone(), nodes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::translate::parsed;
    use entail_syntax::algebra::{GraphPattern, Query};

    fn parse(text: &str) -> Option<Expression> {
        let Query::Ask { mut pattern, .. } = parsed(&format!("ASK {{ FILTER({text}) }}")) else { return None };
        while let GraphPattern::Project { inner, .. } = pattern {
            pattern = *inner;
        }
        if let GraphPattern::Filter { expr, .. } = pattern { Some(expr) } else { None }
    }

    #[test]
    fn what_depends_on_its_place_stays() {
        for text in ["NOW() > ?x", "RAND() < 1", "EXISTS { ?x ?y ?z }", "IRI(?x) = ?y", "BNODE() = ?x", "<urn:f>(?x)"] {
            assert!(!is_pushable(&parse(text).expect("a filter")), "{text}");
        }
        let cast = "<http://www.w3.org/2001/XMLSchema#integer>(?x) = 1";
        for text in ["(?x + 1) * 2 > 3", cast, "REGEX(?x, \"a\\\\.b\")", "?x NOT IN (1, \"a\"@en)", "?x > 3"] {
            assert!(is_pushable(&parse(text).expect("a filter")), "{text}");
        }
    }
}
