//! The node as `NodeApi` for the coordinator and other nodes of its process: nothing is encoded, and blocking work runs on
//! the caller's thread, by `block_in_place`.
//!
//! In traces, metrics and at shutdown, calls appear as calls of the node's server do. Two kinds do not, since they are too
//! many: messages of an exchange, and calls that [`AtOnce`] answers, which are part of the caller's request.

use crate::operations::Operations;
use crate::queries::caught;
use crate::staged;
use crate::traffic;
use bytes::Bytes;
use entail_logic::epoch::Begun;
use entail_model::term::TermHash;
use entail_model::{Attempt, Epoch, Fault, Relation, TermId};
use entail_node_api::{
    Answered, Ask, AtOnce, Blocks, Call, Exchange, Execute, FlowId, NodeApi, Part, Parts, RelationChange, RoundAnswer,
    RoundRequest, Scan, SealAnswer, Show, Staged,
};
use entail_proto::gate::{Gate, Inside};
use entail_proto::internal::RelationSize;
use entail_proto::status;
use entail_telemetry::{LocalCall, LocalCalls};
use futures::{StreamExt, stream};
use std::fmt;
use tonic::Code;
use tracing::Instrument;

/// A node of this process.
pub struct Local {
    node: Operations,
    calls: LocalCalls,
    gate: Gate,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

/// Runs blocking work on this thread; another thread takes over its other tasks of the runtime. A panic of the work is a
/// fault of this call alone, as it is for a caller in another process.
fn here<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    tokio::task::block_in_place(|| caught("call", work))
}

impl Local {
    /// The node. `gate` is that of its server; `calls` counts in the metrics of its server.
    pub fn new(node: Operations, calls: LocalCalls, gate: Gate) -> Self {
        Self { node, calls, gate }
    }

    /// Admits a call, unless the node is shutting down or belongs to another cluster.
    fn begin(&self, call: Call, method: &'static str) -> Result<(Inside, LocalCall), Fault> {
        let begun = self.calls.begin(method);
        let inside = self.gate.admit(method).and_then(|inside| {
            self.node.context.check_cluster(call.cluster.0)?;
            Ok(inside)
        });
        match inside {
            Ok(inside) => Ok((inside, begun)),
            Err(fault) => Err(told(begun, fault)),
        }
    }

    /// The attempt that a call is for. A call within the process is the coordinator's own, or that of a node at work for
    /// it, and is believed.
    fn begun(&self, call: Call, attempt: Attempt) -> Begun {
        let begun = Begun { attempt, secret: call.secret };
        self.node.admission.believe(begun);
        begun
    }

    /// Runs a call until it has its answer or the node cuts it off at shutdown.
    async fn call<T>(
        &self,
        call: Call,
        method: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let (_inside, mut begun) = self.begin(call, method)?;
        let work = work.instrument(begun.span());
        let result = tokio::select! {
            biased;
            result = work => result,
            () = self.gate.is_cut() => Err(self.gate.refusal(method)),
        };
        match result {
            Ok(answer) => {
                begun.tell(Code::Ok, String::new);
                Ok(answer)
            }
            Err(fault) => Err(told(begun, fault)),
        }
    }
}

/// Records the fault that a call ended with.
fn told(mut call: LocalCall, fault: Fault) -> Fault {
    call.tell(status::code(fault.reason), || fault.message.clone());
    fault
}

