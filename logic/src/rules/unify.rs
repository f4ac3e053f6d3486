//! May a triple template make a triple that a pattern matches? Both may have variables, in separate scopes.
//!
//! Unification, since both may contain triple terms. In templates blank nodes are new terms, which no constant of a
//! pattern matches; in patterns blank nodes are variables. Invariant: the answer "no" is always right; "yes" is also the
//! answer where the work would pass [`STEPS_MAX`], which only triple terms that repeat variables many levels deep reach.

use entail_syntax::ast::{Blank, Node, Pattern, Value};
use std::collections::HashMap;

/// The most steps: nested terms that repeat variables can take exponential time to compare.
const STEPS_MAX: u32 = 2_000;

/// Can `template`, in the head of one rule, make a triple that `pattern`, in the body of another rule, matches?
pub(super) fn may_match(pattern: &Pattern, template: &Pattern) -> bool {
    let mut unifier = Unifier { bindings: HashMap::new(), steps: 0 };
    unifier.triples(Side::Pattern, pattern, Side::Template, template)
}

/// The side that a variable belongs to: one name on both sides is two variables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Pattern,
    Template,
}

#[derive(Clone, Copy)]
struct Term<'n> {
    side: Side,
    value: &'n Value,
}

/// A variable of one side, which may be bound to any term.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Free<'n> {
    Variable(Side, &'n str),
    Blank(&'n Blank),
}

impl<'n> Term<'n> {
    fn free(self) -> Option<Free<'n>> {
        match (self.value, self.side) {
            (Value::Variable(variable), side) => Some(Free::Variable(side, variable.as_str())),
            (Value::Blank(blank), Side::Pattern) => Some(Free::Blank(blank)),
            _ => None,
        }
    }
}

struct Unifier<'n> {
    bindings: HashMap<Free<'n>, Term<'n>>,
    steps: u32,
}

impl<'n> Unifier<'n> {
    fn triples(&mut self, left: Side, a: &'n Pattern, right: Side, b: &'n Pattern) -> bool {
        let term = |side, node: &'n Node| Term { side, value: &node.value };
        a.nodes().into_iter().zip(b.nodes()).all(|(a, b)| self.terms(term(left, a), term(right, b)))
    }

    fn terms(&mut self, a: Term<'n>, b: Term<'n>) -> bool {
        if self.is_exhausted() {
            return true;
        }
        let (a, b) = (self.resolve(a), self.resolve(b));
        match (a.free(), b.free()) {
            (Some(free), other) if Some(free) == other => true,
            (Some(free), _) => self.bind(free, b),
            (None, Some(free)) => self.bind(free, a),
            (None, None) => match (a.value, b.value) {
                (Value::Iri(a), Value::Iri(b)) => a == b,
                (Value::Literal(a), Value::Literal(b)) => a == b,
                (Value::Blank(a), Value::Blank(b)) => a == b,
                (Value::Triple(inner), Value::Triple(other)) => self.triples(a.side, inner, b.side, other),
                _ => false,
            },
        }
    }

    fn resolve(&self, mut term: Term<'n>) -> Term<'n> {
        while let Some(bound) = term.free().and_then(|free| self.bindings.get(&free)) {
            term = *bound;
        }
        term
    }

    /// The occurs check: no term contains itself.
    fn bind(&mut self, free: Free<'n>, term: Term<'n>) -> bool {
        let finite = !self.occurs(free, term);
        if finite {
            self.bindings.insert(free, term);
        }
        finite
    }

    fn occurs(&mut self, free: Free<'n>, term: Term<'n>) -> bool {
        if self.is_exhausted() {
            return false;
        }
        let term = self.resolve(term);
        match term.value {
            Value::Triple(inner) => {
                inner.nodes().into_iter().any(|node| self.occurs(free, Term { side: term.side, value: &node.value }))
            }
            _ => term.free() == Some(free),
        }
    }

    fn is_exhausted(&mut self) -> bool {
        self.steps += 1;
        self.steps > STEPS_MAX
    }
}
