//! Random patterns: most are made of facts, with variables in the places of their terms, so that they have matches.

use super::data::{graph, literal, predicate};
use super::query::{VARIABLES, Writer, reifies, variable};
use super::{named, node};
use crate::query::*;
use oxrdf::{Term, Triple};

impl Writer<'_, '_> {
    pub fn group(&mut self, depth: u64) -> Group {
        let mut elements = self.triples();
        if self.random.chance(15) {
            elements.clear();
        }
        for _ in 0..self.random.below(3) {
            elements.extend(self.elements(depth));
        }
        Group(elements)
    }

    fn elements(&mut self, depth: u64) -> Vec<Element> {
        if depth == 0 {
            return self.triples();
        }
        let element = match self.random.below(32) {
            0..6 => return self.triples(),
            6..9 => Element::Optional(self.group(depth - 1)),
            9..11 => Element::Union(vec![self.group(depth - 1), self.group(depth - 1)]),
            11 | 12 if !self.in_exists => Element::Minus(self.group(depth - 1)),
            13..17 => Element::Filter(self.condition(2)),
            17 | 18 => Element::Filter(self.exists(depth)),
            19..21 => {
                let value = self.value(2);
                let name = self.fresh("v");
                self.names.push(name.clone());
                Element::Bind(value, name)
            }
            21 | 22 => Element::Values(self.values()),
            23..26 => self.path(),
            26..29 => self.graph(depth),
            29 | 30 => self.subquery(depth),
            _ => Element::Union(vec![self.group(depth - 1)]),
        };
        vec![element]
    }

    fn exists(&mut self, depth: u64) -> Expression {
        let outer = std::mem::replace(&mut self.in_exists, true);
        let names = self.names.len();
        let group = self.group(depth - 1);
        self.names.truncate(names);
        self.in_exists = outer;
        let exists = Expression::Exists(group);
        if self.random.chance(50) { Expression::Not(Box::new(exists)) } else { exists }
    }

    fn graph(&mut self, depth: u64) -> Element {
        let name = match self.random.below(12) {
            0..4 => Node::Term(graph(self.random).into()),
            4 => Node::Term(named("none").into()),
            5 => variable(&self.variable()),
            _ => variable("g"),
        };
        let of_query = match &name {
            Node::Term(Term::NamedNode(name)) => name.clone(),
            _ => graph(self.random),
        };
        let outer = std::mem::replace(&mut self.graph, of_query.into());
        let group = self.group(depth - 1);
        self.graph = outer;
        Element::Graph(name, group)
    }

    fn subquery(&mut self, depth: u64) -> Element {
        if self.in_exists {
            return Element::Select(Box::new(Select::all(self.group(depth - 1))));
        }
        // Names that are made inside may be hidden, and are not used outside.
        let names = self.names.len();
        let mut select = if self.random.chance(40) { self.grouped(depth - 1) } else { self.select(depth - 1) };
        self.names.truncate(names);
        if select.duplicates == Duplicates::Open {
            select.duplicates = Duplicates::Removed;
        }
        Element::Select(Box::new(select))
    }

    fn triples(&mut self) -> Vec<Element> {
        (0..=self.random.below(2)).map(|_| Element::Triple(self.triple())).collect()
    }

    fn triple(&mut self) -> TriplePattern {
        let facts: Vec<Triple> =
            self.facts.iter().filter(|fact| fact.graph_name == self.graph).cloned().map(Triple::from).collect();
        if facts.is_empty() || self.random.chance(8) {
            return self.any_triple();
        }
        // A fact about a term that a variable stands for already, if there is one.
        let is_known = |fact: &&Triple| self.witnesses.values().any(|term| *term == fact.subject.clone().into());
        let known: Vec<Triple> = facts.iter().filter(is_known).cloned().collect();
        let fact = if known.is_empty() || self.random.chance(15) {
            self.random.pick(&facts)
        } else {
            self.random.pick(&known)
        };
        self.pattern_of(&fact.clone())
    }

    /// A pattern that matches a fact.
    fn pattern_of(&mut self, fact: &Triple) -> TriplePattern {
        TriplePattern {
            subject: self.place_of(&fact.subject.clone().into(), 80),
            predicate: self.place_of(&fact.predicate.clone().into(), 15),
            object: self.place_of(&fact.object, 85),
        }
    }

