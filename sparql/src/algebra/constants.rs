//! The constant terms of a pattern.

use crate::algebra::{children, expressions};
use entail_syntax::algebra::operands;
use entail_syntax::algebra::{Expression, GraphPattern};
use entail_syntax::algebra::{NamedNodePattern, TermPattern};
use oxrdf::Term;

/// Collects the constants of a pattern and everything in it, so that one dictionary lookup serves the query.
pub fn constants(pattern: &GraphPattern, found: &mut Vec<Term>) {
    match pattern {
        GraphPattern::Bgp { patterns } => {
            for triple in patterns {
                found.extend(ground(&triple.subject));
                found.extend(named(&triple.predicate));
                found.extend(ground(&triple.object));
            }
        }
        GraphPattern::Path { subject, object, .. } => found.extend(ground(subject).into_iter().chain(ground(object))),
        GraphPattern::Values { bindings, .. } => {
            found.extend(bindings.iter().flatten().flatten().cloned());
        }
        GraphPattern::Graph { name, .. } => found.extend(named(name)),
        _ => {}
    }
    expressions(pattern).into_iter().for_each(|expression| in_expression(expression, found));
    children(pattern).into_iter().for_each(|child| constants(child, found));
}

fn in_expression(expression: &Expression, found: &mut Vec<Term>) {
    match expression {
        Expression::NamedNode(node) => found.push(node.clone().into()),
        Expression::Literal(literal) => found.push(literal.clone().into()),
        Expression::Exists(pattern) => constants(pattern, found),
        _ => {}
    }
    operands(expression).into_iter().for_each(|operand| in_expression(operand, found));
}

fn ground(term: &TermPattern) -> Option<Term> {
    match term {
        TermPattern::NamedNode(node) => Some(node.clone().into()),
        TermPattern::Literal(literal) => Some(literal.clone().into()),
        TermPattern::Triple(_) if term.is_ground() => Term::try_from(term.clone()).ok(),
        TermPattern::Triple(_) | TermPattern::BlankNode(_) | TermPattern::Variable(_) => None,
    }
}

fn named(name: &NamedNodePattern) -> Option<Term> {
    match name {
        NamedNodePattern::NamedNode(node) => Some(node.clone().into()),
        NamedNodePattern::Variable(_) => None,
    }
}