#[tonic::async_trait]
impl NodeApi for Local {
    async fn intern(
        &self,
        call: Call,
        attempt: Attempt,
        terms: &[&[u8]],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault> {
        let begun = self.begun(call, attempt);
        let work = async { here(|| self.node.intern(begun, terms, hashes)) };
        self.call(call, "entail.internal.v1.NodeService/Intern", work).await
    }

    async fn lookup(&self, call: Call, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        let work = async { here(|| self.node.context.store.lookup(terms)) };
        self.call(call, "entail.internal.v1.NodeService/Lookup", work).await
    }

    async fn texts(&self, call: Call, ids: &[TermId], bytes_max: u64, show: Show<'_>) -> Result<(), Fault> {
        let work = async { here(|| self.node.context.store.show_texts(ids, bytes_max, show)) };
        self.call(call, "entail.internal.v1.NodeService/Decode", work).await
    }

    async fn stage(&self, call: Call, staged: Staged) -> Result<(), Fault> {
        let Staged { attempt, previous, sequence, operation, change } = staged;
        let begun = self.begun(call, attempt);
        let stage = || self.node.stage(begun, previous, sequence, |intake| staged::change(intake, operation, &change));
        self.call(call, "entail.internal.v1.NodeService/Stage", async { here(stage) }).await
    }

    async fn reason(&self, call: Call, request: RoundRequest) -> Result<RoundAnswer, Fault> {
        self.begun(call, request.attempt);
        let work = self.node.reason((call.cluster.0, call.secret), |_| Ok(request));
        self.call(call, "entail.internal.v1.NodeService/Reason", work).await
    }

    async fn seal(&self, call: Call, attempt: Attempt) -> Result<SealAnswer, Fault> {
        let begun = self.begun(call, attempt);
        let work = self.node.blocking(call.cluster.0, move |node| node.seal(begun));
        self.call(call, "entail.internal.v1.NodeService/Seal", work).await
    }

    async fn preview(&self, call: Call, attempt: Attempt) -> Result<Vec<(Relation, RelationChange)>, Fault> {
        let begun = self.begun(call, attempt);
        let work = self.node.blocking(call.cluster.0, move |node| node.preview(begun));
        self.call(call, "entail.internal.v1.NodeService/Preview", work).await
    }

    async fn decide(&self, call: Call, attempt: Attempt, epoch: Option<Epoch>) -> Result<(), Fault> {
        let decide = move |node: &Operations| node.attempts.decide(&node.context, attempt, epoch);
        let work = self.node.blocking(call.cluster.0, decide);
        self.call(call, "entail.internal.v1.NodeService/Decide", work).await
    }

    async fn execute(&self, call: Call, request: Execute) -> Result<Parts, Fault> {
        let (inside, begun) = self.begin(call, "entail.internal.v1.NodeService/Execute")?;
        let parts = match begun.span().in_scope(|| self.node.execute(request, call.time_left())) {
            Ok(parts) => parts,
            Err(fault) => return Err(told(begun, fault)),
        };
        let mut begun = Some((inside, begun));
        let parts = parts.map(move |part| {
            // The last part ends the call, before the query receives that part.
            match &part {
                Ok(Part::Rows(_)) => {}
                Ok(Part::Done(_)) => _ = begun.take().map(|(_, mut call)| call.tell(Code::Ok, String::new)),
                Err(fault) => _ = begun.take().map(|(_, call)| told(call, fault.clone())),
            }
            part
        });
        Ok(Box::pin(parts.take_until(self.gate.is_cut())))
    }

    async fn sizes(&self, call: Call, epoch: Epoch) -> Result<Vec<RelationSize>, Fault> {
        let work = self.node.blocking(call.cluster.0, move |node| node.sizes(epoch));
        self.call(call, "entail.internal.v1.NodeService/Sizes", work).await
    }

    async fn scan(&self, call: Call, scan: Scan) -> Result<Blocks, Fault> {
        let (inside, begun) = self.begin(call, "entail.internal.v1.NodeService/Scan")?;
        let blocks = match self.node.scan(scan) {
            Ok(blocks) => blocks,
            Err(fault) => return Err(told(begun, fault)),
        };
        let blocks = stream::unfold((blocks, Some((inside, begun))), |(mut blocks, mut begun)| async move {
            match blocks.next().await {
                Some(Ok(block)) => Some((Ok(block), (blocks, begun))),
                Some(Err(fault)) => {
                    let fault = begun.take().map_or_else(|| fault.clone(), |(_, call)| told(call, fault.clone()));
                    Some((Err(fault), (blocks, None)))
                }
                None => {
                    _ = begun.take().map(|(_, mut call)| call.tell(Code::Ok, String::new));
                    None
                }
            }
        });
        Ok(Box::pin(blocks.take_until(self.gate.is_cut())))
    }

    async fn trace(&self, _: Call, trace: [u8; 16]) -> Result<Bytes, Fault> {
        Ok(entail_telemetry::recent(trace).into())
    }

    async fn exchange(&self, call: Call, exchange: Exchange) -> Result<u64, Fault> {
        self.node.context.check_cluster(call.cluster.0)?;
        if let FlowId::Attempt(attempt) = exchange.flow {
            self.begun(call, attempt);
        }
        let bytes = traffic::bytes(&exchange.message.payload);
        if let Some(exchange) = self.node.try_receive(exchange, bytes)? {
            here(|| self.node.receive(exchange, call.secret, bytes))?;
        }
        Ok(bytes)
    }

    fn at_once(&self) -> Option<&dyn AtOnce> {
        Some(self)
    }
}

impl AtOnce for Local {
    fn answer(&self, call: Call, ask: Ask) -> Result<Answered, Fault> {
        self.node.context.check_cluster(call.cluster.0)?;
        self.node.answer(ask)
    }

    fn lookup(&self, call: Call, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        self.node.context.check_cluster(call.cluster.0)?;
        caught("call", || self.node.context.store.lookup(terms))
    }

    fn texts(&self, call: Call, ids: &[TermId], bytes_max: u64, show: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.node.context.check_cluster(call.cluster.0)?;
        caught("call", || self.node.context.store.show_texts(ids, bytes_max, show))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Reason;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_of_a_call_is_a_fault_of_that_call() {
        let fault = here::<()>(|| panic!("a defect")).expect_err("it has failed");
        assert_eq!(fault.reason, Reason::Internal);
        assert_eq!(here(|| Ok(7)), Ok(7));
    }
}
