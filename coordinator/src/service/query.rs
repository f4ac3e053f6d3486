//! A query: admission, a deadline, and the answer as a stream.
//!
//! A query that the local fast path can answer is answered on the thread that took the request. Any other query runs on a
//! thread of its own. Dropping the answer's stream, the deadline and `CancelQuery` set the query's
//! [`Cancellation`](entail_model::Cancellation), which wakes the thread wherever it waits and ends the work at every node.

use super::call::Call;
use super::parts::{PartSender, PartStream};
use super::{Coordinator, check_reached, moment, of_named_epoch};
use crate::reader::Reader;
use entail_model::{Cancellation, Epoch, Fault};
use entail_proto::v1::query_response::Part as QueryPart;
use entail_proto::v1::{QueryHeader, QueryMode, QueryRequest, QuerySummary, ResultFormat};
use entail_sparql::{self as sparql, Format, LocalOutcome, Mode, Part, Summary};
use entail_telemetry::count;
use std::sync::Arc;
use std::time::Instant;
use tracing::Span;

/// Bytes of a whole answer that need not be watched: what a connection holds of any answer.
const READY_BYTES_MAX: usize = 64 << 10;

/// Parts of an answer that wait for the client.
const PARTS_WAITING: usize = 8;

impl Coordinator {
    /// Starts a query. Dropping the stream ends its work everywhere.
    ///
    /// # Errors
    /// `Overloaded`, `NotReady`, `EpochUnavailable`, `ShardsUnavailable` before the evaluation, and any fault of a query on
    /// the fast path; later faults come in the stream.
    pub async fn start_query(
        self: &Arc<Self>,
        call: Call,
        request: QueryRequest,
    ) -> Result<PartStream<QueryPart>, Fault> {
        call.describe("query", &request.query);
        let (call, deadline) = call.until_or(self.options.query_timeout_default);
        let permit = self.admitted(deadline).await?;
        let (reader, named) = (self.reader(self.epoch_of(&request)?, &call.cancel)?, request.epoch);
        let mut query = self.sparql_request(request, call.cancel.clone());
        if let Some(parts) = self.run_local(&query, &reader, call.started) {
            let parts = parts.map_err(|fault| of_named_epoch(fault, named, self.latest()));
            return parts.map(|parts| self.whole(parts));
        }
        let running = self.running.begin("query", &query.text, &call);
        running.call.reads(reader.epoch);
        query.rows_written = Some(Arc::clone(&running.call.rows));
        let (sender, stream) = PartStream::running(PARTS_WAITING, &call.cancel, call.bounded());
        let stream = stream.watched(&self.unread);
        let (coordinator, span) = (Arc::clone(self), Span::current());
        tokio::task::spawn_blocking(move || {
            let epoch = reader.epoch;
            let result = span.in_scope(|| coordinator.run(query, reader, &sender.parts));
            let result = result.map_err(|fault| of_named_epoch(fault, named, coordinator.latest()));
            coordinator.record(&span, epoch, result.as_ref().ok());
            // Done before the caller has its answer, so that the trace is complete and the admission permit is free.
            drop((span, running, permit));
            sender.end(result.map(|summary| last_part(epoch, summary, call.started)));
        });
        Ok(stream)
    }

    /// The epoch to answer at; `None` for the latest.
    fn epoch_of(&self, request: &QueryRequest) -> Result<Option<Epoch>, Fault> {
        let latest = self.latest();
        check_reached(Epoch(request.at_least_epoch.unwrap_or(0)), latest)?;
        Ok(request.epoch.map(Epoch))
    }