    fn place_of(&mut self, term: &Term, percent: u64) -> Node {
        let is_predicate = percent < 50;
        let is_blank = matches!(term, Term::BlankNode(_));
        if !is_blank && !self.random.chance(percent) {
            return match term {
                Term::Triple(triple) => Node::Triple(Box::new(self.pattern_of(triple))),
                term => Node::Term(term.clone()),
            };
        }
        if !is_predicate && self.random.chance(8) {
            return Node::Blank(self.fresh("x"));
        }
        let of_term = self.witnesses.iter().find(|(_, witness)| *witness == term).map(|(name, _)| name.clone());
        let free = VARIABLES.into_iter().find(|name| !self.witnesses.contains_key(*name)).map(str::to_owned);
        let name = of_term.or(free).unwrap_or_else(|| self.variable());
        self.witnesses.entry(name.clone()).or_insert_with(|| term.clone());
        Node::Variable(name)
    }

    fn any_triple(&mut self) -> TriplePattern {
        if self.random.chance(6) {
            let reified = Node::Triple(Box::new(TriplePattern {
                subject: self.subject(),
                predicate: self.predicate(),
                object: self.object(0),
            }));
            return TriplePattern { subject: self.subject(), predicate: Node::Term(reifies().into()), object: reified };
        }
        TriplePattern { subject: self.subject(), predicate: self.predicate(), object: self.object(1) }
    }

    fn subject(&mut self) -> Node {
        match self.random.below(8) {
            0 => Node::Term(node(self.random).into()),
            1 => Node::Blank(self.fresh("x")),
            _ => variable(&self.variable()),
        }
    }

    pub fn predicate(&mut self) -> Node {
        match self.random.below(12) {
            0 | 1 => variable(&self.variable()),
            2 => variable("g"),
            _ => Node::Term(predicate(self.random).into()),
        }
    }

    pub fn object(&mut self, depth: u64) -> Node {
        match self.random.below(12) {
            0 => Node::Term(node(self.random).into()),
            1 => Node::Term(literal(self.random).into()),
            2 if depth > 0 && self.random.chance(40) => Node::Triple(Box::new(TriplePattern {
                subject: self.subject(),
                predicate: self.predicate(),
                object: self.object(0),
            })),
            _ => variable(&self.variable()),
        }
    }

    fn path(&mut self) -> Element {
        let path = self.steps(2);
        let (subject, object) = (self.path_end(), self.path_end());
        Element::Path(subject, path, object)
    }

    fn path_end(&mut self) -> Node {
        match self.random.below(10) {
            0 | 1 => Node::Term(node(self.random).into()),
            2 => Node::Term(named("none").into()),
            3 => Node::Term(literal(self.random).into()),
            _ => variable(&self.variable()),
        }
    }

    fn steps(&mut self, depth: u64) -> Path {
        if depth == 0 {
            return Path::Link(predicate(self.random));
        }
        let one = Box::new(self.steps(depth - 1));
        match self.random.below(10) {
            0 => Path::Inverse(one),
            1 | 2 => Path::Sequence(one, Box::new(self.steps(depth - 1))),
            3 => Path::Alternative(one, Box::new(self.steps(depth - 1))),
            4 => Path::ZeroOrOne(one),
            5 | 6 => Path::ZeroOrMore(one),
            7 | 8 => Path::OneOrMore(one),
            _ => {
                let mut some = || (0..self.random.below(3)).map(|_| predicate(self.random)).collect::<Vec<_>>();
                let (mut forward, backward) = (some(), some());
                if forward.is_empty() && backward.is_empty() {
                    forward.push(named("p0"));
                }
                Path::Negated { forward, backward }
            }
        }
    }

    fn values(&mut self) -> Values {
        let first = self.variable();
        let mut variables = vec![first];
        let second = self.variable();
        if self.random.chance(40) && second != variables[0] {
            variables.push(second);
        }
        let width = variables.len();
        let rows = (0..1 + self.random.below(4)).map(|_| (0..width).map(|_| self.cell()).collect()).collect();
        Values { variables, rows }
    }

    /// A term that a variable stands for, or another.
    pub fn witness(&mut self) -> Option<Term> {
        let terms: Vec<Term> =
            self.witnesses.values().filter(|term| !term.to_string().contains("_:")).cloned().collect();
        (!terms.is_empty()).then(|| self.random.pick(&terms).clone())
    }

    fn cell(&mut self) -> Option<Term> {
        if let Some(term) = self.witness().filter(|_| self.random.chance(40)) {
            return Some(term);
        }
        match self.random.below(8) {
            0 => None,
            1..4 => Some(literal(self.random).into()),
            4 => Some(graph(self.random).into()),
            _ => Some(node(self.random).into()),
        }
    }
}
