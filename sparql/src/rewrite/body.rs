//! Bodies: the parts of a query that run in the cluster, still in terms and variables.
//!
//! ```text
//! algebra ──rewrite──► bodies ──compile──► plans
//! ```
//!
//! A [`Body`] is a join of triple patterns, each with its graphs, under filters. Its solutions are a bag over
//! [`Body::variables`], all of which are bound in every solution: this makes merging bodies, and pushing
//! filters into them, exact. A union is a list of bodies.

use entail_syntax::algebra::{Expression, Function, GraphPattern};
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use oxrdf::{NamedNode, NamedOrBlankNode, Term, Triple, Variable};
use std::collections::{BTreeMap, BTreeSet};

/// A position of a triple pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    Term(Term),
    Variable(Variable),
}

/// Which graph of the query's dataset a pattern reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Graph {
    Default,
    Named(NamedNode),
    /// Each named graph, bound to the variable.
    Variable(Variable),
}

/// A triple pattern in a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub graph: Graph,
    pub subject: Position,
    pub predicate: Position,
    pub object: Position,
}

/// A join of triple patterns under filters, with some variables fixed to terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    pub patterns: Vec<Pattern>,
    /// Each over variables of `patterns` only.
    pub filters: Vec<Expression>,
    /// Variables that are the same term in every solution; they occur nowhere else.
    pub fixed: BTreeMap<Variable, Term>,
}

impl Position {
    fn substitute(&mut self, variable: &Variable, term: &Term) {
        if matches!(self, Self::Variable(own) if own == variable) {
            *self = Self::Term(term.clone());
        }
    }

    fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Variable(variable) => Some(variable),
            Self::Term(_) => None,
        }
    }
}

impl Graph {
    /// The name as the algebra writes it; `None` for the default graph.
    pub fn name(&self) -> Option<NamedNodePattern> {
        match self {
            Self::Default => None,
            Self::Named(node) => Some(node.clone().into()),
            Self::Variable(variable) => Some(variable.clone().into()),
        }
    }

    /// `pattern` as it is evaluated in this graph.
    pub fn wrap(&self, pattern: GraphPattern) -> GraphPattern {
        match self.name() {
            Some(name) => GraphPattern::Graph { name, inner: Box::new(pattern) },
            None => pattern,
        }
    }
}

impl Pattern {
    /// A triple pattern of the algebra; `None` if it has variables within a triple term.
    pub fn new(triple: &TriplePattern, graph: &Graph) -> Option<Self> {
        let predicate = match &triple.predicate {
            NamedNodePattern::NamedNode(node) => Position::Term(node.clone().into()),
            NamedNodePattern::Variable(variable) => Position::Variable(variable.clone()),
        };
        Some(Self {
            graph: graph.clone(),
            subject: position(&triple.subject)?,
            predicate,
            object: position(&triple.object)?,
        })
    }

    /// Subject, predicate and object.
    pub fn positions(&mut self) -> [&mut Position; 3] {
        [&mut self.subject, &mut self.predicate, &mut self.object]
    }

    /// The pattern's variables, the graph's included, in order and perhaps repeated.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let graph = match &self.graph {
            Graph::Variable(variable) => Some(variable),
            _ => None,
        };
        let positions = [&self.subject, &self.predicate, &self.object];
        positions.into_iter().filter_map(Position::variable).chain(graph)
    }

    /// Replaces a variable; `false` if the graph would become a term that cannot name a graph.
    fn substitute(&mut self, variable: &Variable, term: &Term) -> bool {
        self.positions().into_iter().for_each(|p| p.substitute(variable, term));
        if matches!(&self.graph, Graph::Variable(own) if own == variable) {
            let Term::NamedNode(node) = term else { return false };
            self.graph = Graph::Named(node.clone());
        }
        true
    }
}

fn position(pattern: &TermPattern) -> Option<Position> {
    Some(match pattern {
        TermPattern::NamedNode(node) => Position::Term(node.clone().into()),
        TermPattern::Literal(literal) => Position::Term(literal.clone().into()),
        TermPattern::BlankNode(node) => Position::Variable(blank_variable(node.as_str())),
        TermPattern::Variable(variable) => Position::Variable(variable.clone()),
        TermPattern::Triple(triple) => {
            if !triple.is_ground() {
                return None;
            }
            Position::Term(Term::Triple(Box::new(Triple::try_from(triple.as_ref().clone()).ok()?)))
        }
    })
}

/// The variable that stands for a blank node of the query; no query can write its name.
pub fn blank_variable(label: &str) -> Variable {
    Variable::new_unchecked(format!("_:{label}"))
}

/// The variables of some bodies, in order.
pub fn variables(bodies: &[Body]) -> Vec<Variable> {
    bodies.iter().flat_map(Body::variables).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Body {
    /// All variables that solutions bind.
    pub fn variables(&self) -> BTreeSet<Variable> {
        let in_patterns = self.patterns.iter().flat_map(Pattern::variables);
        in_patterns.chain(self.fixed.keys()).cloned().collect()
    }

    /// Is the variable bound in every solution?
    pub fn binds(&self, variable: &Variable) -> bool {
        self.fixed.contains_key(variable)
            || self.patterns.iter().any(|pattern| pattern.variables().any(|v| v == variable))
    }

    /// Is the variable a subject or object of the default graph in every solution?
    pub fn has_node(&self, variable: &Variable) -> bool {
        let is_end = |pattern: &Pattern| {
            let ends = [&pattern.subject, &pattern.object];
            pattern.graph == Graph::Default && ends.iter().any(|end| end.variable() == Some(variable))
        };
        self.patterns.iter().any(is_end)
    }

    /// The join of two bodies; `None` if it is empty because they fix a variable to two terms.
    pub fn join(mut self, other: Self) -> Option<Self> {
        self.patterns.extend(other.patterns);
        self.filters.extend(other.filters);
        let mut fixed = std::mem::take(&mut self.fixed);
        for (variable, term) in other.fixed {
            match fixed.get(&variable) {
                Some(own) if *own != term => return None,
                _ => _ = fixed.insert(variable, term),
            }
        }
        for (variable, term) in fixed {
            self = self.fix(&variable, &term)?;
        }
        Some(self)
    }

    /// The solutions in which `variable` is `term`; `None` if there cannot be one.
    pub fn fix(mut self, variable: &Variable, term: &Term) -> Option<Self> {
        if let Some(own) = self.fixed.get(variable) {
            return (own == term).then_some(self);
        }
        for pattern in &mut self.patterns {
            if !pattern.substitute(variable, term) {
                return None;
            }
        }
        // The variable is bound in the patterns, so a filter sees the term in its place. Blank nodes have no constants.
        let constant = constant(term)?;
        self.filters = self
            .filters
            .iter()
            .map(|filter| crate::algebra::expression::substitute(filter, variable, &constant))
            .collect();
        self.fixed.insert(variable.clone(), term.clone());
        Some(self)
    }
}

/// A term as an expression; `None` for blank nodes, which no query can name.
pub fn constant(term: &Term) -> Option<Expression> {
    Some(match term {
        Term::NamedNode(node) => node.clone().into(),
        Term::Literal(literal) => literal.clone().into(),
        Term::BlankNode(_) => return None,
        Term::Triple(triple) => {
            let NamedOrBlankNode::NamedNode(subject) = &triple.subject else { return None };
            let parts = vec![subject.clone().into(), triple.predicate.clone().into(), constant(&triple.object)?];
            Expression::FunctionCall(Function::Triple, parts)
        }
    })
}
