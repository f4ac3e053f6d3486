//! The syntax tree of a rule text: names resolved, abbreviations written out, nothing checked yet.
//!
//! Lists, `[...]`, collections, paths, reified triples and annotations are plain [`Pattern`]s here, tied together by
//! blank nodes. In a body blank nodes act as variables of their rule, so paths need nothing more.

use super::token::Spot;
use oxrdf::{Literal, NamedNode, Variable};
use spargebra::algebra::Expression;

/// A whole rule text, in its order.
#[derive(Clone, Debug)]
pub struct Ast {
    pub versions: Vec<(String, Spot)>,
    pub imports: Vec<(NamedNode, Spot)>,
    pub rules: Vec<RuleText>,
    /// The triples of all `DATA` blocks. They have no variables.
    pub data: Vec<Pattern>,
    /// A hash of the text, part of the labels of its blank nodes; equal texts have equal fingerprints in every process.
    pub(super) fingerprint: u64,
}

/// One `RULE`.
#[derive(Clone, Debug)]
pub struct RuleText {
    pub name: Option<NamedNode>,
    pub head: Vec<Pattern>,
    pub body: Vec<Element>,
    /// The position of the `DATA` of `WHERE DATA`, if any: the body reads asserted facts only.
    pub base_only: Option<Spot>,
    pub spot: Spot,
    /// The rule as written, without comments, with one space for each stretch of white space.
    pub text: String,
}

/// A part of a body. Order matters: a filter sees the variables of the elements before it.
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
    /// The position of the `DATA` of `NOT DATA`, if any: only asserted facts count.
    pub base_only: Option<Spot>,
    pub spot: Spot,
}

/// An expression, with the notes that the checks need.
#[derive(Clone, Debug)]
pub struct Constraint {
    pub expression: Expression,
    /// Every occurrence of a variable in the expression.
    pub variables: Vec<(Variable, Spot)>,
    /// The first call in the expression that this version does not evaluate.
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

/// A term or a variable, with its position in the text.
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

    /// Calls `visit` for each node, also those inside triple terms.
    pub fn walk<'p>(&'p self, visit: &mut impl FnMut(&'p Node)) {
        self.nodes().into_iter().for_each(|node| node.walk(visit));
    }
}

impl Node {
    /// Calls `visit` for this node and the nodes inside it.
    pub fn walk<'p>(&'p self, visit: &mut impl FnMut(&'p Self)) {
        visit(self);
        if let Value::Triple(triple) = &self.value {
            triple.walk(visit);
        }
    }

    /// Is the node ground: without variables and blank nodes?
    pub fn is_ground(&self) -> bool {
        let mut ground = true;
        self.walk(&mut |node| ground &= !matches!(node.value, Value::Variable(_) | Value::Blank(_)));
        ground
    }

    /// The variable, if the node is one.
    pub fn variable(&self) -> Option<&Variable> {
        match &self.value {
            Value::Variable(variable) => Some(variable),
            _ => None,
        }
    }

    /// Roughly the bytes of a copy of the node.
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
