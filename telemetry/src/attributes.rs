//! What is told of a span after it has begun.

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The longest text that an attribute takes, in characters: queries may have a megabyte.
const TEXT_CHARS_MAX: usize = 2048;

/// Adds a number to a span.
pub fn count(span: &Span, key: &'static str, number: u64) {
    if !span.is_disabled() {
        span.set_attribute(key, i64::try_from(number).unwrap_or(i64::MAX));
    }
}

/// Adds a text to a span; one that is too long is cut.
pub fn text(span: &Span, key: &'static str, text: &str) {
    if !span.is_disabled() {
        let cut = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(at, _)| &text[..at]);
        span.set_attribute(key, cut.to_owned());
    }
}

/// Says that what a span stands for has failed: a short word for the kind of failure, and what happened.
pub fn fail(span: &Span, error: &str, message: &str) {
    if !span.is_disabled() {
        span.set_attribute("error.type", error.to_owned());
        span.set_status(opentelemetry::trace::Status::error(message.to_owned()));
    }
}
