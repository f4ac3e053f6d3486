//! Property paths (SPARQL 1.1, 9.3 and 18.4).
//!
//! A path is walked from its start, or backwards from its end, or, if neither is known, from every node that it can start
//! at. `*`, `+` and `?` give each end once; a negated set gives one for each triple. A path of length zero leads from any
//! term to itself, also from one that is in no triple.

use super::facts::{GraphRef, Place};
use super::{Operator, Stream};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::lookups::{From, Lookup};
use crate::evaluate::run::{Env, Origin, Run};
use crate::session::code::{Code, is_computed};
use crate::session::reservation::Reservation;
use entail_model::Fault;
use oxrdf::Variable;
use std::collections::HashSet;
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
}

impl Path {
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

/// Walks in one graph.
struct Walk<'r> {
    run: &'r Run,
    from: From,
    held: Reservation,
}

impl Walk<'_> {
    fn find(
        &mut self,
        subject: Option<Code>,
        predicate: Option<Code>,
        object: Option<Code>,
    ) -> Result<Vec<[Code; 3]>, Fault> {
        if [subject, predicate, object].into_iter().flatten().any(is_computed) {
            return Ok(Vec::new());
        }
        let found = self.run.lookups.find(Lookup { subject, predicate, object, from: self.from })?;
        let before = self.held.bytes();
        let mut facts = Vec::new();
        for fact in found {
            let fact = fact?;
            facts.push([fact.subject, fact.predicate, fact.object]);
            if facts.len() % (1 << 12) == 0 {
                self.run.session.check()?;
                self.held.set(before + facts.capacity() * size_of::<[Code; 3]>())?;
            }
        }
        self.held.set(before)?;
        Ok(facts)
    }

    /// Is the term a subject or an object in the graph?
    fn is_node(&self, node: Code) -> Result<bool, Fault> {
        if is_computed(node) {
            return Ok(false);
        }
        let any = Lookup { subject: None, predicate: None, object: None, from: self.from };
        let found = self.run.lookups.find(Lookup { subject: Some(node), ..any })?.next().transpose()?;
        if found.is_some() {
            return Ok(true);
        }
        Ok(self.run.lookups.find(Lookup { object: Some(node), ..any })?.next().transpose()?.is_some())
    }

    /// Adds the ends of the path from `start`, as often as there are.
    fn ends(&mut self, path: &Path, start: Code, ends: &mut Vec<Code>) -> Result<(), Fault> {
        match path {
            Path::Step(predicate, Heading::Forwards) => {
                ends.extend(self.find(Some(start), Some(*predicate), None)?.into_iter().map(|[_, _, object]| object));
            }
            Path::Step(predicate, Heading::Backwards) => {
                ends.extend(self.find(None, Some(*predicate), Some(start))?.into_iter().map(|[subject, ..]| subject));
            }
            Path::Other(without, Heading::Forwards) => {
                let facts = self.find(Some(start), None, None)?.into_iter();
                ends.extend(facts.filter(|[_, step, _]| !without.contains(step)).map(|[_, _, object]| object));
            }
            Path::Other(without, Heading::Backwards) => {
                let facts = self.find(None, None, Some(start))?.into_iter();
                ends.extend(facts.filter(|[_, step, _]| !without.contains(step)).map(|[subject, ..]| subject));
            }
            Path::Sequence(left, right) => {
                let mut middle = Vec::new();
                self.ends(left, start, &mut middle)?;
                // The second part starts at a node of the graph.
                if right.is_empty_possible() && middle.contains(&start) && !self.is_node(start)? {
                    middle.retain(|node| *node != start);
                }
                for node in middle {
                    self.ends(right, node, ends)?;
                }
            }
            Path::Alternative(left, right) => {
                self.ends(left, start, ends)?;
                self.ends(right, start, ends)?;
            }
            Path::ZeroOrOne(inner) => {
                let mut found = vec![start];
                self.ends(inner, start, &mut found)?;
                let mut seen = HashSet::new();
                ends.extend(found.into_iter().filter(|node| seen.insert(*node)));
            }
            Path::ZeroOrMore(inner) => _ = self.reach(inner, start, true, None, ends)?,
            Path::OneOrMore(inner) => _ = self.reach(inner, start, false, None, ends)?,
        }
        Ok(())
    }

    /// Adds all nodes that repetitions of the path lead to, each once; the start itself if `with_start` or if a repetition
    /// leads back to it. Stops at `goal`, and returns whether it was reached.
    fn reach(
        &mut self,
        path: &Path,
        start: Code,
        with_start: bool,
        goal: Option<Code>,
        ends: &mut Vec<Code>,
    ) -> Result<bool, Fault> {
        let mut seen = HashSet::new();
        if with_start {
            seen.insert(start);
            ends.push(start);
        }
        let (mut next, mut found) = (vec![start], Vec::new());
        if goal == Some(start) && with_start {
            return Ok(true);
        }
        let before = self.held.bytes();
        while let Some(node) = next.pop() {
            self.run.session.check()?;
            found.clear();
            self.ends(path, node, &mut found)?;
            for node in found.drain(..) {
                if seen.insert(node) {
                    ends.push(node);
                    next.push(node);
                    if goal == Some(node) {
                        self.held.set(before)?;
                        return Ok(true);
                    }
                }
            }
            self.held.set(before + (seen.capacity() + next.capacity() + ends.capacity()) * 2 * size_of::<Code>())?;
        }
        self.held.set(before)?;
        Ok(false)
    }

    /// How often the path leads from `start` to `end`.
    fn times(&mut self, path: &Path, start: Code, end: Code) -> Result<usize, Fault> {
        Ok(match path {
            Path::Step(predicate, Heading::Forwards) => self.find(Some(start), Some(*predicate), Some(end))?.len(),
            Path::Step(predicate, Heading::Backwards) => self.find(Some(end), Some(*predicate), Some(start))?.len(),
            Path::Other(without, heading) => {
                let (subject, object) = if *heading == Heading::Forwards { (start, end) } else { (end, start) };
                let facts = self.find(Some(subject), None, Some(object))?.into_iter();
                facts.filter(|[_, step, _]| !without.contains(step)).count()
            }
            Path::ZeroOrMore(inner) => usize::from(self.reach(inner, start, true, Some(end), &mut Vec::new())?),
            Path::OneOrMore(inner) => usize::from(self.reach(inner, start, false, Some(end), &mut Vec::new())?),
            _ => {
                let mut ends = Vec::new();
                self.ends(path, start, &mut ends)?;
                ends.into_iter().filter(|node| *node == end).count()
            }
        })
    }

    /// The nodes from which the path may lead anywhere.
    fn starts(&mut self, path: &Path, starts: &mut HashSet<Code>) -> Result<(), Fault> {
        if path.is_empty_possible() {
            for [subject, _, object] in self.find(None, None, None)? {
                starts.extend([subject, object]);
            }
            return Ok(());
        }
        match path {
            Path::Step(predicate, heading) => {
                let facts = self.find(None, Some(*predicate), None)?.into_iter();
                starts.extend(facts.map(|[subject, _, object]| match heading {
                    Heading::Forwards => subject,
                    Heading::Backwards => object,
                }));
            }
            Path::Other(_, heading) => {
                let facts = self.find(None, None, None)?.into_iter();
                starts.extend(facts.map(|[subject, _, object]| match heading {
                    Heading::Forwards => subject,
                    Heading::Backwards => object,
                }));
            }
            Path::Sequence(left, right) => {
                self.starts(left, starts)?;
                if left.is_empty_possible() {
                    self.starts(right, starts)?;
                }
            }
            Path::Alternative(left, right) => {
                self.starts(left, starts)?;
                self.starts(right, starts)?;
            }
            Path::OneOrMore(inner) | Path::ZeroOrOne(inner) | Path::ZeroOrMore(inner) => self.starts(inner, starts)?,
        }
        Ok(())
    }

    /// The pairs of a path that is one step.
    fn pairs(&mut self, path: &Path) -> Result<Option<Vec<(Code, Code)>>, Fault> {
        let (facts, heading) = match path {
            Path::Step(predicate, heading) => (self.find(None, Some(*predicate), None)?, *heading),
            Path::Other(without, heading) => {
                let mut facts = self.find(None, None, None)?;
                facts.retain(|[_, step, _]| !without.contains(step));
                (facts, *heading)
            }
            _ => return Ok(None),
        };
        let pair = |[subject, _, object]: [Code; 3]| match heading {
            Heading::Forwards => (subject, object),
            Heading::Backwards => (object, subject),
        };
        Ok(Some(facts.into_iter().map(pair).collect()))
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
    /// Pairs that were found.
    found: std::vec::IntoIter<(Code, Code)>,
    growth: Growth,
    held: Reservation,
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
            found: Vec::new().into_iter(),
            growth: Growth::default(),
            held: env.run.session.reservation(),
        })
    }
}

