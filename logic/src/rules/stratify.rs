//! Stratification: can the rules be put into layers such that the facts that a rule negates, and the facts that it makes
//! new terms from, are complete before it runs (sections "Rule Dependency" and "Stratification Condition" of the draft)?
//!
//! A dependency is *closed* if the rule needs all results of the other rule first: under NOT, and for every pattern of a
//! rule that makes new terms. The condition: no cycle of dependencies contains a closed one.

use super::{Ast, unify};
use entail_model::Fault;
use entail_syntax::ast::{BodyElement, Node, Pattern, RuleText, Value};
use std::collections::HashMap;

/// The most pairs of pattern and template that are compared; a text with more is too large.
const COMPARISONS_MAX: usize = 20_000_000;
/// The most dependencies that are kept; a text with more is too large.
const DEPENDENCIES_MAX: usize = 2_000_000;

/// Checks the stratification condition, for the whole language.
///
/// # Errors
/// `Syntax` at a rule that needs its own results first; `LimitExceeded` for very large texts.
pub fn check_stratified(ast: &Ast) -> Result<(), Fault> {
    let graph = Dependencies::of(ast)?;
    let component = components(&graph.edges);
    for (rule, edges) in graph.edges.iter().enumerate() {
        if let Some(edge) = edges.iter().find(|edge| edge.closed && component[edge.to] == component[rule]) {
            return Err(unstratified(&ast.document.rules[rule], &ast.document.rules[edge.to]));
        }
    }
    Ok(())
}

fn unstratified(rule: &RuleText, needed: &RuleText) -> Fault {
    let why = if makes_terms(rule) { "makes new terms" } else { "has a NOT" };
    let from = if std::ptr::eq(rule, needed) {
        "its own results".to_owned()
    } else {
        format!("the results of the rule at {}:{}, which depends on it", needed.spot.line, needed.spot.column)
    };
    rule.spot.syntax(format!("no stratification: this rule {why}, so it would have to wait for {from}"))
}

/// Is the rule a "run-once rule": has it SET, or does its head make blank nodes or triple terms?
///
/// The draft does not name triple terms; its test suite does (stratification-bad-06, -07).
fn makes_terms(rule: &RuleText) -> bool {
    let makes = |node: &Node| match node.value {
        Value::Blank(_) => true,
        Value::Triple(_) => !node.is_ground(),
        Value::Iri(_) | Value::Literal(_) | Value::Variable(_) => false,
    };
    rule.body.iter().any(|element| matches!(element, BodyElement::Assignment { .. }))
        || rule.head.iter().flat_map(Pattern::nodes).any(makes)
}

/// A dependency: one rule reads facts that another one derives.
struct Edge {
    to: usize,
    closed: bool,
}

/// The dependencies of each rule.
struct Dependencies {
    edges: Vec<Vec<Edge>>,
}

impl Dependencies {
    fn of(ast: &Ast) -> Result<Self, Fault> {
        let heads = Heads::of(ast);
        let (mut comparisons, mut count) = (0, 0);
        let mut edges = Vec::with_capacity(ast.document.rules.len());
        for rule in &ast.document.rules {
            let mut found: HashMap<usize, bool> = HashMap::new();
            for (pattern, closed) in reads(rule) {
                for &(other, template) in heads.candidates(pattern) {
                    comparisons += 1;
                    // A closed dependency is the strongest kind: the pair need not be examined again.
                    if found.get(&other).is_some_and(|&known| known || !closed) {
                        continue;
                    }
                    if unify::may_match(pattern, template) {
                        *found.entry(other).or_default() |= closed;
                    }
                }
            }
            count += found.len();
            if comparisons > COMPARISONS_MAX || count > DEPENDENCIES_MAX {
                return Err(rule.spot.limit("the rules up to here depend on each other in too many ways"));
            }
            let mut found: Vec<_> = found.into_iter().map(|(to, closed)| Edge { to, closed }).collect();
            found.sort_unstable_by_key(|edge| edge.to);
            edges.push(found);
        }
        Ok(Self { edges })
    }
}

/// The patterns of a rule that heads may match, and whether their facts must be complete first.
fn reads(rule: &RuleText) -> Vec<(&Pattern, bool)> {
    if rule.base_only.is_some() {
        return Vec::new();
    }
    let once = makes_terms(rule);
    let mut found = Vec::new();
    for element in &rule.body {
        match element {
            BodyElement::Pattern(pattern) => found.push((pattern, once)),
            BodyElement::Negation(negation) if negation.base_only.is_none() => {
                found.extend(negation.inner.iter().filter_map(|inner| match inner {
                    BodyElement::Pattern(pattern) => Some((pattern, true)),
                    _ => None,
                }));
            }
            BodyElement::Negation(_) | BodyElement::Filter(_) | BodyElement::Assignment { .. } => {}
        }
    }
    found
}

/// All templates with their rules, found by predicate.
struct Heads<'r> {
    by_predicate: HashMap<&'r str, Vec<(usize, &'r Pattern)>>,
    any_predicate: Vec<(usize, &'r Pattern)>,
    all: Vec<(usize, &'r Pattern)>,
}

impl<'r> Heads<'r> {
    fn of(ast: &'r Ast) -> Self {
        let mut heads = Self { by_predicate: HashMap::new(), any_predicate: Vec::new(), all: Vec::new() };
        for (index, rule) in ast.document.rules.iter().enumerate() {
            for template in &rule.head {
                heads.all.push((index, template));
                match &template.predicate.value {
                    Value::Iri(iri) => heads.by_predicate.entry(iri.as_str()).or_default().push((index, template)),
                    _ => heads.any_predicate.push((index, template)),
                }
            }
        }
        heads
    }

    fn candidates(&self, pattern: &Pattern) -> impl Iterator<Item = &(usize, &'r Pattern)> {
        let (named, other) = match &pattern.predicate.value {
            Value::Iri(iri) => (self.by_predicate.get(iri.as_str()), &self.any_predicate),
            _ => (None, &self.all),
        };
        named.into_iter().flatten().chain(other)
    }
}

/// For each vertex the number of its strongly connected component (Kosaraju's algorithm, without recursion).
fn components(edges: &[Vec<Edge>]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let mut backward = vec![Vec::new(); edges.len()];
    for (from, edges) in edges.iter().enumerate() {
        edges.iter().for_each(|edge| backward[edge.to].push(from));
    }
    let mut component = vec![NONE; edges.len()];
    for (number, start) in finished(edges).into_iter().rev().enumerate() {
        let mut open = vec![start];
        while let Some(vertex) = open.pop() {
            if component[vertex] == NONE {
                component[vertex] = number;
                open.extend(&backward[vertex]);
            }
        }
    }
    component
}

/// The vertices in the order in which a depth-first walk leaves them.
fn finished(edges: &[Vec<Edge>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    for start in 0..edges.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((vertex, next)) = path.last_mut() {
            match edges[*vertex].get(*next) {
                Some(edge) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[edge.to], true) {
                        path.push((edge.to, 0));
                    }
                }
                None => order.extend(path.pop().map(|(vertex, _)| vertex)),
            }
        }
    }
    order
}
