//! Terms and variables, and triples of them.

use oxrdf::{BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple, Variable};

/// An IRI or a variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamedNodePattern {
    NamedNode(NamedNode),
    Variable(Variable),
}

/// A term or a variable. A blank node is a variable that is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TermPattern {
    NamedNode(NamedNode),
    BlankNode(BlankNode),
    Literal(Literal),
    Triple(Box<TriplePattern>),
    Variable(Variable),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TriplePattern {
    pub subject: TermPattern,
    pub predicate: NamedNodePattern,
    pub object: TermPattern,
}

/// The graph of a [`QuadPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GraphNamePattern {
    NamedNode(NamedNode),
    DefaultGraph,
    Variable(Variable),
}

/// A triple pattern in a graph, in the templates of updates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuadPattern {
    pub subject: TermPattern,
    pub predicate: NamedNodePattern,
    pub object: TermPattern,
    pub graph_name: GraphNamePattern,
}

impl From<NamedNode> for NamedNodePattern {
    fn from(node: NamedNode) -> Self {
        Self::NamedNode(node)
    }
}

impl From<Variable> for NamedNodePattern {
    fn from(variable: Variable) -> Self {
        Self::Variable(variable)
    }
}

impl From<NamedNode> for TermPattern {
    fn from(node: NamedNode) -> Self {
        Self::NamedNode(node)
    }
}

impl From<BlankNode> for TermPattern {
    fn from(node: BlankNode) -> Self {
        Self::BlankNode(node)
    }
}

impl From<Literal> for TermPattern {
    fn from(literal: Literal) -> Self {
        Self::Literal(literal)
    }
}

impl From<Variable> for TermPattern {
    fn from(variable: Variable) -> Self {
        Self::Variable(variable)
    }
}

impl From<TriplePattern> for TermPattern {
    fn from(triple: TriplePattern) -> Self {
        Self::Triple(Box::new(triple))
    }
}

impl From<NamedNodePattern> for TermPattern {
    fn from(name: NamedNodePattern) -> Self {
        match name {
            NamedNodePattern::NamedNode(node) => node.into(),
            NamedNodePattern::Variable(variable) => variable.into(),
        }
    }
}

impl From<Triple> for TriplePattern {
    fn from(triple: Triple) -> Self {
        Self { subject: triple.subject.into(), predicate: triple.predicate.into(), object: triple.object.into() }
    }
}

impl From<NamedOrBlankNode> for TermPattern {
    fn from(node: NamedOrBlankNode) -> Self {
        match node {
            NamedOrBlankNode::NamedNode(node) => node.into(),
            NamedOrBlankNode::BlankNode(node) => node.into(),
        }
    }
}

impl From<Term> for TermPattern {
    fn from(term: Term) -> Self {
        match term {
            Term::NamedNode(node) => node.into(),
            Term::BlankNode(node) => node.into(),
            Term::Literal(literal) => literal.into(),
            Term::Triple(triple) => TriplePattern::from(*triple).into(),
        }
    }
}

impl TryFrom<TermPattern> for Term {
    type Error = ();

    /// Fails for a variable, and for a triple with one or with a subject that is none.
    fn try_from(pattern: TermPattern) -> Result<Self, ()> {
        Ok(match pattern {
            TermPattern::NamedNode(node) => node.into(),
            TermPattern::BlankNode(node) => node.into(),
            TermPattern::Literal(literal) => literal.into(),
            TermPattern::Triple(triple) => Triple::try_from(*triple)?.into(),
            TermPattern::Variable(_) => return Err(()),
        })
    }
}

impl TryFrom<TriplePattern> for Triple {
    type Error = ();

    /// Fails as for terms.
    fn try_from(pattern: TriplePattern) -> Result<Self, ()> {
        let subject = match Term::try_from(pattern.subject)? {
            Term::NamedNode(node) => NamedOrBlankNode::from(node),
            Term::BlankNode(node) => node.into(),
            Term::Literal(_) | Term::Triple(_) => return Err(()),
        };
        let NamedNodePattern::NamedNode(predicate) = pattern.predicate else { return Err(()) };
        Ok(Self { subject, predicate, object: Term::try_from(pattern.object)? })
    }
}

impl TermPattern {
    /// Are there neither variables nor blank nodes in it?
    pub fn is_ground(&self) -> bool {
        match self {
            Self::NamedNode(_) | Self::Literal(_) => true,
            Self::BlankNode(_) | Self::Variable(_) => false,
            Self::Triple(triple) => triple.is_ground(),
        }
    }
}

impl TriplePattern {
    /// Are there neither variables nor blank nodes in it?
    pub fn is_ground(&self) -> bool {
        let is_name = matches!(self.predicate, NamedNodePattern::NamedNode(_));
        is_name && self.subject.is_ground() && self.object.is_ground()
    }

    /// Calls `visit` for each variable, those within triple terms included.
    pub fn on_variable<'p>(&'p self, visit: &mut dyn FnMut(&'p Variable)) {
        self.subject.on_variable(visit);
        if let NamedNodePattern::Variable(variable) = &self.predicate {
            visit(variable);
        }
        self.object.on_variable(visit);
    }
}

impl TermPattern {
    /// Calls `visit` for each variable, those within triple terms included.
    pub fn on_variable<'p>(&'p self, visit: &mut dyn FnMut(&'p Variable)) {
        match self {
            Self::Variable(variable) => visit(variable),
            Self::Triple(triple) => triple.on_variable(visit),
            Self::NamedNode(_) | Self::BlankNode(_) | Self::Literal(_) => {}
        }
    }
}
