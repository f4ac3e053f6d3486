//! Single patterns, looked up while the coordinator evaluates: for property paths, EXISTS and DESCRIBE.
//!
//! Each lookup is a plan of one atom. Answers are cached for the query, up to a limit; a small relation that is looked
//! up often is fetched once and answered from memory.

use crate::cluster::Wanted;
use crate::session::{Session, lock};
use entail_logic::eval::Batch;
use entail_logic::plan::{Arg, Atom, GraphScope, Plan, Slot, compile};
use entail_model::{Fault, TermId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Bytes of kept answers and relations.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// Lookups of a relation after which it is fetched whole.
const FETCH_AFTER: u32 = 32;
/// Facts of a relation that may be fetched whole.
const FETCH_FACTS_MAX: u64 = 4_000_000;

/// Which graph a lookup reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum From {
    /// The dataset's default graph.
    Default,
    Named(TermId),
    /// Each named graph of the dataset.
    Each,
}

/// A pattern to look for; `None` matches any term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    pub subject: Option<TermId>,
    pub predicate: Option<TermId>,
    pub object: Option<TermId>,
    pub from: From,
}

/// A matching fact. Only lookups in each named graph set the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub subject: TermId,
    pub predicate: TermId,
    pub object: TermId,
    pub graph: Option<TermId>,
}

/// The lookups of one query.
pub struct Lookups {
    session: Arc<Session>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Lookup, Arc<Vec<Found>>>,
    asked: HashMap<(From, TermId), u32>,
    relations: HashMap<(From, TermId), Arc<Pairs>>,
    bytes: usize,
}

/// A relation in memory, sorted both ways.
struct Pairs {
    out: Vec<(TermId, TermId)>,
    back: Vec<(TermId, TermId)>,
}

/// A stream of facts.
pub type Answer = Box<dyn Iterator<Item = Result<Found, Fault>>>;

impl Lookups {
    /// Lookups with an empty cache.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, kept: Arc::default() }
    }

    /// The facts that match.
    pub fn find(&self, lookup: Lookup) -> Result<Answer, Fault> {
        self.session.check()?;
        if let Some(predicate) = lookup.predicate
            && let Some(pairs) = self.relation(lookup, predicate)?
        {
            return Ok(Box::new(pairs.find(lookup, predicate).into_iter().map(Ok)));
        }
        if let Some(answer) = lock(&self.kept).answers.get(&lookup).cloned() {
            return Ok(Box::new((0..answer.len()).map(move |index| Ok(answer[index]))));
        }
        let Some((plan, shape)) = self.plan(lookup) else { return Ok(Box::new(std::iter::empty())) };
        let rows = self.session.cluster.execute(Arc::new(plan), Wanted::default())?;
        let stream =
            Stream { session: Arc::clone(&self.session), rows, shape, batch: Batch::default(), at: 0, is_over: false };
        Ok(Box::new(Recorder { stream, lookup, found: Some(Vec::new()), kept: Arc::clone(&self.kept) }))
    }

    /// The relation in memory, if it is cached or worth fetching now.
    fn relation(&self, lookup: Lookup, predicate: TermId) -> Result<Option<Arc<Pairs>>, Fault> {
        let key = (lookup.from, predicate);
        {
            let mut kept = lock(&self.kept);
            if let Some(pairs) = kept.relations.get(&key) {
                return Ok(Some(Arc::clone(pairs)));
            }
            let asked = kept.asked.entry(key).or_default();
            *asked += 1;
            if *asked != FETCH_AFTER || lookup.from == From::Each {
                return Ok(None);
            }
        }
        let whole = Lookup { subject: None, object: None, ..lookup };
        let facts = self.session.context.stats.iter().filter(|(relation, _)| relation.predicate == predicate);
        let facts: u64 = facts.map(|(_, stats)| stats.facts).sum();
        let bytes = facts as usize * 2 * size_of::<(TermId, TermId)>();
        if facts > FETCH_FACTS_MAX || lock(&self.kept).bytes + bytes > KEPT_BYTES_MAX {
            return Ok(None);
        }
        let Some((plan, shape)) = self.plan(whole) else { return Ok(None) };
        let rows = self.session.cluster.execute(Arc::new(plan), Wanted::default())?;
        let stream =
            Stream { session: Arc::clone(&self.session), rows, shape, batch: Batch::default(), at: 0, is_over: false };
        let mut out =
            stream.map(|found| found.map(|found| (found.subject, found.object))).collect::<Result<Vec<_>, _>>()?;
        out.sort_unstable();
        let mut back: Vec<_> = out.iter().map(|(subject, object)| (*object, *subject)).collect();
        back.sort_unstable();
        let pairs = Arc::new(Pairs { out, back });
        let mut kept = lock(&self.kept);
        kept.bytes += bytes;
        kept.relations.insert(key, Arc::clone(&pairs));
        Ok(Some(pairs))
    }

    /// The plan of a lookup, and the positions of its values; `None` if the dataset has no such graph.
    fn plan(&self, lookup: Lookup) -> Option<(Plan, Shape)> {
        let mut width = 0;
        let mut arg = |bound: Option<TermId>| match bound {
            Some(id) => Arg::Const(id),
            None => {
                width += 1;
                Arg::Slot(width - 1)
            }
        };
        let (subject, predicate, object) = (arg(lookup.subject), arg(lookup.predicate), arg(lookup.object));
        let named = &self.session.dataset.named;
        let mut graph_slot = None;
        let graph = match lookup.from {
            From::Default => self.session.dataset.default.clone()?,
            From::Named(graph) if named.as_ref().is_some_and(|named| !named.contains(&graph)) => return None,
            From::Named(graph) => GraphScope::One(graph),
            From::Each => {
                let Arg::Slot(slot) = arg(None) else { unreachable!("nothing bound is a slot") };
                graph_slot = Some(slot);
                GraphScope::Each(slot, named.clone())
            }
        };
        if is_value(subject) || is_value(predicate) {
            return None;
        }
        let atom = Atom { graph, subject, predicate, object };
        let body = compile::Body { width, atoms: vec![atom], conditions: Vec::new() };
        let plan = compile::compile_query(&self.session.context, &body, (0..width).collect());
        Some((plan, Shape { subject, predicate, object, graph: graph_slot }))
    }
}

