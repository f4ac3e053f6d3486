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
    match route(&pattern, &expression::variables(filter)).0 {
        Route::Above => Err(pattern),
        route => Ok(placed(pattern, route, filter)),
    }
}

/// Where a filter moves.
enum Route {
    /// It stays above the pattern.
    Above,
    /// Into the only or the left input.
    Left(Box<Self>),
    Right(Box<Self>),
    Both(Box<Self>, Box<Self>),
}

/// Where a filter over `variables` moves, and which of them every solution of the pattern binds: both in one pass, from the
/// innermost patterns outwards.
fn route(pattern: &GraphPattern, variables: &BTreeSet<Variable>) -> (Route, BTreeSet<Variable>) {
    let of = |inner: &GraphPattern| {
        let (route, certain) = route(inner, variables);
        (Box::new(route), certain)
    };
    let own = |found: Vec<Variable>| found.into_iter().filter(|variable| variables.contains(variable)).collect();
    match pattern {
        GraphPattern::Bgp { patterns } => (Route::Above, own(patterns.iter().flat_map(of_triple).collect())),
        GraphPattern::Path { subject, object, .. } => {
            (Route::Above, own(of_term(subject).into_iter().chain(of_term(object)).collect()))
        }
        GraphPattern::Join { left, right } => {
            let ((left, mut certain), (right, mut others)) = (of(left), of(right));
            let route = match () {
                () if certain.len() == variables.len() => Route::Left(left),
                () if others.len() == variables.len() => Route::Right(right),
                () => Route::Above,
            };
            certain.append(&mut others);
            (route, certain)
        }
        GraphPattern::LeftJoin { left, .. } => {
            let (left, certain) = of(left);
            let is_bound = certain.len() == variables.len();
            (if is_bound { Route::Left(left) } else { Route::Above }, certain)
        }
        GraphPattern::Union { left, right } => {
            let ((left, mut certain), (right, others)) = (of(left), of(right));
            certain.retain(|variable| others.contains(variable));
            (Route::Both(left, right), certain)
        }
        GraphPattern::Graph { name: NamedNodePattern::Variable(graph), inner } if variables.contains(graph) => {
            let mut certain = of(inner).1;
            certain.insert(graph.clone());
            (Route::Above, certain)
        }
        GraphPattern::Extend { inner, variable, .. } if variables.contains(variable) => (Route::Above, of(inner).1),
        // Past another filter only if it then moves further: two filters that cannot move would pass each other for
        // ever.
        GraphPattern::Filter { inner, .. } => {
            let (inner, certain) = of(inner);
            (if matches!(*inner, Route::Above) { Route::Above } else { Route::Left(inner) }, certain)
        }
        GraphPattern::Minus { left: inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::Graph { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner } => {
            let (inner, certain) = of(inner);
            (Route::Left(inner), certain)
        }
        GraphPattern::Project { inner, variables: shown } => {
            let (inner, mut certain) = of(inner);
            certain.retain(|variable| shown.contains(variable));
            let is_shown = variables.iter().all(|variable| shown.contains(variable));
            (if is_shown { Route::Left(inner) } else { Route::Above }, certain)
        }
        GraphPattern::Group { inner, variables: by, .. } => {
            let mut certain = of(inner).1;
            certain.retain(|variable| by.contains(variable));
            (Route::Above, certain)
        }
        GraphPattern::Values { variables: columns, bindings } => {
            let is_bound = |column: usize| bindings.iter().all(|row| row[column].is_some());
            let bound = columns.iter().enumerate().filter(|(column, _)| is_bound(*column));
            (Route::Above, own(bound.map(|(_, variable)| variable.clone()).collect()))
        }
        GraphPattern::OrderBy { .. } | GraphPattern::Slice { .. } => {
            (Route::Above, children(pattern).into_iter().flat_map(|inner| of(inner).1).collect())
        }
        GraphPattern::Service { .. } | GraphPattern::Leaf { .. } => (Route::Above, BTreeSet::new()),
    }
}

/// The pattern with the filter at the end of its route.
fn placed(pattern: GraphPattern, route: Route, filter: &Expression) -> GraphPattern {
    let on = |inner: Box<GraphPattern>, route: Box<Route>| Box::new(placed(*inner, *route, filter));
    match (pattern, route) {
        (GraphPattern::Join { left, right }, Route::Left(route)) => GraphPattern::Join { left: on(left, route), right },
        (GraphPattern::Join { left, right }, Route::Right(route)) => {
            GraphPattern::Join { left, right: on(right, route) }
        }
        (GraphPattern::LeftJoin { left, right, expression }, Route::Left(route)) => {
            GraphPattern::LeftJoin { left: on(left, route), right, expression }
        }
        (GraphPattern::Union { left, right }, Route::Both(one, other)) => {
            GraphPattern::Union { left: on(left, one), right: on(right, other) }
        }
        (GraphPattern::Minus { left, right }, Route::Left(route)) => {
            GraphPattern::Minus { left: on(left, route), right }
        }
        (GraphPattern::Extend { inner, variable, expression }, Route::Left(route)) => {
            GraphPattern::Extend { inner: on(inner, route), variable, expression }
        }
        (GraphPattern::Filter { inner, expr }, Route::Left(route)) => {
            GraphPattern::Filter { inner: on(inner, route), expr }
        }
        (GraphPattern::Distinct { inner }, Route::Left(route)) => GraphPattern::Distinct { inner: on(inner, route) },
        (GraphPattern::Reduced { inner }, Route::Left(route)) => GraphPattern::Reduced { inner: on(inner, route) },
        (GraphPattern::Project { inner, variables }, Route::Left(route)) => {
            GraphPattern::Project { inner: on(inner, route), variables }
        }
        (GraphPattern::Graph { name, inner }, Route::Left(route)) => {
            GraphPattern::Graph { name, inner: on(inner, route) }
        }
        (pattern, _) => GraphPattern::Filter { inner: Box::new(pattern), expr: filter.clone() },
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
