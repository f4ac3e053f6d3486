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
use crate::text::stack::is_shallow;
use crate::text::{parse, translate};
use entail_model::Fault;
use entail_syntax::algebra::Query;
use entail_syntax::{Nesting, Parsed, ast};
use oxrdf::NamedNode;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
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
struct Entry {
    query: Cached,
    nesting: Nesting,
}

#[derive(Clone, Debug)]
enum Cached {
    Prepared(Arc<PreparedQuery>),
    Algebra(Arc<Query>),
}

/// A text that is cached or parsed. Its [statement](Self::statement) may take as much stack as its nesting needs.
pub(crate) struct Source<'t> {
    kind: SourceKind<'t>,
    nesting: Nesting,
}

enum SourceKind<'t> {
    Cached(Cached, Vec<NamedNode>),
    /// A tree, and where its query is to be kept.
    Parsed(Box<ast::Query>, &'t str, Option<Target<'t>>),
    /// The tree of a text with markers in place of parameters.
    Marked {
        tree: Box<ast::Query>,
        marked: String,
        text: &'t str,
        target: Target<'t>,
    },
}

/// A place in a cache.
struct Target<'t> {
    cache: &'t PlanCache,
    fingerprint: Fingerprint,
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
        match self.entries.get(&key)?.query {
            Cached::Prepared(query) => Some((query, parameters)),
            Cached::Algebra(_) => None,
        }
    }

    /// The source of a text: from the cache, or parsed and to be kept.
    ///
    /// # Errors
    /// As for [`parse::query`].
    pub(crate) fn source<'t>(&'t self, text: &'t str) -> Result<Source<'t>, Fault> {
        let Some(fingerprint) = fingerprint::fingerprint(text) else { return self.parsed(text, None) };
        if let Some(Entry { query, nesting }) = self.entries.get(&fingerprint.key) {
            self.hit();
            return Ok(Source { kind: SourceKind::Cached(query, fingerprint.parameters), nesting });
        }
        let target = Target { cache: self, fingerprint };
        if !target.fingerprint.parameters.is_empty()
            && let Some(marked) = fingerprint::with_markers(text)
            && let Ok(Parsed { tree, nesting }) = parse::query(&marked, None)
        {
            self.miss();
            let tree = Box::new(tree);
            return Ok(Source { kind: SourceKind::Marked { tree, marked, text, target }, nesting });
        }
        // An error, which is reported at its place in the text itself, or a text without parameters.
        let target = target.fingerprint.parameters.is_empty().then_some(target);
        self.parsed(text, target)
    }

    fn parsed<'t>(&'t self, text: &'t str, target: Option<Target<'t>>) -> Result<Source<'t>, Fault> {
        let source = Source::parsed(text, None, target)?;
        self.miss();
        Ok(source)
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

impl<'t> Source<'t> {
    /// The source of a text that is not cached.
    ///
    /// # Errors
    /// As for [`parse::query`].
    pub fn uncached(text: &'t str, base: Option<&str>) -> Result<Self, Fault> {
        Self::parsed(text, base, None)
    }

    fn parsed(text: &'t str, base: Option<&str>, target: Option<Target<'t>>) -> Result<Self, Fault> {
        let Parsed { tree, nesting } = parse::query(text, base)?;
        Ok(Self { kind: SourceKind::Parsed(Box::new(tree), text, target), nesting })
    }

    /// How deep recursion over the text may get.
    pub fn nesting(&self) -> Nesting {
        self.nesting
    }

    /// The query, which is kept where the text is cached.
    ///
    /// # Errors
    /// `Unsupported` for what the algebra does not have.
    pub fn statement(self) -> Result<Statement, Fault> {
        let nesting = self.nesting;
        match self.kind {
            SourceKind::Cached(query, parameters) => Ok(query.bind(&parameters)),
            SourceKind::Parsed(tree, text, target) => {
                let query = Cached::of(translate::query(&tree, text)?);
                match target {
                    Some(target) => Ok(target.keep(query, nesting)),
                    None => Ok(query.bind(&[])),
                }
            }
            SourceKind::Marked { tree, marked, text, target } => {
                let query = translate::query(&tree, &marked)?;
                if parameters::plain(&query).is_some() {
                    return Ok(target.keep(Cached::of(query), nesting));
                }
                let Parsed { tree, .. } = parse::query(text, None)?;
                Ok(Cached::of(translate::query(&tree, text)?).bind(&[]))
            }
        }
    }
}

impl Target<'_> {
    /// Keeps a query, and gives it with the parameters of this text.
    fn keep(self, query: Cached, nesting: Nesting) -> Statement {
        let Fingerprint { key, parameters } = self.fingerprint;
        // Any thread may drop an entry, on its own stack.
        if is_shallow(nesting) {
            self.cache.entries.insert(key, Entry { query: query.clone(), nesting });
        }
        query.bind(&parameters)
    }
}

impl Cached {
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