    /// The whole answer, if the local fast path can give it.
    fn run_local(
        &self,
        query: &sparql::Request,
        reader: &Reader,
        started: Instant,
    ) -> Option<Result<Vec<QueryPart>, Fault>> {
        let (span, epoch) = (Span::current(), reader.epoch);
        let result = match sparql::run_local(query, Arc::new(reader.local()?)) {
            Ok(LocalOutcome::Fallback) => return None,
            Ok(LocalOutcome::Done(summary, parts)) => Ok((summary, parts)),
            Err(fault) => Err(fault),
        };
        self.record(&span, epoch, result.as_ref().ok().map(|(summary, _)| summary));
        Some(result.map(|(summary, parts)| {
            let mut parts: Vec<_> = parts.into_iter().map(|part| self.part(epoch, part)).collect();
            parts.push(last_part(epoch, summary, started));
            parts
        }))
    }

    /// The stream of an answer that is complete: a large one must not wait for its reader for ever.
    fn whole(&self, parts: Vec<QueryPart>) -> PartStream<QueryPart> {
        let bytes =
            parts.iter().map(|part| if let QueryPart::Data(data) = part { data.len() } else { 0 }).sum::<usize>();
        match bytes > READY_BYTES_MAX {
            true => PartStream::held(parts, &self.unread),
            false => PartStream::ready(parts),
        }
    }

    /// Evaluates a query on this thread; its parts go to `parts`.
    fn run(&self, query: sparql::Request, reader: Reader, parts: &PartSender<QueryPart>) -> Result<Summary, Fault> {
        let (epoch, runtime) = (reader.epoch, reader.runtime.clone());
        let mut send = |part| parts.send_blocking(self.part(epoch, part), &runtime);
        sparql::run(query, Arc::new(reader), &mut send)
    }

    /// Records a query that has ended in its span, and in the metrics if it was answered.
    fn record(&self, span: &Span, epoch: Epoch, summary: Option<&Summary>) {
        count(span, "entail.epoch", epoch.0);
        if let Some(summary) = summary {
            count(span, "db.response.returned_rows", summary.rows);
            self.shared.metrics.queries.inc();
            self.shared.metrics.query_rows.inc_by(summary.rows);
        }
    }

    fn part(&self, epoch: Epoch, part: Part) -> QueryPart {
        match part {
            Part::Header { media_type, variables } => {
                QueryPart::Header(QueryHeader { epoch: epoch.0, media_type: media_type.to_owned(), variables })
            }
            Part::Data(data) => {
                self.shared.metrics.query_bytes.inc_by(data.len() as u64);
                QueryPart::Data(data)
            }
        }
    }

    fn sparql_request(&self, request: QueryRequest, cancel: Cancellation) -> sparql::Request {
        let limit = self.options.rows_max;
        sparql::Request {
            format: format_of(request.format()),
            mode: match request.mode() {
                QueryMode::Unspecified => Mode::Run,
                QueryMode::Explain => Mode::Explain,
                QueryMode::Profile => Mode::Profile,
            },
            text: request.query,
            base: Some(request.base_iri).filter(|base| !base.is_empty()),
            default_graphs: request.default_graphs,
            named_graphs: request.named_graphs,
            union_default_graph: request.union_default_graph,
            rows_max: Some(request.rows_max.map_or(limit, |max| max.min(limit))),
            held_bytes_max: self.options.memory / 4,
            plans: Some(Arc::clone(&self.shared.plans)),
            cancel,
            rows_written: None,
            now: moment::now(),
            clock: Some(moment::clock()),
        }
    }
}

fn last_part(epoch: Epoch, summary: Summary, started: Instant) -> QueryPart {
    QueryPart::Summary(QuerySummary {
        epoch: epoch.0,
        rows: summary.rows,
        complete: true,
        seconds: started.elapsed().as_secs_f64(),
        plan_json: summary.plan.map(|plan| plan.to_string()).unwrap_or_default(),
    })
}

fn format_of(format: ResultFormat) -> Format {
    match format {
        ResultFormat::Unspecified => Format::Default,
        ResultFormat::Json => Format::Json,
        ResultFormat::Xml => Format::Xml,
        ResultFormat::Csv => Format::Csv,
        ResultFormat::Tsv => Format::Tsv,
        ResultFormat::Ntriples => Format::NTriples,
        ResultFormat::Turtle => Format::Turtle,
    }
}
