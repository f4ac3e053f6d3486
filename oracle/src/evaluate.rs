//! The evaluation of group graph patterns (18.2.2, 18.5, 18.6): translated and evaluated in one pass, element by element.
//!
//! Blank nodes of a text are variables whose names begin with `_:`; they are in no projection. A BGP is the join of its
//! triple patterns, since every match of a triple pattern binds all its places.

use crate::query::*;
use crate::{Fail, compare, or_unbound, scope, substitute, undecided};
use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Term, Triple};
use std::cell::Cell;
use std::collections::BTreeMap;

/// A solution mapping.
pub type Solution = BTreeMap<String, Term>;

/// More solutions than this are too many for nested loops.
const SOLUTIONS_MAX: usize = 4_000;
const PAIRS_MAX: usize = 4_000_000;

#[derive(Clone, Debug, Default)]
pub struct Dataset {
    pub default: Vec<Triple>,
    pub named: BTreeMap<NamedNode, Vec<Triple>>,
}

/// The answer of a query.
#[derive(Clone, Debug)]
pub enum Answer {
    Solutions { variables: Vec<String>, rows: Vec<Vec<Option<Term>>> },
    Boolean(bool),
    Graph(Vec<Triple>),
}

/// What EXISTS means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// SPARQL 1.1: variables of the pattern are replaced by their values.
    Substituted,
    /// SPARQL 1.2: every group of the pattern begins with the solution.
    Context,
}

/// The answer of a query.
///
/// # Errors
/// [`Fail::Undecided`] if the standard does not determine it.
pub fn evaluate(query: &Query, data: &Dataset) -> Result<Answer, Fail> {
    let data = restricted(query, data)?;
    let answer = |reading| {
        let evaluator = Evaluator { data: &data, reading, numbers: Cell::new(0) };
        evaluator.query(query)
    };
    let first = answer(Reading::Substituted)?;
    if query.to_string().contains("EXISTS") && compare::difference(query, &first, &answer(Reading::Context)?).is_some()
    {
        return Err(undecided("an EXISTS that SPARQL 1.1 and 1.2 answer differently"));
    }
    Ok(first)
}

/// The dataset that FROM and FROM NAMED describe (13.2).
fn restricted(query: &Query, data: &Dataset) -> Result<Dataset, Fail> {
    if query.from.is_empty() && query.from_named.is_empty() {
        return Ok(data.clone());
    }
    let graph =
        |name: &NamedNode| data.named.get(name).ok_or_else(|| undecided("a dataset with a graph that is not there"));
    let mut restricted = Dataset::default();
    for name in &query.from {
        let new = graph(name)?.iter().filter(|triple| !restricted.default.contains(triple)).cloned();
        restricted.default.extend(new.collect::<Vec<_>>());
    }
    for name in &query.from_named {
        restricted.named.insert(name.clone(), graph(name)?.clone());
    }
    Ok(restricted)
}

pub struct Evaluator<'d> {
    data: &'d Dataset,
    reading: Reading,
    /// Numbers of blank nodes and of solutions.
    numbers: Cell<u64>,
}

/// Where a pattern is evaluated: the active graph, and the solution that an EXISTS is about.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    pub graph: &'p [Triple],
    pub context: &'p Solution,
}

