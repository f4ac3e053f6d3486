//! Property paths (SPARQL 1.1, 9.3 and 18.4).
//!
//! A path is walked from its start, or backwards from its end, or, if neither is known, from every node that it can start
//! at. `*`, `+` and `?` give each end once; a negated set gives one for each triple. A path of length zero leads from any
//! term to itself, also from one that is in no triple.

mod walk;

use self::walk::{FACTS_BETWEEN_CHECKS, Nodes, Walk};
use super::facts::{GraphRef, Place};
use super::{Operator, Stream};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::lookups::From;
use crate::evaluate::run::{Env, Origin, Run};
use crate::session::code::{Code, UNBOUND};
use crate::session::memory::Reservation;
use entail_model::Fault;
use oxrdf::Variable;
use std::sync::Arc;

/// A path between two positions, and the same path backwards.
pub struct PathPattern {
    pub graph: GraphRef,
    pub subject: Place,
    pub object: Place,
    pub path: Path,
    pub reversed: Path,
}

/// A path whose inversions are at its steps.
#[derive(Clone, Debug)]
pub enum Path {
    Step(Code, Heading),
    /// Any step but these.
    Other(Vec<Code>, Heading),
    Sequence(Box<Path>, Box<Path>),
    Alternative(Box<Path>, Box<Path>),
    ZeroOrOne(Box<Path>),
    ZeroOrMore(Box<Path>),
    OneOrMore(Box<Path>),
}

/// Does a step lead from subjects to objects?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    Forwards,
    Backwards,
}

impl Heading {
    /// The other one.
    pub fn turned(self) -> Self {
        match self {
            Self::Forwards => Self::Backwards,
            Self::Backwards => Self::Forwards,
        }
    }

    /// From start and end to subject and object, or from these to those.
    fn turn<T>(self, one: T, other: T) -> (T, T) {
        match self {
            Self::Forwards => (one, other),
            Self::Backwards => (other, one),
        }
    }
}

/// The facts of one step.
#[derive(Clone, Copy)]
struct Step<'p> {
    predicate: Option<Code>,
    without: &'p [Code],
    heading: Heading,
}

impl Step<'_> {
    const ANY: Self = Self { predicate: None, without: &[], heading: Heading::Forwards };
}

impl Path {
    /// The path as a step, if it is one.
    fn step(&self) -> Option<Step<'_>> {
        match self {
            Self::Step(code, heading) => Some(Step { predicate: Some(*code), without: &[], heading: *heading }),
            Self::Other(codes, heading) => Some(Step { predicate: None, without: codes, heading: *heading }),
            _ => None,
        }
    }

    /// How often the path leads from a term that is in no triple to itself. `is_written`: is its start, and its end, a term of
    /// the query? The parts of a sequence meet in a variable, and no part leads from a variable to a variable there.
    fn times_nowhere(&self, is_written: [bool; 2]) -> usize {
        let [start, end] = is_written;
        match self {
            Self::Step(..) | Self::Other(..) => 0,
            Self::ZeroOrOne(_) | Self::ZeroOrMore(_) => usize::from(start || end),
            // Repetitions are walked from the written end to a variable.
            Self::OneOrMore(inner) => inner.times_nowhere([start, end && !start]).min(1),
            Self::Sequence(left, right) => left.times_nowhere([start, false]) * right.times_nowhere([false, end]),
            Self::Alternative(left, right) => left.times_nowhere(is_written) + right.times_nowhere(is_written),
        }
    }

    /// The same path from its end to its start.
    pub fn reversed(&self) -> Self {
        let boxed = |path: &Self| Box::new(path.reversed());
        match self {
            Self::Step(code, heading) => Self::Step(*code, heading.turned()),
            Self::Other(codes, heading) => Self::Other(codes.clone(), heading.turned()),
            Self::Sequence(left, right) => Self::Sequence(boxed(right), boxed(left)),
            Self::Alternative(left, right) => Self::Alternative(boxed(left), boxed(right)),
            Self::ZeroOrOne(inner) => Self::ZeroOrOne(boxed(inner)),
            Self::ZeroOrMore(inner) => Self::ZeroOrMore(boxed(inner)),
            Self::OneOrMore(inner) => Self::OneOrMore(boxed(inner)),
        }
    }

    /// May it have no step?
    pub fn is_empty_possible(&self) -> bool {
        match self {
            Self::Step(..) | Self::Other(..) => false,
            Self::ZeroOrOne(_) | Self::ZeroOrMore(_) => true,
            Self::OneOrMore(inner) => inner.is_empty_possible(),
            Self::Sequence(left, right) => left.is_empty_possible() && right.is_empty_possible(),
            Self::Alternative(left, right) => left.is_empty_possible() || right.is_empty_possible(),
        }
    }
}

