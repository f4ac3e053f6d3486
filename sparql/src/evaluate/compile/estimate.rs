//! Expected rows of operators: rough, since they only choose the order of joins and the side that is held.

use super::Compiler;
use crate::evaluate::operator::facts::Place;
use crate::evaluate::operator::{Kind, Operator};
use std::sync::Arc;

/// The rows of a path with no known end.
const PATHS: f64 = 1e6;
/// The rows of a path or pattern with one known end.
const OF_ONE: f64 = 16.0;

impl Compiler<'_> {
    pub(super) fn estimate(&self, kind: &Kind) -> f64 {
        match kind {
            Kind::Leaf(number) => self.leaves[*number].estimate,
            Kind::Table(codes) => codes.len() as f64,
            Kind::Facts(facts) => {
                let ends = [&facts.subject, &facts.object].iter().filter(|place| !self.is_known(place)).count();
                let all = match &facts.predicate {
                    Place::Code(predicate) => {
                        let stats = self.session.context.stats.iter();
                        stats.filter(|(of, _)| of.predicate == *predicate).map(|(_, stats)| stats.facts as f64).sum()
                    }
                    Place::Variable(_) => PATHS,
                };
                of_ends(ends, all)
            }
            Kind::Path(path) => {
                let ends = [&path.subject, &path.object].iter().filter(|place| !self.is_known(place)).count();
                of_ends(ends, PATHS)
            }
            Kind::Join { left, right } => joined(left, right),
            Kind::Lateral { left, right, .. } => left.estimate * right.estimate.clamp(1.0, OF_ONE),
            Kind::Optional { left, .. } | Kind::Minus { left, .. } => left.estimate,
            Kind::Union(inputs) => inputs.iter().map(|input| input.estimate).sum(),
            Kind::Filter { inner, .. } => inner.estimate * 0.5,
            Kind::InGraph { inner, .. }
            | Kind::EachGraph { inner, .. }
            | Kind::Extend { inner, .. }
            | Kind::Project(inner)
            | Kind::Distinct(inner)
            | Kind::Sort { inner, .. } => inner.estimate,
            Kind::Slice { inner, length, .. } => {
                length.map_or(inner.estimate, |length| inner.estimate.min(length as f64))
            }
            Kind::Group { inner, group, .. } => {
                if group.by.is_empty() {
                    1.0
                } else {
                    inner.estimate.sqrt()
                }
            }
        }
    }

    fn is_known(&self, place: &Place) -> bool {
        place.variable().is_none_or(|variable| self.outer.contains(variable))
    }
}

fn of_ends(unknown: usize, all: f64) -> f64 {
    match unknown {
        0 => 1.0,
        1 => all.clamp(1.0, OF_ONE),
        _ => all,
    }
}

fn joined(left: &Arc<Operator>, right: &Arc<Operator>) -> f64 {
    let is_connected = left.variables.iter().any(|variable| right.column(variable).is_some());
    if is_connected { left.estimate.max(right.estimate) } else { left.estimate * right.estimate.max(1.0) }
}