impl PathRows {
    fn walk<'r>(&self, pattern: &PathPattern, run: &'r Run) -> Walk<'r> {
        let from = self.graph.map_or_else(|| pattern.graph.from(&self.env), From::Named);
        Walk { run, from, held: run.session.reservation() }
    }

    /// May the ends be a term that is in no triple of the graph, or is it known that they are in one?
    fn may_be_apart(&self, pattern: &PathPattern) -> bool {
        let is_default = matches!(pattern.graph, GraphRef::Default);
        let end = |place: &Place| match place {
            Place::Code(_) => Some(Origin::Written),
            Place::Variable(variable) => self.env.origin(variable),
        };
        let ends = [end(&pattern.subject), end(&pattern.object)];
        ends.contains(&Some(Origin::Written))
            || ends.into_iter().flatten().all(|origin| origin == Origin::Node && is_default)
    }

    /// Finds pairs in the next graph, or the starts there.
    fn enter(&mut self, pattern: &PathPattern) -> Result<(), Fault> {
        let run = Arc::clone(&self.env.run);
        let mut walk = self.walk(pattern, &run);
        let (subject, object) = (pattern.subject.value(&self.env), pattern.object.value(&self.env));
        if pattern.path.is_empty_possible() && !self.may_be_apart(pattern) {
            for node in [subject, object].into_iter().flatten() {
                if !walk.is_node(node)? {
                    return Ok(());
                }
            }
        }
        let found = match (subject, object) {
            (Some(start), Some(end)) => vec![(start, end); walk.times(&pattern.path, start, end)?],
            (Some(start), None) => {
                let mut ends = Vec::new();
                walk.ends(&pattern.path, start, &mut ends)?;
                ends.into_iter().map(|end| (start, end)).collect()
            }
            (None, Some(end)) => {
                let mut starts = Vec::new();
                walk.ends(&pattern.reversed, end, &mut starts)?;
                starts.into_iter().map(|start| (start, end)).collect()
            }
            (None, None) => match walk.pairs(&pattern.path)? {
                Some(pairs) => pairs,
                None => {
                    let mut starts = HashSet::new();
                    walk.starts(&pattern.path, &mut starts)?;
                    let mut starts: Vec<Code> = starts.into_iter().collect();
                    starts.sort_unstable();
                    self.starts = starts.into_iter();
                    Vec::new()
                }
            },
        };
        self.found = found.into_iter();
        self.held.set(self.starts.len() * size_of::<Code>() + self.found.len() * size_of::<(Code, Code)>())
    }

    /// Finds more pairs; false at the end.
    fn advance(&mut self, pattern: &PathPattern) -> Result<bool, Fault> {
        if let Some(start) = self.starts.next() {
            let run = Arc::clone(&self.env.run);
            let mut ends = Vec::new();
            self.walk(pattern, &run).ends(&pattern.path, start, &mut ends)?;
            self.found = ends.into_iter().map(|end| (start, end)).collect::<Vec<_>>().into_iter();
            return Ok(true);
        }
        let Some(graph) = self.graphs.next() else { return Ok(false) };
        self.graph = graph;
        self.enter(pattern)?;
        Ok(true)
    }
}

impl Stream for PathRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let operator = Arc::clone(&self.operator);
        let super::Kind::Path(pattern) = &operator.kind else { return Err(Fault::internal("no path")) };
        let mut batch = Batch::new(operator.variables.len());
        let is_loop = pattern.subject.variable().is_some() && pattern.subject.variable() == pattern.object.variable();
        while batch.rows < self.growth.rows() {
            let Some((start, end)) = self.found.next() else {
                self.env.run.session.check()?;
                if self.advance(pattern)? {
                    continue;
                }
                break;
            };
            if is_loop && start != end {
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
