//! Terms and triples.

use super::Translation;
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use entail_syntax::ast::{Blank, Node, Pattern, Value};
use oxrdf::{BlankNode, Term, Triple};

impl Translation {
    pub fn triple(&self, pattern: &Pattern) -> TriplePattern {
        TriplePattern {
            subject: self.term(&pattern.subject),
            predicate: name(&pattern.predicate),
            object: self.term(&pattern.object),
        }
    }

    pub fn term(&self, node: &Node) -> TermPattern {
        match &node.value {
            Value::Iri(iri) => iri.clone().into(),
            Value::Literal(literal) => literal.clone().into(),
            Value::Variable(variable) => variable.clone().into(),
            Value::Blank(blank) => self.blank(blank).into(),
            Value::Triple(triple) => self.triple(triple).into(),
        }
    }

    fn blank(&self, blank: &Blank) -> BlankNode {
        match blank {
            Blank::Label(label) => BlankNode::new_unchecked(label.as_str()),
            Blank::Fresh(number) => BlankNode::new_unchecked(format!("{}n{number}", self.prefix)),
        }
    }
}

/// An IRI or a variable.
pub(super) fn name(node: &Node) -> NamedNodePattern {
    match &node.value {
        Value::Iri(iri) => iri.clone().into(),
        Value::Variable(variable) => variable.clone().into(),
        Value::Literal(_) | Value::Blank(_) | Value::Triple(_) => unreachable!("the grammar has no such name"),
    }
}

/// A term of VALUES.
pub(super) fn ground(node: &Node) -> Term {
    match &node.value {
        Value::Iri(iri) => iri.clone().into(),
        Value::Literal(literal) => literal.clone().into(),
        Value::Triple(triple) => {
            let (Value::Iri(subject), Value::Iri(predicate)) = (&triple.subject.value, &triple.predicate.value) else {
                unreachable!("the parser lets no other triple term pass")
            };
            Triple::new(subject.clone(), predicate.clone(), ground(&triple.object)).into()
        }
        Value::Variable(_) | Value::Blank(_) => unreachable!("the parser lets no variable and no blank node pass"),
    }
}
