//! The request of a parse, its limits, and its report.

use crate::batch::Batch;
use crate::format::{Compression, Format};
use entail_model::Fault;
use entail_model::term::HashKey;
use oxrdf::NamedNode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Receives the batches of a load, from several threads concurrently and in any order. An error ends the load.
pub type Sink<'a> = &'a (dyn Fn(Batch) -> Result<(), Fault> + Sync);

/// A request to parse an input.
#[derive(Clone, Debug)]
pub struct ParseRequest {
    /// The name of the input in errors.
    pub file: String,
    pub format: Format,
    /// `None`: determined by the first bytes.
    pub compression: Option<Compression>,
    /// The base for relative IRIs; an absolute IRI.
    pub base_iri: Option<String>,
    /// The graph of facts without a graph; `None` is the default graph. Facts in a named graph stay there.
    pub graph: Option<NamedNode>,
    /// Blank nodes with equal labels are the same node only within one scope: see [`blank_scope`](crate::blank_scope).
    pub blank_scope: u128,
    /// The cluster's key for term hashes.
    pub key: HashKey,
    pub on_error: OnError,
    /// The number of concurrent parsers, for formats that can be divided; at least one.
    pub threads: usize,
    pub limits: Limits,
    /// Counters that are updated during the load; several loads may share them.
    pub progress: Arc<Progress>,
}

impl ParseRequest {
    /// A request with the usual limits: no target graph, no base, stop at the first error, one thread.
    pub fn new(file: impl Into<String>, format: Format, key: HashKey, blank_scope: u128) -> Self {
        Self {
            file: file.into(),
            format,
            compression: None,
            base_iri: None,
            graph: None,
            blank_scope,
            key,
            on_error: OnError::Stop,
            threads: 1,
            limits: Limits::default(),
            progress: Arc::default(),
        }
    }
}

/// What to do about malformed input.
///
/// The place where reading continues after a malformed place depends on the format: at the next line (N-Triples,
/// N-Quads), after the statement (Turtle, TriG; only of statements of more than 1 MiB are the facts before the error
/// kept), at the next node object (JSON-LD, unless it is malformed JSON). In RDF/XML it does not continue: see [`ParseReport::ended_early`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The first malformed place ends the load.
    Stop,
    /// Up to `limit` malformed places are counted and skipped; one more ends the load.
    Skip { limit: u64 },
}

/// The bounds on memory. The defaults suit a machine with a few GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A batch goes to the sink once it has this many facts.
    pub batch_facts: usize,
    /// A batch goes to the sink once it takes about this many bytes.
    pub batch_bytes: usize,
    /// The size of a block for one parser of lines.
    pub block_bytes: usize,
    /// The longest term, in canonical bytes.
    pub term_bytes: usize,
    /// The longest line in N-Triples and N-Quads.
    pub line_bytes: usize,
    /// The largest JSON-LD object that is held as a whole. Larger ones need their keys in an order that allows
    /// streaming: `@context` and `@id` before `@graph`, and `@graph` last.
    pub object_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_facts: 32 << 10,
            batch_bytes: 4 << 20,
            block_bytes: 2 << 20,
            term_bytes: 64 << 20,
            line_bytes: 128 << 20,
            object_bytes: 96 << 20,
        }
    }
}

/// Counters of a running load.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the input, before decompression.
    pub bytes: AtomicU64,
    /// Facts parsed.
    pub triples: AtomicU64,
}

/// The result of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseReport {
    /// Facts passed to the sink, including duplicates.
    pub triples: u64,
    /// Bytes of the input, before decompression.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_decoded: u64,
    /// The number of skipped malformed places.
    pub skipped: u64,
    /// The first of them.
    pub errors: Vec<Fault>,
    /// A malformed place after which this format cannot continue: the rest of the file was skipped too.
    pub ended_early: bool,
}
