//! Spans of exchanges: one for all messages to one peer in a round or a query, never one for each message, and none if only
//! Close messages are sent.
//!
//! ```text
//! first message ──► … ──► last receipt: the span's time      end of the round or part: later receipts do not count
//! ```

use entail_logic::exchange::Payload;
use entail_model::{Fault, NodeId};
use entail_telemetry::count;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tracing::{Span, info_span};

/// Messages to other nodes, by node. No span outlives this value, so that each is within its parent.
#[derive(Debug)]
pub struct Traffic {
    parent: Span,
    peers: BTreeMap<NodeId, Exchange>,
}

#[derive(Debug)]
struct Exchange {
    /// Each message without a receipt has a weak reference to the span.
    span: Arc<Span>,
    messages: u64,
    bytes: u64,
}

/// Waits for a message's receipt; empty without a trace.
#[derive(Debug, Default)]
pub struct Receipt(Weak<Span>);

impl Receipt {
    /// Records that the peer has the message.
    pub fn came(self) {
        if let Some(span) = self.0.upgrade() {
            touch(&span);
        }
    }
}

/// Enters and leaves the span: its end is the time at which it was last left.
fn touch(span: &Span) {
    span.in_scope(|| ());
}

impl Traffic {
    /// No messages yet, for the round or query of the span `parent`.
    pub fn new(parent: Span) -> Self {
        Self { parent, peers: BTreeMap::new() }
    }

    /// Counts a message to a node; `address` is called only if the node's address is needed.
    ///
    /// # Errors
    /// Those of `address`.
    pub fn goes(
        &mut self,
        to: NodeId,
        address: impl FnOnce() -> Result<String, Fault>,
        payload: &Payload,
    ) -> Result<Receipt, Fault> {
        if self.parent.is_disabled() {
            return Ok(Receipt::default());
        }
        let is_close = matches!(payload, Payload::Close { .. });
        if !self.peers.contains_key(&to) {
            if is_close {
                return Ok(Receipt::default());
            }
            self.peers.insert(to, Exchange::new(&self.parent, &address()?));
        }
        let exchange = self.peers.get_mut(&to).expect("it is there or was just inserted");
        if !is_close {
            exchange.messages += 1;
            exchange.bytes += bytes(payload);
        }
        Ok(Receipt(Arc::downgrade(&exchange.span)))
    }
}

impl Exchange {
    fn new(parent: &Span, address: &str) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let port: i64 = port.parse().unwrap_or(0);
        let span = info_span!(
            parent: parent,
            "exchange",
            otel.kind = "producer",
            "server.address" = host,
            "server.port" = port,
        );
        Self { span: Arc::new(span), messages: 0, bytes: 0 }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for exchange in self.peers.values() {
            count(&exchange.span, "entail.messages", exchange.messages);
            count(&exchange.span, "entail.bytes", exchange.bytes);
            if Arc::weak_count(&exchange.span) > 0 {
                // Receipts of messages in flight are no longer awaited.
                touch(&exchange.span);
            }
        }
    }
}

/// Bytes of a message's payload, without its envelope.
pub fn bytes(payload: &Payload) -> u64 {
    match payload {
        Payload::Rows { batch, .. } => batch.bytes(),
        Payload::Heads { pairs, .. } | Payload::Copies { pairs, .. } | Payload::Broadcast { pairs, .. } => {
            pairs.len() as u64 * 16
        }
        Payload::Blocks { blocks, .. } => blocks.bytes(),
        Payload::Close { .. } => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{Relation, TermId};
    use std::sync::atomic::{AtomicU64, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Counts how often spans are left, and how many have ended.
    #[derive(Clone, Default)]
    struct Watched {
        spans: Arc<AtomicU64>,
        left: Arc<AtomicU64>,
        ended: Arc<AtomicU64>,
    }

    impl Watched {
        fn counts(&self) -> [u64; 3] {
            [&self.spans, &self.left, &self.ended].map(|count| count.load(Ordering::Relaxed))
        }
    }

    impl Subscriber for Watched {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {
            self.left.fetch_add(1, Ordering::Relaxed);
        }

        fn try_close(&self, _: Id) -> bool {
            self.ended.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    const RELATION: Relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId::DEFAULT_GRAPH };
    const HEADS: Payload = Payload::Copies { relation: RELATION, pairs: Vec::new() };

    #[test]
    fn an_exchange_ends_with_its_last_receipt_or_with_its_round() {
        let watched = Watched::default();
        tracing::subscriber::with_default(watched.clone(), || {
            let mut traffic = Traffic::new(info_span!("round"));
            let address = || Ok("10.0.0.1:7401".to_owned());
            traffic.goes(NodeId(1), address, &Payload::Close { messages: 0 }).expect("no address is needed").came();
            assert_eq!(watched.counts(), [1, 0, 0], "the word that there is nothing is no exchange");
            let [first, second] = [0, 1].map(|_| traffic.goes(NodeId(1), address, &HEADS).expect("an address"));
            first.came();
            second.came();
            assert_eq!(watched.counts(), [2, 2, 0], "the last receipt is the end, as far as is known");
            drop(traffic);
            assert_eq!(watched.counts(), [2, 2, 2], "nothing was on its way");
        });
    }

    #[test]
    fn a_receipt_that_is_late_keeps_no_span_open() {
        let watched = Watched::default();
        tracing::subscriber::with_default(watched.clone(), || {
            let mut traffic = Traffic::new(info_span!("round"));
            let late = traffic.goes(NodeId(1), || Ok("10.0.0.1:7401".to_owned()), &HEADS).expect("an address");
            drop(traffic);
            assert_eq!(watched.counts(), [2, 1, 2], "the round's end is its end");
            late.came();
            assert_eq!(watched.counts(), [2, 1, 2]);
        });
    }

    #[test]
    fn without_a_trace_nobody_asks_for_an_address() {
        let mut traffic = Traffic::new(Span::none());
        let receipt = traffic.goes(NodeId(1), || unreachable!("it is not needed"), &HEADS).expect("nothing can fail");
        receipt.came();
    }
}
