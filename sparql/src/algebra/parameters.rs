//! Parameters: IRIs of a query text that may be replaced by others without parsing the text again.
//!
//! A text is parsed with markers in place of its parameters. No query can write a marker by itself: a text that
//! contains the prefix of markers has no parameters.

use entail_syntax::algebra::GraphPattern;
use entail_syntax::algebra::Query;
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use oxrdf::{NamedNode, Term};

/// The prefix of all markers.
pub(crate) const MARKER: &str = "entail:parameter:";

/// The number of the parameter that an IRI marks.
pub(crate) fn number(iri: &NamedNode) -> Option<usize> {
    iri.as_str().strip_prefix(MARKER)?.parse().ok()
}

/// The pattern and the form of a SELECT or ASK over its own dataset that has nothing but basic graph patterns, joins
/// and unions under solution modifiers. No IRI in such a query changes its parsing or rewriting.
pub(crate) fn plain(query: &Query) -> Option<&GraphPattern> {
    let (Query::Select { pattern, dataset: None, .. } | Query::Ask { pattern, dataset: None, .. }) = query else {
        return None;
    };
    let mut inner = pattern;
    while let GraphPattern::Slice { inner: below, .. }
    | GraphPattern::Distinct { inner: below }
    | GraphPattern::Reduced { inner: below }
    | GraphPattern::Project { inner: below, .. } = inner
    {
        inner = below;
    }
    is_plain(inner).then_some(pattern)
}

fn is_plain(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { patterns } => !patterns.iter().any(has_triple_term),
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => is_plain(left) && is_plain(right),
        _ => false,
    }
}

fn has_triple_term(triple: &TriplePattern) -> bool {
    [&triple.subject, &triple.object].into_iter().any(|term| matches!(term, TermPattern::Triple(_)))
}

/// Puts `parameters` in place of their markers in a [`plain`] query.
pub(crate) fn bind(query: &mut Query, parameters: &[NamedNode]) {
    if let Query::Select { pattern, .. } | Query::Ask { pattern, .. } = query
        && !parameters.is_empty()
    {
        bind_pattern(pattern, parameters);
    }
}

fn bind_pattern(pattern: &mut GraphPattern, parameters: &[NamedNode]) {
    match pattern {
        GraphPattern::Bgp { patterns } => patterns.iter_mut().for_each(|triple| bind_triple(triple, parameters)),
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => {
            bind_pattern(left, parameters);
            bind_pattern(right, parameters);
        }
        GraphPattern::Slice { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Project { inner, .. } => bind_pattern(inner, parameters),
        _ => unreachable!("a plain query has no other operators"),
    }
}

fn bind_triple(triple: &mut TriplePattern, parameters: &[NamedNode]) {
    for term in [&mut triple.subject, &mut triple.object] {
        if let TermPattern::NamedNode(node) = term {
            bind_node(node, parameters);
        }
    }
    if let NamedNodePattern::NamedNode(node) = &mut triple.predicate {
        bind_node(node, parameters);
    }
}

/// Puts the parameter in place of the node, if it is a marker.
pub(crate) fn bind_node(node: &mut NamedNode, parameters: &[NamedNode]) {
    if let Some(parameter) = number(node).and_then(|number| parameters.get(number)) {
        *node = parameter.clone();
    }
}

/// The number of the parameter that a term marks.
pub(crate) fn number_of_term(term: &Term) -> Option<usize> {
    if let Term::NamedNode(node) = term { number(node) } else { None }
}
