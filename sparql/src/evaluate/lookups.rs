//! Single patterns, looked up while the coordinator evaluates: for property paths, EXISTS, GRAPH and DESCRIBE.
//!
//! Each lookup is a plan of one atom. Answers are cached for the query, up to a limit; a small relation that is looked up often
//! is fetched once and answered from memory. The cache counts as memory of the query, and is emptied when rows need the room.

use crate::cluster::Wanted;
use crate::session::memory::{Cache, Reservation};
use crate::session::{Session, lock};
use entail_logic::eval::Batch;
use entail_logic::plan::{Arg, Atom, GraphScope, Plan, Slot, compile};
use entail_model::{Fault, Relation, TermId};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Bytes of kept answers and relations.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// Lookups of a relation after which it is fetched whole.
const FETCH_AFTER: u32 = 32;
/// Facts of a relation that may be fetched whole.
const FETCH_FACTS_MAX: u64 = 4_000_000;
/// Bytes of an answer beside its facts: its key and its place in the cache.
const ANSWER_BYTES: usize = 192;
/// Facts after which the memory of an answer that is being cached is counted again.
const COUNTED_AFTER: usize = 1 << 10;

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
    kept: Arc<KeptFacts>,
}

/// The cache. What it gives out is counted until no operator reads it.
#[derive(Default)]
struct KeptFacts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<Lookup, Arc<Facts>>,
    /// How often a relation was looked up; kept when the rest is forgotten, so that no relation is fetched again and again.
    asked: HashMap<(From, TermId), u32>,
    relations: HashMap<(From, TermId), Arc<Pairs>>,
    bytes: usize,
}

/// The facts of an answer.
struct Facts {
    found: Vec<Found>,
    _held: Reservation,
}

/// A relation in memory, sorted both ways.
struct Pairs {
    out: Vec<(TermId, TermId)>,
    back: Vec<(TermId, TermId)>,
    _held: Reservation,
}

impl Cache for KeptFacts {
    fn clear(&self) {
        let mut kept = lock(&self.0);
        kept.bytes = 0;
        let forgotten = (std::mem::take(&mut kept.answers), std::mem::take(&mut kept.relations));
        drop(kept);
        drop(forgotten);
    }
}

impl KeptFacts {
    /// Is there room for more?
    fn has_room(&self, bytes: usize) -> bool {
        lock(&self.0).bytes + bytes <= KEPT_BYTES_MAX
    }
}

/// A stream of facts.
pub type Answer = Box<dyn Iterator<Item = Result<Found, Fault>>>;

impl Lookups {
    /// Lookups with an empty cache.
    pub fn new(session: Arc<Session>) -> Self {
        let kept = Arc::new(KeptFacts::default());
        let cache: Arc<dyn Cache> = Arc::clone(&kept) as _;
        session.memory.add_cache(Arc::downgrade(&cache));
        Self { session, kept }
    }

    /// The facts that match.
    pub fn find(&self, lookup: Lookup) -> Result<Answer, Fault> {
        self.session.check()?;
        if let Some(predicate) = lookup.predicate
            && let Some(pairs) = self.relation(lookup, predicate)?
        {
            return Ok(Box::new(pairs.find(lookup, predicate)));
        }
        if let Some(answer) = lock(&self.kept.0).answers.get(&lookup).cloned() {
            return Ok(Box::new((0..answer.found.len()).map(move |index| Ok(answer.found[index]))));
        }
        let Some(stream) = self.stream(lookup)? else { return Ok(Box::new(std::iter::empty())) };
        let (found, held) = (Some(Vec::new()), self.session.reservation());
        Ok(Box::new(Recorder { stream, lookup, found, held, kept: Arc::clone(&self.kept) }))
    }

    /// The facts from the cluster; `None` if the dataset has no such graph.
    fn stream(&self, lookup: Lookup) -> Result<Option<Stream>, Fault> {
        let Some((plan, shape)) = self.plan(lookup) else { return Ok(None) };
        let rows = self.session.cluster.execute(Arc::new(plan), Wanted::default())?;
        let session = Arc::clone(&self.session);
        Ok(Some(Stream { session, rows, shape, batch: Batch::default(), at: 0, is_over: false }))
    }

