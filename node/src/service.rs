//! The node's gRPC services: they decode requests, call the node's [`Operations`], and turn faults into status.
//!
//! Any process can send to this port. A message that names an attempt is taken only if the coordinator says that the attempt
//! has begun ([`admission`](crate::admission)), and one that names a query only if the number is one of the coordinator's
//! ([`coordinator`](crate::coordinator)).

use crate::operations::Operations;
use crate::staged;
use entail_logic::epoch::Begun;
use entail_model::term::TermHash;
use entail_model::{Attempt, Epoch, Fault, Reason, Secret, TermId};
use entail_node_api::{SealAnswer, wire};
use entail_proto::deadline::deadline_of;
use entail_proto::internal::exchange_request::Flow;
use entail_proto::internal::node_service_server::NodeService;
use entail_proto::internal::peer_service_server::PeerService;
use entail_proto::internal::*;
use entail_proto::{convert, status};
use futures::{Stream, StreamExt};
use std::pin::Pin;
use tonic::{Request, Response, Status};

/// The largest encoded message between nodes that is decoded on a thread of the async runtime: that takes some ten
/// microseconds, as much as a change of threads.
const MESSAGE_BYTES_AT_ONCE: usize = 64 << 10;

/// Both services of a node.
#[derive(Clone)]
pub struct Services(pub Operations);

type Reply<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Has the call a span of its own? Not the messages of an exchange, which are many, nor reading a trace.
pub fn is_traced(path: &str) -> bool {
    path.starts_with("/entail.internal.v1.NodeService/") && !path.ends_with("/Trace")
}

/// The status of a failed call. Internal errors and corruption are logged as errors.
fn refuse(fault: Fault) -> Status {
    match fault.reason {
        Reason::Internal | Reason::Corrupt => tracing::error!(%fault, "call failed"),
        _ => tracing::debug!(%fault, "call failed"),
    }
    status::from_fault(&fault)
}

impl Services {
    /// The attempt that a message of a cluster claims to belong to, if it has begun.
    async fn begun(&self, cluster: u64, attempt: u64, secret: u64) -> Result<Begun, Status> {
        let begun = Begun { attempt: Attempt(attempt), secret: Secret(secret) };
        self.0.context.check_cluster(cluster).map_err(refuse)?;
        self.0.admission.admit(begun).await.map_err(refuse)?;
        Ok(begun)
    }

    /// Refuses a query that is not one of the coordinator that the node has registered with.
    fn check_query(&self, cluster: u64, query: u64) -> Result<(), Status> {
        let context = &self.0.context;
        context.check_cluster(cluster).and_then(|()| context.coordinator.check_query(query)).map_err(refuse)
    }

    /// Runs an operation for a cluster off the async threads, and makes the response of its result.
    async fn reply<T: Send + 'static>(
        &self,
        cluster: u64,
        work: impl FnOnce(&Operations) -> Result<T, Fault> + Send + 'static,
    ) -> Reply<T> {
        self.0.blocking(cluster, work).await.map(Response::new).map_err(refuse)
    }
}

#[tonic::async_trait]
impl NodeService for Services {
    async fn intern(&self, request: Request<InternRequest>) -> Reply<InternResponse> {
        let request = request.into_inner();
        let begun = self.begun(request.cluster, request.attempt, request.secret).await?;
        let intern = move |node: &Operations| {
            let terms = request.terms.unwrap_or_default();
            let hashes: Vec<TermHash> = convert::hashes_from_bytes(&request.hashes)?.collect();
            let ids = node.intern(begun, &convert::term_refs(&terms)?, &hashes)?;
            Ok(InternResponse { ids: convert::ids_to_bytes(&ids) })
        };
        self.reply(request.cluster, intern).await
    }

    async fn lookup(&self, request: Request<LookupRequest>) -> Reply<LookupResponse> {
        let request = request.into_inner();
        let lookup = move |node: &Operations| {
            let ids = node.context.store.lookup(&convert::term_refs(&request.terms.unwrap_or_default())?)?;
            let ids: Vec<TermId> = ids.into_iter().map(|id| id.unwrap_or(TermId::MAX)).collect();
            Ok(LookupResponse { ids: convert::ids_to_bytes(&ids) })
        };
        self.reply(request.cluster, lookup).await
    }

    async fn decode(&self, request: Request<DecodeRequest>) -> Reply<DecodeResponse> {
        let request = request.into_inner();
        let decode = move |node: &Operations| {
            let ids = convert::ids_from_bytes(&request.ids)?;
            let bytes_max = if request.bytes_max == 0 { u64::MAX } else { request.bytes_max };
            let mut texts: Vec<Vec<u8>> = Vec::with_capacity(ids.len());
            node.context.store.show_texts(&ids, bytes_max, &mut |text| texts.push(text.to_vec()))?;
            Ok(DecodeResponse { terms: Some(convert::terms(texts.iter().map(|text| &**text))) })
        };
        self.reply(request.cluster, decode).await
    }

    async fn stage(&self, request: Request<StageRequest>) -> Reply<StageResponse> {
        let request = request.into_inner();
        let begun = self.begun(request.cluster, request.attempt, request.secret).await?;
        let cluster = request.cluster;
        let stage = move |node: &Operations| {
            let previous = Epoch(request.previous);
            node.stage(begun, previous, request.sequence, |intake| staged::request(intake, &request))?;
            Ok(StageResponse {})
        };
        self.reply(cluster, stage).await
    }

