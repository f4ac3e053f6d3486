//! Reading RDF: bytes in, batches of facts over distinct terms out, in bounded memory and whatever the format.
//!
//! ```text
//!              N-Triples, N-Quads   blocks cut at line ends ──► several parsers at once ─┐
//! input ─ decompress ─┤                                                                  ├─► relabel, intern ─► sink
//!              Turtle, TriG, RDF/XML, JSON-LD ──► one parser on a thread of its own ─────┘
//! ```
//!
//! Nothing here knows of the cluster or of gRPC: the sink sends the batches where they belong. It is called from
//! several threads and may block, which holds the parsers back.
//!
//! Invariants: memory is bounded by [`Limits`] and the number of threads, not by the input; the error that is reported
//! is the first one in the file, however the work was divided; the same input with the same request gives the same
//! facts, blank nodes included; malformed input is an error and never a panic.

mod batch;
mod blank;
mod builder;
mod format;
mod json;
mod json_split;
mod json_text;
mod line_parser;
mod lines;
mod log;
mod outlet;
mod plain_line;
pub mod serialize;
mod source;
#[cfg(test)]
mod tests;
mod turtle;
mod turtle_scan;
mod xml;
mod xml_guard;
mod xml_markup;

pub use batch::{Batch, Slot, SlotFact, TermTable};
pub use blank::blank_scope;
pub use format::{Compression, Detected, Format, detect, format_of};
pub use source::Input;

use entail_model::term::HashKey;
use entail_model::{Fault, Reason};
use oxrdf::NamedNode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use log::ErrorLog;
use outlet::Job;
use source::{Ahead, Bytes, Counts, Source};

/// Chunks that are decompressed ahead of a parser.
const AHEAD_CHUNKS: usize = 4;
/// The parsers of nested formats are recursive in places; the limits on nesting are made for this stack.
const STACK_BYTES: usize = 64 << 20;

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
    /// Blank nodes with equal labels are the same node only within one scope: see [`blank_scope`].
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
    /// A batch is handed on once it has this many facts.
    pub batch_facts: usize,
    /// A batch is handed on once it takes about this many bytes.
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

/// Parses an input and hands its facts to `sink`, batch by batch.
///
/// # Errors
/// `Syntax` for malformed input, with file, line and column (counted from one; columns in characters); `LimitExceeded`
/// for what is longer or deeper than the limits, or too many skipped places; `Corrupt` for data that does not
/// decompress; `Unsupported` for a JSON-LD context that would have to be fetched; `InvalidRequest` for a base that is
/// not an absolute IRI; and whatever fault the input (wrapped in an `io::Error`) or the sink fails with.
pub fn parse(request: ParseRequest, input: impl Input, sink: Sink<'_>) -> Result<ParseReport, Fault> {
    check_base(&request)?;
    let counts = Counts::default();
    let source = Source::open(input, &request.file, request.compression, Arc::clone(&request.progress), &counts)?;
    let job = Job::new(request, sink);
    if job.request.format.is_line_based() {
        lines::parse(&job, source);
    } else {
        parse_apart(&job, source);
    }
    let (triples, ended_early) = (job.triples.load(Ordering::Relaxed), job.ended_early.load(Ordering::Relaxed));
    let (skipped, errors) = job.log.finish()?;
    Ok(ParseReport {
        triples,
        bytes_read: counts.read.load(Ordering::Relaxed),
        bytes_decoded: counts.decoded.load(Ordering::Relaxed),
        skipped,
        errors,
        ended_early,
    })
}

fn check_base(request: &ParseRequest) -> Result<(), Fault> {
    let Some(base) = &request.base_iri else { return Ok(()) };
    NamedNode::new(base.as_str()).map(|_| ()).map_err(|error| {
        Fault::new(Reason::InvalidRequest, format!("the base {base:?} is not an absolute IRI: {error}"))
    })
}

/// Parses a format that cannot be divided: one thread parses, and another decompresses if there is something to.
fn parse_apart(job: &Job<'_>, source: Source<'_>) {
    thread::scope(|scope| {
        let mut bytes: Box<dyn Bytes + Send + '_> = if source.is_compressed() {
            let (sender, chunks) = sync_channel(AHEAD_CHUNKS);
            scope.spawn(move || source::read_ahead(source, &sender));
            Box::new(Ahead { chunks })
        } else {
            Box::new(source)
        };
        let parser = thread::Builder::new().name("entail-parse".to_owned()).stack_size(STACK_BYTES).spawn_scoped(
            scope,
            move || match job.request.format {
                Format::RdfXml => xml::parse(job, &mut *bytes),
                Format::JsonLd => json::parse(job, &mut *bytes),
                _ => turtle::parse(job, &mut *bytes),
            },
        );
        match parser.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(fault))) => job.log.fail(u64::MAX, fault),
            Ok(Err(_panic)) => job.log.fail(u64::MAX, job.defect()),
            Err(error) => job.log.fail(0, Fault::internal(format!("no thread to parse on: {error}"))),
        }
    });
}