impl Evaluator<'_> {
    /// A number that no other call returns.
    pub fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    fn query(&self, query: &Query) -> Result<Answer, Fail> {
        let context = Solution::new();
        let place = Place { graph: &self.data.default, context: &context };
        Ok(match &query.form {
            Form::Ask(pattern) => Answer::Boolean(!self.group(pattern, place)?.is_empty()),
            Form::Construct(template, pattern) => {
                let mut triples = Vec::new();
                for solution in self.group(pattern, place)? {
                    let number = self.number();
                    triples.extend(template.iter().filter_map(|triple| instance(triple, &solution, number)));
                }
                triples.sort_by_key(Triple::to_string);
                triples.dedup();
                Answer::Graph(triples)
            }
            Form::Select(select) => {
                let variables = scope::of_select(select);
                let row = |solution: Solution| variables.iter().map(|name| solution.get(name).cloned()).collect();
                let rows = self.select(select, place)?.into_iter().map(row).collect();
                Answer::Solutions { variables, rows }
            }
        })
    }

    /// A group: its elements one after the other, then its filters.
    pub fn group(&self, group: &Group, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let solutions = self.unfiltered(group, place)?;
        self.filtered(solutions, &filters(group), place)
    }

    fn unfiltered(&self, group: &Group, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let mut all = vec![place.context.clone()];
        for element in &group.0 {
            all = match element {
                Element::Filter(_) => all,
                Element::Optional(group) => self.left_join(all, group, place)?,
                Element::Minus(group) => minus(all, &self.group(group, place)?),
                Element::Bind(expression, name) => self.extend(all, name, expression, place)?,
                other => join(&all, &self.element(other, place)?)?,
            };
        }
        Ok(all)
    }

    /// An element that is joined.
    fn element(&self, element: &Element, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        match element {
            Element::Triple(triple) => {
                let matched = place.graph.iter().filter_map(|fact| {
                    let mut solution = Solution::new();
                    matches_triple(triple, fact, &mut solution).then_some(solution)
                });
                Ok(matched.collect())
            }
            Element::Path(subject, path, object) => Ok(matches_path(place.graph, subject, path, object)),
            Element::Union(groups) => {
                let branches = groups.iter().map(|group| self.group(group, place));
                Ok(branches.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Element::Values(values) => Ok(values_of(values)),
            Element::Select(select) => self.select(select, place),
            Element::Graph(name, group) => self.graph(name, group, place),
            Element::Filter(_) | Element::Bind(..) | Element::Optional(_) | Element::Minus(_) => {
                unreachable!("these are not joined")
            }
        }
    }

    fn graph(&self, name: &Node, group: &Group, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let mut all = Vec::new();
        for (graph, triples) in &self.data.named {
            let term = Term::from(graph.clone());
            let place = Place { graph: triples, ..place };
            match name {
                Node::Variable(variable) => {
                    let named = Solution::from([(variable.clone(), term)]);
                    all.extend(join(&self.group(group, place)?, &[named])?);
                }
                Node::Term(name) if *name == term => all.extend(self.group(group, place)?),
                _ => {}
            }
        }
        Ok(all)
    }

    pub fn filtered(
        &self,
        solutions: Vec<Solution>,
        conditions: &[&Expression],
        place: Place<'_>,
    ) -> Result<Vec<Solution>, Fail> {
        let mut kept = Vec::new();
        for solution in solutions {
            if self.holds(conditions, &solution, place)? {
                kept.push(solution);
            }
        }
        Ok(kept)
    }

    fn holds(&self, conditions: &[&Expression], solution: &Solution, place: Place<'_>) -> Result<bool, Fail> {
        for condition in conditions {
            let row = crate::expression::Row { solution, group: None, place, number: self.number() };
            if or_unbound(self.condition(condition, &row))? != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// OPTIONAL: the filters directly in its group see both sides.
    fn left_join(&self, left: Vec<Solution>, group: &Group, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let right = self.unfiltered(group, place)?;
        let mut all = Vec::new();
        for one in left {
            let merged = join(std::slice::from_ref(&one), &right)?;
            let merged = self.filtered(merged, &filters(group), place)?;
            if merged.is_empty() { all.push(one) } else { all.extend(merged) }
        }
        limited(all)
    }

    /// BIND and `AS`: an error leaves the variable unbound.
    fn extend(
        &self,
        all: Vec<Solution>,
        name: &str,
        value: &Expression,
        place: Place<'_>,
    ) -> Result<Vec<Solution>, Fail> {
        let extended = all.into_iter().map(|mut solution| {
            let row = crate::expression::Row { solution: &solution, group: None, place, number: self.number() };
            let value = or_unbound(self.expression(value, &row))?;
            bind(&mut solution, name, value)?;
            Ok(solution)
        });
        extended.collect()
    }

    /// EXISTS.
    pub fn exists(&self, group: &Group, solution: &Solution, place: Place<'_>) -> Result<bool, Fail> {
        match self.reading {
            Reading::Context => Ok(!self.group(group, Place { context: solution, ..place })?.is_empty()),
            Reading::Substituted => Ok(!self.group(&substitute::in_group(group, solution)?, place)?.is_empty()),
        }
    }
}

/// Binds a variable that is not bound.
pub fn bind(solution: &mut Solution, name: &str, value: Option<Term>) -> Result<(), Fail> {
    if let Some(value) = value
        && solution.insert(name.to_owned(), value).is_some()
    {
        return Err(undecided("a variable that is bound twice"));
    }
    Ok(())
}

fn filters(group: &Group) -> Vec<&Expression> {
    let filters = group.0.iter();
    filters
        .filter_map(|element| if let Element::Filter(condition) = element { Some(condition) } else { None })
        .collect()
}

fn limited(solutions: Vec<Solution>) -> Result<Vec<Solution>, Fail> {
    if solutions.len() > SOLUTIONS_MAX { Err(undecided("too many solutions")) } else { Ok(solutions) }
}

/// The union of two mappings that agree wherever both are bound.
fn merged(one: &Solution, other: &Solution) -> Option<Solution> {
    let is_compatible = one.iter().all(|(name, term)| other.get(name).is_none_or(|own| own == term));
    is_compatible.then(|| one.clone().into_iter().chain(other.clone()).collect())
}

pub fn join(left: &[Solution], right: &[Solution]) -> Result<Vec<Solution>, Fail> {
    if left.len() * right.len() > PAIRS_MAX {
        return Err(undecided("too many solutions"));
    }
    let mut all = Vec::new();
    for one in left {
        all.extend(right.iter().filter_map(|other| merged(one, other)));
        if all.len() > SOLUTIONS_MAX {
            return Err(undecided("too many solutions"));
        }
    }
    Ok(all)
}

fn minus(left: Vec<Solution>, right: &[Solution]) -> Vec<Solution> {
    let excludes = |one: &Solution, other: &Solution| {
        merged(one, other).is_some() && one.keys().any(|name| other.contains_key(name))
    };
    left.into_iter().filter(|one| !right.iter().any(|other| excludes(one, other))).collect()
}

pub fn values_of(values: &Values) -> Vec<Solution> {
    let solution = |row: &Vec<Option<Term>>| {
        let cells = values.variables.iter().zip(row);
        cells.filter_map(|(name, cell)| Some((name.clone(), cell.clone()?))).collect()
    };
    values.rows.iter().map(solution).collect()
}

/// The name under which a place is bound.
fn name_of(node: &Node) -> Option<String> {
    match node {
        Node::Variable(name) => Some(name.clone()),
        Node::Blank(label) => Some(format!("_:{label}")),
        Node::Term(_) | Node::Triple(_) => None,
    }
}

fn matches_node(node: &Node, term: &Term, solution: &mut Solution) -> bool {
    match (node, term) {
        (Node::Term(own), _) => own == term,
        (Node::Triple(pattern), Term::Triple(triple)) => matches_triple(pattern, triple, solution),
        (Node::Triple(_), _) => false,
        _ => {
            let name = name_of(node).expect("the others are terms");
            solution.entry(name).or_insert_with(|| term.clone()) == term
        }
    }
}

fn matches_triple(pattern: &TriplePattern, triple: &Triple, solution: &mut Solution) -> bool {
    matches_node(&pattern.subject, &triple.subject.clone().into(), solution)
        && matches_node(&pattern.predicate, &triple.predicate.clone().into(), solution)
        && matches_node(&pattern.object, &triple.object, solution)
}

fn matches_path(graph: &[Triple], subject: &Node, path: &Path, object: &Node) -> Vec<Solution> {
    let given = |node: &Node| if let Node::Term(term) = node { Some(term.clone()) } else { None };
    let pairs = crate::path::pairs(graph, given(subject).as_ref(), path, given(object).as_ref());
    let solutions = pairs.into_iter().filter_map(|(start, end)| {
        let mut solution = Solution::new();
        let matches = matches_node(subject, &start, &mut solution) && matches_node(object, &end, &mut solution);
        matches.then_some(solution)
    });
    solutions.collect()
}

/// The term at a place of a template, whose blank nodes are new for each solution.
fn term_of(node: &Node, solution: &Solution, number: u64) -> Option<Term> {
    match node {
        Node::Variable(name) => solution.get(name).cloned(),
        Node::Blank(label) => Some(BlankNode::new_unchecked(format!("t{number}{label}")).into()),
        Node::Term(term) => Some(term.clone()),
        Node::Triple(triple) => instance(triple, solution, number).map(Term::from),
    }
}

/// An instance of a template that is an RDF triple.
pub fn instance(triple: &TriplePattern, solution: &Solution, number: u64) -> Option<Triple> {
    let subject = match term_of(&triple.subject, solution, number)? {
        Term::NamedNode(node) => NamedOrBlankNode::from(node),
        Term::BlankNode(node) => node.into(),
        Term::Literal(_) | Term::Triple(_) => return None,
    };
    let Term::NamedNode(predicate) = term_of(&triple.predicate, solution, number)? else { return None };
    Some(Triple { subject, predicate, object: term_of(&triple.object, solution, number)? })
}

/// The solutions of the body of a rule over a graph.
pub fn body(group: &Group, graph: &[Triple]) -> Result<Vec<Solution>, Fail> {
    let data = Dataset::default();
    let evaluator = Evaluator { data: &data, reading: Reading::Substituted, numbers: Cell::new(0) };
    evaluator.group(group, Place { graph, context: &Solution::new() })
}

/// Are these rows in an order that ORDER BY allows, whose keys are of the rows' variables?
pub fn is_sorted(select: &Select, rows: &[Solution]) -> Result<bool, Fail> {
    let data = Dataset::default();
    let evaluator = Evaluator { data: &data, reading: Reading::Substituted, numbers: Cell::new(0) };
    evaluator.is_sorted(select, rows, Place { graph: &[], context: &Solution::new() })
}
