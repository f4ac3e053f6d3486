//! The representation of leaves in the algebra for spareval.
//!
//! A leaf is a service. spareval never evaluates its inner pattern, but its optimizer reads from it which variables are
//! bound, and how many rows to expect. So the inner pattern has the leaf's patterns, under a LIMIT with the estimate,
//! joined with a pattern of unknown size that the LIMIT hides.

use crate::algebra::INTERNAL;
use crate::rewrite::body::{Body, Pattern, Position, blank_variable};
use crate::rewrite::fold::{Aggregate, Fold};
use oxrdf::{NamedNode, Term, Variable};
use spargebra::algebra::{AggregateExpression, GraphPattern};
use spargebra::term::{GroundTerm, NamedNodePattern, TermPattern, TriplePattern};
use std::collections::BTreeSet;

/// The service of leaf `number` with `estimate` expected rows; it projects `only` these variables, or all.
pub fn service(number: usize, bodies: &[Body], estimate: f64, only: Option<&[Variable]>) -> GraphPattern {
    let shape = match (self::shape(bodies), only) {
        (shape, Some(only)) => GraphPattern::Project { inner: Box::new(shape), variables: only.to_vec() },
        (shape, None) => shape,
    };
    shaped(number, shape, estimate)
}

/// The service of leaf `number` with the output rows of `fold`.
pub fn folded(number: usize, bodies: &[Body], fold: &Fold, estimate: f64) -> GraphPattern {
    match fold {
        Fold::Top(top) => service(number, bodies, estimate.min(top.length as f64), Some(&top.shown)),
        Fold::Group(group) => {
            // The output of an aggregate may be unbound.
            let count = |(name, _): &(Variable, Aggregate)| {
                (name.clone(), AggregateExpression::CountSolutions { distinct: false })
            };
            let shape = GraphPattern::Group {
                inner: Box::new(shape(bodies)),
                variables: group.by.clone(),
                aggregates: group.aggregates.iter().map(count).collect(),
            };
            shaped(number, shape, estimate)
        }
    }
}

fn shaped(number: usize, shape: GraphPattern, estimate: f64) -> GraphPattern {
    let anything = |name: &str| Variable::new_unchecked(format!("_:any:{name}"));
    let any =
        TriplePattern { subject: anything("s").into(), predicate: anything("p").into(), object: anything("o").into() };
    let any = GraphPattern::Bgp { patterns: vec![any] };
    let joined = GraphPattern::Join { left: Box::new(shape), right: Box::new(any) };
    let inner =
        GraphPattern::Slice { inner: Box::new(joined), start: 0, length: Some(estimate.clamp(1.0, 1e9) as usize) };
    GraphPattern::Service { name: leaf_name(number).into(), inner: Box::new(inner), silent: false }
}

/// A pattern that binds the variables of the bodies.
fn shape(bodies: &[Body]) -> GraphPattern {
    let union = |left, right| GraphPattern::Union { left: Box::new(left), right: Box::new(right) };
    bodies.iter().map(shape_of_one).reduce(union).unwrap_or_default()
}

fn shape_of_one(body: &Body) -> GraphPattern {
    let patterns =
        body.patterns.iter().map(|pattern| pattern.graph.wrap(GraphPattern::Bgp { patterns: vec![triple(pattern)] }));
    let fixed = (!body.fixed.is_empty()).then(|| values(std::slice::from_ref(body)));
    let join = |left, right| GraphPattern::Join { left: Box::new(left), right: Box::new(right) };
    patterns.chain(fixed).reduce(join).unwrap_or_default()
}

fn triple(pattern: &Pattern) -> TriplePattern {
    let predicate = match &pattern.predicate {
        Position::Term(Term::NamedNode(node)) => NamedNodePattern::NamedNode(node.clone()),
        Position::Variable(variable) => variable.clone().into(),
        // Matches nothing; its shape does not matter.
        Position::Term(_) => NamedNode::new_unchecked("urn:entail:never").into(),
    };
    TriplePattern { subject: term(&pattern.subject), predicate, object: term(&pattern.object) }
}

fn term(position: &Position) -> TermPattern {
    match position {
        Position::Variable(variable) => variable.clone().into(),
        Position::Term(term) => term.clone().into(),
    }
}

/// The table of bodies that only fix variables.
pub fn values(bodies: &[Body]) -> GraphPattern {
    let variables: Vec<Variable> =
        bodies.iter().flat_map(|body| body.fixed.keys().cloned()).collect::<BTreeSet<_>>().into_iter().collect();
    let row = |body: &Body| {
        let ground = |variable| body.fixed.get(variable).and_then(|term| GroundTerm::try_from(term.clone()).ok());
        variables.iter().map(ground).collect()
    };
    GraphPattern::Values { bindings: bodies.iter().map(row).collect(), variables: variables.clone() }
}

/// The pattern with variables for its blank nodes.
pub fn without_blank_nodes(triple: TriplePattern) -> TriplePattern {
    TriplePattern {
        subject: without_blank_node(triple.subject),
        predicate: triple.predicate,
        object: without_blank_node(triple.object),
    }
}

/// The position with variables for its blank nodes.
pub fn without_blank_node(pattern: TermPattern) -> TermPattern {
    match pattern {
        TermPattern::BlankNode(node) => blank_variable(node.as_str()).into(),
        TermPattern::Triple(triple) => TermPattern::Triple(Box::new(without_blank_nodes(*triple))),
        other => other,
    }
}

/// The name under which a leaf appears in the algebra.
pub fn leaf_name(leaf: usize) -> NamedNode {
    NamedNode::new_unchecked(format!("{INTERNAL}leaf:{leaf}"))
}

/// The leaf of that name.
pub fn leaf_number(name: &str) -> Option<usize> {
    name.strip_prefix(INTERNAL)?.strip_prefix("leaf:")?.parse().ok()
}
