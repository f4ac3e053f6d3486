//! Exchanges as a trace shows them: one span for everything that goes to one peer in a round or a query, never one for
//! each message, and none where only the word goes that there is nothing.

use entail_logic::exchange::Payload;
use entail_model::NodeId;
use entail_telemetry::count;
use std::collections::BTreeMap;
use tracing::{Span, info_span};

/// What goes to other nodes, by node; each span ends when this is dropped.
#[derive(Debug)]
pub struct Traffic {
    parent: Span,
    peers: BTreeMap<NodeId, Exchange>,
}

#[derive(Debug)]
struct Exchange {
    span: Span,
    messages: u64,
    bytes: u64,
}

impl Traffic {
    /// Nothing has gone yet, of what `parent` stands for.
    pub fn new(parent: Span) -> Self {
        Self { parent, peers: BTreeMap::new() }
    }

    /// Counts a message to a node at an address, and gives the span that it belongs to.
    pub fn goes(&mut self, to: NodeId, address: &str, payload: &Payload) -> Span {
        if self.parent.is_disabled() {
            return Span::none();
        }
        if matches!(payload, Payload::Close { .. }) {
            return self.peers.get(&to).map_or_else(Span::none, |exchange| exchange.span.clone());
        }
        let exchange = self.peers.entry(to).or_insert_with(|| {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            let port: i64 = port.parse().unwrap_or(0);
            let span = info_span!(
                parent: &self.parent,
                "exchange",
                otel.kind = "producer",
                "server.address" = host,
                "server.port" = port,
            );
            Exchange { span, messages: 0, bytes: 0 }
        });
        exchange.messages += 1;
        exchange.bytes += bytes(payload);
        exchange.span.clone()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for exchange in self.peers.values() {
            count(&exchange.span, "entail.messages", exchange.messages);
            count(&exchange.span, "entail.bytes", exchange.bytes);
        }
    }
}

/// Bytes of what a message carries, without its envelope.
pub fn bytes(payload: &Payload) -> u64 {
    match payload {
        Payload::Rows { batch, .. } => batch.bytes(),
        Payload::Heads { pairs, .. } | Payload::Copies { pairs, .. } => pairs.len() as u64 * 16,
        Payload::Close { .. } => 8,
    }
}
