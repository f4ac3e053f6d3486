//! Walks along property paths in one graph.
//!
//! A path leads to an end as often as there are ways to it, which [`Walk::ends`] follows one after the other. Within `*`, `+`
//! and `?` it matters only whether there is a way, so [`Walk::spread`] follows a whole set of nodes at once: the ways of
//! `(:p/:p/:p)+` would multiply with each step.

use super::{Path, Step};
use crate::evaluate::lookups::{From, Lookup};
use crate::evaluate::run::Run;
use crate::session::code::{Code, is_computed};
use crate::session::memory::Reservation;
use entail_model::Fault;
use hashbrown::HashSet;

/// Facts that are read between two checks.
pub const FACTS_BETWEEN_CHECKS: usize = 1 << 12;

/// Walks from one node, or between two, in one graph.
pub struct Walk<'r> {
    run: &'r Run,
    from: From,
    /// The only node of a walk that may be in no triple of the graph: where it starts.
    start: Code,
    /// Is it in one? Looked up when it matters.
    is_node: Option<bool>,
}

/// Nodes in the order in which they were found, in memory that is reserved.
pub struct Nodes {
    list: Vec<Code>,
    /// The same nodes, if each is wanted once.
    seen: Option<HashSet<Code>>,
    /// No more nodes are wanted once it is among them.
    goal: Option<Code>,
    is_met: bool,
    held: Reservation,
    /// The capacity of the list for which memory is reserved.
    reserved: usize,
}

impl Nodes {
    /// Adds a node; false once no more are wanted.
    fn add(&mut self, node: Code) -> Result<bool, Fault> {
        if self.seen.as_mut().is_none_or(|seen| seen.insert(node)) {
            self.list.push(node);
            self.is_met |= self.goal == Some(node);
            if self.list.capacity() != self.reserved {
                self.reserved = self.list.capacity();
                // Twice: the end of the list is copied where the walk goes on from it.
                let list = 2 * self.reserved * size_of::<Code>();
                self.held.set(list + self.seen.as_ref().map_or(0, HashSet::allocation_size))?;
            }
        }
        Ok(!self.is_met)
    }

    fn has(&self, node: Code) -> bool {
        self.seen.as_ref().map_or_else(|| self.list.contains(&node), |seen| seen.contains(&node))
    }

    /// The nodes, for which no memory is reserved any more.
    pub fn into_list(self) -> Vec<Code> {
        self.list
    }
}

impl<'r> Walk<'r> {
    /// Walks from `start`; from any node of the graph if there is none.
    pub fn new(run: &'r Run, from: From, start: Option<Code>) -> Self {
        Self { run, from, start: start.unwrap_or_default(), is_node: start.is_none().then_some(true) }
    }

    fn nodes(&self, seen: Option<HashSet<Code>>, goal: Option<Code>) -> Nodes {
        let held = self.run.session.reservation();
        Nodes { list: Vec::new(), seen, goal, is_met: false, held, reserved: 0 }
    }

    /// No nodes, of which some may come to be there several times.
    pub fn bag(&self) -> Nodes {
        self.nodes(None, None)
    }

    /// No nodes, each of which will be there once.
    pub fn set(&self) -> Nodes {
        self.nodes(Some(HashSet::new()), None)
    }

    /// Gives `take` the start and the end of each fact of a step, until that is false.
    fn facts(
        &self,
        step: Step<'_>,
        start: Option<Code>,
        end: Option<Code>,
        mut take: impl FnMut(Code, Code) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let ((subject, object), predicate) = (step.heading.turn(start, end), step.predicate);
        if [subject, predicate, object].into_iter().flatten().any(is_computed) {
            return Ok(());
        }
        let found = self.run.lookups.find(Lookup { subject, predicate, object, from: self.from })?;
        for (read, fact) in found.enumerate() {
            if read % FACTS_BETWEEN_CHECKS == FACTS_BETWEEN_CHECKS - 1 {
                self.run.session.check()?;
            }
            let fact = fact?;
            let (start, end) = step.heading.turn(fact.subject, fact.object);
            if !step.without.contains(&fact.predicate) && !take(start, end)? {
                break;
            }
        }
        Ok(())
    }

