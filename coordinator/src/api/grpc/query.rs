//! `QueryService`.

use super::{Edge, Reply, Streamed, call, refuse, streamed};
use entail_proto::v1::query_service_server::QueryService;
use entail_proto::v1::{QueryRequest, QueryResponse};
use tonic::Request;

#[tonic::async_trait]
impl QueryService for Edge {
    type QueryStream = Streamed<QueryResponse>;

    async fn query(&self, request: Request<QueryRequest>) -> Reply<Self::QueryStream> {
        let parts = self.0.start_query(call(&request), request.into_inner()).await.map_err(refuse)?;
        Ok(streamed(parts, |part| QueryResponse { part: Some(part) }))
    }
}
