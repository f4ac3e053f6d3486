//! Work with a deadline.

use entail_model::{CancelOnDrop, Cancellation};

/// Cancels the work at its deadline and when the guard is dropped.
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
    use std::time::{Duration, Instant};

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
