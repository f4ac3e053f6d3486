//! Logs, traces and metrics of one process. Nobody else names OpenTelemetry or Prometheus.
//!
//! ```text
//! events ──► filter (ENTAIL_LOG) ──► stderr, as text or JSON, with the ids of the span
//! spans  ──► ring: the last ones of this process
//!              └ sampled ──► bounded queue ──► OTLP    (only with OTEL_EXPORTER_OTLP_ENDPOINT)
//! calls: ClientSpans ──traceparent──► ServerSpans
//! roles  ──► Instruments: metrics, readiness ──► http: /metrics, /readyz, /healthz
//! ```
//! Telemetry never holds up the work: when the queue is full, or the collector is gone, spans are dropped and counted.

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
    /// The name that traces carry, unless the environment has another: `entail-node`.
    pub service_name: String,
    /// Tells this process from others of the same service: a name that people gave it, or anything else.
    pub instance: String,
    pub log: LogFormat,
    /// What is logged of Entail when [`FILTER`] is not set; of libraries only warnings are.
    pub default_level: LevelFilter,
    /// Are the traces that this process begins to be kept, here and by all whom it calls?
    pub asks: bool,
    /// Does it serve? Of a process that only asks others there is nothing to tell unless spans are sent or asked for.
    pub serves: bool,
    /// How long the end of the process may wait for the collector to take the last spans.
    pub flush_max: Duration,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug)]
pub enum Error {
    /// [`FILTER`] cannot be understood.
    Filter(String),
    /// Variables of OpenTelemetry ask a role for what cannot be had.
    Setting(String),
    /// The exporter refuses its settings.
    Exporter(String),
    /// This process has been set up already.
    Twice,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(why) => write!(f, "{FILTER} is not a filter: {why}"),
            Self::Setting(why) => f.write_str(why),
            Self::Exporter(why) => write!(f, "traces cannot be sent as the OTEL_* variables say: {why}"),
            Self::Twice => f.write_str("telemetry has been set up already"),
        }
    }
}

impl std::error::Error for Error {}

/// What this process keeps and counts.
struct Kept {
    ring: Arc<Ring>,
    drops: Arc<Drops>,
    keeping: Keeping,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// Keeps telemetry going; dropping it sends what is still queued, as long as that may take.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    flush_max: Duration,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            // Spans that could not be sent by now are lost, which the work does not depend on.
            let _ = provider.shutdown_with_timeout(self.flush_max);
        }
    }
}

/// Sets up logs and traces. Once per process, inside a tokio runtime.
///
/// `OTEL_*` variables are often set for other programs: a command goes on without what they ask for in vain, and says so
/// in one line of the log. A role, whose traces somebody relies on, does not start.
///
/// # Errors
/// For a filter that cannot be understood, for settings of OpenTelemetry that a role cannot meet, and the second time.
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
    // Not a layer that may be none: one without a filter has everything recorded, the spans of libraries as well.
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

/// Makes the provider of spans, and what this process keeps of them.
fn start(mut settings: Settings, options: &Options) -> Result<(SdkTracerProvider, Kept), Error> {
    if !settings.sends() && !options.serves {
        // Whoever sends its own spans would miss the one that they are below.
        settings.sampler = Sampler::AlwaysOff;
    }
    let ring = Arc::new(Ring::default());
    let who = Identity { service_name: &options.service_name, instance: &options.instance, asks: options.asks };
    let (provider, drops, keeping) = export::provider(&settings, &who, Arc::clone(&ring))?;
    Ok((provider, Kept { ring, drops, keeping }))
}

/// What this process still has of a trace, as bytes for [`trace::decode`]; several such answers, one after the other,
/// are one.
pub fn recent(trace: [u8; 16]) -> Vec<u8> {
    KEPT.get().map(|kept| kept.ring.trace(trace)).unwrap_or_default()
}

/// Is a request of this trace to be kept? Without one, a trace begins with the next span of this thread. Without tracing
/// it makes no difference.
fn is_kept(context: &Context) -> bool {
    KEPT.get().is_none_or(|kept| kept.keeping.keeps(context))
}

/// How many spans have been lost on their way to the collector since this process began.
pub fn spans_dropped() -> u64 {
    KEPT.get().map_or(0, |kept| kept.drops.spans())
}
