//! Prepared queries: the bodies of a query with IRIs as parameters.
//!
//! Preparing needs no data, so a prepared query is valid at every epoch and under all rules.

use crate::algebra::parameters;
use crate::rewrite::body::{Body, Graph, Position};
use crate::rewrite::catalog::{Catalog, Tuning};
use crate::rewrite::modifiers::Modifiers;
use crate::rewrite::query::QueryForm;
use crate::rewrite::{BRANCHES_MAX, PATTERNS_MAX, Rewriter};
use entail_model::{Fault, TermId};
use entail_syntax::algebra::GraphPattern;
use entail_syntax::algebra::Query;
use oxrdf::{NamedNode, Term};

/// A SELECT or ASK that is a union of bodies under modifiers.
#[derive(Debug)]
pub(crate) struct PreparedQuery {
    pub is_ask: bool,
    pub modifiers: Modifiers,
    bodies: Vec<Body>,
    uses: Vec<Use>,
}

/// A position of a body that takes the value of a parameter.
#[derive(Clone, Copy, Debug)]
struct Use {
    body: usize,
    pattern: usize,
    position: usize,
    parameter: usize,
}

impl PreparedQuery {
    /// Prepares a query that was parsed with markers for its parameters; `None` if it has more than basic graph
    /// patterns, or more of them than fit into one union of bodies.
    pub fn new(query: &Query) -> Option<Self> {
        let pattern = parameters::plain(query)?;
        size(pattern)?;
        let form = Rewriter::new(&NoCatalog).solutions(pattern.clone()).ok()?;
        let QueryForm::Bodies(bodies, modifiers) = form else { return None };
        let is_ask = matches!(query, Query::Ask { .. });
        let mut prepared = Self { is_ask, modifiers, bodies, uses: Vec::new() };
        for (body, of_body) in prepared.bodies.iter_mut().enumerate() {
            for (pattern, of_pattern) in of_body.patterns.iter_mut().enumerate() {
                debug_assert_eq!(of_pattern.graph, Graph::Default);
                for (position, term) in of_pattern.positions().into_iter().enumerate() {
                    if let Position::Term(term) = term
                        && let Some(parameter) = parameters::number_of_term(term)
                    {
                        prepared.uses.push(Use { body, pattern, position, parameter });
                    }
                }
            }
        }
        Some(prepared)
    }

    /// The bodies, with values for the parameters.
    pub fn bodies(&self, parameters: &[NamedNode]) -> Vec<Body> {
        let mut bodies = self.bodies.clone();
        for place in &self.uses {
            let positions = bodies[place.body].patterns[place.pattern].positions();
            if let (Some(value), Some(position)) =
                (parameters.get(place.parameter), positions.into_iter().nth(place.position))
            {
                *position = Position::Term(Term::from(value.clone()));
            }
        }
        bodies
    }
}

/// The bodies that a plain pattern becomes, and the most patterns in one; `None` if they are not one union.
fn size(pattern: &GraphPattern) -> Option<(usize, usize)> {
    let (bodies, patterns) = match pattern {
        GraphPattern::Bgp { patterns } => return Some((1, patterns.len())),
        GraphPattern::Join { left, right } => {
            let (left, right) = (size(left)?, size(right)?);
            (left.0 * right.0, left.1 + right.1)
        }
        GraphPattern::Union { left, right } => {
            let (left, right) = (size(left)?, size(right)?);
            (left.0 + right.0, left.1.max(right.1))
        }
        GraphPattern::Slice { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Project { inner, .. } => size(inner)?,
        _ => return None,
    };
    (bodies <= BRANCHES_MAX && patterns <= PATTERNS_MAX).then_some((bodies, patterns))
}

/// Plain patterns need no information about the data.
struct NoCatalog;

impl Catalog for NoCatalog {
    fn rows(&self, _: &Body) -> f64 {
        1.0
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn tuning(&self) -> Tuning {
        Tuning::default()
    }

    fn named_graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(Vec::new())
    }

    fn graph_node(&self, _: TermId) -> Result<NamedNode, Fault> {
        Err(Fault::internal("a graph was asked for before a query has a cluster"))
    }
}
