//! `QueryService`: admission, a deadline, and the answer as a stream.
//!
//! What is small, of a known form and at a node of this process is answered at once, on the thread that took the request.
//! Any other query runs on a thread of its own; when the client's stream is dropped, or the time is over, the token is
//! cancelled, which wakes the thread wherever it waits and ends the work at every node.

use super::bounds::Bounds;
use super::{House, Reply, refuse};
use crate::reader::Reader;
use entail_model::{Epoch, Fault, Reason};
use entail_proto::deadline::deadline_of;
use entail_proto::v1::query_response::Part as WirePart;
use entail_proto::v1::query_service_server::QueryService;
use entail_proto::v1::{QueryHeader, QueryMode, QueryRequest, QueryResponse, QuerySummary, ResultFormat};
use entail_sparql::{Format, Local, Mode, Part, Stop};
use entail_telemetry::count;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Span;

/// Messages that wait for the client.
const PARTS_WAITING: usize = 8;

/// The service.
#[derive(Clone)]
pub struct Queries(pub Arc<House>);

type Parts = mpsc::Sender<Result<QueryResponse, Status>>;

#[tonic::async_trait]
impl QueryService for Queries {
    type QueryStream = Pin<Box<dyn Stream<Item = Result<QueryResponse, Status>> + Send>>;

    async fn query(&self, request: Request<QueryRequest>) -> Reply<Self::QueryStream> {
        let started = Instant::now();
        let house = Arc::clone(&self.0);
        let time = deadline_of(&request).unwrap_or(house.options.query_timeout_default);
        let request = request.into_inner();
        super::describe("query", &request.query);
        let permit = house.admitted(time).await.map_err(refuse)?;
        let mut reader = house.reader(epoch_of(&house, &request).map_err(refuse)?).map_err(refuse)?;
        let stop = Stop { deadline: Some(started + time), ..Stop::default() };
        let mut request = query_of(&house, request, stop);
        if let Some(parts) = at_hand(&house, &request, &reader, started) {
            return Ok(Response::new(Box::pin(futures::stream::iter(parts?.into_iter().map(Ok)))));
        }
        let bounds = Bounds::new(started + time);
        request.stop = bounds.stop.clone();
        reader.until = bounds.until.clone();
        let (parts, stream) = mpsc::channel(PARTS_WAITING);
        let span = Span::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let epoch = reader.epoch;
            let result = span.in_scope(|| run(&house, request, reader, &parts));
            told(&house, &span, epoch, result.as_ref().ok());
            // Before the caller has its answer.
            drop(span);
            let last = match result {
                Ok(summary) => Ok(last_part(epoch, summary, started)),
                Err(fault) => Err(refuse(fault)),
            };
            _ = parts.blocking_send(last);
        });
        let stream = ReceiverStream::new(stream).map(move |part| {
            // The work is bounded by the life of the stream.
            let _alive = &bounds;
            part
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

fn response(part: WirePart) -> QueryResponse {
    QueryResponse { part: Some(part) }
}

/// The epoch to answer at; `None` for the latest.
fn epoch_of(house: &House, request: &QueryRequest) -> Result<Option<Epoch>, Fault> {
    let latest = house.members.log.read(|state| state.epoch());
    let floor = Epoch(request.at_least_epoch);
    if floor > latest {
        return Err(Fault::new(
            Reason::EpochUnavailable,
            format!("epoch {floor} is not there yet; the latest is {latest}"),
        ));
    }
    Ok(Some(Epoch(request.epoch)).filter(|epoch| epoch.0 > 0))
}

/// The whole answer, if it can be given at once.
fn at_hand(
    house: &House,
    request: &entail_sparql::Request,
    reader: &Reader,
    started: Instant,
) -> Option<Result<Vec<QueryResponse>, Status>> {
    let (span, epoch) = (Span::current(), reader.epoch);
    let result = match entail_sparql::run_local(request, Arc::new(reader.at_hand()?)) {
        Ok(Local::Fallback) => return None,
        Ok(Local::Done(summary, parts)) => Ok((summary, parts)),
        Err(fault) => Err(fault),
    };
    told(house, &span, epoch, result.as_ref().ok().map(|(summary, _)| summary));
    Some(result.map_err(refuse).map(|(summary, parts)| {
        let mut parts: Vec<_> = parts.into_iter().map(|part| wire_part(house, epoch, part)).collect();
        parts.push(last_part(epoch, summary, started));
        parts
    }))
}

/// Tells the span and the metrics of a query that is over, and what came of it, if it was answered.
fn told(house: &House, span: &Span, epoch: Epoch, summary: Option<&entail_sparql::Summary>) {
    count(span, "entail.epoch", epoch.0);
    if let Some(summary) = summary {
        count(span, "db.response.returned_rows", summary.rows);
        house.shared.metrics.queries.inc();
        house.shared.metrics.query_rows.inc_by(summary.rows);
    }
}

fn wire_part(house: &House, epoch: Epoch, part: Part) -> QueryResponse {
    response(match part {
        Part::Header { media_type, variables } => {
            WirePart::Header(QueryHeader { epoch: epoch.0, media_type: media_type.to_owned(), variables })
        }
        Part::Data(data) => {
            house.shared.metrics.query_bytes.inc_by(data.len() as u64);
            WirePart::Data(data)
        }
    })
}

fn last_part(epoch: Epoch, summary: entail_sparql::Summary, started: Instant) -> QueryResponse {
    response(WirePart::Summary(QuerySummary {
        epoch: epoch.0,
        rows: summary.rows,
        complete: true,
        seconds: started.elapsed().as_secs_f64(),
        plan_json: summary.plan.map(|plan| plan.to_string()).unwrap_or_default(),
    }))
}

fn query_of(house: &House, wire: QueryRequest, stop: Stop) -> entail_sparql::Request {
    let rows_max = if wire.rows_max == 0 { house.options.rows_max } else { wire.rows_max.min(house.options.rows_max) };
    entail_sparql::Request {
        format: format_of(wire.format()),
        mode: match wire.mode() {
            QueryMode::Unspecified => Mode::Run,
            QueryMode::Explain => Mode::Explain,
            QueryMode::Profile => Mode::Profile,
        },
        text: wire.query,
        base: Some(wire.base_iri).filter(|base| !base.is_empty()),
        default_graphs: wire.default_graphs,
        named_graphs: wire.named_graphs,
        union_default_graph: wire.union_default_graph,
        rows_max: Some(rows_max),
        fed_bytes_max: house.options.memory / 4,
        plans: Some(Arc::clone(&house.shared.plans)),
        stop,
    }
}

fn run(
    house: &House,
    request: entail_sparql::Request,
    reader: Reader,
    parts: &Parts,
) -> Result<entail_sparql::Summary, Fault> {
    let epoch = reader.epoch;
    let mut send = |part| {
        let sent = parts.blocking_send(Ok(wire_part(house, epoch, part)));
        sent.map_err(|_| Fault::new(Reason::Cancelled, "the caller went away"))
    };
    entail_sparql::run(request, Arc::new(reader), &mut send)
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
