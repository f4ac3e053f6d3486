//! A phase of an attempt, with its span: a round, the seal, or the delivery of the outcome to the nodes.

use entail_telemetry::count;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Span;

/// The calls of one phase to all nodes.
pub struct Phase {
    key: u32,
    pub span: Span,
    /// New facts that the nodes have reported.
    pub derived: Arc<AtomicU64>,
}

impl Phase {
    /// Enters the phase of `key`, and ends the previous one.
    pub fn enter(current: &mut Option<Self>, key: u32, span: impl FnOnce() -> Span) -> &Self {
        if current.as_ref().is_none_or(|phase| phase.key != key) {
            *current = None;
        }
        current.get_or_insert_with(|| Self { key, span: span(), derived: Arc::default() })
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        match self.derived.load(Ordering::Relaxed) {
            0 => {}
            derived => count(&self.span, "entail.derived", derived),
        }
    }
}
