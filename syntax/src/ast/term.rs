//! Terms and triples as a text has them, each in its place.

use crate::Spot;
use oxrdf::{Literal, NamedNode, Variable};

/// A triple with variables. Its predicate is an IRI or a variable.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub subject: Node,
    pub predicate: Node,
    pub object: Node,
}

/// A term or a variable in its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub spot: Spot,
}

#[derive(Clone, Debug)]
pub enum Value {
    Iri(NamedNode),
    Literal(Literal),
    Variable(Variable),
    Blank(Blank),
    /// A triple term.
    Triple(Box<Pattern>),
}

/// A blank node: one that the text names, or one that an abbreviation stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blank {
    Label(String),
    Fresh(u32),
}

/// A variable in its place.
#[derive(Clone, Debug)]
pub struct VariableAt {
    pub variable: Variable,
    pub spot: Spot,
}

impl Pattern {
    /// Subject, predicate and object.
    pub fn nodes(&self) -> [&Node; 3] {
        [&self.subject, &self.predicate, &self.object]
    }

    /// Calls `visit` for each node, those inside triple terms too.
    pub fn walk<'p>(&'p self, visit: &mut impl FnMut(&'p Node)) {
        self.nodes().into_iter().for_each(|node| node.walk(visit));
    }
}

impl Node {
    /// Calls `visit` for this node and those inside it.
    pub fn walk<'p>(&'p self, visit: &mut impl FnMut(&'p Self)) {
        visit(self);
        if let Value::Triple(triple) = &self.value {
            triple.walk(visit);
        }
    }

    /// Are there neither variables nor blank nodes in it?
    pub fn is_ground(&self) -> bool {
        let mut ground = true;
        self.walk(&mut |node| ground &= !matches!(node.value, Value::Variable(_) | Value::Blank(_)));
        ground
    }

    /// The variable that this node is.
    pub fn variable(&self) -> Option<&Variable> {
        match &self.value {
            Value::Variable(variable) => Some(variable),
            _ => None,
        }
    }

    /// The place of the first blank node in it.
    pub fn blank_spot(&self) -> Option<Spot> {
        let mut found = None;
        self.walk(&mut |node| {
            if let Value::Blank(_) = node.value {
                found.get_or_insert(node.spot);
            }
        });
        found
    }

    /// Roughly how many bytes a copy of it takes.
    pub(crate) fn weight(&self) -> usize {
        let mut bytes = 0;
        self.walk(&mut |node| {
            bytes += size_of::<Self>()
                + match &node.value {
                    Value::Iri(iri) => iri.as_str().len(),
                    Value::Literal(literal) => literal.value().len() + literal.datatype().as_str().len(),
                    Value::Variable(variable) => variable.as_str().len(),
                    Value::Blank(Blank::Label(label)) => label.len(),
                    Value::Blank(Blank::Fresh(_)) | Value::Triple(_) => 0,
                }
        });
        bytes
    }
}
