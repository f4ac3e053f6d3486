//! Random rules with filters, whose heads take variables of their bodies: they derive finitely many facts.

use super::data::predicate;
use super::query::Writer;
use super::{Random, named, node};
use crate::query::*;
use crate::rules::Rule;
use crate::scope;
use std::ops::RangeInclusive;

/// As many rules as `counts` allows.
pub fn rules(random: &mut Random<'_>, counts: RangeInclusive<u64>) -> Vec<Rule> {
    let count = counts.start() + random.below(counts.end() - counts.start() + 1);
    (0..count).map(|_| rule(random)).collect()
}

fn variable(random: &mut Random<'_>) -> Node {
    Node::Variable((random.word(&["a", "b", "c"])).to_owned())
}

fn atom(random: &mut Random<'_>) -> Element {
    let object = if random.chance(15) { Node::Term(node(random).into()) } else { variable(random) };
    Element::Triple(TriplePattern {
        subject: variable(random),
        predicate: Node::Term(predicate(random).into()),
        object,
    })
}

/// A rule whose filters see the variables of its body.
pub fn rule(random: &mut Random<'_>) -> Rule {
    let mut body = Group((0..=random.below(2)).map(|_| atom(random)).collect());
    let bound: Vec<String> = scope::of_group(&body).into_iter().collect();
    for _ in 0..random.below(3) {
        let condition = Writer::new(random).rule_condition(&bound);
        body.0.push(Element::Filter(condition));
    }
    let mut place = |random: &mut Random<'_>| Node::Variable(random.pick(&bound).clone());
    let head = |random: &mut Random<'_>, place: &mut dyn FnMut(&mut Random<'_>) -> Node| TriplePattern {
        subject: place(random),
        predicate: Node::Term(named(random.word(&["p0", "p1", "q0", "q1"])).into()),
        object: if random.chance(15) { Node::Term(node(random).into()) } else { place(random) },
    };
    let heads = (0..=random.below(2)).map(|_| head(random, &mut place)).collect();
    Rule { heads, body }
}

impl Writer<'_, '_> {
    /// A condition of the rule language: without BOUND, COALESCE and the like, over these variables only.
    fn rule_condition(&mut self, bound: &[String]) -> Expression {
        self.has_bound = false;
        loop {
            let mut condition = self.condition(2);
            self.rename(&mut condition, bound);
            if is_of_rules(&condition) {
                return condition;
            }
        }
    }

    fn rename(&mut self, expression: &mut Expression, bound: &[String]) {
        if let Expression::Variable(name) = expression {
            *name = self.random.pick(bound).clone();
        }
        expression.children_mut().into_iter().for_each(|child| self.rename(child, bound));
    }
}

fn is_of_rules(expression: &Expression) -> bool {
    let is_own = match expression {
        Expression::Call(function, _) => {
            !matches!(function, Function::Bound | Function::Coalesce | Function::Cast("date") | Function::Bnode)
        }
        Expression::Exists(_) | Expression::Aggregate(_) => false,
        _ => true,
    };
    is_own && expression.children().into_iter().all(is_of_rules)
}
