//! Random queries. Names that BIND and AS make are new, so that every query is valid.

use super::Random;
use super::data::graph;
use crate::query::*;
use crate::scope;
use oxrdf::{GraphName, NamedNode, Quad, Term};
use std::collections::BTreeMap;

/// Variables of patterns; few, so that they are shared.
pub const VARIABLES: [&str; 4] = ["a", "b", "c", "d"];

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
    pub names: Vec<String>,
    /// Inside of an EXISTS: what SPARQL 1.1 and 1.2 read in different ways is left out.
    pub in_exists: bool,
    pub has_bound: bool,
    pub facts: Vec<Quad>,
    /// A term for each variable: facts that hold of them become patterns, so that most patterns have matches.
    pub witnesses: BTreeMap<String, Term>,
    /// The graph that patterns are for.
    pub graph: GraphName,
}

pub fn variable(name: &str) -> Node {
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

    pub fn fresh(&mut self, prefix: &str) -> String {
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
    pub fn select(&mut self, depth: u64) -> Select {
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
    pub fn grouped(&mut self, depth: u64) -> Select {
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
}

fn count(number: i32) -> Expression {
    Expression::Term(oxrdf::Literal::from(number).into())
}
