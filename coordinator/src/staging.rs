//! Staging changes of asserted facts at their homes: terms become ids, facts go to the two nodes that keep their copies.
//!
//! ```text
//! load     batches ──────────────┐
//!                                ├──► FactLoader: terms to ids, facts by home ──► nodes
//! update   solutions, facts ─────┘
//! ```
//! To add a fact its terms are interned. To remove a fact they are looked up only: a fact with a term that no dictionary
//! has is not there. But if the request has added facts before, their new terms are in no dictionary yet, so terms that are
//! not found are interned then.

mod changes;
mod load;
mod sorting;
mod update;

use crate::nodes::Holders;
use bytes::Bytes;
use entail_logic::fixpoint::StagedEffect;
use entail_logic::plan::compile::Context;
use entail_model::term::{HashKey, TermHash};
use entail_model::{Attempt, Epoch, Fact, Fault, NodeId, Relation, ShardCount, TermId, term};
use entail_node_api::{Staged, StagedChange, StagedFacts};
use entail_rdf::Batch;
use futures::future::try_join_all;
use oxrdf::vocab::rdf;
use sorting::{Homes, Sorting};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

pub use load::{Batches, EpochPart, Load, LoadKind, Source};
pub use update::{Evaluation, Update};

/// What determines the home of a term: the cluster's key for hashes, and its number of shards.
#[derive(Clone, Copy, Debug)]
pub struct TermHomes {
    pub key: HashKey,
    pub shards: ShardCount,
}

/// Stages the changes of one attempt at the nodes.
pub struct FactLoader {
    pub holders: Holders,
    pub attempt: u64,
    /// The epoch that the attempt builds on, and its statistics.
    pub previous: Epoch,
    pub base: Arc<Context>,
    pub key: HashKey,
    pub shards: ShardCount,
    homes: Homes,
    rdf_type: OnceCell<TermId>,
    /// Messages sent to each node.
    sent: BTreeMap<NodeId, AtomicU64>,
    counts: Counts,
    /// Has anything been added? Then new terms may be in no dictionary yet.
    has_added: AtomicBool,
    sizes: Mutex<HashMap<Relation, Sizes>>,
    /// New names of graphs and predicates, if they are kept: the nodes do not tell terms that are not committed.
    names: Option<Mutex<HashMap<TermId, Bytes>>>,
}

/// Facts so far, those that change nothing included.
#[derive(Debug, Default)]
struct Counts {
    added: AtomicU64,
    removed: AtomicU64,
    /// Facts to be removed that have an unknown term.
    unknown: AtomicU64,
}

/// Facts of one relation that were staged, those that change nothing included; the compiler estimates sizes from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub added: u64,
    pub removed: u64,
}

/// Where facts belong in the attempt's request: see [`Staged::operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub operation: Option<u32>,
    pub effect: StagedEffect,
}

impl FactLoader {
    /// A loader for the attempt on top of `previous`, whose statistics are `base`, with nothing staged.
    pub fn new(
        holders: Holders,
        (attempt, previous): (Attempt, Epoch),
        TermHomes { key, shards }: TermHomes,
        base: Arc<Context>,
    ) -> Self {
        let sent = holders.links.keys().map(|node| (*node, AtomicU64::new(0))).collect();
        let attempt = attempt.0;
        let (homes, rdf_type) = (Homes::of(&holders), OnceCell::new_with(base.rdf_type));
        Self {
            holders,
            attempt,
            previous,
            base,
            key,
            shards,
            homes,
            rdf_type,
            sent,
            counts: Counts::default(),
            has_added: AtomicBool::new(false),
            sizes: Mutex::default(),
            names: None,
        }
    }

    /// Keeps the names of graphs and predicates that facts are added with.
    pub fn keep_names(&mut self) {
        self.names = Some(Mutex::default());
    }

    /// The names that were kept, as canonical bytes.
    pub fn names(&self) -> HashMap<TermId, Bytes> {
        self.names.as_ref().map(|names| lock(names).clone()).unwrap_or_default()
    }

    fn keep_name(&self, id: TermId, text: &[u8]) {
        if let Some(names) = &self.names {
            lock(names).entry(id).or_insert_with(|| Bytes::copy_from_slice(text));
        }
    }

    /// Messages sent to each node.
    pub fn sent(&self) -> BTreeMap<NodeId, u64> {
        self.sent.iter().map(|(node, count)| (*node, count.load(Ordering::Relaxed))).collect()
    }

    /// Facts so far that were to be added or removed.
    pub fn received(&self) -> u64 {
        self.counts.added.load(Ordering::Relaxed) + self.counts.removed.load(Ordering::Relaxed)
    }

