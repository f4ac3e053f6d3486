//! Solution modifiers: LIMIT, OFFSET, DISTINCT and the projection around the pattern of a query.

use entail_syntax::algebra::GraphPattern;
use oxrdf::Variable;

/// The outer operators of a query that need no evaluator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Modifiers {
    pub start: usize,
    pub length: Option<usize>,
    pub duplicates: Duplicates,
    /// The variables of the projection; `None` if there is none.
    pub variables: Option<Vec<Variable>>,
}

/// Which of several equal solutions are returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Duplicates {
    #[default]
    Kept,
    /// REDUCED: at least one.
    Reduced,
    /// DISTINCT: exactly one.
    Distinct,
}

impl Modifiers {
    /// Removes the outer operators of a pattern, as far as they have the usual order.
    pub fn take(pattern: GraphPattern) -> (Self, GraphPattern) {
        let (mut modifiers, mut inner) = (Self::default(), pattern);
        if let GraphPattern::Slice { inner: below, start, length } = inner {
            (modifiers.start, modifiers.length, inner) = (start, length, *below);
        }
        match inner {
            GraphPattern::Distinct { inner: below } => (modifiers.duplicates, inner) = (Duplicates::Distinct, *below),
            GraphPattern::Reduced { inner: below } => (modifiers.duplicates, inner) = (Duplicates::Reduced, *below),
            _ => {}
        }
        if let GraphPattern::Project { inner: below, variables } = inner {
            (modifiers.variables, inner) = (Some(variables), *below);
        }
        (modifiers, inner)
    }

    /// The pattern under these operators.
    pub fn around(self, inner: GraphPattern) -> GraphPattern {
        let mut pattern = inner;
        if let Some(variables) = self.variables {
            pattern = GraphPattern::Project { inner: Box::new(pattern), variables };
        }
        pattern = match self.duplicates {
            Duplicates::Kept => pattern,
            Duplicates::Reduced => GraphPattern::Reduced { inner: Box::new(pattern) },
            Duplicates::Distinct => GraphPattern::Distinct { inner: Box::new(pattern) },
        };
        if self.start == 0 && self.length.is_none() {
            return pattern;
        }
        GraphPattern::Slice { inner: Box::new(pattern), start: self.start, length: self.length }
    }
}

/// The variables that a pattern projects, if its outer operators have a projection.
pub(crate) fn shown(pattern: &GraphPattern) -> &[Variable] {
    match pattern {
        GraphPattern::Slice { inner, .. } | GraphPattern::Distinct { inner } | GraphPattern::Reduced { inner } => {
            shown(inner)
        }
        GraphPattern::Project { variables, .. } => variables,
        _ => &[],
    }
}
