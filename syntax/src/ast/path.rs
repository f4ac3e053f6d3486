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