    /// Is the term a subject or an object in the graph?
    pub fn is_node(&self, node: Code) -> Result<bool, Fault> {
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

    fn is_start_a_node(&mut self) -> Result<bool, Fault> {
        if let Some(known) = self.is_node {
            return Ok(known);
        }
        let is_node = self.is_node(self.start)?;
        self.is_node = Some(is_node);
        Ok(is_node)
    }

    /// Adds the ends of the path from `start`, as often as there are ways.
    pub fn ends(&mut self, path: &Path, start: Code, ends: &mut Nodes) -> Result<(), Fault> {
        if let Some(step) = path.step() {
            return self.facts(step, Some(start), None, |_, end| ends.add(end));
        }
        match path {
            Path::Sequence(left, right) => {
                let mut middle = self.bag();
                self.ends(left, start, &mut middle)?;
                self.keep_starts(right, &mut middle)?;
                middle.list.iter().try_for_each(|node| self.ends(right, *node, ends))
            }
            Path::Alternative(left, right) => {
                self.ends(left, start, ends)?;
                self.ends(right, start, ends)
            }
            closure => {
                let mut found = self.set();
                self.spread(closure, &[start], &mut found)?;
                found.list.iter().try_for_each(|node| ends.add(*node).map(|_| ()))
            }
        }
    }

    /// Adds the nodes that the path leads to from any of `from`, each once, to a set.
    fn spread(&mut self, path: &Path, from: &[Code], to: &mut Nodes) -> Result<(), Fault> {
        if let Some(step) = path.step() {
            for node in from {
                if to.is_met {
                    break;
                }
                self.facts(step, Some(*node), None, |_, end| to.add(end))?;
            }
            return Ok(());
        }
        match path {
            Path::Sequence(left, right) => {
                let mut middle = self.set();
                self.spread(left, from, &mut middle)?;
                self.keep_starts(right, &mut middle)?;
                self.spread(right, &middle.list, to)
            }
            Path::Alternative(left, right) => {
                self.spread(left, from, to)?;
                self.spread(right, from, to)
            }
            Path::ZeroOrOne(inner) => {
                from.iter().try_for_each(|node| to.add(*node).map(|_| ()))?;
                self.spread(inner, from, to)
            }
            Path::ZeroOrMore(inner) | Path::OneOrMore(inner) => {
                let with_start = matches!(path, Path::ZeroOrMore(_));
                if to.list.is_empty() {
                    return self.repeat(inner, from, with_start, to);
                }
                let mut reached = self.set();
                self.repeat(inner, from, with_start, &mut reached)?;
                reached.list.iter().try_for_each(|node| to.add(*node).map(|_| ()))
            }
            Path::Step(..) | Path::Other(..) => Ok(()),
        }
    }

    /// Adds the nodes that repetitions of the path lead to from any of `from` to an empty set; `from` itself if `with_start`
    /// or if a repetition leads back to it.
    fn repeat(&mut self, path: &Path, from: &[Code], with_start: bool, to: &mut Nodes) -> Result<(), Fault> {
        if with_start {
            from.iter().try_for_each(|node| to.add(*node).map(|_| ()))?;
        } else {
            self.spread(path, from, to)?;
        }
        let (mut done, mut frontier) = (0, Vec::new());
        while done < to.list.len() && !to.is_met {
            frontier.clear();
            frontier.extend_from_slice(&to.list[done..]);
            done = to.list.len();
            if !with_start && let [start] = from {
                frontier.retain(|node| node != start);
            }
            self.spread(path, &frontier, to)?;
        }
        Ok(())
    }

    /// Keeps the nodes from which a second part of a sequence can start: it starts at a node of the graph.
    fn keep_starts(&mut self, second: &Path, middle: &mut Nodes) -> Result<(), Fault> {
        let start = self.start;
        let may_be_apart = self.is_node != Some(true) && second.is_empty_possible();
        if may_be_apart && middle.has(start) && !self.is_start_a_node()? {
            middle.list.retain(|node| *node != start);
        }
        Ok(())
    }

    /// How often the path leads from the start of the walk to `end`. `is_written`: is the start, and the end, a term of the
    /// query?
    pub fn times(&mut self, path: &Path, end: Code, is_written: [bool; 2]) -> Result<usize, Fault> {
        let start = self.start;
        let mut times = 0;
        if let Some(step) = path.step() {
            let count = |_, _| {
                times += 1;
                Ok(true)
            };
            self.facts(step, Some(start), Some(end), count)?;
            return Ok(times);
        }
        if matches!(path, Path::ZeroOrOne(_) | Path::ZeroOrMore(_) | Path::OneOrMore(_)) {
            let mut found = self.nodes(Some(HashSet::new()), Some(end));
            self.spread(path, &[start], &mut found)?;
            return Ok(usize::from(found.is_met));
        }
        if start == end && path.is_empty_possible() && !self.is_start_a_node()? {
            return Ok(path.times_nowhere(is_written));
        }
        let mut ends = self.bag();
        self.ends(path, start, &mut ends)?;
        Ok(ends.list.iter().filter(|node| **node == end).count())
    }

    /// The nodes from which the path may lead anywhere, into a set.
    pub fn starts(&self, path: &Path, starts: &mut Nodes) -> Result<(), Fault> {
        if path.is_empty_possible() {
            let both = |subject, object| Ok(starts.add(subject)? && starts.add(object)?);
            return self.facts(Step::ANY, None, None, both);
        }
        if let Some(step) = path.step() {
            return self.facts(step, None, None, |start, _| starts.add(start));
        }
        match path {
            Path::Sequence(left, right) => {
                self.starts(left, starts)?;
                if left.is_empty_possible() { self.starts(right, starts) } else { Ok(()) }
            }
            Path::Alternative(left, right) => {
                self.starts(left, starts)?;
                self.starts(right, starts)
            }
            Path::OneOrMore(inner) | Path::ZeroOrOne(inner) | Path::ZeroOrMore(inner) => self.starts(inner, starts),
            Path::Step(..) | Path::Other(..) => Ok(()),
        }
    }

    /// The pairs of a path that is one step.
    pub fn pairs(&self, path: &Path) -> Result<Option<Vec<(Code, Code)>>, Fault> {
        let Some(step) = path.step() else { return Ok(None) };
        let (mut pairs, mut held) = (Vec::new(), self.run.session.reservation());
        self.facts(step, None, None, |start, end| {
            pairs.push((start, end));
            let bytes = pairs.capacity() * size_of::<(Code, Code)>();
            if bytes != held.bytes() {
                held.set(bytes)?;
            }
            Ok(true)
        })?;
        Ok(Some(pairs))
    }
}
