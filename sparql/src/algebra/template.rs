//! Templates: the triples and quads that CONSTRUCT and updates build from solutions.

use entail_syntax::algebra::{GraphNamePattern, NamedNodePattern, QuadPattern, TermPattern, TriplePattern};
use oxrdf::{BlankNode, GraphName, NamedNode, NamedOrBlankNode, Quad, Term, Triple, Variable};
use std::collections::{BTreeSet, HashMap};

/// The variables of a CONSTRUCT template, in order.
pub fn triple_variables(template: &[TriplePattern]) -> Vec<Variable> {
    let mut found = BTreeSet::new();
    for triple in template {
        add_triple(triple, &mut found);
    }
    found.into_iter().collect()
}

/// The variables of an update's templates, in order.
pub fn quad_variables(template: &[QuadPattern]) -> Vec<Variable> {
    let mut found = BTreeSet::new();
    for quad in template {
        let triple = TriplePattern {
            subject: quad.subject.clone(),
            predicate: quad.predicate.clone(),
            object: quad.object.clone(),
        };
        add_triple(&triple, &mut found);
        if let GraphNamePattern::Variable(variable) = &quad.graph_name {
            found.insert(variable.clone());
        }
    }
    found.into_iter().collect()
}

fn add_triple(triple: &TriplePattern, found: &mut BTreeSet<Variable>) {
    for term in [&triple.subject, &triple.object] {
        match term {
            TermPattern::Variable(variable) => _ = found.insert(variable.clone()),
            TermPattern::Triple(inner) => add_triple(inner, found),
            _ => {}
        }
    }
    if let NamedNodePattern::Variable(variable) = &triple.predicate {
        found.insert(variable.clone());
    }
}

/// One solution, and the blank nodes created for it.
pub struct Filling<'a> {
    variables: &'a [Variable],
    row: &'a [Option<Term>],
    blank_nodes: HashMap<BlankNode, BlankNode>,
}

impl<'a> Filling<'a> {
    /// A solution over `variables`, which are in order.
    pub fn new(variables: &'a [Variable], row: &'a [Option<Term>]) -> Self {
        Self { variables, row, blank_nodes: HashMap::new() }
    }

    /// The triple; `None` if a variable is unbound or the terms are not a valid triple.
    pub fn triple(&mut self, pattern: &TriplePattern) -> Option<Triple> {
        let subject = match self.term(&pattern.subject)? {
            Term::NamedNode(node) => NamedOrBlankNode::from(node),
            Term::BlankNode(node) => node.into(),
            Term::Literal(_) | Term::Triple(_) => return None,
        };
        Some(Triple { subject, predicate: self.predicate(&pattern.predicate)?, object: self.term(&pattern.object)? })
    }

    /// The quad; `None` as for [`Filling::triple`].
    pub fn quad(&mut self, pattern: &QuadPattern) -> Option<Quad> {
        let triple = TriplePattern {
            subject: pattern.subject.clone(),
            predicate: pattern.predicate.clone(),
            object: pattern.object.clone(),
        };
        let graph = match &pattern.graph_name {
            GraphNamePattern::NamedNode(node) => node.clone().into(),
            GraphNamePattern::DefaultGraph => GraphName::DefaultGraph,
            GraphNamePattern::Variable(variable) => match self.value(variable)? {
                Term::NamedNode(node) => node.into(),
                Term::BlankNode(node) => node.into(),
                Term::Literal(_) | Term::Triple(_) => return None,
            },
        };
        Some(self.triple(&triple)?.in_graph(graph))
    }

    /// The blank node of a label: new in each solution, the same within one.
    pub fn blank_node(&mut self, label: &BlankNode) -> BlankNode {
        self.blank_nodes.entry(label.clone()).or_default().clone()
    }

    fn value(&self, variable: &Variable) -> Option<Term> {
        let index = self.variables.binary_search(variable).ok()?;
        self.row[index].clone()
    }

    fn predicate(&self, pattern: &NamedNodePattern) -> Option<NamedNode> {
        match pattern {
            NamedNodePattern::NamedNode(node) => Some(node.clone()),
            NamedNodePattern::Variable(variable) => match self.value(variable)? {
                Term::NamedNode(node) => Some(node),
                _ => None,
            },
        }
    }

    fn term(&mut self, pattern: &TermPattern) -> Option<Term> {
        Some(match pattern {
            TermPattern::NamedNode(node) => node.clone().into(),
            TermPattern::Literal(literal) => literal.clone().into(),
            TermPattern::BlankNode(node) => self.blank_node(node).into(),
            TermPattern::Variable(variable) => self.value(variable)?,
            TermPattern::Triple(inner) => Term::Triple(Box::new(self.triple(inner)?)),
        })
    }
}
