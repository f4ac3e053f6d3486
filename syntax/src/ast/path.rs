//! Property paths.

use crate::Spot;
use oxrdf::NamedNode;

/// A property path. Chains of `/` and of `|` are flat.
#[derive(Clone, Debug)]
pub enum Path {
    Step(NamedNode, Spot),
    Inverse(Box<Path>),
    /// Two or more.
    Sequence(Vec<Path>),
    /// Two or more.
    Alternative(Vec<Path>),
    Repeated(Box<Path>, Repetition),
    /// `!(...)`: any step but these.
    Negated(Vec<NegatedStep>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repetition {
    /// `?`
    ZeroOrOne,
    /// `*`
    ZeroOrMore,
    /// `+`
    OneOrMore,
}

/// A member of a negated property set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NegatedStep {
    Forward(NamedNode),
    /// `^` and an IRI.
    Inverse(NamedNode),
}

impl Path {
    /// Roughly the bytes of a copy of the path.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Step(iri, _) => iri.as_str().len(),
                Self::Inverse(inner) | Self::Repeated(inner, _) => inner.weight(),
                Self::Sequence(list) | Self::Alternative(list) => list.iter().map(Self::weight).sum(),
                Self::Negated(steps) => {
                    steps.iter().map(|step| size_of::<NegatedStep>() + step.iri().as_str().len()).sum()
                }
            }
    }
}

impl NegatedStep {
    /// The predicate, whatever its direction.
    pub fn iri(&self) -> &NamedNode {
        match self {
            Self::Forward(iri) | Self::Inverse(iri) => iri,
        }
    }
}
