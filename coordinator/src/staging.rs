//! Bringing facts to their homes: terms to ids, facts to the two nodes that keep their copies.
//!
//! If one node of this process keeps everything, a batch goes to it by reference, and one thread does all of its work.

use crate::ingest::Batch;
use crate::nodes::{Holders, Link};
use crate::reader::Shared;
use bytes::Bytes;
use entail_logic::near::{Near, Staged};
use entail_model::fact::{Pair, in_home};
use entail_model::term::{HashKey, TermHash};
use entail_model::{Attempt, Copy, Epoch, Fact, Fault, NodeId, Relation, ShardCount, TermId, term};
use entail_proto::convert;
use entail_proto::internal::{StageRequest, StagedBlock};
use futures::future::try_join_all;
use oxrdf::vocab::rdf;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tracing::Span;

/// What is staged for one attempt.
pub struct Stager {
    pub holders: Holders,
    pub attempt: u64,
    /// The epoch that the attempt builds on.
    pub previous: Epoch,
    pub key: HashKey,
    pub shards: ShardCount,
    rdf_type: OnceCell<TermId>,
    /// Messages sent to each node.
    sent: BTreeMap<NodeId, AtomicU64>,
    /// Facts staged, by relation: the compiler's guess at sizes.
    relations: Mutex<HashMap<Relation, u64>>,
}

impl Stager {
    /// A stager that has staged nothing; the id of `rdf:type`, if it is committed.
    pub fn new(holders: Holders, attempt: u64, previous: Epoch, shared: &Shared, rdf_type: Option<TermId>) -> Self {
        let sent = holders.links.keys().map(|node| (*node, AtomicU64::new(0))).collect();
        let (key, shards) = (shared.key, shared.shards);
        let rdf_type = OnceCell::new_with(rdf_type);
        Self { holders, attempt, previous, key, shards, rdf_type, sent, relations: Mutex::default() }
    }

    /// Messages sent to each node.
    pub fn sent(&self) -> BTreeMap<NodeId, u64> {
        self.sent.iter().map(|(node, count)| (*node, count.load(Ordering::Relaxed))).collect()
    }

    /// Facts staged so far, by relation.
    pub fn relations(&self) -> HashMap<Relation, u64> {
        self.relations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The id of `rdf:type`, which decides where in copies go; it is interned before anything is staged.
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
        self.rdf_type().await?;
        if self.holders.only_near().is_some() {
            let span = Span::current();
            let done = tokio::task::spawn_blocking(move || span.in_scope(|| self.stage_near(&batch)));
            return done.await.unwrap_or_else(|error| Err(Fault::internal(format!("a task failed: {error}"))));
        }
        let ids = self.intern_at(batch.terms.hashes(), |index| batch.terms.bytes(index)).await?;
        self.stage(batch.facts.iter().map(|fact| fact.resolve(&ids))).await
    }

    /// The same at the one node that keeps everything, in this process.
    fn stage_near(&self, batch: &Batch) -> Result<(), Fault> {
        let (link, near) = self.holders.only_near().ok_or_else(|| Fault::internal("the only node is not near"))?;
        self.stage_at(link, &**near, batch).map_err(|fault| link.named(fault))
    }

    fn stage_at(&self, link: &Link, near: &dyn Near, batch: &Batch) -> Result<(), Fault> {
        let (cluster, attempt) = (link.cluster(), Attempt(self.attempt));
        let terms: Vec<&[u8]> = batch.terms.iter().map(|(_, bytes)| bytes).collect();
        let ids = near.intern(cluster, attempt, &terms, batch.terms.hashes())?;
        let mut relations = Relations::default();
        for fact in &batch.facts {
            let fact = fact.resolve(&ids);
            fact.subject.home().ok_or_else(no_home)?;
            let facts: &mut Vec<Pair> = relations.entry(fact.relation());
            facts.push((fact.subject, fact.object));
        }
        self.count(relations.all.iter().map(|(relation, facts)| (*relation, facts.len() as u64)));
        let (previous, sequence) = (self.previous, self.next_sequence(link.node));
        near.stage(Staged { cluster, attempt, previous, sequence, facts: relations.all })
    }

