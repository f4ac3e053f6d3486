//! Attributes and errors that are added to a span after its start.

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The longest string attribute, in characters: a query may have a megabyte, and an error may quote one.
const TEXT_CHARS_MAX: usize = 2048;

/// Adds a number to a span.
pub fn count(span: &Span, key: &'static str, number: u64) {
    if !span.is_disabled() {
        span.set_attribute(key, i64::try_from(number).unwrap_or(i64::MAX));
    }
}

/// Adds a string to a span; a longer one is truncated to the limit.
pub fn text(span: &Span, key: &'static str, text: &str) {
    if !span.is_disabled() {
        span.set_attribute(key, cut(text).to_owned());
    }
}

/// Marks a span as failed: `error` is a short word for the kind of failure, `message` describes it.
pub fn fail(span: &Span, error: &str, message: &str) {
    if !span.is_disabled() {
        span.set_attribute("error.type", error.to_owned());
        span.set_status(opentelemetry::trace::Status::error(cut(message).to_owned()));
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{self, Identity};
    use crate::ring::Ring;
    use crate::settings::Settings;
    use opentelemetry_sdk::trace::Sampler;
    use std::sync::Arc;
    use tracing::info_span;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn long_texts_and_messages_are_cut() {
        let settings =
            Settings { otlp: None, console: false, sampler: Sampler::AlwaysOn, queue_max: 1, service_name: None };
        let ring = Arc::new(Ring::default());
        let who = Identity { service_name: "entail", instance: "one", asks: false };
        let (provider, ..) = export::provider(&settings, &who, Arc::clone(&ring)).unwrap();
        let long = "\u{e9}".repeat(10 * TEXT_CHARS_MAX);
        let trace = tracing::subscriber::with_default(Registry::default().with(export::layer(&provider)), || {
            let span = info_span!("command");
            text(&span, "db.query.text", &long);
            fail(&span, "SYNTAX", &long);
            crate::trace_id(&span).unwrap()
        });
        let span = crate::trace::decode(&ring.trace(trace)).unwrap().remove(0);
        let texts = [span.text("db.query.text"), span.error.as_deref()];
        assert_eq!(texts.map(|text| text.unwrap().chars().count()), [TEXT_CHARS_MAX; 2]);
        assert_eq!(span.text("error.type"), Some("SYNTAX"));
    }
}
