//! The trace that a call belongs to, carried in its metadata as W3C Trace Context (`traceparent`, `tracestate`).

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Writes the current span's trace into the metadata of a call that goes out. Without an exporter there is none.
pub fn inject(metadata: &mut MetadataMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Outgoing(metadata.as_mut()));
}

/// Makes a span a child of the trace in the metadata of a call that came in. Bad or missing context changes nothing.
pub fn adopt(span: &Span, metadata: &MetadataMap) {
    let context = TraceContextPropagator::new().extract(&Incoming(metadata.as_ref()));
    if context.span().span_context().is_valid() {
        // Fails when nothing is exported, and then there is nothing to adopt.
        let _ = span.set_parent(context);
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{TraceId, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_goes_on_across_calls() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let mut came = MetadataMap::new();
            came.insert("traceparent", PARENT.parse().unwrap());
            let span = tracing::info_span!("call");
            adopt(&span, &came);
            let mut goes = MetadataMap::new();
            span.in_scope(|| inject(&mut goes));
            let sent = goes.get("traceparent").unwrap().to_str().unwrap();
            let trace = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
            assert!(sent.starts_with(&format!("00-{trace}-")) && sent != PARENT);
        });
    }

    #[test]
    fn without_an_exporter_nothing_is_sent() {
        let mut came = MetadataMap::new();
        came.insert("traceparent", "nonsense".parse().unwrap());
        adopt(&Span::current(), &came);
        let mut goes = MetadataMap::new();
        inject(&mut goes);
        assert!(goes.is_empty());
    }
}
