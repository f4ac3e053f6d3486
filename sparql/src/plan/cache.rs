//! The plan cache: parsed and prepared queries by the fingerprint of their text.
//!
//! ```text
//! text ──fingerprint──► key ──► prepared query      bodies with parameters: one entry for all values
//!                           └─► algebra             a query that needs the rewriting with its data
//! ```
//!
//! Invariant: no entry depends on data, rules or epochs. Terms become ids, and bodies plans, at each use.

use crate::algebra::parameters;
use crate::rewrite::prepared::PreparedQuery;
use crate::text::fingerprint::{self, Fingerprint};
use crate::text::limits::Checked;
use crate::text::parse::{parse_marked, parse_query};
use crate::text::stack::is_shallow;
use entail_model::Fault;
use oxrdf::NamedNode;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use spargebra::Query;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The limit on the [estimated](Estimate) bytes of all entries.
const BYTES_MAX: u64 = 16 << 20;
/// Estimated bytes of an entry: `TIMES` for each byte of its key, and `OVERHEAD`.
const TIMES: usize = 16;
const OVERHEAD: usize = 512;
/// The number of entries of usual size that fit.
const TEXTS: usize = 4096;

/// Estimates the bytes of an entry from the length of its key.
#[derive(Clone, Debug)]
struct Estimate;

impl Weighter<String, Entry> for Estimate {
    fn weight(&self, key: &String, _: &Entry) -> u64 {
        (key.len() * TIMES + OVERHEAD) as u64
    }
}

/// Parsed and prepared queries by the fingerprint of their text.
#[derive(Debug)]
pub struct PlanCache {
    entries: Cache<String, Entry, Estimate>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A cached query, with markers in place of parameters.
#[derive(Clone, Debug)]
enum Entry {
    Prepared(Arc<PreparedQuery>),
    Algebra(Arc<Query>),
}

/// A parsed query, with the values of its parameters.
pub(crate) enum Statement {
    Prepared(Arc<PreparedQuery>, Vec<NamedNode>),
    Algebra(Box<Query>),
}

impl Default for PlanCache {
    fn default() -> Self {
        Self {
            entries: Cache::with_weighter(TEXTS, BYTES_MAX, Estimate),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

impl PlanCache {
    /// The prepared query of a text, with the values of its parameters, if it is cached.
    pub(crate) fn prepared(&self, text: &str) -> Option<(Arc<PreparedQuery>, Vec<NamedNode>)> {
        let Fingerprint { key, parameters } = fingerprint::fingerprint(text)?;
        match self.entries.get(&key)? {
            Entry::Prepared(query) => Some((query, parameters)),
            Entry::Algebra(_) => None,
        }
    }

    /// The query of a text, from the cache or parsed and kept.
    ///
    /// # Errors
    /// As for [`parse_query`].
    pub(crate) fn statement(&self, text: Checked<'_>) -> Result<Statement, Fault> {
        let found = fingerprint::fingerprint(text.as_str());
        if let Some(Fingerprint { key, parameters }) = &found
            && let Some(entry) = self.entries.get(key)
        {
            self.hit();
            return Ok(entry.bind(parameters));
        }
        let (entry, cached) = match found {
            Some(Fingerprint { key, parameters }) if parameters.is_empty() => {
                (Entry::of(parse_query(text, None)?), Some((key, parameters)))
            }
            Some(Fingerprint { key, parameters }) => match Entry::marked(text) {
                Some(entry) => (entry, Some((key, parameters))),
                // An error: the parser then reports its position in the original text.
                None => (Entry::of(parse_query(text, None)?), None),
            },
            None => (Entry::of(parse_query(text, None)?), None),
        };
        self.miss();
        let Some((key, parameters)) = cached else { return Ok(entry.bind(&[])) };
        // Any thread may drop an entry, on its own stack.
        if is_shallow(text.nesting()) {
            self.entries.insert(key, entry.clone());
        }
        Ok(entry.bind(&parameters))
    }

    /// Counts a query that was not parsed.
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Queries that were not parsed, and those that were.
    pub fn use_of(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

impl Entry {
    /// The entry of a plain text, with markers for its parameters.
    fn marked(text: Checked<'_>) -> Option<Self> {
        let query = parse_marked(text, &fingerprint::with_markers(text.as_str())?)?;
        parameters::plain(&query).is_some().then(|| Self::of(query))
    }

    fn of(query: Query) -> Self {
        match PreparedQuery::new(&query) {
            Some(prepared) => Self::Prepared(Arc::new(prepared)),
            None => Self::Algebra(Arc::new(query)),
        }
    }

    fn bind(self, parameters: &[NamedNode]) -> Statement {
        match self {
            Self::Prepared(query) => Statement::Prepared(query, parameters.to_vec()),
            Self::Algebra(query) => {
                let mut query = Arc::unwrap_or_clone(query);
                parameters::bind(&mut query, parameters);
                Statement::Algebra(Box::new(query))
            }
        }
    }
}
