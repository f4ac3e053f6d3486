//! Terms, triples and paths.

use super::list;
use crate::ast::{Blank, NegatedStep, Node, Path, PathPattern, Pattern, Repetition, Value};
use std::fmt::{self, Display, Formatter};

/// Labels of blank nodes without a name begin so. A label of the text that does, too, gets an `l` after it.
const FRESH: &str = "fresh";

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Iri(iri) => iri.fmt(f),
            Value::Literal(literal) => literal.fmt(f),
            Value::Variable(variable) => variable.fmt(f),
            Value::Blank(Blank::Fresh(number)) => write!(f, "_:{FRESH}{number}"),
            Value::Blank(Blank::Label(label)) if label.starts_with(FRESH) => write!(f, "_:{FRESH}l{label}"),
            Value::Blank(Blank::Label(label)) => write!(f, "_:{label}"),
            Value::Triple(triple) => write!(f, "<<( {triple} )>>"),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.subject, self.predicate, self.object)
    }
}

impl Display for PathPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.subject, self.path, self.object)
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(iri, _) => iri.fmt(f),
            Self::Inverse(inner) => write!(f, "^({inner})"),
            Self::Sequence(steps) => bracketed(f, "/", steps),
            Self::Alternative(paths) => bracketed(f, "|", paths),
            // A space, since `?` and a letter after it would be a variable.
            Self::Repeated(inner, Repetition::ZeroOrOne) => write!(f, "({inner})? "),
            Self::Repeated(inner, Repetition::ZeroOrMore) => write!(f, "({inner})*"),
            Self::Repeated(inner, Repetition::OneOrMore) => write!(f, "({inner})+ "),
            Self::Negated(steps) => {
                f.write_str("!")?;
                bracketed(f, "|", steps)
            }
        }
    }
}

impl Display for NegatedStep {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(iri) => iri.fmt(f),
            Self::Inverse(iri) => write!(f, "^{iri}"),
        }
    }
}

fn bracketed<T: Display>(f: &mut Formatter<'_>, separator: &str, items: &[T]) -> fmt::Result {
    f.write_str("(")?;
    list(f, separator, items)?;
    f.write_str(")")
}
