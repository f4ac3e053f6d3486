//! A rule text as its grammar reads it: names resolved, abbreviations written out, nothing judged yet.
//!
//! Lists, `[...]`, collections, paths, reified triples and annotations are plain [`Pattern`]s here, tied together by
//! blank nodes. In a body blank nodes act as variables of their rule, so paths need nothing more.

use super::token::Spot;
use oxrdf::{Literal, NamedNode, Variable};
use spargebra::algebra::Expression;

/// All that a rule text says, in its order.
#[derive(Clone, Debug)]
pub struct Ast {
    pub versions: Vec<(String, Spot)>,
    pub imports: Vec<(NamedNode, Spot)>,
    pub rules: Vec<RuleText>,
    /// The triples of all `DATA` blocks. They have no variables.
    pub data: Vec<Pattern>,
    /// Stands for the text in the labels of its blank nodes: the same for the same text, everywhere.
    pub(super) fingerprint: u64,
}

/// One `RULE`.
#[derive(Clone, Debug)]
pub struct RuleText {
    pub name: Option<NamedNode>,
    pub head: Vec<Pattern>,
    pub body: Vec<Element>,
    /// Where the `DATA` of `WHERE DATA` stands: the body sees asserted facts only.
    pub base_only: Option<Spot>,
    pub spot: Spot,
    /// The rule as written, with one space where there was any, and without comments.
    pub text: String,
}

/// A part of a body. Their order matters: a filter sees what stands before it.
#[derive(Clone, Debug)]
pub enum Element {
    Pattern(Pattern),
    Filter(Constraint),
    Negation(Negation),
    Assignment { variable: (Variable, Spot), value: Constraint, spot: Spot },
}

/// `NOT {...}`.
#[derive(Clone, Debug)]
pub struct Negation {
    /// Patterns and filters.
    pub inner: Vec<Element>,
    /// Where the `DATA` of `NOT DATA` stands: asserted facts only.
    pub base_only: Option<Spot>,
    pub spot: Spot,
}

/// An expression with what the checks need to know of it.
#[derive(Clone, Debug)]
pub struct Constraint {
    pub expression: Expression,
    /// Its variables, each time they occur.
    pub variables: Vec<(Variable, Spot)>,
    /// The first call in it that this version does not evaluate.
    pub refused: Option<(String, Spot)>,
}

/// A triple with variables.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub subject: Node,
    /// An IRI or a variable.
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
    /// A triple term, nested at most [`super::DEPTH_MAX`] deep.
    Triple(Box<Pattern>),
}

/// A blank node: one that the text names, or one that an abbreviation stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blank {
    Label(String),
    Fresh(u32),
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

    /// Roughly how many bytes a copy of it takes.
    pub(super) fn weight(&self) -> usize {
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
