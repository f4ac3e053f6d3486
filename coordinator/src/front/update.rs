//! `UpdateService`: SPARQL Update and loads.

use super::bounds::Bounds;
use super::{House, Reply, load, refuse};
use crate::staging::Stager;
use crate::writer::{Change, Request as WriteRequest, Watch};
use bytes::Bytes;
use entail_model::{Fact, Fault, TermId, term};
use entail_proto::deadline::deadline_of;
use entail_proto::v1::update_service_server::UpdateService;
use entail_proto::v1::{ChangeSummary, LoadRequest, LoadResponse, UpdateRequest, UpdateResponse};
use entail_sparql::update::{self, UpdateRequest as Parsed};
use futures::Stream;
use oxrdf::{GraphName, Quad, Term, TermRef};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span, info_span};

/// The service.
#[derive(Clone)]
pub struct Updates(pub Arc<House>);

impl Updates {
    async fn apply(&self, request: UpdateRequest, time: Duration) -> Result<ChangeSummary, Fault> {
        super::describe("update", &request.update);
        let parts = ["update", &request.base_iri, &request.update].map(str::as_bytes);
        let identity = self.0.identity(request.request_id, &parts)?;
        if let Some(change) = self.0.writer.answered(&identity)? {
            return Ok(change);
        }
        let base = Some(request.base_iri).filter(|base| !base.is_empty());
        // What is wrong with the text is said before anybody waits for a turn.
        let (text, checked_base) = (request.update.clone(), base.clone());
        blocking(move || info_span!("parse").in_scope(|| update::check(&text, checked_base.as_deref()))).await?;
        let house = Arc::clone(&self.0);
        let change = Change::Facts(Box::new(move |stager| {
            Box::pin(async move {
                let quads = evaluate(&house, request.update, base, time).await?;
                stage(stager, quads).await
            })
        }));
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        self.0.writer.commit(WriteRequest { identity, change, cancel, watch: Arc::new(Watch::default()) }).await
    }
}

/// The quads that an update inserts. This is the writer's turn: WHERE sees the very epoch that the update builds on.
async fn evaluate(house: &House, text: String, base: Option<String>, time: Duration) -> Result<Vec<Quad>, Fault> {
    let bounds = Bounds::new(Instant::now() + time);
    let permit = house.admitted(time).await?;
    let mut reader = house.reader(None)?;
    reader.until = bounds.until.clone();
    let request = Parsed { text, base, stop: bounds.stop.clone(), fed_bytes_max: house.options.memory / 4 };
    blocking(move || {
        let _permit = permit;
        update::quads(request, Arc::new(reader))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|error| Fault::internal(format!("the update's task failed: {error}")))?
}

/// Interns and stages quads.
async fn stage(stager: Arc<Stager>, quads: Vec<Quad>) -> Result<(), Fault> {
    const BATCH: usize = 16_384;
    for batch in quads.chunks(BATCH) {
        let mut ids: BTreeMap<Vec<u8>, TermId> = BTreeMap::new();
        let mut add = |term: TermRef<'_>| {
            if term::inline_id(term).is_none() {
                ids.insert(canonical(term), TermId::MAX);
            }
        };
        for quad in batch {
            terms(quad).iter().for_each(|term| add(term.as_ref()));
        }
        let texts: Vec<Bytes> = ids.keys().map(|text| Bytes::copy_from_slice(text)).collect();
        let found = if texts.is_empty() { Vec::new() } else { stager.intern(&texts).await? };
        ids.values_mut().zip(found).for_each(|(id, found)| *id = found);
        let id = |term: &Term| term::inline_id(term.as_ref()).unwrap_or_else(|| ids[&canonical(term.as_ref())]);
        let facts = batch.iter().map(|quad| {
            let terms = terms(quad);
            let graph = terms.get(3).map_or(TermId::DEFAULT_GRAPH, &id);
            Fact { graph, subject: id(&terms[0]), predicate: id(&terms[1]), object: id(&terms[2]) }
        });
        stager.stage(facts.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// Subject, predicate, object and, unless it is the default one, the graph.
fn terms(quad: &Quad) -> Vec<Term> {
    let mut terms = vec![quad.subject.clone().into(), quad.predicate.clone().into(), quad.object.clone()];
    match &quad.graph_name {
        GraphName::NamedNode(node) => terms.push(node.clone().into()),
        GraphName::BlankNode(node) => terms.push(node.clone().into()),
        GraphName::DefaultGraph => {}
    }
    terms
}

fn canonical(term: TermRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    term::encode(term, &mut bytes);
    bytes
}

#[tonic::async_trait]
impl UpdateService for Updates {
    async fn update(&self, request: Request<UpdateRequest>) -> Reply<UpdateResponse> {
        let time = deadline_of(&request).unwrap_or(self.0.options.query_timeout_default);
        let change = self.apply(request.into_inner(), time).await.map_err(refuse)?;
        Ok(Response::new(UpdateResponse { change: Some(change) }))
    }

    type LoadStream = Pin<Box<dyn Stream<Item = Result<LoadResponse, Status>> + Send>>;

    async fn load(&self, request: Request<Streaming<LoadRequest>>) -> Reply<Self::LoadStream> {
        let (responses, stream) = tokio::sync::mpsc::channel(4);
        super::describe("load", "");
        tokio::spawn(load::run(Arc::clone(&self.0), request.into_inner(), responses).in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
