//! The most recently ended spans of this process, exported or not.
//!
//! Bounded in number and bytes; the oldest spans are evicted first. A span ends after its children, so an incomplete
//! trace that is too large lacks leaves.

use opentelemetry::trace::{SpanContext, Status};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The bounds of a process: some hundreds of queries, or one large load.
const SPANS_MAX: usize = 4096;
const BYTES_MAX: usize = 4 << 20;

/// The most recent spans.
#[derive(Debug)]
pub struct Ring {
    kept: Mutex<Kept>,
    spans_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each span with its size in bytes.
    spans: VecDeque<(SpanData, usize)>,
    bytes: usize,
    resource: Option<Resource>,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(SPANS_MAX, BYTES_MAX)
    }
}

impl Ring {
    fn new(spans_max: usize, bytes_max: usize) -> Self {
        Self { kept: Mutex::default(), spans_max, bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span and evicts the oldest ones to make room.
    pub fn keep(&self, span: SpanData) {
        let size = bytes(&span);
        // Evicted spans are freed outside of the lock.
        let mut gone = Vec::new();
        let mut kept = self.lock();
        kept.bytes += size;
        kept.spans.push_back((span, size));
        while kept.spans.len() > self.spans_max || kept.bytes > self.bytes_max {
            let Some((span, size)) = kept.spans.pop_front() else { break };
            kept.bytes -= size;
            gone.push(span);
        }
        drop(kept);
    }

    /// Sets the resource attributes of this process, which all of its spans carry.
    pub fn set_resource(&self, resource: &Resource) {
        self.lock().resource = Some(resource.clone());
    }

    /// The spans of a trace that are still in the ring, as OTLP's `TracesData`; the empty message if there are none.
    pub fn trace(&self, trace: [u8; 16]) -> Vec<u8> {
        let kept = self.lock();
        let of_trace = |(span, _): &&(SpanData, usize)| span.span_context.trace_id().to_bytes() == trace;
        let spans: Vec<SpanData> = kept.spans.iter().filter(of_trace).map(|(span, _)| span.clone()).collect();
        let resource = kept.resource.as_ref().map(ResourceAttributesWithSchema::from).unwrap_or_default();
        drop(kept);
        if spans.is_empty() {
            return Vec::new();
        }
        TracesData { resource_spans: group_spans_by_resource_and_scope(spans, &resource) }.encode_to_vec()
    }
}

/// The approximate size of a span in memory, in bytes.
fn bytes(span: &SpanData) -> usize {
    let events = span.events.iter().map(|event| size_of_val(event) + event.name.len() + pairs(&event.attributes));
    let links = span.links.iter().map(|link| size_of_val(link) + state(&link.span_context) + pairs(&link.attributes));
    let status = match &span.status {
        Status::Error { description } => description.len(),
        Status::Ok | Status::Unset => 0,
    };
    let own = size_of::<(SpanData, usize)>() + span.name.len() + status + state(&span.span_context);
    own + pairs(&span.attributes) + events.sum::<usize>() + links.sum::<usize>()
}

fn pairs(attributes: &[KeyValue]) -> usize {
    let text = |text: &StringValue| text.as_str().len();
    let value = |value: &Value| match value {
        Value::String(one) => text(one),
        Value::Array(Array::String(all)) => all.iter().map(text).sum(),
        _ => 0,
    };
    attributes.iter().map(|pair| size_of_val(pair) + pair.key.as_str().len() + value(&pair.value)).sum()
}

/// The size of the context's `tracestate`: callers may send long ones, and each span has a copy.
fn state(context: &SpanContext) -> usize {
    context.trace_state().header().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{Event, Link, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use std::time::{Duration, SystemTime};

    fn span(trace: u128, id: u64, text: String) -> SpanData {
        let flags = TraceFlags::default();
        let start_time = SystemTime::UNIX_EPOCH + Duration::from_secs(id);
        SpanData {
            span_context: SpanContext::new(TraceId::from(trace), SpanId::from(id), flags, false, Default::default()),
            parent_span_id: SpanId::from(1),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "one".into(),
            start_time,
            end_time: start_time + Duration::from_millis(5),
            attributes: vec![KeyValue::new("text", text), KeyValue::new("rows", 7)],
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::error("no"),
            instrumentation_scope: InstrumentationScope::builder("test").build(),
        }
    }

    fn kept(ring: &Ring, trace: u128) -> Vec<u64> {
        let spans = trace::decode(&ring.trace(trace.to_be_bytes())).unwrap();
        spans.iter().map(|span| u64::from_be_bytes(span.id)).collect()
    }

    #[test]
    fn the_oldest_spans_go_first() {
        let ring = Ring::new(3, 1 << 20);
        for id in 1..=5 {
            ring.keep(span(u128::from(id % 2), id, String::new()));
        }
        assert_eq!((kept(&ring, 1), kept(&ring, 0)), (vec![3, 5], vec![4]));
        assert_eq!(ring.trace([9; 16]), Vec::<u8>::new());
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let ring = Ring::new(1000, 100_000);
        (1..=100).for_each(|id| ring.keep(span(1, id, "x".repeat(10_000))));
        assert!((5..10).contains(&kept(&ring, 1).len()), "{:?}", kept(&ring, 1));
        ring.keep(span(1, 101, "x".repeat(200_000)));
        assert_eq!(kept(&ring, 1), Vec::<u64>::new(), "one that is too large alone is not kept");
        assert_eq!(ring.lock().bytes, 0);
    }

    #[test]
    fn everything_that_a_span_carries_counts() {
        let long = || "x".repeat(10_000);
        let plain = bytes(&span(1, 1, String::new()));
        let context = |state: &str| {
            let state = TraceState::from_key_value([("other", state)]).unwrap();
            SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::default(), true, state)
        };
        let with = |change: &dyn Fn(&mut SpanData)| {
            let mut span = span(1, 1, String::new());
            change(&mut span);
            bytes(&span) - plain
        };
        let mut events = SpanEvents::default();
        events.events.push(Event::new("one", SystemTime::now(), vec![KeyValue::new("text", long())], 0));
        let mut links = SpanLinks::default();
        links.links.push(Link::new(context("here"), vec![KeyValue::new("text", long())], 0));
        let carried = [
            with(&|span| span.status = Status::error(long())),
            with(&|span| span.events = events.clone()),
            with(&|span| span.links = links.clone()),
            with(&|span| span.attributes.push(KeyValue::new("text", long()))),
        ];
        assert!(carried.iter().all(|bytes| (9_900..10_500).contains(bytes)), "{carried:?}");
        assert_eq!(with(&|span| span.span_context = context("here")), "other=here".len());
    }

    #[test]
    fn what_comes_back_is_what_was_kept() {
        let ring = Ring::default();
        ring.set_resource(&Resource::builder_empty().with_service_name("entail-node").build());
        ring.keep(span(1, 2, "here".to_owned()));
        let found = trace::decode(&ring.trace(1u128.to_be_bytes())).unwrap().remove(0);
        assert_eq!(
            (found.name.as_str(), found.service.as_str(), found.parent),
            ("one", "entail-node", Some(1u64.to_be_bytes()))
        );
        assert_eq!((found.start, found.duration()), (2_000_000_000, Duration::from_millis(5)));
        assert_eq!(found.error.as_deref(), Some("no"));
        assert_eq!(found.number("rows"), Some(7));
        assert_eq!(found.text("text"), Some("here"));
    }
}
