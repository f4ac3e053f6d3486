//! Staging facts at their homes: terms become ids, facts go to the two nodes that keep their copies.

use crate::nodes::Holders;
use bytes::Bytes;
use entail_model::fact::{Pair, in_home};
use entail_model::term::{HashKey, TermHash};
use entail_model::{
    Attempt, Direction, Epoch, Fact, Fault, NodeId, Reason, Relation, ShardCount, ShardId, TermId, term,
};
use entail_node_api::{Staged, StagedFacts};
use entail_rdf::Batch;
use futures::future::try_join_all;
use oxrdf::vocab::rdf;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// What determines the home of a term: the cluster's key for hashes, and its number of shards.
#[derive(Clone, Copy, Debug)]
pub struct TermHomes {
    pub key: HashKey,
    pub shards: ShardCount,
}

/// Stages the facts of one attempt at the nodes.
pub struct FactLoader {
    pub holders: Holders,
    pub attempt: u64,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    pub key: HashKey,
    pub shards: ShardCount,
    homes: Homes,
    rdf_type: OnceCell<TermId>,
    /// Messages sent to each node.
    sent: BTreeMap<NodeId, AtomicU64>,
    /// Facts of the batches of a load, those that were asserted before included.
    received: AtomicU64,
    /// Facts staged, by relation; the compiler estimates sizes from them.
    relations: Mutex<HashMap<Relation, u64>>,
}

impl FactLoader {
    /// A loader for the attempt on top of `previous`, with nothing staged; `rdf_type` is the id of `rdf:type`, if committed.
    pub fn new(
        holders: Holders,
        (attempt, previous): (Attempt, Epoch),
        TermHomes { key, shards }: TermHomes,
        rdf_type: Option<TermId>,
    ) -> Self {
        let sent = holders.links.keys().map(|node| (*node, AtomicU64::new(0))).collect();
        let attempt = attempt.0;
        let (homes, rdf_type) = (Homes::of(&holders), OnceCell::new_with(rdf_type));
        Self {
            holders,
            attempt,
            previous,
            key,
            shards,
            homes,
            rdf_type,
            sent,
            received: AtomicU64::new(0),
            relations: Mutex::default(),
        }
    }

    /// Messages sent to each node.
    pub fn sent(&self) -> BTreeMap<NodeId, u64> {
        self.sent.iter().map(|(node, count)| (*node, count.load(Ordering::Relaxed))).collect()
    }

