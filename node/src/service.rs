//! The node's services: requests in, the node's parts do the work, faults out as status.

use crate::attempt::{Attempts, FirstRound, RoundRequest};
use crate::context::{AddressedShardMap, Context};
use crate::queries::{Part, Profile, Queries, Request as QueryRequest, Summary};
use crate::{scan, staged};
use entail_logic::exchange::wire;
use entail_logic::fixpoint::Mode;
use entail_logic::plan::Plan;
use entail_model::term::TermHash;
use entail_model::{Attempt, Epoch, Fault, NodeId, Reason, Round, TermId, term};
use entail_proto::deadline::deadline_of;
use entail_proto::internal::exchange_request::Flow;
use entail_proto::internal::node_service_server::NodeService;
use entail_proto::internal::peer_service_server::PeerService;
use entail_proto::internal::*;
use entail_proto::{convert, status};
use futures::Stream;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Both services of a node.
#[derive(Clone)]
pub struct Services {
    pub context: Arc<Context>,
    pub attempts: Arc<Attempts>,
    pub queries: Arc<Queries>,
}

type Reply<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Calls with a span of their own: not the messages of an exchange, which are many, nor looking at a trace.
pub fn is_traced(path: &str) -> bool {
    path.starts_with("/entail.internal.v1.NodeService/") && !path.ends_with("/Trace")
}

/// The status of a call that failed. What nobody should ever see is logged loudly.
fn refuse(fault: Fault) -> Status {
    match fault.reason {
        Reason::Internal | Reason::Corrupt => tracing::error!(%fault, "call failed"),
        _ => tracing::debug!(%fault, "call failed"),
    }
    status::from_fault(&fault)
}

fn decode_plan<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    postcard::from_bytes(bytes).map_err(|error| Fault::corrupt(format!("a plan that does not decode: {error}")))
}

impl Services {
    async fn work<T: Send + 'static>(
        &self,
        cluster: u64,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Status> {
        self.context.check_cluster(cluster).map_err(refuse)?;
        let services = self.clone();
        self.context.blocking(move |_| work(&services)).await.map_err(refuse)
    }

    fn first_round(&self, request: ReasonRequest) -> Result<FirstRound, Fault> {
        let mode = match request.mode() {
            ReasonMode::Increment => Mode::Increment,
            ReasonMode::NewRules => Mode::NewRules(request.new_rules.iter().map(|rule| *rule as usize).collect()),
            ReasonMode::Rebuild => Mode::Rebuild,
            ReasonMode::Unspecified => {
                return Err(Fault::new(Reason::InvalidRequest, "a first round without its mode"));
            }
        };
        let program = self.attempts.program(&request.program, decode_plan)?;
        let shard_maps = AddressedShardMap::new(self.context.node, request.placement.as_ref(), &[])?;
        let (staged, facts_max, previous) = (request.staged, request.facts_max, Epoch(request.previous));
        Ok(FirstRound { mode, program, shard_maps, staged, facts_max, previous })
    }
}

#[tonic::async_trait]
impl NodeService for Services {
    async fn intern(&self, request: Request<InternRequest>) -> Reply<InternResponse> {
        let request = request.into_inner();
        let ids = self
            .work(request.cluster, move |services| {
                let attempt = Attempt(request.attempt);
                services.attempts.open(&services.context, attempt)?;
                let terms = request.terms.unwrap_or_default();
                let terms = convert::term_refs(&terms)?;
                let hashes: Vec<TermHash> = convert::hashes_from_bytes(&request.hashes)?.collect();
                match hashes.len() == terms.len() {
                    true => services.context.store.intern_hashed(attempt, &terms, &hashes),
                    false => services.context.store.intern(attempt, &terms),
                }
            })
            .await?;
        Ok(Response::new(InternResponse { ids: convert::ids_to_bytes(&ids) }))
    }

