//! What all queries share.

use crate::metalog;
use crate::metrics::Metrics;
use bytes::Bytes;
use entail_logic::plan::compile::Context;
use entail_model::term::HashKey;
use entail_model::{Epoch, ShardCount, TermId};
use moka::sync::Cache;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// What queries share: caches over committed terms, and the statistics of the last epochs.
pub struct Shared {
    pub key: HashKey,
    pub shards: ShardCount,
    /// Canonical bytes by id. Ids are never given twice, so entries never go stale.
    pub(super) terms: Cache<TermId, Bytes>,
    pub(super) ids: Cache<Vec<u8>, TermId>,
    pub(super) stats: Mutex<BTreeMap<Epoch, Arc<Context>>>,
    pub(super) next_query: AtomicU64,
    pub metrics: Arc<Metrics>,
    bytes_max: u64,
}

impl Shared {
    /// Empty caches of about `bytes` bytes.
    pub fn new(cluster: &metalog::Cluster, bytes: u64, first_query: u64, metrics: Metrics) -> Self {
        let weigh = |_: &TermId, text: &Bytes| text.len() as u32 + 80;
        Self {
            key: HashKey(cluster.hash_key),
            shards: cluster.shards,
            terms: Cache::builder().max_capacity(bytes / 2).weigher(weigh).build(),
            ids: Cache::builder().max_capacity(bytes / 2).weigher(|text: &Vec<u8>, _| text.len() as u32 + 80).build(),
            stats: Mutex::default(),
            next_query: AtomicU64::new(first_query),
            metrics: Arc::new(metrics),
            bytes_max: bytes,
        }
    }

    /// The caches: name, budget and use in bytes.
    pub fn pools(&self) -> [(&'static str, u64, u64); 2] {
        self.terms.run_pending_tasks();
        self.ids.run_pending_tasks();
        let budget = self.bytes_max / 2;
        [("term_texts", budget, self.terms.weighted_size()), ("term_ids", budget, self.ids.weighted_size())]
    }
}