    /// The relation in memory, if it is cached or worth fetching now.
    fn relation(&self, lookup: Lookup, predicate: TermId) -> Result<Option<Arc<Pairs>>, Fault> {
        let key = (lookup.from, predicate);
        {
            let mut kept = lock(&self.kept.0);
            if let Some(pairs) = kept.relations.get(&key) {
                return Ok(Some(Arc::clone(pairs)));
            }
            let asked = kept.asked.entry(key).or_default();
            *asked += 1;
            if *asked != FETCH_AFTER || lookup.from == From::Each {
                return Ok(None);
            }
        }
        let facts = self.facts(lookup.from, predicate);
        let bytes = |facts: usize| facts * 2 * size_of::<(TermId, TermId)>();
        let mut held = self.session.reservation();
        let is_small = facts <= FETCH_FACTS_MAX && self.kept.has_room(bytes(facts as usize));
        if !is_small || held.set(bytes(facts as usize)).is_err() {
            return Ok(None);
        }
        let Some(stream) = self.stream(Lookup { subject: None, object: None, ..lookup })? else { return Ok(None) };
        let mut out =
            stream.map(|found| found.map(|found| (found.subject, found.object))).collect::<Result<Vec<_>, _>>()?;
        out.sort_unstable();
        let mut back: Vec<_> = out.iter().map(|(subject, object)| (*object, *subject)).collect();
        back.sort_unstable();
        let bytes = bytes(out.capacity());
        held.set(bytes)?;
        let pairs = Arc::new(Pairs { out, back, _held: held });
        let mut kept = lock(&self.kept.0);
        kept.bytes += bytes;
        kept.relations.insert(key, Arc::clone(&pairs));
        Ok(Some(pairs))
    }

    /// How many facts the relation has, at most.
    fn facts(&self, from: From, predicate: TermId) -> u64 {
        let only = match (from, &self.session.dataset.default) {
            (From::Named(graph), _) => Some(graph),
            (From::Default, Some(GraphScope::One(graph))) => Some(*graph),
            _ => None,
        };
        let of =
            |relation: &Relation| relation.predicate == predicate && only.is_none_or(|graph| graph == relation.graph);
        self.session.context.stats.iter().filter(|(relation, _)| of(relation)).map(|(_, stats)| stats.facts).sum()
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
    /// The facts that match.
    fn find(self: Arc<Self>, lookup: Lookup, predicate: TermId) -> impl Iterator<Item = Result<Found, Fault>> {
        let (places, is_back) = self.places(lookup);
        places.map(move |at| {
            let (subject, object) = match is_back {
                false => self.out[at],
                true => (self.back[at].1, self.back[at].0),
            };
            Ok(Found { subject, predicate, object, graph: None })
        })
    }

    /// Where the matching pairs are, and whether these are places among the pairs by object.
    fn places(&self, lookup: Lookup) -> (Range<usize>, bool) {
        let range = |pairs: &[(TermId, TermId)], key: TermId| {
            let start = pairs.partition_point(|pair| pair.0 < key);
            start..start + pairs[start..].partition_point(|pair| pair.0 == key)
        };
        match (lookup.subject, lookup.object) {
            (Some(subject), Some(object)) => match self.out.binary_search(&(subject, object)) {
                Ok(at) => (at..at + 1, false),
                Err(at) => (at..at, false),
            },
            (Some(subject), None) => (range(&self.out, subject), false),
            (None, Some(object)) => (range(&self.back, object), true),
            (None, None) => (0..self.out.len(), false),
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
    held: Reservation,
    kept: Arc<KeptFacts>,
}

impl Iterator for Recorder {
    type Item = Result<Found, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.stream.next();
        match &next {
            Some(Ok(one)) => {
                if let Some(found) = &mut self.found {
                    found.push(*one);
                    if found.len().is_multiple_of(COUNTED_AFTER) {
                        self.count();
                    }
                }
            }
            Some(Err(_)) => self.found = None,
            None => self.keep(),
        }
        next
    }
}

impl Recorder {
    /// Counts the facts so far. If there is no room for them, they are not cached.
    fn count(&mut self) {
        let Some(found) = &self.found else { return };
        let bytes = found.capacity() * size_of::<Found>() + ANSWER_BYTES;
        if bytes > KEPT_BYTES_MAX / 4 || self.held.set(bytes).is_err() {
            self.found = None;
            // Nothing is held, which is never too much of this answer.
            _ = self.held.set(0);
        }
    }

    fn keep(&mut self) {
        if let Some(found) = &mut self.found {
            found.shrink_to_fit();
        }
        self.count();
        let Some(found) = self.found.take() else { return };
        let bytes = self.held.bytes();
        let held = std::mem::replace(&mut self.held, self.stream.session.reservation());
        let mut kept = lock(&self.kept.0);
        if kept.bytes + bytes <= KEPT_BYTES_MAX {
            kept.bytes += bytes;
            kept.answers.insert(self.lookup, Arc::new(Facts { found, _held: held }));
        }
    }
}

#[cfg(test)]
mod tests;