    /// Facts added so far, by relation.
    pub fn relations(&self) -> HashMap<Relation, u64> {
        let added = |(relation, sizes): (&Relation, &Sizes)| (sizes.added > 0).then_some((*relation, sizes.added));
        self.sizes().iter().filter_map(added).collect()
    }

    /// Do the changes so far remove anything?
    pub fn removes(&self) -> bool {
        self.sizes().values().any(|sizes| sizes.removed > 0)
    }

    /// The sizes of all changes so far, by relation.
    pub fn changed(&self) -> HashMap<Relation, Sizes> {
        self.sizes().clone()
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<Relation, Sizes>> {
        lock(&self.sizes)
    }

    /// The id of `rdf:type`, which decides where inverse copies go; it is interned before anything is staged.
    pub async fn rdf_type(&self) -> Result<TermId, Fault> {
        let id = self.rdf_type.get_or_try_init(|| async {
            let mut bytes = Vec::new();
            term::encode(rdf::TYPE.into(), &mut bytes);
            Ok::<TermId, Fault>(self.intern(&[Bytes::from(bytes)]).await?[0])
        });
        id.await.copied()
    }

    /// The ids of terms, given as canonical bytes; new ones are interned.
    pub async fn intern(&self, terms: &[Bytes]) -> Result<Vec<TermId>, Fault> {
        let hashes: Vec<TermHash> = terms.iter().map(|bytes| self.key.hash(bytes)).collect();
        self.intern_at(&hashes, |index| &terms[index]).await
    }

    /// The ids of terms, given as canonical bytes, that are committed or may be in facts that the attempt adds.
    pub async fn known(&self, terms: &[Bytes]) -> Result<Vec<Option<TermId>>, Fault> {
        let hashes: Vec<TermHash> = terms.iter().map(|bytes| self.key.hash(bytes)).collect();
        self.known_at(&hashes, |index| &terms[index]).await
    }

    /// Stages a batch's facts.
    pub async fn stage_batch(self: Arc<Self>, place: Place, batch: Batch) -> Result<(), Fault> {
        self.rdf_type().await?;
        let (hashes, bytes) = (batch.terms.hashes(), |index| batch.terms.bytes(index));
        let facts: Vec<Fact>;
        match place.effect {
            StagedEffect::Added => {
                self.has_added.store(true, Ordering::Relaxed);
                let ids = self.intern_at(hashes, bytes).await?;
                if self.names.is_some() {
                    let places = batch.facts.iter().flat_map(|fact| [fact.graph.index(), fact.predicate.index()]);
                    let places: BTreeSet<usize> = places.flatten().collect();
                    places.into_iter().for_each(|index| self.keep_name(ids[index], batch.terms.bytes(index)));
                }
                facts = batch.facts.iter().map(|fact| fact.resolve(&ids)).collect();
            }
            StagedEffect::Removed => {
                let ids = self.known_at(hashes, bytes).await?;
                // No term has the largest id.
                let ids: Vec<TermId> = ids.into_iter().map(|id| id.unwrap_or(TermId::MAX)).collect();
                facts = batch.facts.iter().map(|fact| fact.resolve(&ids)).filter(is_known).collect();
            }
        }
        self.count(place.effect, batch.facts.len(), facts.len());
        // A load has many facts: sorting them may block.
        let sorted = tokio::task::block_in_place(|| self.sort(place.effect, facts))?;
        let change = |facts| match place.effect {
            StagedEffect::Added => StagedChange::Facts { removed: Vec::new(), added: facts },
            StagedEffect::Removed => StagedChange::Facts { removed: facts, added: Vec::new() },
        };
        let changes = sorted.into_iter().map(|(node, facts)| (node, change(facts)));
        self.send(place.operation, changes.collect()).await
    }

    fn count(&self, effect: StagedEffect, all: usize, known: usize) {
        let counter = match effect {
            StagedEffect::Added => &self.counts.added,
            StagedEffect::Removed => &self.counts.removed,
        };
        counter.fetch_add(all as u64, Ordering::Relaxed);
        self.counts.unknown.fetch_add((all - known) as u64, Ordering::Relaxed);
    }

    /// Groups facts by the nodes that keep them, and counts them by relation.
    fn sort(
        &self,
        effect: StagedEffect,
        facts: impl IntoIterator<Item = Fact>,
    ) -> Result<BTreeMap<NodeId, Vec<StagedFacts>>, Fault> {
        let mut sorting = Sorting::new(&self.homes, self.rdf_type.get().copied());
        facts.into_iter().try_for_each(|fact| sorting.add(fact))?;
        let mut sizes = self.sizes();
        for (relation, facts) in sorting.sizes() {
            let of = sizes.entry(relation).or_default();
            match effect {
                StagedEffect::Added => of.added += facts,
                StagedEffect::Removed => of.removed += facts,
            }
        }
        drop(sizes);
        Ok(sorting.by_node())
    }

    /// The number of the next message to a node.
    fn next_sequence(&self, node: NodeId) -> u64 {
        self.sent[&node].fetch_add(1, Ordering::Relaxed)
    }

    async fn intern_at<'a>(
        &self,
        hashes: &[TermHash],
        bytes: impl Fn(usize) -> &'a [u8],
    ) -> Result<Vec<TermId>, Fault> {
        let by_node = self.by_home(hashes)?;
        let attempt = Attempt(self.attempt);
        let calls = by_node.iter().map(|(node, indexes)| {
            let link = &self.holders.links[node];
            let terms: Vec<&[u8]> = indexes.iter().map(|index| bytes(*index)).collect();
            let hashes: Vec<TermHash> = indexes.iter().map(|index| hashes[*index]).collect();
            async move {
                let found = link.call(None, |node, call| node.intern(call, attempt, &terms, &hashes)).await?;
                Ok::<_, Fault>((indexes, found))
            }
        });
        let mut ids = vec![TermId::MAX; hashes.len()];
        for (indexes, found) in try_join_all(calls).await? {
            put(&mut ids, indexes, found)?;
        }
        Ok(ids)
    }

