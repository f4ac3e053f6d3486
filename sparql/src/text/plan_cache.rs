//! What is known of the texts of queries, so that those that come again are not parsed again.
//!
//! ```text
//! key with holes ──► template: bodies with spots for what is in the holes     (one pattern for all entities)
//!               └──► unfit: its IRIs matter ──► exact text ──► the parsed query
//! ```
//!
//! Invariant: nothing here depends on data, rules or epochs. Terms become ids, and bodies plans, with each query anew.

use crate::plan::prepare::{Kind, Shell};
use crate::rewrite::body::{Body, Graph, Position};
use crate::text::fingerprint::{self, Normal};
use oxrdf::{NamedNode, Term};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use spargebra::Query;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of texts, and what is known of them, that are kept, about.
const BYTES_MAX: u64 = 16 << 20;
/// What is known takes about so many times its text, and so much whatever the text.
const TIMES: usize = 16;
const OVERHEAD: usize = 512;
/// So many texts of usual length fit.
const TEXTS: usize = 4096;

/// Weighs texts by their length.
#[derive(Clone, Debug)]
struct Estimate;

impl Weighter<String, Known> for Estimate {
    fn weight(&self, text: &String, _: &Known) -> u64 {
        (text.len() * TIMES + OVERHEAD) as u64
    }
}

/// The texts that were met.
#[derive(Debug)]
pub struct Plans {
    known: Cache<String, Known, Estimate>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone, Debug)]
enum Known {
    Template(Arc<Template>),
    /// The query is known by its exact text.
    Unfit,
    Parsed(Arc<Query>),
}

/// A query whose text was met.
pub enum Found {
    Template(Arc<Template>, Vec<NamedNode>),
    Parsed(Box<Query>),
}

impl Default for Plans {
    fn default() -> Self {
        Self {
            known: Cache::with_weighter(TEXTS, BYTES_MAX, Estimate),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

impl Plans {
    /// What is known of a text.
    pub fn find(&self, text: &str) -> Option<Found> {
        let Normal { key, holes } = fingerprint::normal(text)?;
        match self.known.get(&key)? {
            Known::Template(template) => Some(Found::Template(template, holes)),
            Known::Parsed(query) => Some(Found::Parsed(Box::new(Query::clone(&query)))),
            Known::Unfit => match self.known.get(&fingerprint::exact(text)?)? {
                Known::Parsed(query) => Some(Found::Parsed(Box::new(Query::clone(&query)))),
                Known::Template(_) | Known::Unfit => None,
            },
        }
    }

    /// Keeps a query for the next with its text, or with one that differs in what is in the holes: `template` makes the
    /// template of a query that was parsed with stand-ins.
    pub fn keep(&self, text: &str, query: &Query, template: impl FnOnce(&str, &[NamedNode]) -> Option<Template>) {
        let Some(Normal { key, holes }) = fingerprint::normal(text) else { return };
        let Some(exact) = fingerprint::exact(text) else { return };
        let found = fingerprint::with_stand_ins(text).and_then(|open| template(&open, &holes));
        match found {
            Some(template) => self.known.insert(key, Known::Template(Arc::new(template))),
            None => {
                if key != exact {
                    self.known.insert(key, Known::Unfit);
                }
                self.known.insert(exact, Known::Parsed(Arc::new(query.clone())));
            }
        }
    }

    /// Counts a query that was not parsed.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a query that was parsed.
    pub fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Queries that were not parsed, and those that were.
    pub fn use_of(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

/// A SELECT or an ASK of basic graph patterns only, with holes.
#[derive(Debug)]
pub struct Template {
    is_ask: bool,
    bodies: Vec<Body>,
    shell: Shell,
    spots: Vec<Spot>,
}

/// A position that a hole's term goes to.
#[derive(Clone, Copy, Debug)]
struct Spot {
    body: usize,
    pattern: usize,
    position: usize,
    hole: usize,
}

impl Template {
    /// The template of bodies with stand-ins; `None` if there is more to them than patterns in the default graph.
    pub(crate) fn new(kind: &Kind, bodies: Vec<Body>, shell: Shell) -> Option<Self> {
        let is_ask = match kind {
            Kind::Select => false,
            Kind::Ask => true,
            Kind::Construct(_) | Kind::Describe => return None,
        };
        let in_default = |body: &Body| body.patterns.iter().all(|pattern| pattern.graph == Graph::Default);
        let is_plain = |body: &Body| body.filters.is_empty() && body.fixed.is_empty() && in_default(body);
        if !bodies.iter().all(is_plain) {
            return None;
        }
        let mut template = Self { is_ask, bodies, shell, spots: Vec::new() };
        for (body, of_body) in template.bodies.iter_mut().enumerate() {
            for (pattern, of_pattern) in of_body.patterns.iter_mut().enumerate() {
                for (position, term) in of_pattern.positions().into_iter().enumerate() {
                    if let Position::Term(Term::NamedNode(node)) = term
                        && let Some(hole) = fingerprint::hole_of(node.as_str())
                    {
                        template.spots.push(Spot { body, pattern, position, hole });
                    }
                }
            }
        }
        Some(template)
    }

    /// What becomes of the solutions.
    pub(crate) fn kind(&self) -> Kind {
        if self.is_ask { Kind::Ask } else { Kind::Select }
    }

    /// What is around the bodies.
    pub(crate) fn shell(&self) -> &Shell {
        &self.shell
    }

    /// The bodies with terms in the holes.
    pub(crate) fn bodies(&self, holes: &[NamedNode]) -> Vec<Body> {
        let mut bodies = self.bodies.clone();
        for spot in &self.spots {
            let positions = bodies[spot.body].patterns[spot.pattern].positions();
            if let (Some(node), Some(position)) = (holes.get(spot.hole), positions.into_iter().nth(spot.position)) {
                *position = Position::Term(node.clone().into());
            }
        }
        bodies
    }
}