    /// Remembers how many facts relations have got.
    fn count(&self, counts: impl Iterator<Item = (Relation, u64)>) {
        let mut relations = self.relations.lock().unwrap_or_else(PoisonError::into_inner);
        counts.for_each(|(relation, facts)| *relations.entry(relation).or_default() += facts);
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
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (index, hash) in hashes.iter().enumerate() {
            by_node.entry(self.holders.holder(hash.home(self.shards))?.node).or_default().push(index);
        }
        let calls = by_node.iter().map(|(node, indexes)| {
            let link = &self.holders.links[node];
            let terms = convert::terms(indexes.iter().map(|index| bytes(*index)));
            let hashes = convert::hashes_to_bytes(indexes.iter().map(|index| hashes[*index]));
            async move { Ok::<_, Fault>((indexes, link.intern(self.attempt, terms, hashes).await?)) }
        });
        let mut ids = vec![TermId::MAX; hashes.len()];
        for (indexes, found) in try_join_all(calls).await? {
            if indexes.len() != found.len() {
                return Err(Fault::corrupt("a node gave ids for other terms"));
            }
            indexes.iter().zip(found).for_each(|(index, id)| ids[*index] = id);
        }
        Ok(ids)
    }

    /// Sends facts to the nodes that keep their copies.
    pub async fn stage(&self, facts: impl IntoIterator<Item = Fact>) -> Result<(), Fault> {
        let mut sorting = Sorting::new(&self.holders, Some(self.rdf_type().await?));
        facts.into_iter().try_for_each(|fact| sorting.add(fact))?;
        self.count(sorting.relations.all.iter().map(|(relation, outgoing)| (*relation, outgoing.facts)));
        let calls = sorting.blocks().into_iter().map(|(node, blocks)| {
            let sequence = self.next_sequence(node);
            let link = &self.holders.links[&node];
            let (attempt, previous) = (self.attempt, self.previous.0);
            link.stage(StageRequest { attempt, previous, sequence, blocks, ..StageRequest::default() })
        });
        try_join_all(calls).await.map(drop)
    }
}

fn no_home() -> Fault {
    Fault::internal("a fact whose subject is a value")
}

/// Something for each relation.
#[derive(Default)]
struct Relations<T> {
    /// Places of relations, and the last that was asked for: facts often have the one of the fact before.
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

/// Facts on their way to their homes.
struct Sorting<'h> {
    holders: &'h Holders,
    rdf_type: Option<TermId>,
    relations: Relations<Outgoing>,
}

/// Facts of one relation.
#[derive(Default)]
struct Outgoing {
    facts: u64,
    /// Subjects and objects, by the node and the copies that it keeps.
    blocks: Vec<(NodeId, &'static [Copy], Vec<Pair>)>,
}

impl<'h> Sorting<'h> {
    fn new(holders: &'h Holders, rdf_type: Option<TermId>) -> Self {
        Self { holders, rdf_type, relations: Relations::default() }
    }

    fn add(&mut self, fact: Fact) -> Result<(), Fault> {
        let out = fact.subject.home().ok_or_else(no_home)?;
        let into = in_home(fact.subject, fact.predicate, fact.object, self.rdf_type).ok_or_else(no_home)?;
        let (out, into) = (self.holders.holder(out)?.node, self.holders.holder(into)?.node);
        let pair = (fact.subject, fact.object);
        let outgoing = self.relations.entry(fact.relation());
        outgoing.facts += 1;
        if out == into {
            outgoing.push(out, &Copy::BOTH, pair);
        } else {
            outgoing.push(out, &[Copy::Out], pair);
            outgoing.push(into, &[Copy::In], pair);
        }
        Ok(())
    }

    /// What each node gets.
    fn blocks(self) -> BTreeMap<NodeId, Vec<StagedBlock>> {
        let mut by_node: BTreeMap<NodeId, Vec<StagedBlock>> = BTreeMap::new();
        for (relation, outgoing) in self.relations.all {
            for (node, copies, facts) in outgoing.blocks {
                by_node.entry(node).or_default().push(convert::staged_block(relation, copies, &facts));
            }
        }
        by_node
    }
}

impl Outgoing {
    fn push(&mut self, node: NodeId, copies: &'static [Copy], fact: Pair) {
        match self.blocks.iter_mut().find(|block| block.0 == node && block.1 == copies) {
            Some((_, _, facts)) => facts.push(fact),
            None => self.blocks.push((node, copies, vec![fact])),
        }
    }
}
