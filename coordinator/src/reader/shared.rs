//! State that all queries share: caches over committed terms, the plan cache, and the statistics of the last epochs.

use crate::metalog;
use crate::metrics::Metrics;
use bytes::Bytes;
use entail_logic::plan::compile::Context;
use entail_model::term::HashKey;
use entail_model::{Epoch, ShardCount, TermId};
use entail_sparql::PlanCache;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of epochs whose statistics are kept.
const STATS_KEPT: usize = 4;

/// Estimated bytes of a cache entry beside its text, and of a whole entry of average length.
const OVERHEAD: usize = 80;
const TERM_BYTES: u64 = 160;

/// Weighs cache entries in bytes.
#[derive(Clone)]
pub(super) struct ByText;

impl Weighter<TermId, Bytes> for ByText {
    fn weight(&self, _: &TermId, text: &Bytes) -> u64 {
        (text.len() + OVERHEAD) as u64
    }
}

impl Weighter<Vec<u8>, TermId> for ByText {
    fn weight(&self, text: &Vec<u8>, _: &TermId) -> u64 {
        (text.len() + OVERHEAD) as u64
    }
}

/// Caches over committed terms, the plan cache, and the statistics of the last epochs.
pub struct Shared {
    pub key: HashKey,
    pub shards: ShardCount,
    /// Canonical bytes by id. Ids are never reused, so entries never go stale.
    pub(super) terms: Cache<TermId, Bytes, ByText>,
    pub(super) ids: Cache<Vec<u8>, TermId, ByText>,
    stats: Mutex<BTreeMap<Epoch, Arc<Context>>>,
    /// Prepared queries by fingerprint.
    pub plans: Arc<PlanCache>,
    next_query: AtomicU64,
    pub metrics: Arc<Metrics>,
    bytes_max: u64,
}

impl Shared {
    /// Empty caches of about `bytes` bytes.
    pub fn new(cluster: &metalog::Cluster, bytes: u64, first_query: u64, metrics: Metrics) -> Self {
        let terms = (bytes / 2 / TERM_BYTES) as usize;
        Self {
            key: HashKey(cluster.hash_key),
            shards: cluster.shards,
            terms: Cache::with_weighter(terms, bytes / 2, ByText),
            ids: Cache::with_weighter(terms, bytes / 2, ByText),
            stats: Mutex::default(),
            plans: Arc::default(),
            next_query: AtomicU64::new(first_query),
            metrics: Arc::new(metrics),
            bytes_max: bytes,
        }
    }

    /// The statistics of an epoch, if they are cached.
    pub fn known_context(&self, epoch: Epoch) -> Option<Arc<Context>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }

    /// The number of a query or a dump, which no other has.
    pub fn next_query(&self) -> u64 {
        self.next_query.fetch_add(1, Ordering::Relaxed)
    }

    /// Caches the statistics of an epoch.
    pub(super) fn keep_context(&self, epoch: Epoch, context: &Arc<Context>) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.insert(epoch, Arc::clone(context));
        while stats.len() > STATS_KEPT {
            stats.pop_first();
        }
    }

    /// The caches: name, budget and use in bytes.
    pub fn pools(&self) -> [(&'static str, u64, u64); 2] {
        let budget = self.bytes_max / 2;
        [("term_texts", budget, self.terms.weight()), ("term_ids", budget, self.ids.weight())]
    }
}
