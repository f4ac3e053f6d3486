//! Test collectors: one that stores every span it receives over OTLP and gRPC, and faulty ones.

use entail_telemetry::trace::{self, Span};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A collector that works until it is dropped.
pub struct Receiver {
    address: String,
    got: Got,
    _runtime: Runtime,
}

#[derive(Clone, Default)]
struct Got {
    spans: Arc<Mutex<Vec<Span>>>,
    headers: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Got {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("x-key").map(|value| value.to_str().unwrap().to_owned());
        self.headers.lock().unwrap().extend(key);
        let spans = request.into_inner().resource_spans.into_iter().flat_map(trace::spans);
        self.spans.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let got = Got::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server::builder().add_service(TraceServiceServer::new(got.clone()));
        runtime.spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address, got, _runtime: runtime }
    }

    /// The environment variables that send spans to this collector, with a short delay.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ]
    }

    /// All spans received so far.
    pub fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        self.got.spans.lock().unwrap()
    }

    /// The values of the header that the environment asks for, one of each batch.
    pub fn headers(&self) -> Vec<String> {
        self.got.headers.lock().unwrap().clone()
    }
}

/// A collector that accepts connections and never responds.
pub fn silent() -> TcpListener {
    // The operating system completes connections before they are accepted.
    TcpListener::bind("127.0.0.1:0").unwrap()
}