    async fn known_at<'a>(
        &self,
        hashes: &[TermHash],
        bytes: impl Fn(usize) -> &'a [u8],
    ) -> Result<Vec<Option<TermId>>, Fault> {
        let by_node = self.by_home(hashes)?;
        let calls = by_node.iter().map(|(node, indexes)| {
            let link = &self.holders.links[node];
            let terms: Vec<&[u8]> = indexes.iter().map(|index| bytes(*index)).collect();
            async move {
                let found = link.call(None, |node, call| node.lookup(call, &terms)).await?;
                Ok::<_, Fault>((indexes, found))
            }
        });
        let mut ids = vec![None; hashes.len()];
        for (indexes, found) in try_join_all(calls).await? {
            put(&mut ids, indexes, found)?;
        }
        let missing: Vec<usize> = (0..ids.len()).filter(|index| ids[*index].is_none()).collect();
        if !missing.is_empty() && self.has_added.load(Ordering::Relaxed) {
            let of_missing: Vec<TermHash> = missing.iter().map(|index| hashes[*index]).collect();
            let found = self.intern_at(&of_missing, |index| bytes(missing[index])).await?;
            put(&mut ids, &missing, found.into_iter().map(Some).collect())?;
        }
        Ok(ids)
    }

    /// The indexes of the terms, by the node that is their home.
    fn by_home(&self, hashes: &[TermHash]) -> Result<Vec<(NodeId, Vec<usize>)>, Fault> {
        let mut by_node: Vec<(NodeId, Vec<usize>)> = self.homes.nodes.iter().map(|node| (*node, Vec::new())).collect();
        for (index, hash) in hashes.iter().enumerate() {
            by_node[self.homes.place(hash.home(self.shards))?].1.push(index);
        }
        by_node.retain(|(_, indexes)| !indexes.is_empty());
        by_node.sort_by_key(|(node, _)| self.is_local(*node));
        Ok(by_node)
    }

    /// Is the node in this process? Such nodes are called last, since their work would hold up the calls after it.
    fn is_local(&self, node: NodeId) -> bool {
        self.holders.links[&node].is_local()
    }

    /// Sends each node its change.
    async fn send(&self, operation: Option<u32>, mut changes: Vec<(NodeId, StagedChange)>) -> Result<(), Fault> {
        changes.sort_by_key(|(node, _)| self.is_local(*node));
        let calls = changes.into_iter().map(|(node, change)| {
            let (attempt, sequence) = (Attempt(self.attempt), self.next_sequence(node));
            let staged = Staged { attempt, previous: self.previous, sequence, operation, change };
            self.holders.links[&node].call(None, |node, call| node.stage(call, staged))
        });
        try_join_all(calls).await.map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has every term of the fact an id?
fn is_known(fact: &Fact) -> bool {
    let Fact { graph, predicate, subject, object } = *fact;
    [graph, predicate, subject, object].iter().all(|id| *id != TermId::MAX)
}

/// Writes what a node returned to the indexes that it was asked for.
fn put<T>(all: &mut [T], indexes: &[usize], found: Vec<T>) -> Result<(), Fault> {
    if indexes.len() != found.len() {
        return Err(Fault::corrupt("a node gave ids for other terms"));
    }
    indexes.iter().zip(found).for_each(|(index, id)| all[*index] = id);
    Ok(())
}
