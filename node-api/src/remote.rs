//! A node in another process: a client of its gRPC service. Each call carries the node's id and a deadline, and a status
//! becomes a fault.

use crate::{
    Block, Blocks, Call, Exchange, Execute, NodeApi, Part, Parts, RelationChange, RoundAnswer, RoundRequest, Scan,
    SealAnswer, Show, Staged, wire,
};
use bytes::Bytes;
use entail_model::term::TermHash;
use entail_model::{Attempt, Epoch, Fault, NodeId, Relation, TermId};
use entail_proto::connection::Connection;
use entail_proto::internal::node_service_client::NodeServiceClient;
use entail_proto::internal::peer_service_client::PeerServiceClient;
use entail_proto::internal::{
    DecideRequest, Decision, DecodeRequest, ExecuteResponse, InternRequest, LookupRequest, PreviewRequest,
    RelationSize, ScanResponse, SealRequest, SealResponse, SizesRequest, TraceRequest,
};
use entail_proto::{addressee, convert, status};
use entail_telemetry::{ClientSpans, Peer};
use futures::stream::try_unfold;
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

/// The deadline of lookups and small changes.
const SHORT: Duration = Duration::from_secs(30);

/// The deadline of calls with a part of a load.
const LOAD: Duration = Duration::from_secs(120);

/// The deadline of reading a trace, for which a user waits after the answer.
const TRACE: Duration = Duration::from_secs(2);

/// The deadline of delivering one message between nodes.
const EXCHANGE: Duration = Duration::from_secs(20);

/// The largest message from or to a node; 32,768 rows of a wide plan with texts take less.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A node in another process.
#[derive(Debug)]
pub struct Remote {
    node: NodeId,
    address: String,
    connection: ClientSpans<Connection>,
}

impl Remote {
    /// The node at an address. Connects with the first call; must be made inside a tokio runtime.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid address.
    pub fn to(node: NodeId, address: &str) -> Result<Self, Fault> {
        let connection = ClientSpans::new(Connection::to(address)?, Peer::new(address));
        Ok(Self { node, address: address.to_owned(), connection })
    }

    /// Does this connection lead to the address?
    pub(crate) fn leads_to(&self, address: &str) -> bool {
        self.address == address && !self.connection.get_ref().is_misled()
    }