/// The rows of a path pattern.
pub struct PathRows {
    operator: Arc<Operator>,
    env: Env,
    /// The graphs to walk in; `None` is the one that the environment gives.
    graphs: std::vec::IntoIter<Option<Code>>,
    graph: Option<Code>,
    /// The starts in this graph from which the path is still to be walked.
    starts: std::vec::IntoIter<Code>,
    found: Found,
    growth: Growth,
    held: Reservation,
}

/// Starts and ends that were found.
enum Found {
    Pairs(std::vec::IntoIter<(Code, Code)>),
    Ends(Code, std::vec::IntoIter<Code>),
    Starts(std::vec::IntoIter<Code>, Code),
    Times(usize, (Code, Code)),
}

impl Found {
    const NONE: Self = Self::Times(0, (UNBOUND, UNBOUND));

    fn ends(start: Code, ends: Nodes) -> Self {
        Self::Ends(start, ends.into_list().into_iter())
    }

    fn starts(starts: Nodes, end: Code) -> Self {
        Self::Starts(starts.into_list().into_iter(), end)
    }

    fn next(&mut self) -> Option<(Code, Code)> {
        match self {
            Self::Pairs(pairs) => pairs.next(),
            Self::Ends(start, ends) => ends.next().map(|end| (*start, end)),
            Self::Starts(starts, end) => starts.next().map(|start| (start, *end)),
            Self::Times(times, pair) => {
                *times = times.checked_sub(1)?;
                Some(*pair)
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Pairs(pairs) => size_of_val(pairs.as_slice()),
            Self::Ends(_, list) | Self::Starts(list, _) => size_of_val(list.as_slice()),
            Self::Times(..) => 0,
        }
    }
}

impl PathPattern {
    /// The variables, the graph's last, each once.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found: Vec<Variable> = Vec::new();
        for variable in [self.subject.variable(), self.object.variable(), self.graph.variable()].into_iter().flatten() {
            if !found.contains(variable) {
                found.push(variable.clone());
            }
        }
        found
    }

    /// Starts the walk.
    pub fn open(&self, operator: &Arc<Operator>, env: &Env) -> Result<PathRows, Fault> {
        let graphs = match &self.graph {
            GraphRef::Each(variable) => match env.get(variable) {
                Some(graph) if env.run.is_graph(graph)? => vec![Some(graph)],
                Some(_) => Vec::new(),
                None => env.run.graphs()?.iter().copied().map(Some).collect(),
            },
            GraphRef::Default | GraphRef::Named(_) | GraphRef::Current => vec![None],
        };
        Ok(PathRows {
            operator: Arc::clone(operator),
            env: env.clone(),
            graphs: graphs.into_iter(),
            graph: None,
            starts: Vec::new().into_iter(),
            found: Found::NONE,
            growth: Growth::default(),
            held: env.run.session.reservation(),
        })
    }
}