    async fn lookup(&self, request: Request<LookupRequest>) -> Reply<LookupResponse> {
        let request = request.into_inner();
        let ids = self
            .work(request.cluster, move |services| {
                services.context.store.lookup(&convert::term_refs(&request.terms.unwrap_or_default())?)
            })
            .await?;
        let ids: Vec<TermId> = ids.into_iter().map(|id| id.unwrap_or(TermId::MAX)).collect();
        Ok(Response::new(LookupResponse { ids: convert::ids_to_bytes(&ids) }))
    }

    async fn decode(&self, request: Request<DecodeRequest>) -> Reply<DecodeResponse> {
        let request = request.into_inner();
        let texts = self
            .work(request.cluster, move |services| {
                services.context.store.texts(&convert::ids_from_bytes(&request.ids)?)
            })
            .await?;
        Ok(Response::new(DecodeResponse { terms: Some(convert::terms(texts.iter().map(|text| &**text))) }))
    }

    async fn stage(&self, request: Request<StageRequest>) -> Reply<StageResponse> {
        let request = request.into_inner();
        self.work(request.cluster, move |services| {
            let open = services.attempts.open(&services.context, Attempt(request.attempt))?;
            open.stage(&services.context, Epoch(request.previous), request.sequence, |columns| {
                request.blocks.iter().try_for_each(|block| staged::add_block(columns, block))
            })
        })
        .await?;
        Ok(Response::new(StageResponse {}))
    }

    async fn reason(&self, request: Request<ReasonRequest>) -> Reply<ReasonResponse> {
        let request = request.into_inner();
        let (attempt, round) = (Attempt(request.attempt), Round(request.round));
        let open = self
            .work(request.cluster, move |services| {
                let open = services.attempts.open(&services.context, attempt)?;
                let first = (round == Round(1)).then(|| services.first_round(request)).transpose()?;
                open.start_round(&services.context, RoundRequest { round, first })?;
                Ok(open)
            })
            .await?;
        let answer = open.closed(round).await.map_err(refuse)?;
        let count = |(node, messages): (&NodeId, &u64)| PeerCount { node: node.0, messages: *messages };
        Ok(Response::new(ReasonResponse {
            active: answer.report.active,
            new_facts: answer.report.derived.iter().sum(),
            derived: answer.report.derived,
            asserted: answer.asserted,
            sent: answer.report.sent.iter().map(count).collect(),
            received: answer.report.received.iter().map(count).collect(),
            bytes_sent: answer.bytes_sent,
            to_broadcast: answer.report.to_broadcast,
        }))
    }

