//! Logs, traces and metrics of one process. No other crate imports OpenTelemetry or Prometheus.
//!
//! ```text
//! events ──► filter (ENTAIL_LOG) ──► stderr, as text or JSON, with the ids of the span
//! spans  ──► ring: the last ones of this process
//!              └ sampled ──► bounded queue ──► OTLP    (only with OTEL_EXPORTER_OTLP_ENDPOINT)
//! calls: ClientSpans ──traceparent──► ServerSpans
//! roles  ──► Instruments: metrics, readiness ──► http: /metrics, /readyz, /healthz
//! ```
//! Telemetry never blocks the work: when the queue is full or the collector is unreachable, spans are dropped and
//! counted.

mod attributes;
mod calls;
mod codes;
mod context;
mod export;
pub mod http;
mod log;
pub mod metrics;
mod readiness;
mod ring;
mod sampling;
mod settings;
pub mod trace;

pub use attributes::{count, fail, text};
pub use calls::{Calls, ClientSpans, LocalCall, LocalCalls, Peer, ServerSpans};
pub use context::{inject, trace_id};
pub use readiness::{Instruments, Readiness};

use export::{Drops, Identity};
use opentelemetry::Context;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use ring::Ring;
use sampling::Keeping;
use settings::{Settings, Wishes};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable with the filter, in the syntax of `tracing-subscriber`: `debug`, `warn,entail_node=trace`.
pub const FILTER: &str = "ENTAIL_LOG";

/// What to set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service name in traces, unless the environment sets another: `entail-node`.
    pub service_name: String,
    /// Distinguishes this process from others of the same service: a configured name, or a random one.
    pub instance: String,
    pub log: LogFormat,
    /// The level from which Entail's events are logged when [`FILTER`] is not set; of libraries only warnings are.
    pub default_level: LevelFilter,
    /// Are traces that start in this process kept, here and in all called processes?
    pub asks: bool,
    /// Does the process serve requests? A process that does not records spans only if they are exported or requested.
    pub serves: bool,
    /// The longest time that the end of the process waits for the collector to accept the last spans.
    pub flush_max: Duration,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The reason why telemetry could not be set up.
#[derive(Debug)]
pub enum Error {
    /// [`FILTER`] is not a valid filter.
    Filter(String),
    /// `OTEL_*` variables ask a role for something unsupported.
    Setting(String),
    /// The exporter rejects its settings.
    Exporter(String),
    /// Telemetry of this process has been set up already.
    Twice,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(why) => write!(f, "{FILTER} is not a filter: {why}"),
            Self::Setting(why) => f.write_str(why),
            Self::Exporter(why) => write!(f, "traces cannot be exported with these OTEL_* variables: {why}"),
            Self::Twice => f.write_str("telemetry has been set up already"),
        }
    }
}

impl std::error::Error for Error {}

/// The ring and the counters of this process.
struct Kept {
    ring: Arc<Ring>,
    drops: Arc<Drops>,
    keeping: Keeping,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// Keeps telemetry running; dropping it flushes the queued spans, for at most [`Options::flush_max`].
#[derive(Debug)]
#[must_use]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    flush_max: Duration,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            // Spans that could not be sent by now are lost; the work does not depend on them.
            let _ = provider.shutdown_with_timeout(self.flush_max);
        }
    }
}

/// Sets up logs and traces. Once per process, inside a tokio runtime.
///
/// `OTEL_*` variables are often set for other programs: a command ignores settings that it cannot follow and logs one
/// line about them. A role refuses to start, because its operators rely on its traces.
///
/// # Errors
/// For an invalid filter, for settings of OpenTelemetry that a role cannot follow, and if called a second
/// time.
pub fn init(options: &Options) -> Result<Guard, Error> {
    let filter = log::filter(std::env::var(FILTER).ok().as_deref(), options.default_level)?;
    let Wishes { settings, mut refused, unread } = Wishes::read(&|name| std::env::var(name).ok());
    if options.serves && !refused.is_empty() {
        return Err(Error::Setting(refused.join("; ")));
    }
    let provider = match settings.filter(|settings| options.serves || options.asks || settings.sends()) {
        Some(settings) => {
            let (provider, kept) = match start(settings.clone(), options) {
                Err(Error::Exporter(why)) if !options.serves => {
                    refused.push(format!("the OTEL_EXPORTER_OTLP_* variables: {why}"));
                    start(settings.without_collector(), options)?
                }
                started => started?,
            };
            KEPT.set(kept).map_err(|_| Error::Twice)?;
            Some(provider)
        }
        None => None,
    };
    // No layer at all instead of an optional empty one: a layer without a filter enables every span, also of libraries.
    let started = match &provider {
        Some(provider) => {
            let log = log::layer(options.log, filter);
            Registry::default().with(export::layer(provider)).with(log).try_init()
        }
        None => Registry::default().with(log::layer(options.log, filter)).try_init(),
    };
    started.map_err(|_| Error::Twice)?;
    refused.extend(unread);
    if !refused.is_empty() {
        tracing::warn!("settings of OpenTelemetry that are not supported are ignored: {}", refused.join("; "));
    }
    Ok(Guard { provider, flush_max: options.flush_max })
}

/// Creates the provider of spans, and the ring and counters of this process.
fn start(mut settings: Settings, options: &Options) -> Result<(SdkTracerProvider, Kept), Error> {
    if !settings.sends() && !options.serves {
        // Called processes that export their spans would otherwise export children of a span that is exported nowhere.
        settings.sampler = Sampler::AlwaysOff;
    }
    let ring = Arc::new(Ring::default());
    let who = Identity { service_name: &options.service_name, instance: &options.instance, asks: options.asks };
    let (provider, drops, keeping) = export::provider(&settings, &who, Arc::clone(&ring))?;
    Ok((provider, Kept { ring, drops, keeping }))
}

/// The spans of a trace that this process still has, as bytes for [`trace::decode`]. Results of several processes can
/// be concatenated.
pub fn recent(trace: [u8; 16]) -> Vec<u8> {
    KEPT.get().map(|kept| kept.ring.trace(trace)).unwrap_or_default()
}

/// Is a request with this trace context kept? For an empty context, the answer is for the trace that begins with the
/// next span of this thread. True when tracing is off, where it makes no difference.
fn is_kept(context: &Context) -> bool {
    KEPT.get().is_none_or(|kept| kept.keeping.keeps(context))
}

/// The number of spans that were lost on the way to the collector since this process began.
pub fn spans_dropped() -> u64 {
    KEPT.get().map_or(0, |kept| kept.drops.spans())
}