impl PathRows {
    /// A walk from `start`, or from any node of the graph.
    fn walk<'r>(&self, pattern: &PathPattern, run: &'r Run, start: Option<Code>) -> Walk<'r> {
        let from = self.graph.map_or_else(|| pattern.graph.from(&self.env), From::Named);
        Walk::new(run, from, start)
    }

    /// Where the values of the ends come from, as far as they are known.
    fn origins(&self, pattern: &PathPattern) -> [Option<Origin>; 2] {
        [&pattern.subject, &pattern.object].map(|place| match place {
            Place::Code(_) => Some(Origin::Written),
            Place::Variable(variable) => self.env.origin(variable),
        })
    }

    /// May the ends be a term that is in no triple of the graph, or is it known that they are in one?
    fn may_be_apart(&self, pattern: &PathPattern) -> bool {
        let is_default = matches!(pattern.graph, GraphRef::Default);
        let ends = self.origins(pattern);
        ends.contains(&Some(Origin::Written))
            || ends.into_iter().flatten().all(|origin| origin == Origin::Node && is_default)
    }

    /// Finds pairs in the next graph, or the starts there.
    fn enter(&mut self, pattern: &PathPattern) -> Result<(), Fault> {
        let run = Arc::clone(&self.env.run);
        let (subject, object) = (pattern.subject.value(&self.env), pattern.object.value(&self.env));
        let mut walk = self.walk(pattern, &run, subject.or(object));
        if pattern.path.is_empty_possible() && !self.may_be_apart(pattern) {
            for node in [subject, object].into_iter().flatten() {
                if !walk.is_node(node)? {
                    return Ok(());
                }
            }
        }
        self.found = match (subject, object) {
            (Some(start), Some(end)) => {
                let is_written = self.origins(pattern).map(|origin| origin == Some(Origin::Written));
                Found::Times(walk.times(&pattern.path, end, is_written)?, (start, end))
            }
            (Some(start), None) => {
                let mut ends = walk.bag();
                walk.ends(&pattern.path, start, &mut ends)?;
                Found::ends(start, ends)
            }
            (None, Some(end)) => {
                let mut starts = walk.bag();
                walk.ends(&pattern.reversed, end, &mut starts)?;
                Found::starts(starts, end)
            }
            (None, None) => match walk.pairs(&pattern.path)? {
                Some(pairs) => Found::Pairs(pairs.into_iter()),
                None => {
                    let mut starts = walk.set();
                    walk.starts(&pattern.path, &mut starts)?;
                    let mut starts = starts.into_list();
                    if is_graph(pattern, &pattern.subject) {
                        starts.retain(|start| Some(*start) == self.graph);
                    }
                    starts.sort_unstable();
                    self.starts = starts.into_iter();
                    Found::NONE
                }
            },
        };
        self.hold()
    }

    fn hold(&mut self) -> Result<(), Fault> {
        self.held.set(size_of_val(self.starts.as_slice()) + self.found.bytes())
    }

    /// Finds more pairs; false at the end.
    fn advance(&mut self, pattern: &PathPattern) -> Result<bool, Fault> {
        if let Some(start) = self.starts.next() {
            let run = Arc::clone(&self.env.run);
            let mut walk = self.walk(pattern, &run, None);
            let mut ends = walk.bag();
            walk.ends(&pattern.path, start, &mut ends)?;
            self.found = Found::ends(start, ends);
            self.hold()?;
            return Ok(true);
        }
        let Some(graph) = self.graphs.next() else { return Ok(false) };
        self.graph = graph;
        self.enter(pattern)?;
        Ok(true)
    }
}

/// Is the place the variable of the GRAPH around?
fn is_graph(pattern: &PathPattern, place: &Place) -> bool {
    place.variable().is_some() && place.variable() == pattern.graph.variable()
}

impl Stream for PathRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let operator = Arc::clone(&self.operator);
        let super::Kind::Path(pattern) = &operator.kind else { return Err(Fault::internal("no path")) };
        let mut batch = Batch::new(operator.variables.len());
        let is_loop = pattern.subject.variable().is_some() && pattern.subject.variable() == pattern.object.variable();
        let [from_graph, to_graph] = [&pattern.subject, &pattern.object].map(|place| is_graph(pattern, place));
        let mut left_out = 0_usize;
        while batch.rows < self.growth.rows() {
            let Some((start, end)) = self.found.next() else {
                self.env.run.session.check()?;
                if self.advance(pattern)? {
                    continue;
                }
                break;
            };
            // The graph's variable has one value, also where it is an end of the path.
            let is_elsewhere = |node| self.graph.is_some_and(|graph| graph != node);
            if is_loop && start != end || from_graph && is_elsewhere(start) || to_graph && is_elsewhere(end) {
                left_out += 1;
                if left_out.is_multiple_of(FACTS_BETWEEN_CHECKS) {
                    self.env.run.session.check()?;
                }
                continue;
            }
            batch.push(operator.variables.iter().map(|variable| {
                if pattern.subject.variable() == Some(variable) {
                    start
                } else if pattern.object.variable() == Some(variable) {
                    end
                } else {
                    self.graph.unwrap_or_default()
                }
            }));
        }
        self.growth.grow();
        Ok((batch.rows > 0).then_some(batch))
    }
}