/// Is it an inline value? These are never subjects or predicates.
fn is_value(arg: Arg) -> bool {
    matches!(arg, Arg::Const(id) if id.is_inline())
}

impl Pairs {
    fn find(&self, lookup: Lookup, predicate: TermId) -> Vec<Found> {
        let found = |(subject, object)| Found { subject, predicate, object, graph: None };
        let range = |pairs: &[(TermId, TermId)], key: TermId| {
            let start = pairs.partition_point(|pair| pair.0 < key);
            start..start + pairs[start..].partition_point(|pair| pair.0 == key)
        };
        match (lookup.subject, lookup.object) {
            (Some(subject), Some(object)) => {
                self.out.binary_search(&(subject, object)).map(|_| found((subject, object))).into_iter().collect()
            }
            (Some(subject), None) => self.out[range(&self.out, subject)].iter().copied().map(found).collect(),
            (None, Some(object)) => self.back[range(&self.back, object)]
                .iter()
                .map(|(object, subject)| found((*subject, *object)))
                .collect(),
            (None, None) => self.out.iter().copied().map(found).collect(),
        }
    }
}

/// The positions of a lookup's values in its rows.
#[derive(Clone, Copy)]
struct Shape {
    subject: Arg,
    predicate: Arg,
    object: Arg,
    graph: Option<Slot>,
}

struct Stream {
    session: Arc<Session>,
    rows: Box<dyn crate::cluster::Rows>,
    shape: Shape,
    batch: Batch,
    at: usize,
    is_over: bool,
}

impl Stream {
    fn advance(&mut self) -> Result<Option<Found>, Fault> {
        while self.at >= self.batch.rows {
            self.session.check()?;
            let Some(batch) = self.rows.next()? else { return Ok(None) };
            self.batch = batch;
            self.at = 0;
        }
        let value = |arg: Arg| match arg {
            Arg::Const(id) => id,
            Arg::Slot(slot) => self.batch.columns[slot][self.at],
        };
        let Shape { subject, predicate, object, graph } = self.shape;
        let graph = graph.map(|slot| value(Arg::Slot(slot)));
        let found = Found { subject: value(subject), predicate: value(predicate), object: value(object), graph };
        self.at += 1;
        Ok(Some(found))
    }
}

impl Iterator for Stream {
    type Item = Result<Found, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.advance().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Passes facts on, and caches them all if the end is reached.
struct Recorder {
    stream: Stream,
    lookup: Lookup,
    /// `None` once there are too many facts to cache.
    found: Option<Vec<Found>>,
    kept: Arc<Mutex<Kept>>,
}

impl Iterator for Recorder {
    type Item = Result<Found, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.stream.next();
        match &next {
            Some(Ok(one)) => {
                if let Some(found) = &mut self.found {
                    found.push(*one);
                }
                if self.found.as_ref().is_some_and(|found| size_of_val(&found[..]) > KEPT_BYTES_MAX / 4) {
                    self.found = None;
                }
            }
            Some(Err(_)) => self.found = None,
            None => self.keep(),
        }
        next
    }
}

impl Recorder {
    fn keep(&mut self) {
        let Some(found) = self.found.take() else { return };
        let bytes = size_of_val(&found[..]) + 128;
        let mut kept = lock(&self.kept);
        if kept.bytes + bytes <= KEPT_BYTES_MAX {
            kept.bytes += bytes;
            kept.answers.insert(self.lookup, Arc::new(found));
        }
    }
}