    /// Facts of the batches so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Facts staged so far, by relation.
    pub fn relations(&self) -> HashMap<Relation, u64> {
        self.relations.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Interns a batch's terms and stages its facts.
    pub async fn stage_batch(self: Arc<Self>, batch: Batch) -> Result<(), Fault> {
        self.received.fetch_add(batch.facts.len() as u64, Ordering::Relaxed);
        self.rdf_type().await?;
        let ids = self.intern_at(batch.terms.hashes(), |index| batch.terms.bytes(index)).await?;
        let facts = batch.facts.iter().map(|fact| fact.resolve(&ids));
        // A load has many facts: sorting them may block.
        let sorted = tokio::task::block_in_place(|| self.sort(facts, self.rdf_type.get()))?;
        self.send(sorted).await
    }

    /// Groups facts by the nodes that keep them, and counts them by relation.
    fn sort(
        &self,
        facts: impl IntoIterator<Item = Fact>,
        rdf_type: Option<&TermId>,
    ) -> Result<Vec<(NodeId, Vec<StagedFacts>)>, Fault> {
        let mut sorting = Sorting { homes: &self.homes, rdf_type: rdf_type.copied(), relations: Relations::default() };
        facts.into_iter().try_for_each(|fact| sorting.add(fact))?;
        let mut relations = self.relations.lock().unwrap_or_else(PoisonError::into_inner);
        for (relation, outgoing) in &sorting.relations.all {
            *relations.entry(*relation).or_default() += outgoing.facts;
        }
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

    /// Sends facts to the nodes that keep their copies.
    async fn send(&self, mut sorted: Vec<(NodeId, Vec<StagedFacts>)>) -> Result<(), Fault> {
        sorted.sort_by_key(|(node, _)| self.is_local(*node));
        let calls = sorted.into_iter().map(|(node, facts)| {
            let (attempt, sequence) = (Attempt(self.attempt), self.next_sequence(node));
            let staged = Staged { attempt, previous: self.previous, sequence, facts };
            self.holders.links[&node].call(None, |node, call| node.stage(call, staged))
        });
        try_join_all(calls).await.map(drop)
    }
}

/// Writes the ids that a node returned to their indexes.
fn put(ids: &mut [TermId], indexes: &[usize], found: Vec<TermId>) -> Result<(), Fault> {
    if indexes.len() != found.len() {
        return Err(Fault::corrupt("a node gave ids for other terms"));
    }
    indexes.iter().zip(found).for_each(|(index, id)| ids[*index] = id);
    Ok(())
}

/// Which node holds each shard.
struct Homes {
    nodes: Vec<NodeId>,
    /// By shard: an index into `nodes`.
    places: Vec<Option<usize>>,
}

impl Homes {
    fn of(holders: &Holders) -> Self {
        let nodes: Vec<NodeId> = holders.links.keys().copied().collect();
        let place = |holder: &u64| nodes.iter().position(|node| node.0 == *holder);
        Self { places: holders.map.holders.iter().map(place).collect(), nodes }
    }

    fn place(&self, shard: ShardId) -> Result<usize, Fault> {
        self.places.get(usize::from(shard.0)).copied().flatten().ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }
}

fn no_home() -> Fault {
    Fault::internal("a fact whose subject is a value")
}

/// A map from relations to values, in the order of their first use.
#[derive(Default)]
struct Relations<T> {
    /// Indexes of relations, and the last one looked up: consecutive facts often share a relation.
    places: hashbrown::HashMap<Relation, usize>,
    last: Option<(Relation, usize)>,
    all: Vec<(Relation, T)>,
}

impl<T: Default> Relations<T> {
    fn entry(&mut self, relation: Relation) -> &mut T {
        let place = match self.last {
            Some((last, place)) if last == relation => place,
            _ => *self.places.entry(relation).or_insert_with(|| {
                self.all.push((relation, T::default()));
                self.all.len() - 1
            }),
        };
        self.last = Some((relation, place));
        &mut self.all[place].1
    }
}

/// The copies of a fact that one node may keep: both, forward or inverse.
const COPIES: [&[Direction]; 3] = [&Direction::BOTH, &[Direction::Forward], &[Direction::Inverse]];

/// Sorts facts by their homes.
struct Sorting<'h> {
    homes: &'h Homes,
    rdf_type: Option<TermId>,
    relations: Relations<Outgoing>,
}

/// The facts of one relation.
#[derive(Default)]
struct Outgoing {
    facts: u64,
    /// Pairs of subject and object, by node and by the index of `COPIES`.
    blocks: Vec<[Vec<Pair>; COPIES.len()]>,
}

impl Sorting<'_> {
    fn add(&mut self, fact: Fact) -> Result<(), Fault> {
        let out = fact.subject.home().ok_or_else(no_home)?;
        let into = in_home(fact.subject, fact.predicate, fact.object, self.rdf_type).ok_or_else(no_home)?;
        let (out, into) = (self.homes.place(out)?, self.homes.place(into)?);
        let pair = (fact.subject, fact.object);
        let outgoing = self.relations.entry(fact.relation());
        outgoing.facts += 1;
        if outgoing.blocks.is_empty() {
            outgoing.blocks.resize_with(self.homes.nodes.len(), Default::default);
        }
        if out == into {
            outgoing.blocks[out][0].push(pair);
        } else {
            outgoing.blocks[out][1].push(pair);
            outgoing.blocks[into][2].push(pair);
        }
        Ok(())
    }

    /// The facts for each node, without nodes that get none.
    fn by_node(self) -> Vec<(NodeId, Vec<StagedFacts>)> {
        let mut by_node: Vec<(NodeId, Vec<StagedFacts>)> =
            self.homes.nodes.iter().map(|node| (*node, Vec::new())).collect();
        for (relation, outgoing) in self.relations.all {
            for ((_, facts), blocks) in by_node.iter_mut().zip(outgoing.blocks) {
                let blocks = COPIES.into_iter().zip(blocks).filter(|(_, pairs)| !pairs.is_empty());
                facts.extend(blocks.map(|(copies, pairs)| StagedFacts { relation, copies, pairs }));
            }
        }
        by_node.retain(|(_, facts)| !facts.is_empty());
        by_node
    }
}
