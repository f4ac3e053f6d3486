//! The client of an Entail cluster: few dependencies, with deadlines, retries and streams.
//!
//! ```text
//! Client ──► retry (when to send again, pure) ──► connection (gRPC) ──► cluster
//!    └─────► answer (streams results)   load (uploads files)
//! ```
//! Writes carry a request id, so that repeated sends are harmless. `examples/hello.rs` shows complete use on one page.

mod answer;
mod connection;
mod error;
mod load;
pub mod retry;

pub use answer::{Answer, Message, Pieces};
pub use connection::{Options, Outgoing};
/// The messages of the package `entail.v1`.
pub use entail_proto::v1;
pub use error::Error;
pub use load::{OnProgress, Progress, Source};

use bytes::Bytes;
use connection::{Attempt, Connection, Kind, MESSAGE_BYTES_MAX};
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use v1::admin_service_client::AdminServiceClient;
use v1::query_service_client::QueryServiceClient;
use v1::rule_service_client::RuleServiceClient;
use v1::update_service_client::UpdateServiceClient;

/// A connection to a cluster. Clones share it.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    timeout: Option<Duration>,
}

/// A small answer, collected in memory.
#[derive(Clone, Debug)]
pub struct Collected {
    pub header: v1::QueryHeader,
    /// In the requested format.
    pub data: Bytes,
    pub summary: v1::QuerySummary,
}

/// Defines the clients of the services, all with the same limits.
macro_rules! services {
    ($($name:ident: $client:ident),*) => {
        $(fn $name(channel: Channel) -> $client<Channel> {
            $client::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        })*
    };
}

services!(queries: QueryServiceClient, updates: UpdateServiceClient, rules: RuleServiceClient, admin: AdminServiceClient);

