//! The order of joins, and which of them are evaluated row by row.

use super::{Compiler, Made};
use crate::evaluate::expression::Input;
use crate::evaluate::operator::facts::{Facts, GraphRef, Place};
use crate::evaluate::operator::{Kind, Operator, Shared};
use crate::rewrite::PATTERNS_MAX;
use crate::session::lock;
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{self, GraphPattern, TriplePattern};
use oxrdf::Variable;
use std::collections::HashSet;
use std::sync::Arc;

impl Compiler<'_> {
    /// A join of any number of patterns.
    pub(super) fn joined(&mut self, pattern: &GraphPattern, graph: &GraphRef) -> Made {
        let (mut open, mut parts) = (vec![pattern], Vec::new());
        while let Some(next) = open.pop() {
            match next {
                GraphPattern::Join { left, right } => open.extend([&**right, &**left]),
                GraphPattern::Bgp { patterns } => {
                    for triple in patterns {
                        parts.push(self.facts(triple, graph)?);
                    }
                }
                other => parts.push(self.pattern(other, graph)?),
            }
        }
        if parts.is_empty() {
            return Ok(self.unit());
        }
        self.ordered(parts)
    }

    fn facts(&mut self, triple: &TriplePattern, graph: &GraphRef) -> Made {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let message = format!(
                "more than {PATTERNS_MAX} triple patterns, written out, in EXISTS and in GRAPH with a variable; \
                 split the query, or put values into VALUES"
            );
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let facts = Facts {
            graph: graph.clone(),
            subject: self.place(&triple.subject)?,
            predicate: self.name(&triple.predicate)?,
            object: self.place(&triple.object)?,
        };
        let variables = facts.variables();
        Ok(self.operator(Kind::Facts(facts), variables, Some(triple.to_string())))
    }

    /// Joins parts: first one with few rows, then always one that shares variables with those before, if there is one.
    fn ordered(&mut self, mut parts: Vec<Arc<Operator>>) -> Made {
        let rows = |part: &Arc<Operator>| part.estimate;
        // A path without a known end is best left until there is one.
        let first = |part: &Arc<Operator>| (is_walked(part) && part.estimate > 1e3, part.estimate);
        let first = least(&parts, |part| first(part)).unwrap_or_default();
        let mut joined = parts.swap_remove(first);
        let mut bound: HashSet<Variable> = joined.variables.iter().cloned().collect();
        while !parts.is_empty() {
            self.session.check()?;
            let shares = |part: &Arc<Operator>| part.variables.iter().any(|own| bound.contains(own));
            let next = least(&parts, |part| (!shares(part), rows(part))).unwrap_or_default();
            let part = parts.swap_remove(next);
            bound.extend(part.variables.iter().cloned());
            joined = self.join(joined, part);
        }
        Ok(joined)
    }

    fn join(&mut self, left: Arc<Operator>, right: Arc<Operator>) -> Arc<Operator> {
        let variables = both(&left, &right);
        let kind = match is_walked(&right) && shares(&left, &right) {
            true => Kind::Lateral { nodes: self.nodes(&left, &right), left, right, optional: None },
            false => Kind::Join { left, right },
        };
        self.operator(kind, variables, None)
    }

    /// The shared variables that are nodes of the default graph in every row of the left side.
    fn nodes(&self, left: &Operator, right: &Operator) -> Vec<Variable> {
        let shared = right.variables.iter().filter(|variable| left.column(variable).is_some());
        shared.filter(|variable| self.is_node(left, variable)).cloned().collect()
    }

    fn is_node(&self, operator: &Operator, variable: &Variable) -> bool {
        let Some(column) = operator.column(variable) else { return false };
        match &operator.kind {
            Kind::Leaf(number) => self.leaves[*number].nodes[column],
            Kind::Facts(facts) => {
                let ends = [&facts.subject, &facts.object];
                matches!(facts.graph, GraphRef::Default) && ends.iter().any(|end| end.variable() == Some(variable))
            }
            Kind::Path(path) => {
                // A path of length zero starts at any term in place of a variable outside of the EXISTS around.
                let is_open = |place: &Place| place.variable().is_some_and(|end| !self.outer.contains(end));
                let has_both = is_open(&path.subject) && is_open(&path.object);
                matches!(path.graph, GraphRef::Default) && (has_both || !path.path.is_empty_possible())
            }
            Kind::Join { left, right } | Kind::Lateral { left, right, optional: None, .. } => {
                self.is_node(left, variable) || self.is_node(right, variable)
            }
            Kind::Lateral { left, .. } | Kind::Optional { left, .. } | Kind::Minus { left, .. } => {
                self.is_node(left, variable)
            }
            Kind::Filter { inner, .. }
            | Kind::Extend { inner, .. }
            | Kind::Project(inner)
            | Kind::Distinct(inner)
            | Kind::Slice { inner, .. }
            | Kind::Sort { inner, .. } => self.is_node(inner, variable),
            Kind::Union(inputs) => inputs.iter().all(|input| self.is_node(input, variable)),
            Kind::Table(_) | Kind::InGraph { .. } | Kind::EachGraph { .. } | Kind::Group { .. } => false,
        }
    }

    /// OPTIONAL.
    pub(super) fn optional(
        &mut self,
        left: &GraphPattern,
        right: &GraphPattern,
        condition: Option<&algebra::Expression>,
        graph: &GraphRef,
    ) -> Made {
        let (left, right) = (self.pattern(left, graph)?, self.pattern(right, graph)?);
        let variables = both(&left, &right);
        let conditions: Vec<Shared> = match condition {
            Some(condition) => self.conditions(condition, &variables, graph)?,
            None => Vec::new(),
        };
        let kind = match is_walked(&right) && shares(&left, &right) {
            true => Kind::Lateral { nodes: self.nodes(&left, &right), left, right, optional: Some(conditions) },
            false => Kind::Optional { left, right, conditions },
        };
        Ok(self.operator(kind, variables, condition.map(ToString::to_string)))
    }
}

