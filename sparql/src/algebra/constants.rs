//! The constant terms of a pattern.

use crate::algebra::expression::operands;
use crate::algebra::{children, expressions};
use oxrdf::Term;
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{GroundTerm, NamedNodePattern, TermPattern};

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
            found.extend(bindings.iter().flatten().flatten().map(ground_term));
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
        TermPattern::BlankNode(_) | TermPattern::Variable(_) | TermPattern::Triple(_) => None,
    }
}

fn named(name: &NamedNodePattern) -> Option<Term> {
    match name {
        NamedNodePattern::NamedNode(node) => Some(node.clone().into()),
        NamedNodePattern::Variable(_) => None,
    }
}

/// A term without variables, as data.
pub fn ground_term(term: &GroundTerm) -> Term {
    match term {
        GroundTerm::NamedNode(node) => node.clone().into(),
        GroundTerm::Literal(literal) => literal.clone().into(),
        GroundTerm::Triple(triple) => Term::Triple(Box::new(triple.as_ref().clone().into())),
    }
}
