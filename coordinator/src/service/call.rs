//! A call: its principal, its deadline and its cancellation.

use crate::deadline::bounded;
use entail_model::{CancelOnDrop, Cancellation};
use std::fmt;
use std::time::{Duration, Instant};
use tracing::Span;

/// The identity of the caller. There is no authentication yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Principal {
    #[default]
    Anonymous,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// One call of a client, by any protocol.
#[derive(Clone, Debug)]
pub struct Call {
    pub principal: Principal,
    /// When the request arrived.
    pub started: Instant,
    /// Cancels the work of the call. It has the caller's deadline, if the caller gave one.
    pub cancel: Cancellation,
}

impl Call {
    /// A call that arrives now, with the time limit that the client gave.
    pub fn new(principal: Principal, time: Option<Duration>) -> Self {
        let started = Instant::now();
        let cancel = time.map_or_else(Cancellation::default, |time| Cancellation::until(started + time));
        Self { principal, started, cancel }
    }

    /// The call with a deadline: its caller's, or else `default` after its arrival.
    pub fn until_or(mut self, default: Duration) -> (Self, Instant) {
        let deadline = self.deadline().unwrap_or(self.started + default);
        self.cancel = self.cancel.with_deadline(deadline);
        (self, deadline)
    }

    /// When the caller stops waiting, if it gave a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.cancel.deadline()
    }

    /// Ends the call's work at its deadline, and when the guard is dropped.
    pub fn bounded(&self) -> CancelOnDrop {
        bounded(&self.cancel)
    }

    /// Sets the call's attributes on its span, with OpenTelemetry's names for databases.
    pub fn describe(&self, operation: &str, text: &str) {
        let span = Span::current();
        entail_telemetry::text(&span, "db.system.name", "entail");
        entail_telemetry::text(&span, "db.operation.name", operation);
        if !text.is_empty() {
            entail_telemetry::text(&span, "db.query.text", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_bounds_only_calls_without_a_deadline() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        for (asked, expected) in [(None, long), (Some(short), short)] {
            let (call, deadline) = Call::new(Principal::Anonymous, asked).until_or(long);
            assert_eq!((deadline, call.deadline()), (call.started + expected, Some(deadline)), "{asked:?}");
        }
    }
}
