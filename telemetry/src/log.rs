//! The log. A line that is written inside a span ends with the trace and span ids, by which the trace can be found.
//!
//! Spans themselves are not logged: they are exported when they have ended (see the `export` module).

use crate::{Error, LogFormat};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use std::fmt;
use std::io::{self, IsTerminal};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The layer that writes the log to the standard error.
pub fn layer<S>(format: LogFormat, filter: EnvFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    to(io::stderr, format, has_colours(), filter)
}

fn to<S, W>(writer: W, format: LogFormat, colours: bool, filter: EnvFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter.and(filter_fn(|about| about.is_event()));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => {
            layer.with_ansi(colours).fmt_fields(TextFields(DefaultFields::new())).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            let lines = JsonLines(Format::default().json().with_current_span(false).with_span_list(false));
            layer.fmt_fields(JsonFields::new()).event_format(lines).with_filter(filter).boxed()
        }
    }
}

/// The log filter: the given one, or everything of Entail from `default_level` on and the warnings of libraries.
/// OpenTelemetry's own messages are left out: lost spans are counted and reported once a minute.
pub fn filter(wanted: Option<&str>, default_level: LevelFilter) -> Result<EnvFilter, Error> {
    let parse = |text: &str| EnvFilter::try_new(text).map_err(|error| Error::Filter(error.to_string()));
    match wanted.filter(|text| !text.trim().is_empty()) {
        Some(text) => parse(text),
        None => {
            let libraries = default_level.min(LevelFilter::WARN);
            parse(&format!("{libraries},opentelemetry=off,entail={default_level}"))
        }
    }
}

/// Colours are used on a terminal, unless `NO_COLOR` is set.
fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The trace and span ids of the thread's current span.
fn ids() -> Option<(String, String)> {
    let context = Context::current();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
}

/// The fields of a text line, followed by the ids.
struct TextFields(DefaultFields);

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(writer.by_ref(), fields)?;
        ids().map_or(Ok(()), |(trace, span)| write!(writer, " trace_id={trace} span_id={span}"))
    }
}

/// JSON lines, with the ids as members of the object.
struct JsonLines(Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some((trace, span)) = ids() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writeln!(writer, "{object},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Two log lines, one written outside of spans and one inside of a span.
    fn lines(format: LogFormat) -> Vec<String> {
        let written = Written::default();
        let provider = SdkTracerProvider::builder().build();
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let writer = written.clone();
        let log = to(move || writer.clone(), format, false, filter(None, LevelFilter::WARN).unwrap());
        tracing::subscriber::with_default(Registry::default().with(log).with(traces), || {
            tracing::warn!(target: "entail", rows = 7, "outside");
            tracing::info_span!(target: "entail", "query")
                .in_scope(|| tracing::warn!(target: "entail", rows = 7, "inside"));
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_inside_a_span_carry_its_ids() {
        let text = lines(LogFormat::Text);
        assert!(text[0].ends_with("outside rows=7"), "{text:?}");
        let ids = text[1].split_once("inside rows=7 trace_id=").expect("the ids are at the end").1;
        let (trace, span) = ids.split_once(" span_id=").unwrap();
        assert!(trace.len() == 32 && span.len() == 16 && !text[1].contains("query"), "{text:?}");

        let json: Vec<serde_json::Value> =
            lines(LogFormat::Json).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(json[0].get("trace_id").is_none() && json[0]["fields"]["message"] == "outside");
        assert_eq!(json[1]["fields"]["message"], "inside");
        assert_eq!((json[1]["trace_id"].as_str().unwrap().len(), json[1]["span_id"].as_str().unwrap().len()), (32, 16));
    }

    #[test]
    fn filters_are_checked() {
        assert_eq!(filter(None, LevelFilter::INFO).unwrap().to_string(), "opentelemetry=off,entail=info,warn");
        assert_eq!(filter(Some(" "), LevelFilter::OFF).unwrap().to_string(), "opentelemetry=off,entail=off,off");
        assert_eq!(filter(Some("entail_node=trace"), LevelFilter::INFO).unwrap().to_string(), "entail_node=trace");
        assert!(matches!(filter(Some("entail=loud"), LevelFilter::INFO), Err(Error::Filter(_))));
    }
}
