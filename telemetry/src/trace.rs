//! Spans received over the wire: OTLP messages decoded into plain values.

use opentelemetry_proto::tonic::common::v1::any_value::Value as WireValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self, ResourceSpans, TracesData};
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace: [u8; 16],
    pub id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub kind: &'static str,
    /// Nanoseconds since 1970, by the clock of the machine that recorded the span.
    pub start: u64,
    pub end: u64,
    /// The name of the service that recorded the span.
    pub service: String,
    pub attributes: BTreeMap<String, Value>,
    /// The error message if the span failed; empty if no message was recorded.
    pub error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Fraction(f64),
    Truth(bool),
}

impl Span {
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// The value of an attribute, if it is a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of an attribute, if it is an integer.
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.attributes.get(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// Decodes OTLP's `TracesData`. Concatenated messages decode as one: protobuf merges them.
///
/// # Errors
/// A description of what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Span>, String> {
    let data = TracesData::decode(bytes).map_err(|error| format!("not the spans of a trace: {error}"))?;
    Ok(data.resource_spans.into_iter().flat_map(spans).collect())
}

/// The spans of one process.
pub fn spans(from: ResourceSpans) -> impl Iterator<Item = Span> {
    let resource = from.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
    let service = match resource.get("service.name") {
        Some(Value::Text(name)) => name.clone(),
        _ => String::new(),
    };
    from.scope_spans.into_iter().flat_map(|scope| scope.spans).map(move |one| span(one, &service))
}

fn span(wire: v1::Span, service: &str) -> Span {
    let kind = match wire.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let failed = wire.status.filter(|status| status.code() == StatusCode::Error);
    Span {
        trace: wire.trace_id.try_into().unwrap_or_default(),
        id: wire.span_id.try_into().unwrap_or_default(),
        parent: wire.parent_span_id.try_into().ok(),
        name: wire.name,
        kind,
        start: wire.start_time_unix_nano,
        end: wire.end_time_unix_nano,
        service: service.to_owned(),
        attributes: attributes(wire.attributes),
        error: failed.map(|status| status.message),
    }
}

fn attributes(wire: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let value = |value: Option<AnyValue>| match value?.value? {
        WireValue::StringValue(text) => Some(Value::Text(text)),
        WireValue::IntValue(number) => Some(Value::Number(number)),
        WireValue::DoubleValue(number) => Some(Value::Fraction(number)),
        WireValue::BoolValue(truth) => Some(Value::Truth(truth)),
        // Entail's own spans have no others.
        _ => None,
    };
    wire.into_iter().filter_map(|pair| Some((pair.key, value(pair.value)?))).collect()
}
