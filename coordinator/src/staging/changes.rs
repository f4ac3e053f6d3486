//! Changes of an update: facts by ids and by terms, and whole graphs.

use super::{FactLoader, Sizes};
use bytes::Bytes;
use entail_logic::fixpoint::{Graphs, StagedEffect};
use entail_model::{Fact, Fault, NodeId, Reason, Relation, TermId, term};
use entail_node_api::{OperationFacts, StagedChange, StagedFacts};
use entail_rdf::Limits;
use entail_sparql::update::{ChangedFact, Changes, Node};
use oxrdf::{GraphName, Term};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

impl FactLoader {
    /// Stages facts of an operation.
    pub async fn stage_changes(&self, operation: u32, changes: Changes) -> Result<(), Fault> {
        if !changes.added.is_empty() {
            self.has_added.store(true, Ordering::Relaxed);
        }
        self.rdf_type().await?;
        let Changes { removed, added } = changes;
        let mut sorted = [BTreeMap::new(), BTreeMap::new()];
        for (effect, facts) in [(StagedEffect::Removed, removed), (StagedEffect::Added, added)] {
            let (resolved, all) = (self.resolve(effect, &facts).await?, facts.len());
            self.count(effect, all, resolved.len());
            sorted[effect as usize] = tokio::task::block_in_place(|| self.sort(effect, resolved))?;
        }
        let [mut removed, mut added] = sorted;
        let mut facts = |node: &NodeId| {
            let take = |of: &mut BTreeMap<NodeId, Vec<StagedFacts>>| of.remove(node).unwrap_or_default();
            StagedChange::Facts { removed: take(&mut removed), added: take(&mut added) }
        };
        let is_empty = |change: &StagedChange| match change {
            StagedChange::Facts { removed, added } => removed.is_empty() && added.is_empty(),
            _ => false,
        };
        let changes = self.holders.links.keys().map(|node| (*node, facts(node)));
        let changes: Vec<(NodeId, StagedChange)> = changes.filter(|(_, change)| !is_empty(change)).collect();
        self.send(Some(operation), changes).await
    }

    /// Stages the facts of several operations, numbered from 0, with few calls; returns the operations that are left out,
    /// each with its fault.
    pub async fn stage_group(&self, operations: &[&Changes]) -> Result<BTreeMap<usize, Fault>, Fault> {
        self.has_added.store(true, Ordering::Relaxed);
        self.rdf_type().await?;
        let mut terms = [Terms::default(), Terms::default()];
        let mut failed = BTreeMap::new();
        let mut places = Vec::with_capacity(operations.len());
        for (index, changes) in operations.iter().enumerate() {
            let mut of = |effect: StagedEffect, facts: &[ChangedFact]| {
                facts.iter().map(|fact| terms[effect as usize].places(fact)).collect::<Result<Vec<_>, Fault>>()
            };
            let removed = of(StagedEffect::Removed, &changes.removed);
            match removed.and_then(|removed| Ok([removed, of(StagedEffect::Added, &changes.added)?])) {
                Ok(of_operation) => places.push(of_operation),
                Err(fault) => {
                    failed.insert(index, fault);
                    places.push([Vec::new(), Vec::new()]);
                }
            }
        }
        let [removed, added] = &terms;
        // What is added comes first, so that what is removed finds its terms.
        let new = self.intern(&added.bytes).await?.into_iter().map(Some).collect::<Vec<_>>();
        let ids = [self.known(&removed.bytes).await?, new];
        let mut by_node: BTreeMap<NodeId, Vec<OperationFacts>> = BTreeMap::new();
        for (operation, places) in places.into_iter().enumerate() {
            for (effect, places) in [StagedEffect::Removed, StagedEffect::Added].into_iter().zip(places) {
                let all = places.len();
                let ids = &ids[effect as usize];
                let facts: Vec<Fact> = places.into_iter().filter_map(|places| fact(places, ids)).collect();
                self.count(effect, all, facts.len());
                for (node, facts) in self.sort(effect, facts)? {
                    let of_node = by_node.entry(node).or_default();
                    let operation = operation as u32;
                    if of_node.last().is_none_or(|last| last.operation != operation) {
                        of_node.push(OperationFacts { operation, ..OperationFacts::default() });
                    }
                    let last = of_node.last_mut().expect("it was just pushed");
                    match effect {
                        StagedEffect::Removed => last.removed = facts,
                        StagedEffect::Added => last.added = facts,
                    }
                }
            }
        }
        let changes = by_node.into_iter().map(|(node, operations)| (node, StagedChange::Group(operations)));
        self.send(Some(0), changes.collect()).await?;
        Ok(failed)
    }

    /// The facts over ids. Of facts to be removed, those with an unknown term are left out.
    async fn resolve(&self, effect: StagedEffect, facts: &[ChangedFact]) -> Result<Vec<Fact>, Fault> {
        let mut terms = Terms::default();
        let places = facts.iter().map(|fact| terms.places(fact)).collect::<Result<Vec<_>, Fault>>()?;
        let ids = match effect {
            StagedEffect::Added => self.intern(&terms.bytes).await?.into_iter().map(Some).collect(),
            StagedEffect::Removed => self.known(&terms.bytes).await?,
        };
        for place in places.iter().flat_map(|[graph, _, predicate, _]| [graph, predicate]) {
            if let (Place::Term(index), true) = (place, self.names.is_some())
                && let Some(id) = ids[*index]
            {
                self.keep_name(id, &terms.bytes[*index]);
            }
        }
        Ok(places.into_iter().filter_map(|places| fact(places, &ids)).collect())
    }

