//! A load: bytes in, parsed on threads of their own, staged batch by batch, committed as one epoch or as several.
//!
//! ```text
//! stream ──bytes──► file ──parse (threads)──► batches ──intern, stage──► nodes
//! ```
//!
//! Every channel is bounded, so a fast client waits for the cluster. A slow client blocks other writers for a limited time
//! only: an attempt begins with the first batch, and fails when the client has sent nothing for `load_idle_max`. A failure
//! in any part aborts the open attempt; epochs that `commit_every` has committed stay.

mod committed;
mod upload;

use super::Coordinator;
use super::call::Call;
use super::parts::{PartSender, PartStream};
use super::running::Running;
use crate::staging::{Batches, EpochPart, Load, LoadKind, Source};
use crate::writer::{Change, ChangeProgress, Identity, Purpose, Request};
use bytes::Bytes;
use committed::Committed;
use entail_model::term::HashKey;
use entail_model::{Cancellation, Fault, Reason};
use entail_proto::v1::load_response::Part;
use entail_proto::v1::{
    FileHeader, LoadMode, LoadProgress, LoadRequest, LoadResponse, LoadSummary, OnError as WireOnError,
};
use entail_rdf::{Batch, Compression, OnError, ParseReport, ParseRequest, Progress};
use entail_telemetry::count;
use oxrdf::{GraphName, NamedNode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tracing::{Instrument, info_span};
use upload::{Messages, Pieces, Upload};

/// Pieces of a file that wait for the parser.
const PIECES_WAITING: usize = 8;

/// Batches that wait to be staged.
const BATCHES_WAITING: usize = 2;

/// Bytes that are parsed at once under `commit_every`: a small part of such an epoch.
const PART_BLOCK_BYTES: usize = 16 << 10;

/// How often progress is reported.
const REPORT: Duration = Duration::from_millis(250);

/// Limit on the errors in a summary.
const ERRORS_LISTED: usize = 20;

/// Malformed statements that a load may skip, unless it sets a limit.
const SKIP_MAX: u64 = 1000;

/// Responses that wait for the client.
const RESPONSES_WAITING: usize = 4;

impl Coordinator {
    /// Starts a load of the files in `messages`. Dropping the stream of responses cancels it.
    pub fn load(self: &Arc<Self>, call: Call, messages: Messages) -> PartStream<LoadResponse> {
        call.describe("load", "");
        let (sender, stream) = PartStream::running(RESPONSES_WAITING, &call.cancel, call.bounded());
        let coordinator = Arc::clone(self);
        let work = async move {
            let result = coordinator.load_all(call, messages, &sender.parts).await;
            sender.end(result.map(|summary| LoadResponse { part: Some(Part::Summary(summary)) }));
        };
        tokio::spawn(work.in_current_span());
        stream
    }

    async fn load_all(
        &self,
        call: Call,
        mut messages: Messages,
        responses: &PartSender<LoadResponse>,
    ) -> Result<LoadSummary, Fault> {
        let (first, header) = call.cancel.race(upload::first(&mut messages, self.options.load_idle_max)).await?;
        if header.commit_every == Some(0) {
            return Err(Fault::new(Reason::InvalidRequest, "commit_every must be at least 1"));
        }
        let every = header.commit_every.unwrap_or(0);
        let (kind, purpose) = (kind(&header)?, if header.dry_run { Purpose::DryRun } else { Purpose::Commit });
        if every > 0 && (purpose == Purpose::DryRun || matches!(kind, LoadKind::Replace(_))) {
            let text = "commit_every is not for loads that replace a graph or only say what would change";
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
        let identity = self.load_identity(&header, &kind)?;
        if every == 0
            && purpose == Purpose::Commit
            && let Some(change) = self.writer.answered(&identity)?
        {
            return Ok(LoadSummary {
                triples: change.received,
                change: Some(change),
                epochs: 1,
                ..LoadSummary::default()
            });
        }
        let running = self.running.begin("load", &header.name, &call);
        let progress = Arc::new(Progress::default());
        let watch = Arc::new(ChangeProgress::default());
        let (batches, source) = mpsc::channel(BATCHES_WAITING);
        let intake = Intake {
            key: self.shared.key,
            every,
            kind: kind.clone(),
            scope: self.shared.key.hash(identity.id().as_bytes()).0,
            progress: Arc::clone(&progress),
            batches,
        };
        let bytes = self.shared.metrics.load_bytes.clone();
        let has_turn = Arc::new(AtomicBool::new(false));
        let is_waited_for = {
            let (writer, has_turn) = (Arc::clone(&self.writer), Arc::clone(&has_turn));
            // Beside this load itself.
            Box::new(move || has_turn.load(Ordering::Relaxed) && writer.in_flight() > 1)
        };
        let upload = Upload { messages, idle_max: self.options.load_idle_max, is_waited_for, bytes };
        let parsing = info_span!("parse");
        let mut intake = AbortOnDrop(tokio::spawn(intake.run(first, upload).instrument(parsing.clone())));
        let _reporter = AbortOnDrop(tokio::spawn(report(responses.clone(), progress, Arc::clone(&watch))));
        let source = Arc::new(Mutex::new(Batches { waiting: source, first: None }));
        let cancel = call.cancel;
        let commits =
            Commits { coordinator: self, identity, kind, purpose, cancel, watch, source, every, has_turn, running };
        // A parser's fault comes in its batches and is more specific than their end.
        let done = commits.run().await?;
        let lost = |error: tokio::task::JoinError| Err(Fault::internal(format!("reading the load failed: {error}")));
        let report = (&mut intake.0).await.unwrap_or_else(lost).map_err(|fault| done.fault(fault))?;
        count(&parsing, "entail.triples", report.triples);
        count(&parsing, "entail.bytes", report.bytes_read);
        Ok(LoadSummary {
            change: Some(done.total),
            triples: report.triples,
            bytes: report.bytes_read,
            skipped: report.skipped,
            errors: report.errors.iter().take(ERRORS_LISTED).map(ToString::to_string).collect(),
            epochs: done.epochs,
        })
    }

    /// The identity of a load: the files' content is not known yet, so their name and options are the fingerprint.
    fn load_identity(&self, header: &FileHeader, kind: &LoadKind) -> Result<Identity, Fault> {
        let (skip_max, every) = (header.skip_max.unwrap_or(SKIP_MAX), header.commit_every.unwrap_or(0));
        let numbers = format!("{} {skip_max} {every}", header.on_error);
        let FileHeader { name, format, compression, graph, base_iri, .. } = header;
        let mut parts = vec!["load", name, format, compression, graph, base_iri, &numbers];
        if *kind != LoadKind::Add {
            parts.push(kind.name());
        }
        let parts: Vec<&[u8]> = parts.into_iter().map(str::as_bytes).collect();
        self.identity(header.request_id.clone(), &parts)
    }
}

/// Aborts a task when this is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn report(responses: PartSender<LoadResponse>, progress: Arc<Progress>, watch: Arc<ChangeProgress>) {
    loop {
        tokio::time::sleep(REPORT).await;
        let phase = ["parsing", "reasoning", "committing"][watch.phase.load(Ordering::Relaxed).min(2) as usize];
        let report = LoadProgress {
            bytes: progress.bytes.load(Ordering::Relaxed),
            triples: progress.triples.load(Ordering::Relaxed),
            phase: phase.to_owned(),
            round: watch.round.load(Ordering::Relaxed),
        };
        if responses.send(LoadResponse { part: Some(Part::Progress(report)) }).await.is_err() {
            return;
        }
    }
}

/// Commits batches as epochs.
struct Commits<'a> {
    coordinator: &'a Coordinator,
    identity: Identity,
    kind: LoadKind,
    purpose: Purpose,
    cancel: Cancellation,
    watch: Arc<ChangeProgress>,
    source: Source,
    every: u64,
    /// Set while facts are taken in the writer's turn.
    has_turn: Arc<AtomicBool>,
    running: Running,
}