    async fn seal(&self, request: Request<SealRequest>) -> Reply<SealResponse> {
        let request = request.into_inner();
        let summary = self
            .work(request.cluster, move |services| {
                services.attempts.open(&services.context, Attempt(request.attempt))?.seal(&services.context)
            })
            .await?;
        let (asserted, derived) = (summary.after.facts_asserted(), summary.after.facts_derived());
        Ok(Response::new(SealResponse { digest: summary.digest, asserted, derived }))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Reply<DecideResponse> {
        let request = request.into_inner();
        let decision = request
            .decision
            .ok_or_else(|| refuse(Fault::new(Reason::InvalidRequest, "a decision without its content")))?;
        self.work(request.cluster, move |services| {
            let epoch = Some(Epoch(decision.epoch)).filter(|epoch| epoch.0 > 0);
            services.attempts.decide(&services.context, Attempt(decision.attempt), epoch)
        })
        .await?;
        Ok(Response::new(DecideResponse {}))
    }

    type ExecuteStream = Streamed<ExecuteResponse>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Reply<Self::ExecuteStream> {
        let deadline = deadline_of(&request);
        let request = request.into_inner();
        self.context.check_cluster(request.cluster).map_err(refuse)?;
        let start = || {
            let plan: Plan = decode_plan(&request.plan)?;
            let placement = request.placement.as_ref();
            let shard_maps = AddressedShardMap::new(self.context.node, placement, &request.participants)?;
            let epoch = Epoch(request.epoch);
            let rdf_type = Some(TermId(request.rdf_type)).filter(|_| request.has_rdf_type);
            let profile = request.profile.then_some(Profile { rdf_type });
            let request = QueryRequest {
                query: request.query,
                epoch,
                plan,
                shard_maps,
                rows_max: request.rows_max,
                profile,
                deadline,
            };
            self.queries.start(&self.context, request)
        };
        let (parts, guard) = start().map_err(refuse)?;
        let stream = ReceiverStream::new(parts).map(move |part| {
            // The guard lives as long as the stream: dropping it stops the work.
            let _alive = &guard;
            part.map(execute_response).map_err(refuse)
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn sizes(&self, request: Request<SizesRequest>) -> Reply<SizesResponse> {
        let request = request.into_inner();
        let relations = self
            .work(request.cluster, move |services| {
                let snapshot = services.context.snapshot(Epoch(request.epoch), &|| false)?;
                let rdf_type = services.context.store.lookup(&[term::rdf_type()])?[0];
                scan::sizes(&snapshot, rdf_type)
            })
            .await?;
        Ok(Response::new(SizesResponse { relations }))
    }

    type ScanStream = Streamed<ScanResponse>;

    async fn scan(&self, request: Request<ScanRequest>) -> Reply<Self::ScanStream> {
        let request = request.into_inner();
        self.context.check_cluster(request.cluster).map_err(refuse)?;
        let (blocks, stream) = tokio::sync::mpsc::channel(4);
        let context = Arc::clone(&self.context);
        tokio::task::spawn_blocking(move || {
            let mut send = |block| {
                let sent = blocks.blocking_send(Ok(ScanResponse { block: Some(block) }));
                sent.map_err(|_| Fault::new(Reason::Cancelled, "the client cancelled the request or disconnected"))
            };
            let snapshot = context.snapshot(Epoch(request.epoch), &|| blocks.is_closed());
            if let Err(fault) = snapshot.and_then(|snapshot| scan::facts(&snapshot, &request, &mut send)) {
                _ = blocks.blocking_send(Err(refuse(fault)));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn trace(&self, request: Request<TraceRequest>) -> Reply<TraceResponse> {
        let trace = <[u8; 16]>::try_from(&request.get_ref().trace[..])
            .map_err(|_| refuse(Fault::new(Reason::InvalidRequest, "a trace's id has 16 bytes")))?;
        Ok(Response::new(TraceResponse { spans: entail_telemetry::recent(trace).into() }))
    }
}

fn execute_response(part: Part) -> ExecuteResponse {
    match part {
        Part::Rows(batch) => ExecuteResponse { rows: wire::encode_batch(&batch).into(), summary: None },
        Part::Done(summary) => ExecuteResponse { rows: Default::default(), summary: Some(execute_summary(&summary)) },
    }
}

fn execute_summary(summary: &Summary) -> ExecuteSummary {
    let work = summary.report.iter().map(|(((stage, operator), shard), work)| Work {
        stage: *stage as u32,
        operator: *operator as u32,
        shard: shard.map(|shard| u32::from(shard.0)),
        rows: work.rows,
        bytes: work.bytes,
        messages: work.messages,
        nanoseconds: work.nanoseconds,
    });
    ExecuteSummary { rows: summary.rows, nanoseconds: summary.nanoseconds, work: work.collect() }
}

#[tonic::async_trait]
impl PeerService for Services {
    async fn exchange(&self, request: Request<ExchangeRequest>) -> Reply<ExchangeResponse> {
        let request = request.into_inner();
        self.work(request.cluster, move |services| {
            let bytes = request.message.len() as u64;
            let message = wire::decode(&request.message)?;
            let from = NodeId(request.from);
            match request.flow {
                Some(Flow::Attempt(attempt)) => services.attempts.open(&services.context, Attempt(attempt))?.receive(
                    &services.context,
                    from,
                    message,
                    bytes,
                ),
                Some(Flow::Query(query)) => services.queries.receive(&services.context, query, from, message, bytes),
                None => Err(Fault::new(Reason::InvalidRequest, "a message of nothing")),
            }
        })
        .await?;
        Ok(Response::new(ExchangeResponse {}))
    }
}
