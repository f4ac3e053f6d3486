//! A call: its principal, its deadline and its cancellation.

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
    /// When the caller stops waiting, if it gave a deadline.
    pub deadline: Option<Instant>,
    /// Cancels the work of the call.
    pub cancel: Cancellation,
}

impl Call {
    /// A call that arrives now, with the time limit that the client gave.
    pub fn new(principal: Principal, time: Option<Duration>) -> Self {
        let started = Instant::now();
        let deadline = time.map(|time| started + time);
        Self { principal, started, deadline, cancel: Cancellation::default() }
    }

    /// The caller's deadline, or the default one.
    pub fn deadline_or(&self, default: Duration) -> Instant {
        self.deadline.unwrap_or(self.started + default)
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

/// Work with a deadline: it is cancelled at the deadline and when the guard is dropped.
pub fn bounded(cancel: &Cancellation) -> CancelOnDrop {
    if cancel.deadline().is_some() {
        tokio::spawn(expire_at_deadline(cancel.clone()));
    }
    cancel.cancel_on_drop()
}

/// Cancels the work at its deadline; completes when the work is cancelled before.
async fn expire_at_deadline(cancel: Cancellation) {
    let Some(deadline) = cancel.deadline() else { return };
    tokio::select! {
        () = tokio::time::sleep_until(deadline.into()) => cancel.expire(),
        () = cancel.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Reason;

    #[tokio::test]
    async fn work_ends_at_its_deadline_or_with_its_owner() {
        let late = Cancellation::until(Instant::now() + Duration::from_millis(20));
        let _owner = bounded(&late);
        late.cancelled().await;
        assert_eq!(late.check().map_err(|fault| fault.reason), Err(Reason::DeadlineExceeded));
        let left = Cancellation::until(Instant::now() + Duration::from_secs(5));
        drop(bounded(&left));
        assert_eq!(left.check().map_err(|fault| fault.reason), Err(Reason::Cancelled));
    }
}
