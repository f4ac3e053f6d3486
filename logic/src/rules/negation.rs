//! `NOT {...}` in rules: its lowering, and what this version evaluates.
//!
//! A NOT is tested where the facts of its patterns are: at the home of a term that stands in every pattern, as the subject of
//! at least one; or, if that term is a local variable or there is a single pattern, at each node in turn, since then each
//! solution lies at one node. (The facts of one object are at its home only if it is no literal and the predicate is not
//! `rdf:type`.) A NOT whose patterns have no such term would need rows to be joined with rows of other nodes before
//! the test, and a filter that looks into the text of a local variable's term would need texts of other nodes. Both are
//! refused, on one node too, so that a rule set stays valid when the cluster grows.

use super::names::Names;
use super::rule::{Filter, Negated, Rule};
use super::{Spot, condition};
use entail_expression::Program;
use entail_model::Fault;
use entail_syntax::algebra::{Expression, NamedNodePattern, TermPattern, TriplePattern, map, variables};
use entail_syntax::ast::{BodyElement, Negation, RuleText};
use oxrdf::Variable;
use oxrdf::vocab::rdf;
use std::collections::BTreeSet;

/// Adds a NOT to a rule whose patterns before the NOT have been read.
///
/// # Errors
/// `Unsupported` for what the algebra does not have.
pub(super) fn add<'r>(rule: &mut Rule, negation: &'r Negation, names: &mut Names<'r>) -> Result<(), Fault> {
    let mut inner = names.within_not();
    let mut negated = Negated { patterns: Vec::new(), filters: Vec::new() };
    for element in &negation.inner {
        match element {
            BodyElement::Pattern(pattern) => negated.patterns.push(inner.pattern(pattern)),
            BodyElement::Filter(filter) => {
                let expression = map(condition::lower(&filter.expression)?, &mut |part| match part {
                    Expression::Variable(variable) => inner.local(&variable).unwrap_or(variable).into(),
                    other => other,
                });
                negated.filters.push(Filter { expression });
            }
            BodyElement::Negation(_) | BodyElement::Assignment { .. } => unreachable!("the grammar has no such NOT"),
        }
    }
    names.end_not(inner);
    rule.negated.push(negated);
    Ok(())
}

/// Checks the NOTs of a rule whose body has been read, and writes comparisons of nodes in their filters as comparisons of
/// ids.
///
/// # Errors
/// `Unsupported` for a NOT whose patterns cannot be evaluated at one home, and for a filter that looks into a local
/// variable.
pub(super) fn finish(rule: &mut Rule, text: &RuleText) -> Result<(), Fault> {
    let body = Variables::of(&rule.body);
    let negations = text.body.iter().filter_map(|element| match element {
        BodyElement::Negation(negation) => Some(negation),
        BodyElement::Pattern(_) | BodyElement::Filter(_) | BodyElement::Assignment { .. } => None,
    });
    for (negated, negation) in rule.negated.iter_mut().zip(negations) {
        if !is_at_one_home(&negated.patterns, &body) {
            return Err(negation.spot.unsupported(
                "a NOT of several patterns without a term that stands in each of them, as subject of at least one \
                 (derive what it negates by a rule, and negate that),",
            ));
        }
        let mut nodes = Variables::of(&negated.patterns).subjects;
        nodes.extend(body.subjects.iter().cloned());
        let filters = negation.inner.iter().filter_map(|element| match element {
            BodyElement::Filter(filter) => Some(filter.spot),
            _ => None,
        });
        for (filter, spot) in negated.filters.iter_mut().zip(filters) {
            by_ids(filter, &nodes);
            check_filter(filter, &body, spot)?;
        }
    }
    Ok(())
}

/// The variables of some patterns.
struct Variables {
    all: BTreeSet<Variable>,
    /// The variables that cannot be literals.
    subjects: BTreeSet<Variable>,
}

impl Variables {
    fn of(patterns: &[TriplePattern]) -> Self {
        let (mut all, mut subjects) = (BTreeSet::new(), BTreeSet::new());
        for pattern in patterns {
            for term in [&pattern.subject, &pattern.object] {
                all.extend(variable(term).cloned());
            }
            if let NamedNodePattern::Variable(predicate) = &pattern.predicate {
                all.insert(predicate.clone());
                subjects.insert(predicate.clone());
            }
            subjects.extend(variable(&pattern.subject).cloned());
        }
        Self { all, subjects }
    }
}

fn variable(term: &TermPattern) -> Option<&Variable> {
    match term {
        TermPattern::Variable(variable) => Some(variable),
        _ => None,
    }
}

/// Does every solution of the patterns lie at one home that a term of them names, or is there a single fact in it?
fn is_at_one_home(patterns: &[TriplePattern], body: &Variables) -> bool {
    let [first, _, ..] = patterns else { return true };
    let stands_in = |pattern: &TriplePattern, term: &TermPattern| {
        let has_home_of_object =
            matches!(&pattern.predicate, NamedNodePattern::NamedNode(predicate) if *predicate != rdf::TYPE);
        pattern.subject == *term || (pattern.object == *term && has_home_of_object)
    };
    let is_node = |term: &TermPattern| match term {
        TermPattern::NamedNode(_) => true,
        TermPattern::Variable(variable) if body.subjects.contains(variable) => true,
        _ => patterns.iter().any(|pattern| pattern.subject == *term),
    };
    let is_home = |term: &&TermPattern| is_node(term) && patterns.iter().all(|pattern| stands_in(pattern, term));
    [&first.subject, &first.object].iter().any(is_home)
}

/// Writes the equality of two variables as that of their ids if one of them is an IRI or a blank node, which is equal to no
/// other term.
fn by_ids(filter: &mut Filter, nodes: &BTreeSet<Variable>) {
    let is_node = |side: &Expression| matches!(side, Expression::Variable(variable) if nodes.contains(variable));
    let is_variable = |side: &Expression| matches!(side, Expression::Variable(_));
    filter.expression = map(filter.expression.clone(), &mut |part| match part {
        Expression::Equal(a, b) if is_variable(&a) && is_variable(&b) && (is_node(&a) || is_node(&b)) => {
            Expression::SameTerm(a, b)
        }
        other => other,
    });
}

fn check_filter(filter: &Filter, body: &Variables, spot: Spot) -> Result<(), Fault> {
    let used: Vec<Variable> = variables(&filter.expression).into_iter().collect();
    let Some(local) = used.iter().find(|variable| !body.all.contains(variable)) else { return Ok(()) };
    let mut slot = |variable: &Variable| used.iter().position(|other| other == variable).map(|slot| slot as u32);
    if Program::of_algebra(&filter.expression, &mut slot)?.is_decided_by_ids() {
        return Ok(());
    }
    Err(spot.unsupported(format!(
        "a FILTER that looks into the value of {local}, which only the NOT around it binds (derive what the NOT negates by a \
         rule, and negate that),"
    )))
}
