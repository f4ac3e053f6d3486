//! Random queries. Names that BIND and AS make are new, so that every query is valid.

use super::data::{graph, literal, predicate};
use super::{Random, named, node};
use crate::query::*;
use crate::scope;
use oxrdf::{GraphName, NamedNode, Quad, Term, Triple};
use std::collections::BTreeMap;

/// Variables of patterns; few, so that they are shared.
const VARIABLES: [&str; 4] = ["a", "b", "c", "d"];

pub fn reifies() -> NamedNode {
    NamedNode::new_unchecked("http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies")
}

/// A random query over facts like these.
pub fn query(random: &mut Random<'_>, facts: &[Quad]) -> Query {
    let mut writer = Writer::new(random);
    writer.facts = facts.to_vec();
    writer.query()
}

pub struct Writer<'w, 'n> {
    pub random: &'w mut Random<'n>,
    /// Numbers of new names.
    made: usize,
    /// Names that BIND made, and that later patterns may use.
    names: Vec<String>,
    /// Inside of an EXISTS: what SPARQL 1.1 and 1.2 read in different ways is left out.
    in_exists: bool,
    pub has_bound: bool,
    facts: Vec<Quad>,
    /// A term for each variable: facts that hold of them become patterns, so that most patterns have matches.
    witnesses: BTreeMap<String, Term>,
    /// The graph that patterns are for.
    graph: GraphName,
}

fn variable(name: &str) -> Node {
    Node::Variable(name.to_owned())
}

impl<'w, 'n> Writer<'w, 'n> {
    pub fn new(random: &'w mut Random<'n>) -> Self {
        Self {
            random,
            made: 0,
            names: Vec::new(),
            in_exists: false,
            has_bound: true,
            facts: Vec::new(),
            witnesses: BTreeMap::new(),
            graph: GraphName::DefaultGraph,
        }
    }

    fn query(&mut self) -> Query {
        let form = match self.random.below(20) {
            0 => Form::Ask(self.group(3)),
            1 => {
                let template = (0..=self.random.below(2)).map(|_| self.template());
                let template = template.collect();
                Form::Construct(template, self.group(3))
            }
            2..7 => Form::Select(self.grouped(3)),
            7 | 8 => Form::Select(self.paged(3)),
            _ => Form::Select(self.select(3)),
        };
        let mut query = Query::new(form);
        if self.random.chance(4) {
            query.from = vec![graph(self.random)];
            query.from_named = if self.random.chance(50) { vec![graph(self.random)] } else { Vec::new() };
        }
        query
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{}", self.made)
    }

    pub fn variable(&mut self) -> String {
        if !self.names.is_empty() && self.random.chance(20) {
            return self.random.pick(&self.names).clone();
        }
        (self.random.word(&VARIABLES)).to_owned()
    }

    fn template(&mut self) -> TriplePattern {
        let subject = if self.random.chance(15) { Node::Blank("t".to_owned()) } else { variable(&self.variable()) };
        TriplePattern { subject, predicate: self.predicate(), object: self.object(0) }
    }

    /// A SELECT without groups.
    fn select(&mut self, depth: u64) -> Select {
        let mut select = Select::all(self.group(depth));
        if self.random.chance(60) {
            select.projection = self.projection();
        }
        select.duplicates = match self.random.below(12) {
            0..3 => Duplicates::Removed,
            3 => Duplicates::Open,
            _ => Duplicates::Kept,
        };
        if self.random.chance(20) {
            let expression = self.value(1);
            select.order_by = vec![OrderKey { expression, is_descending: self.random.chance(40) }];
        }
        select
    }

    fn projection(&mut self) -> Projection {
        let mut items: Vec<(Option<Expression>, String)> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let name = self.variable();
            if items.iter().all(|(_, own)| *own != name) {
                items.push((None, name));
            }
        }
        for _ in 0..self.random.below(3) {
            items.push((Some(self.value(2)), self.fresh("e")));
        }
        Projection::Items(items)
    }

    /// A page under an order that is total where there are no blank nodes.
    fn paged(&mut self, depth: u64) -> Select {
        let mut select = Select::all(self.group(depth));
        let names = scope::of_group(&select.pattern);
        for name in names {
            let value = || Expression::Variable(name.clone());
            let call = |function, argument| Expression::Call(function, vec![argument]);
            let is_descending = self.random.chance(30);
            let keys = [
                call(Function::Str, value()),
                call(Function::IsLiteral, value()),
                call(Function::Lang, value()),
                call(Function::Str, call(Function::Datatype, value())),
            ];
            select.order_by.extend(keys.map(|expression| OrderKey { expression, is_descending }));
        }
        select.limit = Some(self.random.below(5) as usize);
        select.offset = self.random.below(3) as usize;
        select.duplicates = if self.random.chance(40) { Duplicates::Removed } else { Duplicates::Kept };
        select
    }

    /// Groups and aggregates.
    fn grouped(&mut self, depth: u64) -> Select {
        let mut select = Select::all(self.group(depth));
        let mut items = Vec::new();
        if self.random.chance(70) {
            let name = self.variable();
            select.group_by.push((Expression::Variable(name.clone()), None));
            items.push((None, name));
        }
        if self.random.chance(20) {
            let name = self.fresh("k");
            select.group_by.push((self.value(1), Some(name.clone())));
            items.push((None, name));
        }
        for _ in 0..=self.random.below(2) {
            let aggregate = self.aggregate();
            items.push((Some(aggregate), self.fresh("s")));
        }
        if self.random.chance(20) {
            let aggregate = self.aggregate();
            let condition = Expression::Compare(Comparison::Greater, Box::new(aggregate), Box::new(count(1)));
            select.having.push(condition);
        }
        select.projection = Projection::Items(items);
        select
    }

    fn aggregate(&mut self) -> Expression {
        let argument = self.value(1);
        let function = match self.random.below(10) {
            0..3 => Fold::Count,
            3 | 4 => Fold::Sum,
            5 => Fold::Avg,
            6 => Fold::Min,
            7 => Fold::Max,
            8 => Fold::Sample,
            _ => Fold::GroupConcat("|".to_owned()),
        };
        let argument = if function == Fold::Count && self.random.chance(35) { None } else { Some(argument) };
        let is_concat = matches!(function, Fold::GroupConcat(_));
        let aggregate = Aggregate { function, is_distinct: self.random.chance(35), argument };
        let aggregate = Expression::Aggregate(Box::new(aggregate));
        if is_concat {
            // The order of the texts is open, their length is not.
            return Expression::Call(Function::StrLen, vec![aggregate]);
        }
        if self.random.chance(20) {
            return Expression::Compute(Arithmetic::Add, Box::new(aggregate), Box::new(count(1)));
        }
        aggregate
    }

    fn group(&mut self, depth: u64) -> Group {
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

    fn predicate(&mut self) -> Node {
        match self.random.below(12) {
            0 | 1 => variable(&self.variable()),
            2 => variable("g"),
            _ => Node::Term(predicate(self.random).into()),
        }
    }

    fn object(&mut self, depth: u64) -> Node {
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

fn count(number: i32) -> Expression {
    Expression::Term(oxrdf::Literal::from(number).into())
}
