//! The trace that a call belongs to, carried in its headers as W3C Trace Context (`traceparent`, `tracestate`).

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Writes the current span's trace into the metadata of an outgoing call. Does nothing outside of a span.
pub fn inject(metadata: &mut MetadataMap) {
    write(&Span::current(), metadata.as_mut());
}

/// Writes a span's trace into the headers of a request.
pub fn write(span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut Outgoing(headers));
}

/// Do the headers of a request carry a trace context?
pub fn is_in(headers: &HeaderMap) -> bool {
    headers.contains_key("traceparent")
}

/// The trace context in the headers of a request; empty if they have no valid one.
pub fn of(headers: &HeaderMap) -> Context {
    match is_in(headers) {
        true => TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers)),
        false => Context::new(),
    }
}

/// Makes a span a child of the trace context of a request, if that is not empty.
pub fn adopt(span: &Span, context: Context) {
    if context.span().span_context().is_valid() {
        // Fails when tracing is off, and then there is nothing to adopt.
        let _ = span.set_parent(context);
    }
}

/// Is a span's trace kept?
pub fn is_recorded(span: &Span) -> bool {
    !span.is_disabled() && span.context().span().is_recording()
}

/// The trace that a span belongs to; none when tracing is off.
pub fn trace_id(span: &Span) -> Option<[u8; 16]> {
    let context = span.context();
    let span = context.span();
    Some(span.span_context()).filter(|ids| ids.is_valid()).map(|ids| ids.trace_id().to_bytes())
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` carries no information and is not sent.
        if let (Ok(name), Ok(value), false) =
            (HeaderName::try_from(key), HeaderValue::try_from(&value), value.is_empty())
        {
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

    #[test]
    fn without_tracing_nothing_is_sent() {
        let mut came = HeaderMap::new();
        came.insert("traceparent", HeaderValue::from_static("nonsense"));
        adopt(&Span::current(), of(&came));
        let mut goes = MetadataMap::new();
        inject(&mut goes);
        assert!(goes.is_empty() && trace_id(&Span::current()).is_none());
    }
}
