//! Moves filters down the algebra, so that they reach the bodies that bind their variables.
//!
//! A filter looks at one solution at a time, so it may be applied earlier wherever its variables have their final
//! values: below joins and the left of OPTIONAL if they are certainly bound there, below MINUS, UNION and BIND of other
//! variables always. Filters with EXISTS stay: the meaning of their patterns depends on their position.

use crate::algebra::children;
use crate::algebra::expression;
use entail_syntax::algebra::{Expression, GraphPattern};
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use oxrdf::Variable;
use std::collections::BTreeSet;

/// Moves each filter down as far as its meaning is preserved. Returns the pattern, and the filters that cannot move.
pub fn push_down(mut pattern: GraphPattern, filters: Vec<Expression>) -> (GraphPattern, Vec<Expression>) {
    let mut stay = Vec::new();
    for filter in filters {
        // A random filter decides once for each solution where it is written; below DISTINCT there are more of them.
        let is_movable = expression::exists_patterns(&filter).is_empty() && !expression::is_random(&filter);
        match if is_movable { below(pattern, &filter) } else { Err(pattern) } {
            Ok(moved) => pattern = moved,
            Err(same) => {
                pattern = same;
                stay.push(filter);
            }
        }
    }
    (pattern, stay)
}

/// The pattern with the filter somewhere below its operator; the pattern as it was if it must stay above.
#[allow(clippy::result_large_err, reason = "it is the same pattern either way, not a rare failure")]
fn below(pattern: GraphPattern, filter: &Expression) -> Result<GraphPattern, GraphPattern> {
    let variables = expression::variables(filter);
    let under = |inner: Box<GraphPattern>| Box::new(under(*inner, filter));
    let is_bound = |pattern: &GraphPattern| {
        let certain = certain(pattern);
        variables.iter().all(|variable| certain.contains(variable))
    };
    Ok(match pattern {
        GraphPattern::Join { left, right } if is_bound(&left) => GraphPattern::Join { left: under(left), right },
        GraphPattern::Join { left, right } if is_bound(&right) => GraphPattern::Join { left, right: under(right) },
        GraphPattern::LeftJoin { left, right, expression } if is_bound(&left) => {
            GraphPattern::LeftJoin { left: under(left), right, expression }
        }
        GraphPattern::Union { left, right } => GraphPattern::Union { left: under(left), right: under(right) },
        GraphPattern::Minus { left, right } => GraphPattern::Minus { left: under(left), right },
        GraphPattern::Extend { inner, variable, expression } if !variables.contains(&variable) => {
            GraphPattern::Extend { inner: under(inner), variable, expression }
        }
        // Past another filter only if it then moves further: two filters that cannot move would pass each other for
        // ever.
        GraphPattern::Filter { inner, expr } => match below(*inner, filter) {
            Ok(moved) => GraphPattern::Filter { inner: Box::new(moved), expr },
            Err(same) => return Err(GraphPattern::Filter { inner: Box::new(same), expr }),
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: under(inner) },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: under(inner) },
        GraphPattern::Project { inner, variables: shown }
            if variables.iter().all(|variable| shown.contains(variable)) =>
        {
            GraphPattern::Project { inner: under(inner), variables: shown }
        }
        GraphPattern::Graph { name, inner } if !matches!(&name, NamedNodePattern::Variable(graph) if variables.contains(graph)) => {
            GraphPattern::Graph { name, inner: under(inner) }
        }
        other => return Err(other),
    })
}

/// The pattern under the filter, moved as far down as possible.
fn under(pattern: GraphPattern, filter: &Expression) -> GraphPattern {
    below(pattern, filter)
        .unwrap_or_else(|pattern| GraphPattern::Filter { inner: Box::new(pattern), expr: filter.clone() })
}

/// Variables that every solution of the pattern binds.
pub fn certain(pattern: &GraphPattern) -> BTreeSet<Variable> {
    match pattern {
        GraphPattern::Bgp { patterns } => patterns.iter().flat_map(of_triple).collect(),
        GraphPattern::Path { subject, object, .. } => of_term(subject).into_iter().chain(of_term(object)).collect(),
        GraphPattern::Join { left, right } => certain(left).into_iter().chain(certain(right)).collect(),
        GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => certain(left),
        GraphPattern::Union { left, right } => certain(left).intersection(&certain(right)).cloned().collect(),
        GraphPattern::Graph { name, inner } => {
            let name = if let NamedNodePattern::Variable(variable) = name { Some(variable.clone()) } else { None };
            certain(inner).into_iter().chain(name).collect()
        }
        GraphPattern::Values { variables, bindings } => {
            let is_bound = |column: usize| bindings.iter().all(|row| row[column].is_some());
            variables
                .iter()
                .enumerate()
                .filter(|(column, _)| is_bound(*column))
                .map(|(_, variable)| variable.clone())
                .collect()
        }
        GraphPattern::Project { inner, variables } | GraphPattern::Group { inner, variables, .. } => {
            certain(inner).into_iter().filter(|variable| variables.contains(variable)).collect()
        }
        GraphPattern::Service { .. } | GraphPattern::Leaf { .. } => BTreeSet::new(),
        GraphPattern::Filter { .. }
        | GraphPattern::Extend { .. }
        | GraphPattern::OrderBy { .. }
        | GraphPattern::Distinct { .. }
        | GraphPattern::Reduced { .. }
        | GraphPattern::Slice { .. } => children(pattern).into_iter().flat_map(certain).collect(),
    }
}

fn of_triple(triple: &TriplePattern) -> Vec<Variable> {
    let predicate =
        if let NamedNodePattern::Variable(variable) = &triple.predicate { Some(variable.clone()) } else { None };
    of_term(&triple.subject).into_iter().chain(of_term(&triple.object)).chain(predicate).collect()
}

fn of_term(term: &TermPattern) -> Vec<Variable> {
    match term {
        TermPattern::Variable(variable) => vec![variable.clone()],
        TermPattern::Triple(triple) => of_triple(triple),
        TermPattern::NamedNode(_) | TermPattern::BlankNode(_) | TermPattern::Literal(_) => Vec::new(),
    }
}
