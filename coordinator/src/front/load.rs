//! A load: bytes in, parsed on threads of their own, staged batch by batch, committed as one epoch or as several.
//!
//! ```text
//! stream ──bytes──► file ──parse (threads)──► batches ──intern, stage──► nodes
//! ```
//!
//! Every channel is bounded, so a fast client waits for the cluster. Whatever fails, in whatever part, ends the attempt
//! that is open; epochs that `commit_every` had committed stay.

use super::House;
use crate::ingest::{self, Batch, Compression, OnError, ParseReport, ParseRequest, Progress};
use crate::staging::Stager;
use crate::writer::{Change, Request, Stage, Watch};
use bytes::Bytes;
use entail_model::term::HashKey;
use entail_model::{Fault, Reason};
use entail_proto::v1::load_response::Part;
use entail_proto::v1::{
    ChangeSummary, FileHeader, LoadProgress, LoadRequest, LoadResponse, LoadSummary, OnError as WireOnError,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use oxrdf::NamedNode;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

/// Pieces of a file that wait for the parser.
const PIECES_WAITING: usize = 8;

/// Batches that wait to be staged, and that are being staged.
const BATCHES_WAITING: usize = 2;
const BATCHES_AT_WORK: usize = 3;

/// How often progress is reported.
const REPORT: Duration = Duration::from_millis(250);

/// The errors that a summary lists.
const ERRORS_LISTED: usize = 20;

type Responses = mpsc::Sender<Result<LoadResponse, Status>>;

/// Runs a load and reports to `responses`.
pub async fn run(house: Arc<House>, stream: Streaming<LoadRequest>, responses: Responses) {
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let result = tokio::select! {
        result = load(&house, stream, &responses, cancel) => result,
        () = responses.closed() => return,
    };
    let response = match result {
        Ok(summary) => Ok(LoadResponse { part: Some(Part::Summary(summary)) }),
        Err(fault) => Err(super::refuse(fault)),
    };
    _ = responses.send(response).await;
}

async fn load(
    house: &Arc<House>,
    mut stream: Streaming<LoadRequest>,
    responses: &Responses,
    cancel: CancellationToken,
) -> Result<LoadSummary, Fault> {
    let first = stream.message().await.map_err(|status| entail_proto::status::to_fault(&status))?;
    let first = first.ok_or_else(|| Fault::new(Reason::InvalidRequest, "a load without a message"))?;
    let header = first
        .file
        .clone()
        .ok_or_else(|| Fault::new(Reason::InvalidRequest, "the first message of a load has no file header"))?;
    let id = super::request_id(header.request_id.clone())?;
    if let Some(change) = house.writer.answered(&id)? {
        return Ok(LoadSummary { change: Some(change), epochs: 1, ..LoadSummary::default() });
    }
    let progress = Arc::new(Progress::default());
    let watch = Arc::new(Watch::default());
    let (batches, source) = mpsc::channel(BATCHES_WAITING);
    let intake = Intake {
        key: house.shared.key,
        scope: house.shared.key.hash(id.as_bytes()).0,
        progress: Arc::clone(&progress),
        batches,
    };
    let intake = tokio::spawn(intake.run(first, stream));
    let reporter = tokio::spawn(report(responses.clone(), Arc::clone(&progress), Arc::clone(&watch)));
    let commits =
        Commits { house, id, cancel, watch, source: Arc::new(Mutex::new(source)), every: header.commit_every };
    let result = commits.run().await;
    reporter.abort();
    let (changes, epochs) = match result {
        Ok(done) => done,
        // The parser's own fault says more than that its batches ended.
        Err(fault) => return Err(fault),
    };
    let report = intake.await.map_err(|error| Fault::internal(format!("reading the load failed: {error}")))??;
    Ok(LoadSummary {
        change: Some(changes),
        triples: report.triples,
        bytes: report.bytes_read,
        skipped: report.skipped,
        errors: report.errors.iter().take(ERRORS_LISTED).map(ToString::to_string).collect(),
        epochs,
    })
}

async fn report(responses: Responses, progress: Arc<Progress>, watch: Arc<Watch>) {
    loop {
        tokio::time::sleep(REPORT).await;
        let phase = ["parsing", "reasoning", "committing"][watch.phase.load(Ordering::Relaxed).min(2) as usize];
        let report = LoadProgress {
            bytes: progress.bytes.load(Ordering::Relaxed),
            triples: progress.triples.load(Ordering::Relaxed),
            phase: phase.to_owned(),
            round: watch.round.load(Ordering::Relaxed),
        };
        if responses.send(Ok(LoadResponse { part: Some(Part::Progress(report)) })).await.is_err() {
            return;
        }
    }
}

type Source = Arc<Mutex<mpsc::Receiver<Result<Batch, Fault>>>>;

/// Turns batches into epochs.
struct Commits<'a> {
    house: &'a House,
    id: String,
    cancel: CancellationToken,
    watch: Arc<Watch>,
    source: Source,
    every: u64,
}

