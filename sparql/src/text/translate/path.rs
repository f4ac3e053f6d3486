//! Property paths.

use super::Translation;
use entail_syntax::algebra::{GraphPattern, PropertyPathExpression};
use entail_syntax::algebra::{TermPattern, TriplePattern};
use entail_syntax::ast::{NegatedStep, Path, Repetition};

impl Translation {
    /// The patterns of a path: triples for steps, and for sequences and inverses outside of other operators.
    pub fn path(&mut self, subject: TermPattern, path: &Path, object: TermPattern, found: &mut Vec<GraphPattern>) {
        match path {
            Path::Step(iri, _) => {
                let triple = TriplePattern { subject, predicate: iri.clone().into(), object };
                found.push(GraphPattern::Bgp { patterns: vec![triple] });
            }
            Path::Inverse(inner) => self.path(object, inner, subject, found),
            Path::Sequence(steps) => {
                let Some((last, before)) = steps.split_last() else { return };
                let mut from = subject;
                for step in before {
                    let to = TermPattern::from(self.blank_node());
                    self.path(from, step, to.clone(), found);
                    from = to;
                }
                self.path(from, last, object, found);
            }
            Path::Alternative(_) | Path::Repeated(..) | Path::Negated(_) => {
                found.push(match expression(path) {
                    // A negated set of inverse steps only.
                    PropertyPathExpression::Reverse(inner) => {
                        GraphPattern::Path { subject: object, path: *inner, object: subject }
                    }
                    path => GraphPattern::Path { subject, path, object },
                });
            }
        }
    }
}

fn expression(path: &Path) -> PropertyPathExpression {
    let folded = |list: &[Path], join: fn(Box<_>, Box<_>) -> PropertyPathExpression| {
        let joined = list.iter().map(expression).reduce(|left, right| join(Box::new(left), Box::new(right)));
        joined.expect("a chain has parts")
    };
    match path {
        Path::Step(iri, _) => iri.clone().into(),
        Path::Inverse(inner) => PropertyPathExpression::Reverse(Box::new(expression(inner))),
        Path::Sequence(list) => folded(list, PropertyPathExpression::Sequence),
        Path::Alternative(list) => folded(list, PropertyPathExpression::Alternative),
        Path::Repeated(inner, repetition) => {
            let inner = Box::new(expression(inner));
            match repetition {
                Repetition::ZeroOrOne => PropertyPathExpression::ZeroOrOne(inner),
                Repetition::ZeroOrMore => PropertyPathExpression::ZeroOrMore(inner),
                Repetition::OneOrMore => PropertyPathExpression::OneOrMore(inner),
            }
        }
        Path::Negated(steps) => negated(steps),
    }
}

/// Steps that are not in a set; the inverse ones are steps of their own.
fn negated(steps: &[NegatedStep]) -> PropertyPathExpression {
    let is_inverse = |step: &&NegatedStep| matches!(step, NegatedStep::Inverse(_));
    let iris = |inverse: bool| {
        let chosen = steps.iter().filter(|step| is_inverse(step) == inverse);
        PropertyPathExpression::NegatedPropertySet(chosen.map(|step| step.iri().clone()).collect())
    };
    let inverse = || PropertyPathExpression::Reverse(Box::new(iris(true)));
    match (steps.iter().all(|step| !is_inverse(&step)), steps.iter().all(|step| is_inverse(&step))) {
        (true, _) => iris(false),
        (_, true) => inverse(),
        _ => PropertyPathExpression::Alternative(Box::new(iris(false)), Box::new(inverse())),
    }
}
