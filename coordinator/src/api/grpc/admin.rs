//! `AdminService`.

use super::{Edge, Reply, Streamed, call, refuse, reply, streamed};
use entail_proto::v1::admin_service_server::AdminService;
use entail_proto::v1::{
    CancelQueryRequest, CancelQueryResponse, DumpRequest, DumpResponse, ListQueriesRequest, ListQueriesResponse,
    StatusRequest, StatusResponse, TraceRequest, TraceResponse,
};
use futures::StreamExt;
use tonic::{Request, Response};

#[tonic::async_trait]
impl AdminService for Edge {
    async fn status(&self, request: Request<StatusRequest>) -> Reply<StatusResponse> {
        Ok(Response::new(self.0.status(request.into_inner()).await))
    }

    async fn list_queries(&self, _request: Request<ListQueriesRequest>) -> Reply<ListQueriesResponse> {
        Ok(Response::new(self.0.list_queries()))
    }

    async fn cancel_query(&self, request: Request<CancelQueryRequest>) -> Reply<CancelQueryResponse> {
        reply(self.0.cancel_query(&request.get_ref().id))
    }

    type TraceStream = Streamed<TraceResponse>;

    async fn trace(&self, request: Request<TraceRequest>) -> Reply<Self::TraceStream> {
        let processes = self.0.trace(request.get_ref()).map_err(refuse)?;
        Ok(Response::new(Box::pin(processes.map(Ok))))
    }

    type DumpStream = Streamed<DumpResponse>;

    async fn dump(&self, request: Request<DumpRequest>) -> Reply<Self::DumpStream> {
        let parts = self.0.dump(&call(&request), request.into_inner()).await.map_err(refuse)?;
        Ok(streamed(parts, |part| part))
    }
}