impl Commits<'_> {
    async fn run(&self) -> Result<(ChangeSummary, u32), Fault> {
        let mut total = ChangeSummary::default();
        let mut epochs = 0;
        let is_over = Arc::new(AtomicBool::new(false));
        while !is_over.load(Ordering::Relaxed) {
            let id = if self.every == 0 { self.id.clone() } else { format!("{}#{epochs}", self.id) };
            self.watch.phase.store(0, Ordering::Relaxed);
            let change = Change::Facts(stage(Arc::clone(&self.source), self.every, Arc::clone(&is_over)));
            let request = Request { id, change, cancel: self.cancel.clone(), watch: Arc::clone(&self.watch) };
            add(&mut total, self.house.writer.commit(request).await?);
            epochs += 1;
            if self.every == 0 {
                break;
            }
        }
        Ok((total, epochs))
    }
}

fn add(total: &mut ChangeSummary, change: ChangeSummary) {
    total.epoch = change.epoch;
    total.asserted += change.asserted;
    total.derived += change.derived;
    total.rounds += change.rounds;
    total.seconds += change.seconds;
    total.bytes_exchanged += change.bytes_exchanged;
    if total.rules.is_empty() {
        total.rules = change.rules;
    } else {
        total.rules.iter_mut().zip(change.rules).for_each(|(sum, rule)| sum.derived += rule.derived);
    }
}

/// Stages batches until there are no more, or `every` facts have been staged.
fn stage(source: Source, every: u64, is_over: Arc<AtomicBool>) -> Stage {
    Box::new(move |stager| {
        Box::pin(async move {
            let mut source = source.lock().await;
            let mut at_work = FuturesUnordered::new();
            let mut facts = 0;
            while every == 0 || facts < every {
                let Some(batch) = source.recv().await else {
                    is_over.store(true, Ordering::Relaxed);
                    break;
                };
                let batch = batch?;
                facts += batch.facts.len() as u64;
                if at_work.len() >= BATCHES_AT_WORK {
                    at_work.next().await.expect("some are at work")?;
                }
                at_work.push(stage_batch(Arc::clone(&stager), batch));
            }
            while let Some(result) = at_work.next().await {
                result?;
            }
            Ok(())
        })
    })
}

async fn stage_batch(stager: Arc<Stager>, batch: Batch) -> Result<(), Fault> {
    stager.rdf_type().await?;
    let ids = stager.intern_table(&batch.terms).await?;
    stager.stage(batch.facts.iter().map(|fact| fact.resolve(&ids))).await
}

/// Reads the client's stream and parses its files, one after the other.
struct Intake {
    key: HashKey,
    scope: u128,
    progress: Arc<Progress>,
    batches: mpsc::Sender<Result<Batch, Fault>>,
}

impl Intake {
    /// Parses everything; a fault goes to whoever takes the batches as well.
    async fn run(self, first: LoadRequest, stream: Streaming<LoadRequest>) -> Result<ParseReport, Fault> {
        let result = self.files(first, stream).await;
        if let Err(fault) = &result {
            _ = self.batches.send(Err(fault.clone())).await;
        }
        result
    }

