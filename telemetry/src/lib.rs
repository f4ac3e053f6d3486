//! Logs, traces and metrics of one process. Nobody else names OpenTelemetry or Prometheus.
//!
//! ```text
//! tracing ──► filter (ENTAIL_LOG) ──► stderr, as text or JSON
//!                              └────► bounded queue ──► OTLP    (only with OTEL_EXPORTER_OTLP_ENDPOINT)
//! roles ──► Instruments: metrics, readiness ──► whoever asks over HTTP
//! ```
//! Telemetry never holds up the work: when the queue is full, or the collector is gone, spans are dropped.

mod context;
mod export;
pub mod metrics;
mod readiness;

pub use context::{adopt, inject};
pub use readiness::{Instruments, Readiness};

use std::fmt;
use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// The environment variable with the filter, in the syntax of `tracing-subscriber`: `debug`, `warn,entail_node=trace`.
pub const FILTER: &str = "ENTAIL_LOG";

/// What to set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name that traces carry: `entail-node`.
    pub service_name: String,
    pub log: LogFormat,
    /// What is logged of Entail when [`FILTER`] is not set; of libraries only warnings are.
    pub default_level: LevelFilter,
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
    /// The exporter refuses its settings.
    Exporter(String),
    /// This process has been set up already.
    Twice,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(why) => write!(f, "{FILTER} is not a filter: {why}"),
            Self::Exporter(why) => write!(f, "traces cannot be exported: {why}"),
            Self::Twice => f.write_str("telemetry has been set up already"),
        }
    }
}

impl std::error::Error for Error {}

/// Keeps telemetry going; dropping it sends what is still queued, for two seconds at most.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    _exporter: Option<export::Exporter>,
}

/// Sets up logs and, where an endpoint is configured, traces. Once per process, inside a tokio runtime.
///
/// # Errors
/// For a filter or exporter settings that cannot be understood, and the second time.
pub fn init(options: &Options) -> Result<Guard, Error> {
    let filter = filter(std::env::var(FILTER).ok().as_deref(), options.default_level)?;
    let (traces, exporter) = match export::layer(&options.service_name)? {
        Some((layer, exporter)) => (Some(layer), Some(exporter)),
        None => (None, None),
    };
    let subscriber = Registry::default().with(filter).with(lines(options.log)).with(traces);
    subscriber.try_init().map_err(|_| Error::Twice)?;
    Ok(Guard { _exporter: exporter })
}

fn filter(wanted: Option<&str>, default_level: LevelFilter) -> Result<EnvFilter, Error> {
    match wanted.filter(|text| !text.trim().is_empty()) {
        Some(text) => EnvFilter::try_new(text).map_err(|error| Error::Filter(error.to_string())),
        None => {
            let libraries = default_level.min(LevelFilter::WARN);
            EnvFilter::try_new(format!("{libraries},entail={default_level}"))
                .map_err(|error| Error::Filter(error.to_string()))
        }
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(has_colours()).boxed(),
        LogFormat::Json => layer.json().boxed(),
    }
}

/// Colours are for people: on a terminal, unless `NO_COLOR` is set.
fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert_eq!(filter(None, LevelFilter::INFO).unwrap().to_string(), "entail=info,warn");
        assert_eq!(filter(Some(" "), LevelFilter::OFF).unwrap().to_string(), "entail=off,off");
        assert_eq!(filter(Some("entail_node=trace"), LevelFilter::INFO).unwrap().to_string(), "entail_node=trace");
        assert!(matches!(filter(Some("entail=loud"), LevelFilter::INFO), Err(Error::Filter(_))));
    }
}