fn both(left: &Operator, right: &Operator) -> Vec<Variable> {
    let more = right.variables.iter().filter(|variable| left.column(variable).is_none());
    left.variables.iter().chain(more).cloned().collect()
}

fn shares(left: &Operator, right: &Operator) -> bool {
    right.variables.iter().any(|variable| left.column(variable).is_some())
}

/// The place of the least part.
fn least<K: PartialOrd>(parts: &[Arc<Operator>], key: impl Fn(&Arc<Operator>) -> K) -> Option<usize> {
    let less = |one: &usize, other: &usize| {
        key(&parts[*one]).partial_cmp(&key(&parts[*other])).unwrap_or(std::cmp::Ordering::Equal)
    };
    (0..parts.len()).min_by(less)
}

/// Is the operator found by walking from known values, so that values in place of variables make it cheap, and change
/// nothing else about it?
fn is_walked(operator: &Operator) -> bool {
    match &operator.kind {
        Kind::Facts(_) | Kind::Path(_) => true,
        Kind::Join { left, right } | Kind::Lateral { left, right, optional: None, .. } => {
            is_walked(left) && is_walked(right)
        }
        Kind::Union(inputs) => inputs.iter().all(|input| is_walked(input)),
        Kind::Filter { inner, conditions } => {
            let sees_bound = |input: &Input| match input {
                Input::Variable(variable, column) => column.is_some() && is_certain(inner, variable),
                Input::Exists(_) => false,
            };
            is_walked(inner) && conditions.iter().all(|condition| lock(condition).inputs.iter().all(sees_bound))
        }
        _ => false,
    }
}

/// Does every row bind the variable?
fn is_certain(operator: &Operator, variable: &Variable) -> bool {
    let has = operator.column(variable).is_some();
    has && match &operator.kind {
        Kind::Facts(_) | Kind::Path(_) => true,
        Kind::Join { left, right } | Kind::Lateral { left, right, optional: None, .. } => {
            is_certain(left, variable) || is_certain(right, variable)
        }
        Kind::Union(inputs) => inputs.iter().all(|input| is_certain(input, variable)),
        Kind::Filter { inner, .. } => is_certain(inner, variable),
        _ => false,
    }
}
