//! What all nodes are asked for at once, in a span of its own: a round, the seal, the news of the outcome.

use entail_telemetry::count;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Span;

/// Calls to all nodes for the same thing.
pub struct Phase {
    key: u32,
    pub span: Span,
    /// New facts that the nodes have told of.
    pub derived: Arc<AtomicU64>,
}

impl Phase {
    /// The phase of a key; the one before is over then.
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
