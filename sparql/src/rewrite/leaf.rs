//! Leaves: the parts of a query that run in the cluster, as the residual algebra shows them.

use crate::rewrite::body::{Body, blank_variable};
use crate::rewrite::fold::Fold;
use entail_syntax::algebra::{GraphPattern, TermPattern};
use oxrdf::Variable;
use std::collections::BTreeSet;

/// A part of the algebra that runs in the cluster.
#[derive(Debug)]
pub struct Leaf {
    pub bodies: Vec<Body>,
    /// The variables that are visible outside.
    pub variables: Vec<Variable>,
    /// Are the solutions a set over these variables?
    pub distinct: bool,
    /// The leaf's output in place of the solutions.
    pub fold: Option<Fold>,
    /// The expected number of rows.
    pub estimate: f64,
}

/// The table of bodies that only fix variables.
pub fn values(bodies: &[Body]) -> GraphPattern {
    let variables: Vec<Variable> =
        bodies.iter().flat_map(|body| body.fixed.keys().cloned()).collect::<BTreeSet<_>>().into_iter().collect();
    let row = |body: &Body| variables.iter().map(|variable| body.fixed.get(variable).cloned()).collect();
    GraphPattern::Values { bindings: bodies.iter().map(row).collect(), variables: variables.clone() }
}

/// The position with a variable for a blank node.
pub fn without_blank_node(pattern: TermPattern) -> TermPattern {
    match pattern {
        TermPattern::BlankNode(node) => blank_variable(node.as_str()).into(),
        other => other,
    }
}
