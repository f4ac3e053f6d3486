//! The running calls: they can be listed and cancelled.
//!
//! Queries on the local fast path are not listed: they end too soon.

use super::call::Call;
use entail_model::{Cancellation, Epoch, Fault, Reason};
use entail_proto::v1::RunningQuery;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Limit on the characters of a query's text in the list.
const TEXT_CHARS_MAX: usize = 500;

/// All running calls, by number.
#[derive(Debug, Default)]
pub struct RunningCalls {
    last: AtomicU64,
    calls: Mutex<BTreeMap<u64, Arc<RunningCall>>>,
}

/// A running call.
#[derive(Debug)]
pub struct RunningCall {
    kind: &'static str,
    text: String,
    principal: String,
    started: Instant,
    started_at: SystemTime,
    cancel: Cancellation,
    /// The epoch that a query reads; 0 while it is not chosen.
    epoch: AtomicU64,
    /// Rows of the answer that are written, or triples that a load has staged.
    pub rows: Arc<AtomicU64>,
}

impl RunningCalls {
    /// Lists a call until the guard is dropped.
    pub fn begin(self: &Arc<Self>, kind: &'static str, text: &str, call: &Call) -> Running {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let one = Arc::new(RunningCall {
            kind,
            text: shortened(text),
            principal: call.principal.to_string(),
            started: call.started,
            started_at: SystemTime::now(),
            cancel: call.cancel.clone(),
            epoch: AtomicU64::new(0),
            rows: Arc::default(),
        });
        self.lock().insert(number, Arc::clone(&one));
        Running { calls: Arc::clone(self), number, call: one }
    }

    /// All calls, the oldest first.
    pub fn list(&self) -> Vec<RunningQuery> {
        self.lock().iter().map(|(number, call)| call.listed(*number)).collect()
    }

    /// Cancels a call, which then ends with the reason `CANCELLED`.
    ///
    /// # Errors
    /// `InvalidRequest` for text that is not an id, `NotFound` for an id of no running call.
    pub fn cancel(&self, id: &str) -> Result<(), Fault> {
        let number: u64 =
            id.parse().map_err(|_| Fault::new(Reason::InvalidRequest, format!("{id} is not the id of a query")))?;
        let call = self.lock().get(&number).cloned();
        let call = call.ok_or_else(|| Fault::new(Reason::NotFound, format!("no query {id} is running")))?;
        tracing::info!(id = number, kind = call.kind, "a query is cancelled on request");
        call.cancel.cancel();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<RunningCall>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningCall {
    /// Sets the epoch that the call reads.
    pub fn reads(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
    }

    fn listed(&self, number: u64) -> RunningQuery {
        let started = self.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        RunningQuery {
            id: number.to_string(),
            kind: self.kind.to_owned(),
            text: self.text.clone(),
            principal: self.principal.clone(),
            started_unix_ms: started.as_millis() as u64,
            epoch: self.epoch.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// A call's entry in the list, removed on drop.
#[derive(Debug)]
pub struct Running {
    calls: Arc<RunningCalls>,
    number: u64,
    pub call: Arc<RunningCall>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.number);
    }
}

/// The text in one line, cut off with an ellipsis.
fn shortened(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut line = String::new();
    for word in words.by_ref() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * TEXT_CHARS_MAX {
            break;
        }
    }
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::call::Principal;

    #[test]
    fn calls_are_listed_until_they_end_and_can_be_cancelled() {
        let calls = Arc::new(RunningCalls::default());
        let call = Call::new(Principal::Anonymous, None);
        let running = calls.begin("query", "SELECT *\n  { ?s ?p ?o }", &call);
        running.call.reads(Epoch(7));
        running.call.rows.store(3, Ordering::Relaxed);
        let listed = calls.list().pop().unwrap();
        assert_eq!((listed.id.as_str(), listed.kind.as_str(), listed.epoch, listed.rows), ("1", "query", 7, 3));
        assert_eq!((listed.text.as_str(), listed.principal.as_str()), ("SELECT * { ?s ?p ?o }", "anonymous"));
        assert_eq!(calls.cancel("2").unwrap_err().reason, Reason::NotFound);
        assert_eq!(calls.cancel("one").unwrap_err().reason, Reason::InvalidRequest);
        assert!(!call.cancel.is_cancelled());
        calls.cancel("1").unwrap();
        assert!(call.cancel.is_cancelled());
        drop(running);
        assert!(calls.list().is_empty());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened(&"ü".repeat(TEXT_CHARS_MAX)).chars().count(), TEXT_CHARS_MAX);
        let long = shortened(&"ü ".repeat(TEXT_CHARS_MAX * 9));
        assert!(long.ends_with('…') && long.chars().count() == TEXT_CHARS_MAX + 1, "{long}");
    }
}
