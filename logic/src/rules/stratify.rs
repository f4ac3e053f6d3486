//! Stratification: can the rules be put into layers such that the facts that a rule negates, and the facts that it makes
//! new terms from, are complete before it runs (sections "Rule Dependency" and "Stratification Condition" of the draft)?
//!
//! A dependency is *closed* if the rule needs all results of the other rule first: under NOT, and for every pattern of a
//! rule that makes new terms. The condition: no cycle of dependencies contains a closed one.

use super::{Ast, unify};
use crate::dependencies::{self, Cycle, Dependency};
use entail_model::Fault;
use entail_syntax::ast::{BodyElement, Node, Pattern, RuleText, Value};
use std::collections::HashMap;

/// The most pairs of pattern and template that are compared; a text with more is too large.
const COMPARISONS_MAX: usize = 20_000_000;
/// The most dependencies that are kept; a text with more is too large.
const DEPENDENCIES_MAX: usize = 2_000_000;

/// The most rules of a cycle that a fault names.
const CYCLE_RULES_SHOWN: usize = 10;

/// Checks the stratification condition, for the whole language.
///
/// # Errors
/// `Syntax` at a rule that needs its own results first; `LimitExceeded` for very large texts.
pub fn check_stratified(ast: &Ast) -> Result<(), Fault> {
    let needs = Needs::of(ast)?;
    dependencies::strata(&needs.of_rules).map(drop).map_err(|cycle| unstratified(&ast.document.rules, &cycle))
}

/// The fault of a cycle, at its first rule.
fn unstratified(rules: &[RuleText], Cycle(cycle): &Cycle) -> Fault {
    let first = &rules[cycle[0]];
    let why = if makes_terms(first) { "makes new terms" } else { "has a NOT" };
    let steps = describe_cycle(cycle.iter().map(|rule| described(&rules[*rule])));
    first
        .spot
        .syntax(format!("no stratification: this rule {why}, so it would have to wait for its own results{steps}"))
}

/// The steps of a cycle, from a rule that needs all results of the next one; nothing if there is only one rule.
pub fn describe_cycle(rules: impl ExactSizeIterator<Item = String>) -> String {
    let (count, mut rules) = (rules.len(), rules.take(CYCLE_RULES_SHOWN));
    let Some(first) = rules.next().filter(|_| count > 1) else { return String::new() };
    let mut steps = format!(": {first} needs all results of ");
    rules.for_each(|rule| steps += &format!("{rule}, which needs results of "));
    steps + &if count > CYCLE_RULES_SHOWN { format!("{} more", count - CYCLE_RULES_SHOWN) } else { first }
}

/// A rule's name, if it has one, and its position.
fn described(rule: &RuleText) -> String {
    match &rule.name {
        Some(name) => format!("the rule {name} at {}", rule.spot),
        None => format!("the rule at {}", rule.spot),
    }
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

/// The dependencies of each rule.
struct Needs {
    of_rules: Vec<Vec<Dependency>>,
}

impl Needs {
    fn of(ast: &Ast) -> Result<Self, Fault> {
        let heads = Heads::of(ast);
        let (mut comparisons, mut count) = (0, 0);
        let mut of_rules = Vec::with_capacity(ast.document.rules.len());
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
            let mut found: Vec<_> = found.into_iter().map(|(to, closed)| Dependency { to, closed }).collect();
            found.sort_unstable_by_key(|need| need.to);
            of_rules.push(found);
        }
        Ok(Self { of_rules })
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
