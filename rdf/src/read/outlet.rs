//! The state that all parsers of a file share (request, counters, errors), and the outlet of one parser's facts.

use crate::batch::blank::BlankNames;
use crate::batch::builder::{BatchBuilder, Mark};
use crate::batch::plain::{Known, PlainFact};
use crate::read::log::ErrorLog;
use crate::request::{ParseRequest, Sink};
use entail_model::{Fault, Reason};
use oxrdf::QuadRef;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One file being parsed.
pub(crate) struct Job<'a> {
    pub(crate) request: ParseRequest,
    pub(crate) log: ErrorLog,
    pub(crate) triples: AtomicU64,
    pub(crate) ended_early: AtomicBool,
    sink: Sink<'a>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(request: ParseRequest, sink: Sink<'a>) -> Self {
        let log = ErrorLog::new(request.on_error);
        Self { request, log, triples: AtomicU64::new(0), ended_early: AtomicBool::new(false), sink }
    }

    /// A fault at a position of the input, counted from one.
    pub(crate) fn syntax(&self, line: u64, column: u64, message: impl Into<String>) -> Fault {
        Fault::new(Reason::Syntax, shortened(message.into())).at(line, column).in_file(&self.request.file)
    }

    /// An exceeded limit at a position of the input.
    pub(crate) fn limit(&self, line: u64, column: u64, message: impl Into<String>) -> Fault {
        Fault::new(Reason::LimitExceeded, message).at(line, column).in_file(&self.request.file)
    }

    /// The fault for a panic of a parser: a defect, whatever the input.
    pub(crate) fn defect(&self) -> Fault {
        Fault::internal("the parser failed on this input").in_file(&self.request.file)
    }
}

/// Shortens a message: messages quote the input, which may be megabytes.
pub(crate) fn shortened(mut message: String) -> String {
    const MESSAGE_BYTES_MAX: usize = 400;
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
    message
}

/// The outlet of one parser: collects facts into a batch and passes it to the sink when it is full.
pub(crate) struct Outlet<'j, 'a> {
    job: &'j Job<'a>,
    builder: BatchBuilder,
    /// The number of facts of the current batch that the counters include.
    counted: usize,
}

impl<'j, 'a> Outlet<'j, 'a> {
    pub(crate) fn new(job: &'j Job<'a>, names: BlankNames) -> Self {
        let request = &job.request;
        let builder = BatchBuilder::new(request.key, request.graph.clone(), request.limits.term_bytes, names);
        Self { job, builder, counted: 0 }
    }

    pub(crate) fn names(&mut self) -> &mut BlankNames {
        &mut self.builder.names
    }

    /// Adds a fact to the batch, which [`settle`](Self::settle) then makes final.
    ///
    /// # Errors
    /// `LimitExceeded` for a term beyond the limits.
    pub(crate) fn push(&mut self, quad: QuadRef<'_>) -> Result<(), Fault> {
        self.builder.push(quad)
    }

    /// The IRIs of this batch.
    pub(crate) fn known(&self) -> &impl Known {
        &self.builder
    }

    /// Adds the fact of a plain line.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub(crate) fn push_plain(&mut self, fact: PlainFact<'_>) -> Result<(), Fault> {
        self.builder.push_plain(fact)
    }

    pub(crate) fn mark(&self) -> Mark {
        self.builder.mark()
    }

    /// Drops facts that were pushed since `mark` and not settled.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.builder.rollback(mark);
        // In a load that stops at its first error some facts may be settled already; the count no longer matters then.
        self.counted = self.counted.min(self.builder.fact_count());
    }

    /// Counts the pushed facts, and passes the batch to the sink if it is full.
    ///
    /// # Errors
    /// Errors of the sink.
    pub(crate) fn settle(&mut self) -> Result<(), Fault> {
        let new = (self.builder.fact_count() - self.counted) as u64;
        self.counted += new as usize;
        self.job.triples.fetch_add(new, Ordering::Relaxed);
        self.job.request.progress.triples.fetch_add(new, Ordering::Relaxed);
        let limits = &self.job.request.limits;
        if self.counted >= limits.batch_facts || self.builder.byte_len() >= limits.batch_bytes {
            return self.flush();
        }
        Ok(())
    }

    /// Settles, and passes the rest to the sink.
    ///
    /// # Errors
    /// Errors of the sink.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        self.settle()?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.counted == 0 {
            return Ok(());
        }
        self.counted = 0;
        (self.job.sink)(self.builder.take())
    }
}
