//! Span creation and export. Every ended span goes into the ring. Sampled spans are also sent to an OpenTelemetry
//! collector, through a bounded queue and a thread of their own, or written to the standard error, or both.
//!
//! A request is kept when it is sampled, or when its trace was requested (`--trace`); see
//! [`sampling`](crate::sampling).
//!
//! ```text
//! ended span ──► ring
//!      └ sampled ──► queue, bounded ──► thread ──► OTLP, over gRPC or HTTP
//!      │                └ full: dropped, counted
//!      └ sampled ──► standard error            (OTEL_TRACES_EXPORTER=console)
//! ```

mod console;
mod otlp;

use crate::Error;
use crate::ring::Ring;
use crate::sampling::{DrawnIds, Keeping};
use crate::settings::{Otlp, Settings};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{DynFilterFn, LevelFilter};
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The shortest interval between two log warnings about dropped spans.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The resource attributes of a process.
pub struct Identity<'a> {
    pub service_name: &'a str,
    /// Distinguishes this process from others of the same service.
    pub instance: &'a str,
    /// Does this process request that the traces which it starts are kept by all processes?
    pub asks: bool,
}

/// Spans that may have no enclosing span: a command, the two ends of a call, and the exchange span, which sets its
/// parent itself.
const STANDING_ALONE: [&str; 3] = ["command", "call", "exchange"];

/// Creates the provider of spans: ended spans go to `ring`, and to the collector if one is configured.
pub fn provider(
    settings: &Settings,
    who: &Identity<'_>,
    ring: Arc<Ring>,
) -> Result<(SdkTracerProvider, Arc<Drops>, Keeping), Error> {
    let drops = Arc::new(Drops::default());
    let mut resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", who.instance.to_owned()))
        .with_attribute(KeyValue::new("service.name", who.service_name.to_owned()));
    // Added after our attributes, so that the environment's take precedence.
    resource = resource.with_detector(Box::new(EnvResourceDetector::new()));
    if let Some(name) = &settings.service_name {
        resource = resource.with_service_name(name.clone());
    }
    let resource = resource.build();
    ring.set_resource(&resource);
    let start = |otlp| Queue::start(otlp, settings.queue_max, Arc::clone(&drops));
    let queue = settings.otlp.as_ref().map(start).transpose()?;
    let keeping = Keeping::new(settings.sampler.clone(), who.asks);
    let provider = SdkTracerProvider::builder()
        .with_sampler(keeping.clone())
        .with_id_generator(DrawnIds::default())
        .with_span_processor(Processor { ring, queue, console: settings.console })
        .with_resource(resource)
        .build();
    Ok((provider, drops, keeping))
}

/// The layer that converts `tracing` spans into OpenTelemetry's. Only Entail's spans: an exporter that traced its own
/// calls would never finish.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let is_ours = |about: &Metadata<'_>| about.is_span() && about.target().starts_with("entail");
    // A span without an enclosing span belongs to a request that is not kept. The filter is also asked about spans of
    // libraries, while another thread registers them.
    let is_kept = move |about: &Metadata<'_>, context: &LayerContext<'_, S>| {
        is_ours(about) && (STANDING_ALONE.contains(&about.name()) || context.lookup_current().is_some())
    };
    let kept = DynFilterFn::new(is_kept).with_callsite_filter(move |about| match is_ours(about) {
        true => Interest::sometimes(),
        false => Interest::never(),
    });
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("entail"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(kept.with_max_level_hint(LevelFilter::INFO))
}

