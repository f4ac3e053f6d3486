//! Unread streams in both directions, and one more call on the same connection.

use super::*;
use crate::v1::query_response::Part;
use crate::v1::query_service_client::QueryServiceClient;
use crate::v1::query_service_server::{QueryService, QueryServiceServer};
use crate::v1::update_service_client::UpdateServiceClient;
use crate::v1::update_service_server::{UpdateService, UpdateServiceServer};
use crate::v1::{LoadRequest, LoadResponse, QueryRequest, QueryResponse, UpdateRequest, UpdateResponse};
use futures::stream::{self, BoxStream};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// More streams than a connection's default window has room for.
const UNREAD: usize = 12;

/// Answers a query with endless data if it has a text, and never reads a load.
#[derive(Clone, Copy)]
struct Endless;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl QueryService for Endless {
    type QueryStream = BoxStream<'static, Result<QueryResponse, Status>>;

    async fn query(&self, request: Request<QueryRequest>) -> Reply<Self::QueryStream> {
        let part = || Ok(QueryResponse { part: Some(Part::Data(vec![7; 64 << 10].into())) });
        let parts = if request.get_ref().query.is_empty() { 1 } else { usize::MAX };
        Ok(Response::new(Box::pin(stream::iter(std::iter::repeat_with(part).take(parts)))))
    }
}

#[tonic::async_trait]
impl UpdateService for Endless {
    type LoadStream = BoxStream<'static, Result<LoadResponse, Status>>;

    async fn update(&self, _: Request<UpdateRequest>) -> Reply<UpdateResponse> {
        Ok(Response::new(UpdateResponse::default()))
    }

    async fn load(&self, request: Request<Streaming<LoadRequest>>) -> Reply<Self::LoadStream> {
        let unread = request.into_inner();
        let pending = stream::once(async move {
            std::future::pending::<()>().await;
            drop(unread);
            Ok(LoadResponse::default())
        });
        Ok(Response::new(Box::pin(pending)))
    }
}

/// One connection to a server, both with these windows.
async fn connected(windows: Windows) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let server = windows
        .server()
        .add_service(QueryServiceServer::new(Endless))
        .add_service(UpdateServiceServer::new(Endless))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    windows.endpoint(endpoint).connect().await.expect("the server listens")
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(20), call).await;
    done.expect("unread streams stop the connection").expect("it is answered")
}

/// Time in which unread streams fill their windows.
async fn fill() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn unread_answers_do_not_stop_other_calls() {
    for windows in [PEERS, CLIENTS] {
        let mut client = QueryServiceClient::new(connected(windows).await);
        let mut unread = Vec::new();
        for _ in 0..UNREAD {
            let request = QueryRequest { query: "all".to_owned(), ..QueryRequest::default() };
            unread.push(in_time(client.query(request)).await);
        }
        fill().await;
        let mut answer = in_time(client.query(QueryRequest::default())).await.into_inner();
        assert!(in_time(answer.message()).await.is_some());
        assert!(in_time(answer.message()).await.is_none());
        let mut late = unread.pop().expect("there are some").into_inner();
        assert!(in_time(late.message()).await.is_some(), "what was unread can still be read");
    }
}

#[tokio::test]
async fn unread_requests_do_not_stop_other_calls() {
    for windows in [PEERS, CLIENTS] {
        let mut client = UpdateServiceClient::new(connected(windows).await);
        let mut unread = Vec::new();
        for _ in 0..UNREAD {
            let piece = || LoadRequest { data: vec![7; 64 << 10].into(), ..LoadRequest::default() };
            unread.push(in_time(client.load(stream::iter(std::iter::repeat_with(piece)))).await);
        }
        fill().await;
        let text = "x".repeat(256 << 10);
        in_time(client.update(UpdateRequest { update: text, ..UpdateRequest::default() })).await;
    }
}
