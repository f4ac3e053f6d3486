//! gRPC: the services of `entail.v1` with health and reflection. A thin edge: a request becomes a
//! [`Call`](crate::service::Call) and a message, a fault becomes a status; the work is the service's.

mod admin;
mod health;
mod query;
mod rules;
mod update;

pub use health::report_health;

use crate::service::{Call, Coordinator, Principal};
use entail_model::{Fault, Reason};
use entail_proto::deadline::deadline_of;
use entail_proto::gate::{Gate, Refusal};
use entail_proto::incoming::incoming;
use entail_proto::status;
use entail_proto::v1;
use entail_proto::windows;
use entail_telemetry::metrics::rpc::Requests;
use entail_telemetry::{Calls, ServerSpans};
use futures::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};

/// The largest message from a client.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// The largest HTTP/2 frame from a client: one message of a load fits in a frame, which saves system calls.
const FRAME_BYTES_MAX: u32 = (256 << 10) + 64;

/// The coordinator as a gRPC service.
#[derive(Clone)]
struct Edge(Arc<Coordinator>);

type Reply<T> = Result<Response<T>, Status>;

/// A stream of responses.
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The listener for clients, and the layers that their requests pass.
pub struct Listener {
    pub tcp: TcpListener,
    pub requests: Requests,
    pub gate: Gate,
    /// Ends the server.
    pub stop: CancellationToken,
}

/// The services for clients, with health and reflection.
///
/// # Errors
/// `Internal` when reflection cannot read our own descriptors.
pub fn server(
    coordinator: Arc<Coordinator>,
    listener: Listener,
    health: HealthServer<impl Health>,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static, Fault> {
    let reflection = |error: tonic_reflection::server::Error| Fault::internal(format!("reflection: {error}"));
    let edge = Edge(coordinator);
    let queries = v1::query_service_server::QueryServiceServer::new(edge.clone());
    let updates = v1::update_service_server::UpdateServiceServer::new(edge.clone());
    let rules = v1::rule_service_server::RuleServiceServer::new(edge.clone());
    let admin = v1::admin_service_server::AdminServiceServer::new(edge);
    let server = windows::CLIENTS
        .server()
        .layer(ServerSpans::new("coordinator", Calls::Always(is_traced)))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .layer(listener.requests)
        .layer(listener.gate)
        .add_service(health)
        .add_service(descriptors().build_v1().map_err(reflection)?)
        .add_service(descriptors().build_v1alpha().map_err(reflection)?)
        .add_service(queries.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(updates.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(rules.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(admin);
    Ok(server.serve_with_incoming_shutdown(incoming(listener.tcp), listener.stop.cancelled_owned()))
}

/// The descriptors that reflection serves.
fn descriptors() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(entail_proto::ERROR_DETAILS_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Only these requests have traces; reading the status, a trace or the running queries has none.
fn is_traced(path: &str) -> bool {
    let looks = ["/Status", "/Trace", "/ListQueries", "/CancelQuery"];
    path.starts_with("/entail.v1.") && !looks.iter().any(|method| path.ends_with(method))
}

/// The fault of a request that arrives after the gate is shut, or that is cut off.
pub fn refusal(refusal: Refusal, path: &str) -> Fault {
    let changes = ["/entail.v1.UpdateService/", "/entail.v1.RuleService/"];
    match refusal {
        Refusal::Cut if changes.iter().any(|service| path.starts_with(service)) => {
            Fault::new(Reason::OutcomeUnknown, "the coordinator is shutting down, and the change may have been made")
        }
        _ => Fault::new(Reason::NotReady, "the coordinator is shutting down"),
    }
}

/// The call of a request.
fn call<T>(request: &Request<T>) -> Call {
    Call::new(Principal::Anonymous, deadline_of(request))
}

/// The status of a request that failed. Defects and damage are logged as errors.
fn refuse(fault: Fault) -> Status {
    match fault.reason {
        Reason::Internal | Reason::Corrupt => tracing::error!(%fault, "request failed"),
        _ => tracing::debug!(%fault, "request failed"),
    }
    status::from_fault(&fault)
}

/// A single response.
fn reply<T>(result: Result<T, Fault>) -> Reply<T> {
    result.map(Response::new).map_err(refuse)
}

/// A stream of responses from the service's parts.
fn streamed<P, T>(
    parts: impl Stream<Item = Result<P, Fault>> + Send + 'static,
    response: impl Fn(P) -> T + Send + 'static,
) -> Response<Streamed<T>> {
    Response::new(Box::pin(parts.map(move |part| part.map(&response).map_err(refuse))))
}