    fn client(&self) -> NodeServiceClient<ClientSpans<Connection>> {
        NodeServiceClient::new(self.connection.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A request whose deadline is the earlier of `deadline` and the query's.
    fn request<T>(&self, call: Call, deadline: Option<Duration>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        addressee::address(&mut request, self.node);
        if let Some(time) = deadline.into_iter().chain(call.time_left()).min() {
            request.set_timeout(time);
        }
        request
    }
}

/// The message of a reply, or the fault of its status.
fn answer<T>(reply: Result<Response<T>, Status>) -> Result<T, Fault> {
    reply.map(Response::into_inner).map_err(|error| status::to_fault(&error))
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Fault> {
    stream.message().await.map_err(|error| status::to_fault(&error))
}

async fn next_part(
    mut stream: Streaming<ExecuteResponse>,
) -> Result<Option<(Part, Streaming<ExecuteResponse>)>, Fault> {
    let Some(response) = next(&mut stream).await? else { return Ok(None) };
    if response.summary.is_some() {
        // The call ends before the query gets the summary.
        _ = next(&mut stream).await?;
    }
    Ok(Some((wire::part(response), stream)))
}

async fn next_block(mut stream: Streaming<ScanResponse>) -> Result<Option<(Block, Streaming<ScanResponse>)>, Fault> {
    let Some(response) = next(&mut stream).await? else { return Ok(None) };
    Ok(Some((wire::block(&response)?, stream)))
}

#[tonic::async_trait]
impl NodeApi for Remote {
    async fn intern(
        &self,
        call: Call,
        attempt: Attempt,
        terms: &[&[u8]],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault> {
        let hashes = convert::hashes_to_bytes(hashes.iter().copied());
        let terms = Some(convert::terms(terms.iter().copied()));
        let (cluster, secret) = (call.cluster.0, call.secret.0);
        let request = InternRequest { cluster, secret, attempt: attempt.0, terms, hashes };
        let response = answer(self.client().intern(self.request(call, Some(LOAD), request)).await)?;
        convert::ids_from_bytes(&response.ids)
    }

    async fn lookup(&self, call: Call, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        let request = LookupRequest { cluster: call.cluster.0, terms: Some(convert::terms(terms.iter().copied())) };
        let response = answer(self.client().lookup(self.request(call, Some(SHORT), request)).await)?;
        let ids = convert::ids_from_bytes(&response.ids)?;
        Ok(ids.into_iter().map(|id| Some(id).filter(|id| *id != TermId::MAX)).collect())
    }

    async fn texts(&self, call: Call, ids: &[TermId], bytes_max: u64, show: Show<'_>) -> Result<(), Fault> {
        let request = DecodeRequest { cluster: call.cluster.0, ids: convert::ids_to_bytes(ids), bytes_max };
        let response = answer(self.client().decode(self.request(call, Some(SHORT), request)).await)?;
        convert::term_refs(&response.terms.unwrap_or_default())?.into_iter().for_each(show);
        Ok(())
    }

    async fn stage(&self, call: Call, staged: Staged) -> Result<(), Fault> {
        let request = wire::stage_request(call, &staged);
        answer(self.client().stage(self.request(call, Some(LOAD), request)).await).map(drop)
    }

    // No deadline: rounds may be long, and heartbeats show whether the node is alive.
    async fn reason(&self, call: Call, request: RoundRequest) -> Result<RoundAnswer, Fault> {
        let round = request.round;
        let request = wire::reason_request(call, request)?;
        let response = answer(self.client().reason(self.request(call, None, request)).await)?;
        Ok(wire::round_answer(round, response))
    }

    async fn seal(&self, call: Call, attempt: Attempt) -> Result<SealAnswer, Fault> {
        let request = SealRequest { cluster: call.cluster.0, secret: call.secret.0, attempt: attempt.0 };
        let response = answer(self.client().seal(self.request(call, None, request)).await)?;
        let SealResponse { digest, asserted, derived, derived_added, derived_removed } = response;
        Ok(SealAnswer { digest, asserted, derived, derived_added, derived_removed })
    }

    async fn preview(&self, call: Call, attempt: Attempt) -> Result<Vec<(Relation, RelationChange)>, Fault> {
        let request = PreviewRequest { cluster: call.cluster.0, secret: call.secret.0, attempt: attempt.0 };
        let response = answer(self.client().preview(self.request(call, None, request)).await)?;
        Ok(response.relations.iter().map(wire::relation_change).collect())
    }

    async fn decide(&self, call: Call, attempt: Attempt, epoch: Option<Epoch>) -> Result<(), Fault> {
        let decision = Some(Decision { attempt: attempt.0, epoch: epoch.map_or(0, |epoch| epoch.0) });
        let request = DecideRequest { cluster: call.cluster.0, secret: call.secret.0, decision };
        answer(self.client().decide(self.request(call, Some(SHORT), request)).await).map(drop)
    }

    async fn execute(&self, call: Call, request: Execute) -> Result<Parts, Fault> {
        let request = wire::execute_request(call.cluster, &request)?;
        let stream = answer(self.client().execute(self.request(call, None, request)).await)?;
        Ok(Box::pin(try_unfold(stream, next_part)))
    }

    async fn sizes(&self, call: Call, epoch: Epoch) -> Result<Vec<RelationSize>, Fault> {
        let request = SizesRequest { cluster: call.cluster.0, epoch: epoch.0 };
        answer(self.client().sizes(self.request(call, Some(SHORT), request)).await).map(|response| response.relations)
    }

    async fn scan(&self, call: Call, scan: Scan) -> Result<Blocks, Fault> {
        let request = wire::scan_request(call.cluster, scan);
        let stream = answer(self.client().scan(self.request(call, None, request)).await)?;
        Ok(Box::pin(try_unfold(stream, next_block)))
    }

    async fn trace(&self, call: Call, trace: [u8; 16]) -> Result<Bytes, Fault> {
        let request = TraceRequest { trace: trace.to_vec().into() };
        answer(self.client().trace(self.request(call, Some(TRACE), request)).await).map(|response| response.spans)
    }

    // Without a span: there are too many messages.
    async fn exchange(&self, call: Call, exchange: Exchange) -> Result<u64, Fault> {
        let request = wire::exchange_request(call, &exchange);
        let bytes = request.message.len() as u64;
        let connection = self.connection.get_ref().clone();
        let mut client = PeerServiceClient::new(connection).max_encoding_message_size(MESSAGE_BYTES_MAX);
        answer(client.exchange(self.request(call, Some(EXCHANGE), request)).await)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ClusterId, Secret};
    use std::time::Instant;

    #[tokio::test]
    async fn a_node_is_told_how_much_time_is_left() {
        let remote = Remote::to(NodeId(1), "127.0.0.1:1").expect("an address");
        let told = |deadline: Option<Duration>, until: Option<Instant>| {
            let call = Call { cluster: ClusterId(9), until, secret: Secret::NONE };
            entail_proto::deadline::deadline_of(&remote.request(call, deadline, ()))
        };
        let second = Duration::from_secs(1);
        assert_eq!(told(None, None), None);
        assert_eq!(told(Some(SHORT), None), Some(SHORT));
        assert_eq!(told(Some(SHORT), Some(Instant::now() + SHORT * 2)), Some(SHORT), "no call has more than its own");
        let left = told(None, Some(Instant::now() + second * 9)).expect("the query has an end");
        assert!(left > second * 8 && left <= second * 10, "{left:?}");
        assert!(told(Some(SHORT), Some(Instant::now())).expect("the query has an end") <= second);
    }
}