#[derive(Debug)]
struct Processor {
    ring: Arc<Ring>,
    queue: Option<Queue>,
    console: bool,
}

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            if let Some(queue) = &self.queue {
                queue.push(span.clone());
            }
            if self.console {
                console::write(&span);
            }
        }
        self.ring.keep(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.as_ref().map_or(Ok(()), |queue| queue.batches.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.as_ref().map_or(Ok(()), |queue| queue.batches.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(queue) = &mut self.queue {
            queue.batches.set_resource(resource);
        }
    }
}

/// The SDK's queue behind a bound that counts the rejected spans.
#[derive(Debug)]
struct Queue {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    drops: Arc<Drops>,
}

impl Queue {
    fn start(otlp: &Otlp, waiting_max: usize, drops: Arc<Drops>) -> Result<Self, Error> {
        Ok(Self::before(otlp::exporter(otlp)?, waiting_max, drops))
    }

    fn before<E: SpanExporter + 'static>(exporter: E, waiting_max: usize, drops: Arc<Drops>) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Counted { exporter, waiting: Arc::clone(&waiting), drops: Arc::clone(&drops) };
        // Batch sizes and delays come from the environment (`OTEL_BSP_*`), which the SDK reads.
        let config = BatchConfigBuilder::default().with_max_queue_size(waiting_max).build();
        let batches = BatchSpanProcessor::builder(counted).with_batch_config(config).build();
        Self { batches, waiting, waiting_max, drops }
    }

    fn push(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) < self.waiting_max {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.drops.add(1);
        }
    }
}

/// An exporter that counts the spans that it accepted and those that it could not deliver.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    drops: Arc<Drops>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let result = self.exporter.export(batch).await;
        if result.is_err() {
            self.drops.add(spans as u64);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The number of spans that were lost on the way to the collector.
#[derive(Debug, Default)]
pub struct Drops {
    spans: AtomicU64,
    warned: Mutex<Option<Instant>>,
}

impl Drops {
    pub fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }

    fn add(&self, spans: u64) {
        let total = self.spans.fetch_add(spans, Ordering::Relaxed) + spans;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|last| last.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            drop(warned);
            tracing::warn!(dropped = total, "trace spans are dropped: the collector cannot be reached or is too slow");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::Tracer;
    use opentelemetry_sdk::trace::Sampler;
    use std::sync::mpsc;
    use tracing_subscriber::layer::SubscriberExt;

    /// An exporter that blocks until it is released, and then fails.
    #[derive(Debug)]
    struct Hanging(Mutex<mpsc::Receiver<()>>);

    impl SpanExporter for Hanging {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            _ = self.0.lock().unwrap().recv();
            Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure("nobody there".to_owned()))
        }
    }

    #[test]
    fn what_a_hanging_collector_does_not_take_is_dropped_and_counted() {
        let (go_on, hanging) = mpsc::channel();
        let drops = Arc::new(Drops::default());
        let queue = Queue::before(Hanging(Mutex::new(hanging)), 100, Arc::clone(&drops));
        let ring = Arc::new(Ring::default());
        let processor = Processor { ring: Arc::clone(&ring), queue: Some(queue), console: false };
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("test");
        let started = Instant::now();
        (0..1000).for_each(|_| drop(tracer.start("one")));
        assert!(started.elapsed() < Duration::from_secs(2), "nobody waits for the collector");
        // One batch may be in the exporter beside the queued spans.
        assert!((500..=900).contains(&drops.spans()), "{}", drops.spans());
        drop(go_on);
        _ = provider.shutdown_with_timeout(Duration::from_secs(5));
        assert_eq!(drops.spans(), 1000, "what the collector refused is dropped as well");
    }

    /// While another thread registers an event of a library, filters are asked about it on this thread. A filter that
    /// enables an event which it has declared as never enabled panics, in builds with assertions.
    #[test]
    fn what_is_not_ours_is_left_out_inside_of_a_request() {
        use tracing::Callsite;
        let settings =
            Settings { otlp: None, console: false, sampler: Sampler::AlwaysOn, queue_max: 1, service_name: None };
        let who = Identity { service_name: "entail", instance: "one", asks: false };
        let (provider, ..) = provider(&settings, &who, Arc::default()).unwrap();
        let theirs = tracing::callsite! {
            name: "event", kind: tracing::metadata::Kind::EVENT, target: "h2::client", level: tracing::Level::DEBUG, fields:
        };
        tracing::subscriber::with_default(tracing_subscriber::Registry::default().with(layer(&provider)), || {
            let _inside = tracing::info_span!("command").entered();
            tracing::dispatcher::get_default(|subscriber| _ = subscriber.enabled(theirs.metadata()));
        });
    }
}
