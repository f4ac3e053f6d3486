//! Bringing facts to their homes: terms to ids, facts to the two nodes that keep their copies.

use crate::nodes::Holders;
use crate::reader::Shared;
use bytes::Bytes;
use entail_model::fact::{Pair, in_home};
use entail_model::term::HashKey;
use entail_model::{Copy, Epoch, Fact, Fault, NodeId, Relation, ShardCount, TermId, term};
use entail_proto::convert;
use entail_proto::internal::StageRequest;
use futures::future::try_join_all;
use oxrdf::vocab::rdf;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;

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
    /// A stager that has staged nothing.
    pub fn new(holders: Holders, attempt: u64, previous: Epoch, shared: &Shared) -> Self {
        let sent = holders.links.keys().map(|node| (*node, AtomicU64::new(0))).collect();
        let (key, shards) = (shared.key, shared.shards);
        Self { holders, attempt, previous, key, shards, rdf_type: OnceCell::new(), sent, relations: Mutex::default() }
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
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (index, bytes) in terms.iter().enumerate() {
            let home = self.key.hash(bytes).home(self.shards);
            by_node.entry(self.holders.holder(home)?.node).or_default().push(index);
        }
        self.intern_at(by_node, |index| &terms[index], terms.len()).await
    }

    /// The ids of a batch's terms.
    pub async fn intern_table(&self, table: &crate::ingest::TermTable) -> Result<Vec<TermId>, Fault> {
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (index, (hash, _)) in table.iter().enumerate() {
            by_node.entry(self.holders.holder(hash.home(self.shards))?.node).or_default().push(index);
        }
        self.intern_at(by_node, |index| table.bytes(index), table.len()).await
    }

    async fn intern_at<'a>(
        &self,
        by_node: BTreeMap<NodeId, Vec<usize>>,
        bytes: impl Fn(usize) -> &'a [u8],
        count: usize,
    ) -> Result<Vec<TermId>, Fault> {
        let calls = by_node.iter().map(|(node, indexes)| {
            let link = &self.holders.links[node];
            let message = convert::terms(indexes.iter().map(|index| bytes(*index)));
            async move { Ok::<_, Fault>((indexes, link.intern(self.attempt, message).await?)) }
        });
        let mut ids = vec![TermId::MAX; count];
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
        let rdf_type = Some(self.rdf_type().await?);
        let mut blocks: BTreeMap<NodeId, BTreeMap<(Relation, Copy), Vec<Pair>>> = BTreeMap::new();
        {
            let mut relations = self.relations.lock().unwrap_or_else(PoisonError::into_inner);
            for fact in facts {
                let relation = fact.relation();
                *relations.entry(relation).or_default() += 1;
                let out = fact.subject.home().ok_or_else(|| Fault::internal("a fact whose subject is a value"))?;
                let into = in_home(fact.subject, fact.predicate, fact.object, rdf_type)
                    .ok_or_else(|| Fault::internal("a fact whose subject is a value"))?;
                for (copy, home) in [(Copy::Out, out), (Copy::In, into)] {
                    let node = self.holders.holder(home)?.node;
                    let pairs = blocks.entry(node).or_default().entry((relation, copy)).or_default();
                    pairs.push(copy.pair(fact.subject, fact.object));
                }
            }
        }
        let calls = blocks.into_iter().map(|(node, blocks)| {
            let sequence = self.sent[&node].fetch_add(1, Ordering::Relaxed);
            let blocks = blocks.iter().map(|((relation, copy), pairs)| convert::block(*relation, *copy, pairs));
            let blocks = blocks.collect();
            let link = &self.holders.links[&node];
            let (attempt, previous) = (self.attempt, self.previous.0);
            link.stage(StageRequest { attempt, previous, sequence, blocks, ..StageRequest::default() })
        });
        try_join_all(calls).await.map(drop)
    }
}