    /// Stages the removal of every fact of some graphs. Messages of earlier operations must have been answered.
    pub async fn clear(&self, operation: u32, graphs: Graphs) -> Result<(), Fault> {
        let stats = &self.base.stats;
        let of_base = stats.iter().filter(|(relation, _)| graphs.contains(relation.graph));
        {
            let mut sizes = self.sizes();
            let cleared = sizes.iter_mut().filter(|(relation, _)| graphs.contains(relation.graph));
            cleared.for_each(|(_, of)| of.added = 0);
            for (relation, stats) in of_base {
                sizes.entry(*relation).or_default().removed += stats.facts;
            }
        }
        self.send_to_all(operation, &StagedChange::Clear(graphs)).await
    }

    /// Stages the addition of every fact of one graph to another. Messages of earlier operations must have been answered.
    pub async fn transfer(&self, operation: u32, from: TermId, to: TermId) -> Result<(), Fault> {
        self.has_added.store(true, Ordering::Relaxed);
        {
            let mut sizes = self.sizes();
            let mut moved: HashMap<TermId, u64> = HashMap::new();
            let of_base = self.base.stats.iter().map(|(relation, stats)| (*relation, stats.facts));
            let of_changes = sizes.iter().map(|(relation, Sizes { added, .. })| (*relation, *added));
            for (relation, facts) in of_base.chain(of_changes).filter(|(relation, _)| relation.graph == from) {
                *moved.entry(relation.predicate).or_default() += facts;
            }
            for (predicate, facts) in moved {
                sizes.entry(Relation { graph: to, predicate }).or_default().added += facts;
            }
        }
        self.send_to_all(operation, &StagedChange::Transfer { from, to }).await
    }

    async fn send_to_all(&self, operation: u32, change: &StagedChange) -> Result<(), Fault> {
        let changes = self.holders.links.keys().map(|node| (*node, change.clone()));
        self.send(Some(operation), changes.collect()).await
    }

    /// The id of a graph that may have facts.
    pub async fn known_graph(&self, graph: &GraphName) -> Result<Option<TermId>, Fault> {
        match text(graph) {
            None => Ok(Some(TermId::DEFAULT_GRAPH)),
            Some(text) => Ok(self.known(&[text]).await?[0]),
        }
    }

    /// The id of a graph that is to have facts.
    pub async fn new_graph(&self, graph: &GraphName) -> Result<TermId, Fault> {
        match text(graph) {
            None => Ok(TermId::DEFAULT_GRAPH),
            Some(text) => {
                let id = self.intern(std::slice::from_ref(&text)).await?[0];
                self.keep_name(id, &text);
                Ok(id)
            }
        }
    }
}

/// The fact at these places, if each of its terms has an id.
fn fact([graph, subject, predicate, object]: [Place; 4], ids: &[Option<TermId>]) -> Option<Fact> {
    let id = |place| match place {
        Place::Id(id) => Some(id),
        Place::Term(index) => ids[index],
    };
    Some(Fact { graph: id(graph)?, subject: id(subject)?, predicate: id(predicate)?, object: id(object)? })
}

/// The canonical bytes of a graph's name; the default graph has none.
fn text(graph: &GraphName) -> Option<Bytes> {
    let term: Term = match graph {
        GraphName::DefaultGraph => return None,
        GraphName::NamedNode(node) => node.clone().into(),
        GraphName::BlankNode(node) => node.clone().into(),
    };
    let mut bytes = Vec::new();
    term::encode(term.as_ref(), &mut bytes);
    Some(bytes.into())
}

/// The terms of some facts that have no ids yet, each once.
#[derive(Default)]
struct Terms {
    bytes: Vec<Bytes>,
    index: HashMap<Bytes, usize>,
}

#[derive(Clone, Copy)]
enum Place {
    Id(TermId),
    Term(usize),
}

impl Terms {
    /// Graph, subject, predicate and object of a fact.
    fn places(&mut self, fact: &ChangedFact) -> Result<[Place; 4], Fault> {
        let graph = match &fact.graph {
            None => Place::Id(TermId::DEFAULT_GRAPH),
            Some(graph) => self.place(graph)?,
        };
        Ok([graph, self.place(&fact.subject)?, self.place(&fact.predicate)?, self.place(&fact.object)?])
    }

    fn place(&mut self, node: &Node) -> Result<Place, Fault> {
        let term = match node {
            Node::Id(id) => return Ok(Place::Id(*id)),
            Node::Term(term) => term,
        };
        if let Some(id) = term::inline_id(term.as_ref()) {
            return Ok(Place::Id(id));
        }
        let mut bytes = Vec::new();
        term::encode(term.as_ref(), &mut bytes);
        let limit = Limits::default().term_bytes;
        if bytes.len() > limit {
            let text = format!("a term of {} bytes; the limit is {limit}", bytes.len());
            return Err(Fault::new(Reason::LimitExceeded, text));
        }
        let bytes = Bytes::from(bytes);
        let next = self.bytes.len();
        let index = *self.index.entry(bytes.clone()).or_insert(next);
        if index == next {
            self.bytes.push(bytes);
        }
        Ok(Place::Term(index))
    }
}
