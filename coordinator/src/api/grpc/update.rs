//! `UpdateService`.

use super::{Edge, Reply, Streamed, call, reply, streamed};
use entail_proto::status;
use entail_proto::v1::update_service_server::UpdateService;
use entail_proto::v1::{LoadRequest, LoadResponse, UpdateRequest, UpdateResponse};
use futures::StreamExt;
use tonic::{Request, Streaming};

#[tonic::async_trait]
impl UpdateService for Edge {
    async fn update(&self, request: Request<UpdateRequest>) -> Reply<UpdateResponse> {
        let change = self.0.update(call(&request), request.into_inner()).await;
        reply(change.map(|change| UpdateResponse { change: Some(change) }))
    }

    type LoadStream = Streamed<LoadResponse>;

    async fn load(&self, request: Request<Streaming<LoadRequest>>) -> Reply<Self::LoadStream> {
        let call = call(&request);
        let messages = request.into_inner().map(|message| message.map_err(|status| status::to_fault(&status)));
        Ok(streamed(self.0.load(call, messages.boxed()), |response| response))
    }
}
