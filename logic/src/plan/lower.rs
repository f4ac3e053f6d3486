//! Lowering: named variables and terms of rules and queries become slots and ids.
//!
//! The caller walks its own patterns, in the order in which slots are to be numbered, and gives the lookup of ids.

use super::{Arg, Condition, Slot};
use entail_expression::Program;
use entail_model::{Fault, TermId};
use entail_syntax::algebra::Expression;
use oxrdf::{Term, Variable};
use std::collections::HashMap;

/// The lookup of the ids of terms.
pub trait Terms {
    /// The error of a failed lookup.
    type Error;

    /// The id of a term; `None` if the dictionary does not know it.
    fn id(&mut self, term: &Term) -> Result<Option<TermId>, Self::Error>;
}

/// A position of a pattern.
#[derive(Clone, Copy, Debug)]
pub enum Position<'p> {
    Variable(&'p Variable),
    Term(&'p Term),
}

/// The lowering of one body: its variables so far, and the lookup of ids.
pub struct Lowering<T> {
    pub terms: T,
    pub slots: Slots,
}

impl<T: Terms> Lowering<T> {
    /// A body without variables yet.
    pub fn new(terms: T) -> Self {
        Self { terms, slots: Slots::default() }
    }

    /// The argument of an atom; `None` for a term without an id.
    pub fn arg(&mut self, position: Position<'_>) -> Result<Option<Arg>, T::Error> {
        match position {
            Position::Variable(variable) => Ok(Some(Arg::Slot(self.slots.of(variable)))),
            Position::Term(term) => Ok(self.terms.id(term)?.map(Arg::Const)),
        }
    }

    /// An expression as a condition on rows.
    ///
    /// # Errors
    /// `Unsupported` for EXISTS and unknown functions, `LimitExceeded` for too many levels.
    pub fn condition(&mut self, expression: &Expression) -> Result<Condition, Fault> {
        let slots = &mut self.slots;
        let program = Program::of_algebra(expression, &mut |variable| u32::try_from(slots.of(variable)).ok())?;
        Ok(Condition { program })
    }
}

/// The variables of a body, numbered as they are met.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    numbers: HashMap<Variable, Slot>,
    names: Vec<Variable>,
}

impl Slots {
    /// The slot of a variable; a variable without one gets a new one.
    pub fn of(&mut self, variable: &Variable) -> Slot {
        if let Some(slot) = self.find(variable) {
            return slot;
        }
        let slot = self.names.len();
        self.numbers.insert(variable.clone(), slot);
        self.names.push(variable.clone());
        slot
    }

    /// The slot of a variable, if it has one.
    pub fn find(&self, variable: &Variable) -> Option<Slot> {
        self.numbers.get(variable).copied()
    }

    /// The number of variables: the width of a row.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// The variables in the order of their slots.
    pub fn into_names(self) -> Vec<Variable> {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known(Term);

    impl Terms for Known {
        type Error = std::convert::Infallible;

        fn id(&mut self, term: &Term) -> Result<Option<TermId>, Self::Error> {
            Ok((*term == self.0).then_some(TermId(7)))
        }
    }

    #[test]
    fn variables_share_slots_and_unknown_terms_have_no_argument() {
        let [x, y] = ["x", "y"].map(Variable::new_unchecked);
        let [known, unknown] = ["urn:a", "urn:b"].map(|iri| Term::from(oxrdf::NamedNode::new_unchecked(iri)));
        let mut lowering = Lowering::new(Known(known.clone()));
        let mut arg = |position| lowering.arg(position).unwrap();
        assert_eq!(arg(Position::Variable(&x)), Some(Arg::Slot(0)));
        assert_eq!(arg(Position::Variable(&y)), Some(Arg::Slot(1)));
        assert_eq!(arg(Position::Variable(&x)), Some(Arg::Slot(0)));
        assert_eq!(arg(Position::Term(&known)), Some(Arg::Const(TermId(7))));
        assert_eq!(arg(Position::Term(&unknown)), None);
        let both = Expression::SameTerm(Box::new(x.clone().into()), Box::new(y.clone().into()));
        let condition = lowering.condition(&both).unwrap();
        assert_eq!(condition.slots(), [0, 1]);
        assert!(condition.program.is_decided_by_ids());
        assert_eq!((lowering.slots.width(), lowering.slots.into_names()), (2, vec![x, y]));
    }
}
