//! Decides which requests are kept, before any span is created for them.
//!
//! A request is kept when it is sampled, or when its trace was requested. Most requests are neither, and cost only the
//! generation of an id: a sampler decides by the trace id, so the id is generated first, and a span with that id is
//! created only if the request is kept.

use opentelemetry::trace::{Link, SpanId, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult, ShouldSample,
};
use std::cell::Cell;

/// The `tracestate` member that asks every process to keep the trace, sampled or not.
const KEEP: (&str, &str) = ("entail", "keep");

thread_local! {
    /// The id of the trace that begins next on this thread.
    static DRAWN: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Generates random ids, except for a trace whose id has been generated already.
#[derive(Debug, Default)]
pub struct DrawnIds(RandomIdGenerator);

impl IdGenerator for DrawnIds {
    fn new_trace_id(&self) -> TraceId {
        DRAWN.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// Records spans for the ring that the sampler leaves out, if the trace was requested. `tracestate` propagates the
/// request to other processes.
#[derive(Clone, Debug)]
pub struct Keeping {
    sampler: Sampler,
    /// Does this process request its traces?
    asks: bool,
}

impl Keeping {
    pub fn new(sampler: Sampler, asks: bool) -> Self {
        Self { sampler, asks }
    }

    /// Is a request with this context kept? Without a trace in the context, a trace begins with the next span of this
    /// thread.
    pub fn keeps(&self, context: &Context) -> bool {
        let caller = context.span().span_context().clone();
        let is_part = caller.is_valid();
        let trace = if is_part { caller.trace_id() } else { RandomIdGenerator::default().new_trace_id() };
        let result = self.should_sample(is_part.then_some(context), trace, "", &SpanKind::Server, &[], &[]);
        let is_kept = result.decision != SamplingDecision::Drop;
        DRAWN.set((is_kept && !is_part).then_some(trace));
        is_kept
    }
}

impl ShouldSample for Keeping {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.sampler.should_sample(parent, trace, name, kind, attributes, links);
        if self.asks {
            result.trace_state = result.trace_state.insert(KEEP.0, KEEP.1).unwrap_or(result.trace_state);
        }
        let is_asked_for = result.trace_state.get(KEEP.0) == Some(KEEP.1);
        if is_asked_for && result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{self, Identity};
    use crate::ring::Ring;
    use crate::settings::Settings;
    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use std::sync::Arc;

    #[test]
    fn what_is_decided_before_the_span_is_what_the_span_is() {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.25)));
        let settings = Settings { otlp: None, console: false, sampler, queue_max: 1, service_name: None };
        let who = Identity { service_name: "entail", instance: "one", asks: false };
        let (provider, _, keeping) = export::provider(&settings, &who, Arc::default()).unwrap();
        let tracer = provider.tracer("test");
        let kept = (0..4000).filter(|_| keeping.keeps(&Context::new())).inspect(|_| {
            let drawn = DRAWN.get();
            let root = tracer.start("root");
            assert!(root.span_context().is_sampled());
            assert_eq!((Some(root.span_context().trace_id()), DRAWN.get()), (drawn, None));
        });
        let kept = kept.count();
        assert!((800..1200).contains(&kept), "{kept} of 4000 at a quarter");
    }

    #[test]
    fn a_request_that_is_not_sampled_is_kept_where_somebody_asks() {
        let settings =
            Settings { otlp: None, console: false, sampler: Sampler::AlwaysOff, queue_max: 1, service_name: None };
        let begin = |asks| {
            let ring = Arc::new(Ring::default());
            let who = Identity { service_name: "entail", instance: "one", asks };
            let (provider, _, keeping) = export::provider(&settings, &who, Arc::clone(&ring)).unwrap();
            (ring, provider, keeping)
        };
        for (asks, spans) in [(true, 1), (false, 0)] {
            let ((here, client, _), (there, server, there_keeps)) = (begin(asks), begin(false));
            let root = client.tracer("test").start("root");
            let context = Context::new().with_remote_span_context(root.span_context().clone());
            assert!(!root.span_context().is_sampled());
            assert_eq!(there_keeps.keeps(&context), asks);
            drop(server.tracer("test").start_with_context("call", &context));
            let trace = root.span_context().trace_id().to_bytes();
            drop(root);
            for ring in [here, there] {
                assert_eq!(crate::trace::decode(&ring.trace(trace)).unwrap().len(), spans);
            }
        }
    }
}
