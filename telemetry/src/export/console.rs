//! Writes spans as lines to the standard error, for reading the traces of a single process:
//! `OTEL_TRACES_EXPORTER=console`.

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Writes a span that has ended. The standard output belongs to the data of commands.
pub fn write(span: &SpanData) {
    // A closed standard error does not stop the process.
    _ = writeln!(io::stderr().lock(), "{}", line(span));
}

fn line(span: &SpanData) -> String {
    let time = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let (trace, id) = (span.span_context.trace_id(), span.span_context.span_id());
    let mut line = format!("span {} {:.3} ms trace_id={trace} span_id={id}", span.name, time.as_secs_f64() * 1e3);
    if span.parent_span_id != SpanId::INVALID {
        _ = write!(line, " parent_span_id={}", span.parent_span_id);
    }
    for pair in &span.attributes {
        _ = write!(line, " {}={:?}", pair.key, pair.value.as_str());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    #[derive(Debug)]
    struct Lines(Sender<String>);

    impl SpanProcessor for Lines {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.send(line(&span)).unwrap();
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn a_span_is_one_line() {
        let (sender, lines) = channel();
        let provider = SdkTracerProvider::builder().with_span_processor(Lines(sender)).build();
        let mut span = provider.tracer("test").start("query");
        span.set_attribute(KeyValue::new("db.query.text", "ASK {\n}"));
        span.end();
        let line = lines.recv().unwrap();
        assert!(line.starts_with("span query ") && line.contains(" ms trace_id="), "{line}");
        assert!(line.ends_with(r#" db.query.text="ASK {\n}""#), "{line}");
    }
}