impl Client {
    /// A client of the server at a URL such as `http://127.0.0.1:7400`. It connects when the first call needs it, and
    /// again when the connection is lost. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Address`] if the URL is invalid.
    pub fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let timeout = options.timeout;
        Ok(Self { connection: Arc::new(Connection::new(url, options)?), timeout })
    }

    /// A client on the same connection with a different timeout for each call, retries included; `None`: no timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Runs a query and streams its answer.
    ///
    /// # Errors
    /// [`Error::Failed`] if the query fails before the first part of its answer arrives.
    pub async fn query(&self, request: v1::QueryRequest) -> Result<Answer<v1::QueryResponse>, Error> {
        self.stream(request, |channel, request| async move { queries(channel).query(request).await }).await
    }

    /// Runs a query whose answer has at most `bytes_max` bytes.
    ///
    /// # Errors
    /// The errors of [`Self::query`] and [`Answer::collect`].
    pub async fn query_all(&self, request: v1::QueryRequest, bytes_max: usize) -> Result<Collected, Error> {
        let mut answer = self.query(request).await?;
        let data = answer.collect(bytes_max).await?;
        let header = answer.header().cloned().unwrap_or_default();
        let summary = answer.summary().cloned().unwrap_or_default();
        Ok(Collected { header, data, summary })
    }

    /// Applies a SPARQL update as one epoch.
    ///
    /// # Errors
    /// [`Error::Failed`]; after the reason `OUTCOME_UNKNOWN`, repeating the request with the same id returns its
    /// outcome.
    pub async fn update(&self, mut request: v1::UpdateRequest) -> Result<v1::UpdateResponse, Error> {
        let id = named(&mut request.request_id);
        self.unary(Kind::Write { request_id: &id }, request, |channel, request| async move {
            updates(channel).update(request).await
        })
        .await
    }

    /// Loads files, all of them or none (but see `commit_every`).
    ///
    /// # Errors
    /// The errors of [`Self::update`], and [`Error::Source`] for a file that cannot be read.
    pub async fn load(&self, sources: Vec<Source>, on_progress: OnProgress<'_>) -> Result<v1::LoadSummary, Error> {
        load::load(&self.connection, self.timeout, sources, on_progress).await
    }

    /// Adds or replaces a rule set, and waits for its closure.
    ///
    /// # Errors
    /// The errors of [`Self::update`].
    pub async fn apply_rules(&self, mut request: v1::ApplyRulesRequest) -> Result<v1::ApplyRulesResponse, Error> {
        let id = named(&mut request.request_id);
        self.unary(Kind::Write { request_id: &id }, request, |channel, request| async move {
            rules(channel).apply(request).await
        })
        .await
    }

    /// Drops a rule set and everything that only it entailed.
    ///
    /// # Errors
    /// The errors of [`Self::update`].
    pub async fn drop_rules(&self, mut request: v1::DropRulesRequest) -> Result<v1::DropRulesResponse, Error> {
        let id = named(&mut request.request_id);
        self.unary(Kind::Write { request_id: &id }, request, |channel, request| async move {
            rules(channel).drop(request).await
        })
        .await
    }

    /// Lists the rule sets of the cluster.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub async fn list_rules(&self) -> Result<v1::ListRulesResponse, Error> {
        let request = v1::ListRulesRequest {};
        self.unary(Kind::Read, request, |channel, request| async move { rules(channel).list(request).await }).await
    }

    /// The status of the cluster, with its shards on request.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub async fn status(&self, request: v1::StatusRequest) -> Result<v1::StatusResponse, Error> {
        self.unary(Kind::Read, request, |channel, request| async move { admin(channel).status(request).await }).await
    }

    /// Lists the running queries and changes, the oldest first.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub async fn list_queries(&self) -> Result<v1::ListQueriesResponse, Error> {
        let request = v1::ListQueriesRequest {};
        self.unary(Kind::Read, request, |channel, request| async move { admin(channel).list_queries(request).await })
            .await
    }

    /// Cancels a running query or change; its own call fails with the reason `CANCELLED`.
    ///
    /// # Errors
    /// [`Error::Failed`]; with the reason `NOT_FOUND` if no query or change with this id is running.
    pub async fn cancel_query(&self, request: v1::CancelQueryRequest) -> Result<v1::CancelQueryResponse, Error> {
        self.unary(Kind::Read, request, |channel, request| async move { admin(channel).cancel_query(request).await })
            .await
    }

    /// The spans of a recent trace that the coordinator and the nodes still have, one message for each process.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub async fn trace(&self, request: v1::TraceRequest) -> Result<Vec<v1::TraceResponse>, Error> {
        let collect = |attempt: Attempt| {
            let request = attempt.request(request.clone());
            async move {
                let mut stream = admin(attempt.channel).trace(request).await?.into_inner();
                let mut parts = Vec::new();
                while let Some(part) = stream.message().await? {
                    parts.push(part);
                }
                Ok(parts)
            }
        };
        self.connection.call(self.timeout, Kind::Read, collect).await
    }

    /// Streams a graph as RDF.
    ///
    /// # Errors
    /// The errors of [`Self::query`].
    pub async fn dump(&self, request: v1::DumpRequest) -> Result<Answer<v1::DumpResponse>, Error> {
        self.stream(request, |channel, request| async move { admin(channel).dump(request).await }).await
    }

    async fn stream<Q, M, R>(&self, request: Q, send: impl Fn(Channel, Request<Q>) -> R) -> Result<Answer<M>, Error>
    where
        Q: Clone,
        M: Message,
        R: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        answer::stream(&self.connection, self.timeout, |attempt: Attempt| {
            let request = attempt.request(request.clone());
            send(attempt.channel, request)
        })
        .await
    }

    async fn unary<Q, A, R>(
        &self,
        kind: Kind<'_>,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> R,
    ) -> Result<A, Error>
    where
        Q: Clone,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let call = |attempt: Attempt| {
            let request = attempt.request(request.clone());
            send(attempt.channel, request)
        };
        Ok(self.connection.call(self.timeout, kind, call).await?.into_inner())
    }
}

/// The request's id; generated if it has none.
fn named(id: &mut String) -> String {
    if id.is_empty() {
        *id = connection::request_id();
    }
    id.clone()
}

#[cfg(test)]
mod tests;
