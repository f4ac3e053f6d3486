//! The way of spans to an OpenTelemetry collector: a bounded queue and a thread of its own.

use crate::Error;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Where the collector listens, as OpenTelemetry names it.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Spans that wait to be sent; more are dropped.
const SPANS_QUEUED_MAX: usize = 4096;
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// Sends what is still queued when it is dropped.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        // Spans that could not be sent by now are lost, which the work does not depend on.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_MAX);
    }
}

/// The layer that exports spans; none without an endpoint.
pub fn layer<S>(service_name: &str) -> Result<Option<(impl Layer<S> + Send + Sync + use<S>, Exporter)>, Error>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    if std::env::var_os(ENDPOINT).is_none_or(|value| value.is_empty()) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_tonic().build().map_err(|error| Error::Exporter(error.to_string()))?;
    let queue = BatchConfigBuilder::default().with_max_queue_size(SPANS_QUEUED_MAX).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(queue).build())
        .with_resource(Resource::builder().with_service_name(service_name.to_owned()).build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("entail"));
    Ok(Some((layer, Exporter(provider))))
}