    async fn reason(&self, request: Request<ReasonRequest>) -> Reply<ReasonResponse> {
        let request = request.into_inner();
        let begun = self.begun(request.cluster, request.attempt, request.secret).await?;
        let cluster = request.cluster;
        let request = |node: &Operations| {
            wire::round_request(request, |program| node.attempts.program(program, wire::decode_program))
        };
        let answer = self.0.reason((cluster, begun.secret), request).await.map_err(refuse)?;
        Ok(Response::new(wire::reason_response(answer)))
    }

    async fn seal(&self, request: Request<SealRequest>) -> Reply<SealResponse> {
        let request = request.into_inner();
        let begun = self.begun(request.cluster, request.attempt, request.secret).await?;
        let seal = move |node: &Operations| {
            let answer = node.seal(begun)?;
            let SealAnswer { digest, asserted, derived, derived_added, derived_removed } = answer;
            Ok(SealResponse { digest, asserted, derived, derived_added, derived_removed })
        };
        self.reply(request.cluster, seal).await
    }

    async fn preview(&self, request: Request<PreviewRequest>) -> Reply<PreviewResponse> {
        let request = request.into_inner();
        let begun = self.begun(request.cluster, request.attempt, request.secret).await?;
        let preview = move |node: &Operations| {
            let relations = node.preview(begun)?.iter().map(wire::relation_change_message).collect();
            Ok(PreviewResponse { relations })
        };
        self.reply(request.cluster, preview).await
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Reply<DecideResponse> {
        let request = request.into_inner();
        self.0.context.check_cluster(request.cluster).map_err(refuse)?;
        let missing = || refuse(Fault::new(Reason::InvalidRequest, "a decision without its content"));
        let decision = request.decision.ok_or_else(missing)?;
        let begun = Begun { attempt: Attempt(decision.attempt), secret: Secret(request.secret) };
        let epoch = Some(Epoch(decision.epoch)).filter(|epoch| epoch.0 > 0);
        let epoch = self.0.admission.outcome(begun, epoch).await.map_err(refuse)?;
        let decide = move |node: &Operations| {
            node.attempts.decide(&node.context, begun.attempt, epoch)?;
            Ok(DecideResponse {})
        };
        self.reply(request.cluster, decide).await
    }

    type ExecuteStream = Streamed<ExecuteResponse>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Reply<Self::ExecuteStream> {
        let deadline = deadline_of(&request);
        let request = request.into_inner();
        self.check_query(request.cluster, request.query)?;
        let parts = wire::execute(request).and_then(|request| self.0.execute(request, deadline)).map_err(refuse)?;
        Ok(Response::new(Box::pin(parts.map(|part| part.map(wire::execute_response).map_err(refuse)))))
    }

    async fn sizes(&self, request: Request<SizesRequest>) -> Reply<SizesResponse> {
        let request = request.into_inner();
        let sizes = move |node: &Operations| Ok(SizesResponse { relations: node.sizes(Epoch(request.epoch))? });
        self.reply(request.cluster, sizes).await
    }

    type ScanStream = Streamed<ScanResponse>;

    async fn scan(&self, request: Request<ScanRequest>) -> Reply<Self::ScanStream> {
        let request = request.into_inner();
        self.check_query(request.cluster, request.query)?;
        let blocks = self.0.scan(wire::scan(&request)).map_err(refuse)?;
        Ok(Response::new(Box::pin(blocks.map(|block| block.map(|block| wire::scan_response(&block)).map_err(refuse)))))
    }

    async fn trace(&self, request: Request<TraceRequest>) -> Reply<TraceResponse> {
        let trace = <[u8; 16]>::try_from(&request.get_ref().trace[..])
            .map_err(|_| refuse(Fault::new(Reason::InvalidRequest, "a trace's id has 16 bytes")))?;
        Ok(Response::new(TraceResponse { spans: entail_telemetry::recent(trace).into() }))
    }
}

#[tonic::async_trait]
impl PeerService for Services {
    /// Puts a small message into its inbox on this thread if there is room; a message that would have to wait for a lock or
    /// the disk is handled on a blocking thread.
    async fn exchange(&self, request: Request<ExchangeRequest>) -> Reply<ExchangeResponse> {
        let request = request.into_inner();
        let (cluster, bytes, secret) = (request.cluster, request.message.len() as u64, Secret(request.secret));
        match request.flow {
            Some(Flow::Attempt(attempt)) => _ = self.begun(cluster, attempt, request.secret).await?,
            Some(Flow::Query(query)) => self.check_query(cluster, query)?,
            // Refused when it is decoded.
            None => {}
        }
        if request.message.len() > MESSAGE_BYTES_AT_ONCE {
            let receive = move |node: &Operations| node.receive(wire::exchange(&request)?, secret, bytes);
            return self.reply(cluster, move |node| receive(node).map(|()| ExchangeResponse {})).await;
        }
        let taken = || {
            self.0.context.check_cluster(cluster)?;
            self.0.try_receive(wire::exchange(&request)?, bytes)
        };
        match taken().map_err(refuse)? {
            None => Ok(Response::new(ExchangeResponse {})),
            Some(left) => {
                self.reply(cluster, move |node| node.receive(left, secret, bytes).map(|()| ExchangeResponse {})).await
            }
        }
    }
}
