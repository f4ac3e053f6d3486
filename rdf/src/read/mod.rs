//! Readers: bytes of an input become batches of facts.
//!
//! ```text
//! source (decompress) ──► lines | turtle | xml | json ──► outlet (batch builder) ──► sink
//!                                    └──► log (the first error in the file)
//! ```

mod json;
mod lines;
mod log;
mod outlet;
mod page;
mod position;
mod relative;
pub(crate) mod source;
mod turtle;
mod xml;

use crate::format::Format;
use crate::request::{ParseReport, ParseRequest, Sink};
use entail_model::{Fault, Reason};
use outlet::Job;
use oxrdf::NamedNode;
use source::{Ahead, Bytes, Counts, Input, Source};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;

/// The number of chunks that are decompressed ahead of a parser.
const AHEAD_CHUNKS: usize = 4;
/// The parsers of nested formats are recursive in places; the limits on nesting are made for this stack.
const STACK_BYTES: usize = 64 << 20;

/// Parses an input and passes its facts to `sink`, batch by batch.
///
/// # Errors
/// `Syntax` for malformed input, with file, line and column (counted from one; columns in characters); `LimitExceeded`
/// for input that is longer or deeper than the limits, or too many skipped places; `Unsupported` for a JSON-LD context that
/// would have to be fetched; `InvalidRequest` for data that does not decompress, and for a base that is not an absolute
/// IRI; and any fault of the input (wrapped in an `io::Error`) or the sink.
pub fn parse(request: ParseRequest, input: impl Input, sink: Sink<'_>) -> Result<ParseReport, Fault> {
    check_base(&request)?;
    let counts = Counts::default();
    let mut source = Source::open(input, &request.file, request.compression, Arc::clone(&request.progress), &counts)?;
    source.refuse_pages(request.format)?;
    let job = Job::new(request, sink);
    if job.request.format.is_line_based() {
        lines::parse(&job, &mut source);
    } else {
        parse_apart(&job, &mut source);
    }
    let (triples, ended_early) = (job.triples.load(Ordering::Relaxed), job.ended_early.load(Ordering::Relaxed));
    let (skipped, errors) = job.log.finish().map_err(|fault| source.cause_of(fault))?;
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

/// Parses a format that cannot be divided: one thread parses, and another decompresses if the input is compressed.
fn parse_apart(job: &Job<'_>, source: &mut Source<'_>) {
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