impl Commits<'_> {
    /// Commits everything. A fault names what is committed nevertheless.
    async fn run(&self) -> Result<Committed, Fault> {
        let mut done = Committed::default();
        match self.commit_all(&mut done).await {
            Ok(()) => Ok(done),
            Err(fault) => Err(done.fault(fault)),
        }
    }

    async fn commit_all(&self, done: &mut Committed) -> Result<(), Fault> {
        let is_over = Arc::new(AtomicBool::new(false));
        while !is_over.load(Ordering::Relaxed) {
            let identity = if self.every > 0 { self.identity.part(done.epochs) } else { self.identity.clone() };
            if self.every > 0 && self.skip(&identity, done).await? {
                continue;
            }
            // Other writers do not wait until this client has sent its first batch.
            let ready = async { self.source.lock().await.ready().await };
            if !self.cancel.race(ready).await? && done.epochs > 0 {
                break;
            }
            self.watch.phase.store(0, Ordering::Relaxed);
            let staged = Arc::new(AtomicU64::new(0));
            let part = EpochPart {
                every: self.every,
                staged: Arc::clone(&staged),
                is_over: Arc::clone(&is_over),
                has_turn: Arc::clone(&self.has_turn),
                triples_total: self.coordinator.shared.metrics.load_triples.clone(),
                triples_of_call: Arc::clone(&self.running.call.rows),
            };
            let load = Load { source: Arc::clone(&self.source), kind: self.kind.clone(), part };
            let (change, purpose) = (Change::Staged(load), self.purpose);
            let (cancel, watch) = (self.cancel.clone(), Arc::clone(&self.watch));
            let request = Request { identity, change, purpose, cancel, watch };
            let change = self.coordinator.writer.commit(request).await?;
            let (taken, received) = (staged.load(Ordering::Relaxed), change.received);
            done.add(received, change);
            if taken == 0 && received > 0 {
                // An earlier send of this load committed the part while this one waited for its turn: nothing was taken.
                self.pass_over(received).await?;
            }
            if self.every == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Skips the facts of a part that an earlier send of the load has committed; returns whether it has.
    async fn skip(&self, part: &Identity, done: &mut Committed) -> Result<bool, Fault> {
        let Some(change) = self.coordinator.writer.answered(part)? else { return Ok(false) };
        let received = change.received;
        // Before the reading, which may fail: the part is committed in any case.
        done.add(received, change);
        self.pass_over(received).await?;
        Ok(true)
    }

    /// Takes facts that are committed already, and drops them.
    async fn pass_over(&self, facts: u64) -> Result<(), Fault> {
        self.cancel.race(async { self.source.lock().await.skip(facts).await }).await
    }
}

/// Reads the client's stream and parses its files, one after the other.
struct Intake {
    key: HashKey,
    every: u64,
    kind: LoadKind,
    scope: u128,
    progress: Arc<Progress>,
    batches: mpsc::Sender<Result<Batch, Fault>>,
}

impl Intake {
    /// Parses all files; a fault also goes to the receiver of the batches.
    async fn run(self, first: LoadRequest, upload: Upload) -> Result<ParseReport, Fault> {
        let result = self.files(first, upload).await;
        if let Err(fault) = &result {
            _ = self.batches.send(Err(fault.clone())).await;
        }
        result
    }

    async fn files(&self, first: LoadRequest, mut upload: Upload) -> Result<ParseReport, Fault> {
        let mut total = ParseReport::default();
        let mut next = Some(first);
        let mut index = 0;
        while let Some(request) = next.take() {
            let header = request.file.ok_or_else(|| Fault::internal("a file without its header"))?;
            let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
            let parser = self.parser(header, index, waiting)?;
            next = upload.feed(request.data, pieces).await;
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
        let (batches, kind) = (self.batches.clone(), self.kind.clone());
        Ok(tokio::task::spawn_blocking(move || {
            let sink = |batch| {
                kind.check(&batch)?;
                let sent = batches.blocking_send(Ok(batch));
                sent.map_err(|_| Fault::new(Reason::Cancelled, "the load was cancelled"))
            };
            entail_rdf::parse(request, Pieces(waiting), &sink)
        }))
    }

    fn parse_request(&self, header: FileHeader, index: u64) -> Result<ParseRequest, Fault> {
        let asked = Some(header.format.as_str()).filter(|format| !format.is_empty());
        let format = entail_rdf::format_of(&header.name, asked)?;
        let scope = entail_rdf::blank_scope(self.scope, index);
        let on_error = header.on_error();
        let mut request = ParseRequest::new(header.name.clone(), format, self.key, scope);
        request.compression = match header.compression.as_str() {
            "" => entail_rdf::detect(&header.name).compression,
            name => Some(compression(name)?),
        };
        request.base_iri = Some(header.base_iri).filter(|base| !base.is_empty());
        if !header.graph.is_empty() {
            request.graph = Some(named(&header.graph)?);
        }
        if on_error == WireOnError::Skip {
            request.on_error = OnError::Skip { limit: header.skip_max.unwrap_or(SKIP_MAX) };
        }
        request.threads = std::thread::available_parallelism().map_or(1, usize::from);
        if self.every > 0 {
            // In the order of the file, so that the committed part is always its beginning.
            request.threads = 1;
            request.limits.batch_facts = request.limits.batch_facts.min(self.every as usize);
            request.limits.block_bytes = request.limits.block_bytes.min(PART_BLOCK_BYTES);
        }
        request.progress = Arc::clone(&self.progress);
        Ok(request)
    }
}

/// What the load does, by the header of its first file.
fn kind(header: &FileHeader) -> Result<LoadKind, Fault> {
    match header.mode() {
        LoadMode::Unspecified | LoadMode::Add => Ok(LoadKind::Add),
        LoadMode::Delete => Ok(LoadKind::Delete),
        LoadMode::Replace if header.graph.is_empty() => Ok(LoadKind::Replace(GraphName::DefaultGraph)),
        LoadMode::Replace => named(&header.graph).map(|graph| LoadKind::Replace(graph.into())),
    }
}

/// The graph of this name.
fn named(graph: &str) -> Result<NamedNode, Fault> {
    NamedNode::new(graph)
        .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the graph {graph} is not an IRI: {error}")))
}

fn compression(name: &str) -> Result<Compression, Fault> {
    let known = Compression::ALL.into_iter().find(|compression| compression.name() == name);
    known.ok_or_else(|| {
        Fault::new(Reason::InvalidRequest, format!("unknown compression {name}: use none, gzip or zstd"))
    })
}
