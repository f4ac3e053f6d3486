//! Property paths (18.4), by their definitions: each takes the ends that are given, and returns the pairs of both ends.

use crate::query::Path;
use oxrdf::{Term, Triple};
use std::collections::HashSet;

type Pairs = Vec<(Term, Term)>;

/// The terms that are subjects or objects, once each.
fn nodes(graph: &[Triple]) -> Vec<Term> {
    let ends = graph.iter().flat_map(|triple| [triple.subject.clone().into(), triple.object.clone()]);
    distinct(ends.collect())
}

fn distinct<T: Clone + Eq + std::hash::Hash>(items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

fn swapped(pairs: Pairs) -> Pairs {
    pairs.into_iter().map(|(one, other)| (other, one)).collect()
}

/// The triples whose predicate `is_step`, as pairs.
fn triples(graph: &[Triple], x: Option<&Term>, y: Option<&Term>, is_step: impl Fn(&Triple) -> bool) -> Pairs {
    let pairs = graph.iter().filter(|triple| is_step(triple));
    let pairs = pairs.map(|triple| (Term::from(triple.subject.clone()), triple.object.clone()));
    pairs.filter(|(one, other)| x.is_none_or(|x| x == one) && y.is_none_or(|y| y == other)).collect()
}

/// The multiset of the pairs that a path connects; an end that is `None` is a variable.
pub fn pairs(graph: &[Triple], x: Option<&Term>, path: &Path, y: Option<&Term>) -> Pairs {
    match path {
        Path::Link(iri) => triples(graph, x, y, |triple| triple.predicate == *iri),
        Path::Inverse(path) => swapped(pairs(graph, y, path, x)),
        Path::Sequence(first, second) => {
            let seconds = pairs(graph, None, second, y);
            let join = |(one, middle): (Term, Term)| {
                let ends = seconds.iter().filter(move |(start, _)| *start == middle);
                ends.map(|(_, other)| (one.clone(), other.clone())).collect::<Pairs>()
            };
            pairs(graph, x, first, None).into_iter().flat_map(join).collect()
        }
        Path::Alternative(one, other) => {
            let mut all = pairs(graph, x, one, y);
            all.extend(pairs(graph, x, other, y));
            all
        }
        Path::Negated { forward, backward } => {
            let mut all = Vec::new();
            if !forward.is_empty() {
                all.extend(triples(graph, x, y, |triple| !forward.contains(&triple.predicate)));
            }
            if !backward.is_empty() {
                all.extend(swapped(triples(graph, y, x, |triple| !backward.contains(&triple.predicate))));
            }
            all
        }
        Path::ZeroOrOne(path) => {
            let mut all = zero_length(graph, x, y);
            all.extend(pairs(graph, x, path, y));
            distinct(all)
        }
        Path::ZeroOrMore(path) => repeated(graph, x, path, y, true),
        Path::OneOrMore(path) => repeated(graph, x, path, y, false),
    }
}

fn zero_length(graph: &[Triple], x: Option<&Term>, y: Option<&Term>) -> Pairs {
    match (x, y) {
        (Some(x), Some(y)) if x != y => Vec::new(),
        (Some(term), _) | (None, Some(term)) => vec![(term.clone(), term.clone())],
        (None, None) => nodes(graph).into_iter().map(|node| (node.clone(), node)).collect(),
    }
}

/// `path*`, or `path+` where zero steps do not count.
fn repeated(graph: &[Triple], x: Option<&Term>, path: &Path, y: Option<&Term>, has_zero: bool) -> Pairs {
    match (x, y) {
        (None, Some(y)) => {
            let inverse = Path::Inverse(Box::new(path.clone()));
            swapped(repeated(graph, Some(y), &inverse, None, has_zero))
        }
        (None, None) => {
            let from = |node: Term| repeated(graph, Some(&node), path, None, has_zero);
            nodes(graph).into_iter().flat_map(from).collect()
        }
        (Some(x), _) => {
            let mut visited = Vec::new();
            let starts = if has_zero { vec![x.clone()] } else { reachable(graph, x, path) };
            starts.into_iter().for_each(|start| visit(graph, start, path, &mut visited));
            let ends = visited.into_iter().filter(|end| y.is_none_or(|y| y == end));
            ends.map(|end| (x.clone(), end)).collect()
        }
    }
}

/// The standard's `ALP`.
fn visit(graph: &[Triple], term: Term, path: &Path, visited: &mut Vec<Term>) {
    if visited.contains(&term) {
        return;
    }
    visited.push(term.clone());
    reachable(graph, &term, path).into_iter().for_each(|next| visit(graph, next, path, visited));
}

fn reachable(graph: &[Triple], from: &Term, path: &Path) -> Vec<Term> {
    pairs(graph, Some(from), path, None).into_iter().map(|(_, end)| end).collect()
}