    async fn files(&self, first: LoadRequest, mut stream: Streaming<LoadRequest>) -> Result<ParseReport, Fault> {
        let mut total = ParseReport::default();
        let mut next = Some(first);
        let mut index = 0;
        while let Some(request) = next.take() {
            let header = request.file.ok_or_else(|| Fault::internal("a file without its header"))?;
            let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
            let parser = self.parser(header, index, waiting)?;
            next = feed(&mut stream, request.data, pieces).await;
            let report = parser.await.map_err(|error| Fault::internal(format!("a parser failed: {error}")))??;
            total.triples += report.triples;
            total.bytes_read += report.bytes_read;
            total.bytes_decoded += report.bytes_decoded;
            total.skipped += report.skipped;
            total.errors.extend(report.errors);
            index += 1;
        }
        Ok(total)
    }

    fn parser(
        &self,
        header: FileHeader,
        index: u64,
        waiting: mpsc::Receiver<Result<Bytes, Fault>>,
    ) -> Result<tokio::task::JoinHandle<Result<ParseReport, Fault>>, Fault> {
        let request = self.parse_request(header, index)?;
        let batches = self.batches.clone();
        Ok(tokio::task::spawn_blocking(move || {
            let sink = |batch| {
                let sent = batches.blocking_send(Ok(batch));
                sent.map_err(|_| Fault::new(Reason::Cancelled, "the load was given up"))
            };
            ingest::parse(request, Pieces { waiting, current: Bytes::new() }, &sink)
        }))
    }

    fn parse_request(&self, header: FileHeader, index: u64) -> Result<ParseRequest, Fault> {
        let asked = Some(header.format.as_str()).filter(|format| !format.is_empty());
        let format = ingest::format_of(&header.name, asked)?;
        let scope = ingest::blank_scope(self.scope, index);
        let on_error = header.on_error();
        let mut request = ParseRequest::new(header.name.clone(), format, self.key, scope);
        request.compression = match header.compression.as_str() {
            "" => ingest::detect(&header.name).compression,
            name => Some(compression(name)?),
        };
        request.base_iri = Some(header.base_iri).filter(|base| !base.is_empty());
        if !header.graph.is_empty() {
            let graph = NamedNode::new(&header.graph);
            request.graph = Some(graph.map_err(|error| {
                Fault::new(Reason::InvalidRequest, format!("the graph {} is not an IRI: {error}", header.graph))
            })?);
        }
        if on_error == WireOnError::Skip {
            request.on_error = OnError::Skip { limit: if header.skip_max == 0 { 1000 } else { header.skip_max } };
        }
        request.threads = std::thread::available_parallelism().map_or(1, usize::from);
        request.progress = Arc::clone(&self.progress);
        Ok(request)
    }
}

fn compression(name: &str) -> Result<Compression, Fault> {
    let known = Compression::ALL.into_iter().find(|compression| compression.name() == name);
    known.ok_or_else(|| {
        Fault::new(Reason::InvalidRequest, format!("the compression {name} is not known: none, gzip and zstd are"))
    })
}

/// Passes a file's bytes on until the next file starts; returns the message that starts it.
async fn feed(
    stream: &mut Streaming<LoadRequest>,
    first: Bytes,
    pieces: mpsc::Sender<Result<Bytes, Fault>>,
) -> Option<LoadRequest> {
    // A send fails when the parser has failed: its own fault is what counts.
    if !first.is_empty() && pieces.send(Ok(first)).await.is_err() {
        return None;
    }
    loop {
        match stream.message().await {
            Ok(Some(message)) if message.file.is_some() => return Some(message),
            Ok(Some(message)) => {
                if pieces.send(Ok(message.data)).await.is_err() {
                    return None;
                }
            }
            Ok(None) => return None,
            Err(status) => {
                let fault = entail_proto::status::to_fault(&status);
                let fault = Fault::new(Reason::Cancelled, format!("the load's stream broke: {}", fault.message));
                _ = pieces.send(Err(fault)).await;
                return None;
            }
        }
    }
}

/// A file as a reader: blocks until the client has sent more.
struct Pieces {
    waiting: mpsc::Receiver<Result<Bytes, Fault>>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.waiting.blocking_recv() {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(fault)) => return Err(io::Error::other(fault)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}
