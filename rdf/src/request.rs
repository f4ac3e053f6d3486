//! The request of a parse, its limits, and its report.

use crate::batch::Batch;
use crate::format::{Compression, Format};
use entail_model::Fault;
use entail_model::term::HashKey;
use oxrdf::NamedNode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Takes the batches of a load, from several threads at a time and in no order. An error ends the load.
pub type Sink<'a> = &'a (dyn Fn(Batch) -> Result<(), Fault> + Sync);

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct ParseRequest {
    /// The name of the input in errors.
    pub file: String,
    pub format: Format,
    /// `None` lets the first bytes tell.
    pub compression: Option<Compression>,
    /// What relative IRIs are resolved against; an absolute IRI.
    pub base_iri: Option<String>,
    /// The graph of facts that name none; `None` is the default graph. Facts in a named graph stay there.
    pub graph: Option<NamedNode>,
    /// Blank nodes with equal labels are the same node only within one scope: see [`blank_scope`](crate::blank_scope).
    pub blank_scope: u128,
    /// The cluster's key for term hashes.
    pub key: HashKey,
    pub on_error: OnError,
    /// Parsers at work at once, for the formats that can be divided; at least one.
    pub threads: usize,
    pub limits: Limits,
    /// Counts as the load goes on; several loads may share it.
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
/// Where reading goes on after a malformed place depends on the format: at the next line (N-Triples, N-Quads), after
/// the statement (Turtle, TriG; what came of it before the error stays), at the next node object (JSON-LD, unless it is
/// not even JSON). In RDF/XML it does not go on: see [`ParseReport::ended_early`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The first malformed place ends the load.
    Stop,
    /// Up to `limit` malformed places are counted and left out; one more ends the load.
    Skip { limit: u64 },
}

/// The bounds on memory. The defaults fit a load on a machine with a few GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A batch goes to the sink once it has this many facts.
    pub batch_facts: usize,
    /// A batch goes to the sink once it takes about this many bytes.
    pub batch_bytes: usize,
    /// How much text one parser of lines takes at a time.
    pub block_bytes: usize,
    /// The longest term, in canonical bytes.
    pub term_bytes: usize,
    /// The longest line in N-Triples and N-Quads.
    pub line_bytes: usize,
    /// The largest JSON-LD object that is held as a whole. Larger ones need their keys in an order that lets them
    /// stream: `@context` and `@id` before `@graph`, and `@graph` last.
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

/// Counters that grow while a load runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the input, as it came: compressed, if it was.
    pub bytes: AtomicU64,
    /// Facts parsed.
    pub triples: AtomicU64,
}

/// What a load read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseReport {
    /// Facts handed to the sink, duplicates included.
    pub triples: u64,
    /// Bytes of the input, as it came.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_decoded: u64,
    /// Malformed places left out.
    pub skipped: u64,
    /// The first of them.
    pub errors: Vec<Fault>,
    /// A malformed place past which this format cannot go on: the rest of the file was left out too.
    pub ended_early: bool,
}
