//! The operations of a node, each once, on the caller's thread. Two edges call them: the gRPC
//! [service](crate::service) and, within the process, [`Local`](crate::local::Local).

use crate::admission::Admission;
use crate::attempt::{Attempts, Intake};
use crate::context::{AddressedShardMap, Context, StoreTexts};
use crate::metrics::Traffic;
use crate::queries::{Queries, caught};
use crate::scan;
use entail_logic::answer::{Answer, Committed, Effect, Event, Setup};
use entail_logic::epoch::Begun;
use entail_logic::eval::{Batch, RowBudget};
use entail_logic::exchange::route::ShardMap;
use entail_logic::fixpoint;
use entail_model::term::TermHash;
use entail_model::{Epoch, Fault, Reason, Relation, Secret, TermId, term};
use entail_node_api::{
    Answered, Ask, Block, Blocks, Exchange, Execute, FlowId, Parts, RelationChange, RoundAnswer, RoundRequest, Scan,
    SealAnswer,
};
use entail_proto::internal::RelationSize;
use entail_telemetry::count;
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tracing::info_span;

/// Scans at work at once: a coordinator admits no more dumps.
pub const SCANS_MAX: usize = 64;

/// A node's parts, which do the work. Clones are the same node.
#[derive(Clone)]
pub struct Operations {
    pub context: Arc<Context>,
    pub attempts: Arc<Attempts>,
    pub queries: Arc<Queries>,
    pub admission: Arc<Admission>,
    /// Permits of scans at work.
    pub scans: Arc<Semaphore>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").field("node", &self.context.node).finish_non_exhaustive()
    }
}

impl Operations {
    /// Runs an operation for a cluster off the async threads, in the caller's span.
    ///
    /// # Errors
    /// `WrongCluster`, `NotReady`, and those of the work.
    pub async fn blocking<T: Send + 'static>(
        &self,
        cluster: u64,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.context.check_cluster(cluster)?;
        let node = self.clone();
        self.context.blocking(move |_| work(&node)).await
    }

    /// The ids of terms with known hashes; new terms are interned for the attempt.
    pub fn intern(&self, begun: Begun, terms: &[&[u8]], hashes: &[TermHash]) -> Result<Vec<TermId>, Fault> {
        let attempt = begun.attempt;
        self.attempts.open(&self.context, begun)?;
        match hashes.len() == terms.len() {
            true => self.context.store.intern_hashed(attempt, terms, hashes),
            false => self.context.store.intern(attempt, terms),
        }
    }

    /// Stages changes of asserted facts, which `add` gives, for an attempt that builds on the epoch `previous`.
    pub fn stage(
        &self,
        begun: Begun,
        previous: Epoch,
        sequence: u64,
        add: impl FnOnce(&mut Intake<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.attempts.open(&self.context, begun)?.stage(&self.context, previous, sequence, add)
    }

    /// Runs a round until it is closed at this node; `request` is evaluated off the async threads.
    pub async fn reason(
        &self,
        (cluster, secret): (u64, Secret),
        request: impl FnOnce(&Self) -> Result<RoundRequest, Fault> + Send + 'static,
    ) -> Result<RoundAnswer, Fault> {
        let start = move |node: &Self| {
            let RoundRequest { attempt, round, step, first } = request(node)?;
            let open = node.attempts.open(&node.context, Begun { attempt, secret })?;
            open.start_round(&node.context, (round, step), first)?;
            Ok((open, round))
        };
        let (open, round) = self.blocking(cluster, start).await?;
        open.closed(round).await
    }

    /// Makes an attempt's runs durable.
    pub fn seal(&self, begun: Begun) -> Result<SealAnswer, Fault> {
        let (summary, [derived_added, derived_removed]) =
            self.attempts.open(&self.context, begun)?.seal(&self.context)?;
        let (asserted, derived) = (summary.after.facts_asserted(), summary.after.facts_derived());
        Ok(SealAnswer { digest: summary.digest, asserted, derived, derived_added, derived_removed })
    }

    /// What a seal of the attempt would change.
    pub fn preview(&self, begun: Begun) -> Result<Vec<(Relation, RelationChange)>, Fault> {
        self.attempts.open(&self.context, begun)?.preview(&self.context)
    }

    /// Starts a query's part, which ends at the latest after `deadline`. Dropping the stream stops it.
    pub fn execute(&self, request: Execute, deadline: Option<Duration>) -> Result<Parts, Fault> {
        let shard_maps = AddressedShardMap::new(self.context.node, &request.placement, &request.participants);
        let (parts, guard) = self.queries.start(&self.context, request, shard_maps, deadline)?;
        Ok(Box::pin(ReceiverStream::new(parts).map(move |part| {
            // The guard lives as long as the stream.
            let _alive = &guard;
            part
        })))
    }

    /// The rows of a plan that this node can answer alone, if they are few.
    pub fn answer(&self, ask: Ask) -> Result<Answered, Fault> {
        let _at_work = self.queries.begin_at_once();
        let _timed = self.context.metrics.part_seconds.start_timer();
        let span = info_span!("execute", "entail.epoch" = ask.epoch.0 as i64);
        let result = span.in_scope(|| caught("query's part", || self.run(ask)));
        if let Ok(Answered::Rows(rows)) = &result {
            count(&span, "entail.rows", rows.iter().map(|batch| batch.rows as u64).sum());
            count(&span, "entail.bytes", rows.iter().map(Batch::bytes).sum());
        }
        result
    }

    fn run(&self, ask: Ask) -> Result<Answered, Fault> {
        let Some(snapshot) = self.context.store.snapshot(ask.epoch) else { return Ok(Answered::Fallback) };
        let mut shard_map = ShardMap::of_all_holders(self.context.node, ask.placement);
        shard_map.nodes = vec![self.context.node];
        let budget = Arc::new(RowBudget::new(ask.rows_taken_max, ask.rows_given_max));
        let mut answer = Answer::new(Setup {
            shard_map,
            plan: ask.plan,
            facts: Arc::new(Committed(snapshot.relations.clone())),
            texts: Arc::new(StoreTexts(Arc::clone(&self.context.store))),
            rows_max: ask.rows_max,
            rows_left: Some(Arc::clone(&budget)),
            stop: ask.stop,
            meter: None,
        })?;
        let mut rows = Vec::new();
        let mut emit = |effect| match effect {
            Effect::Rows(batch) => {
                // Rows without columns are only counted.
                budget.give(if batch.columns.iter().all(Vec::is_empty) { 1 } else { batch.rows as u64 })?;
                rows.push(batch);
                Ok(())
            }
            Effect::Send { .. } => Err(Fault::internal("a query on one node has a message for another")),
            Effect::Done => Ok(()),
        };
        match answer.step(Event::Start, &mut emit) {
            Ok(()) => {
                self.context.metrics.part_rows.inc_by(answer.rows());
                Ok(Answered::Rows(rows))
            }
            Err(_) if budget.is_exceeded() => Ok(Answered::Fallback),
            Err(fault) => Err(fault),
        }
    }

    /// The sizes of all relations at an epoch.
    pub fn sizes(&self, epoch: Epoch) -> Result<Vec<RelationSize>, Fault> {
        let snapshot = self.context.snapshot(epoch, &|| false)?;
        let rdf_type = self.context.store.lookup(&[term::rdf_type()])?[0];
        scan::sizes(&snapshot, rdf_type)
    }

    /// Streams the forward copies of the facts at this node.
    ///
    /// # Errors
    /// `Overloaded` while too many scans are at work: each takes a thread until its receiver has all of it.
    pub fn scan(&self, scan: Scan) -> Result<Blocks, Fault> {
        let busy = |_| Fault::new(Reason::Overloaded, format!("{SCANS_MAX} scans are running"));
        let permit = Arc::clone(&self.scans).try_acquire_owned().map_err(busy)?;
        let (blocks, stream) = tokio::sync::mpsc::channel(4);
        let context = Arc::clone(&self.context);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut send = |block: Block| {
                let sent = blocks.blocking_send(Ok(block));
                sent.map_err(|_| Fault::new(Reason::Cancelled, "the caller disconnected"))
            };
            let snapshot = context.snapshot(scan.epoch, &|| blocks.is_closed());
            if let Err(fault) = snapshot.and_then(|snapshot| scan::facts(&snapshot, scan, &mut send)) {
                _ = blocks.blocking_send(Err(fault));
            }
        });
        Ok(Box::pin(ReceiverStream::new(stream)))
    }

    /// Takes a message of `bytes` bytes from another node, into memory or onto disk. A message for an ended attempt or query
    /// is dropped. `secret` is that of the attempt, if the message belongs to one.
    pub fn receive(&self, exchange: Exchange, secret: Secret, bytes: u64) -> Result<(), Fault> {
        let Exchange { flow, from, message } = exchange;
        match flow {
            FlowId::Attempt(attempt) => {
                let event = fixpoint::Event::Received { from, message };
                self.attempts.open(&self.context, Begun { attempt, secret })?.inbox.push(event, bytes)?;
            }
            FlowId::Query(query) => {
                let inbox = self.queries.inbox_of(&self.context, query)?;
                inbox.map_or(Ok(()), |inbox| inbox.push(Event::Received { from, message }, bytes))?;
            }
        }
        self.received(flow).count(bytes);
        Ok(())
    }

    /// Takes a message as [`receive`](Self::receive) does, if it need not wait for a lock or the disk; else returns it.
    pub fn try_receive(&self, exchange: Exchange, bytes: u64) -> Result<Option<Exchange>, Fault> {
        let Exchange { flow, from, message } = exchange;
        let left = match flow {
            FlowId::Attempt(attempt) => match self.attempts.try_open(attempt) {
                Some(open) => open.inbox.try_push(from, message, bytes),
                None => Some(message),
            },
            FlowId::Query(query) => {
                let inbox = self.queries.inbox_of(&self.context, query)?;
                inbox.and_then(|inbox| inbox.try_push(from, message, bytes))
            }
        };
        if left.is_none() {
            self.received(flow).count(bytes);
        }
        Ok(left.map(|message| Exchange { flow, from, message }))
    }

    fn received(&self, flow: FlowId) -> &Traffic {
        match flow {
            FlowId::Attempt(_) => &self.context.metrics.attempts_received,
            FlowId::Query(_) => &self.context.metrics.queries_received,
        }
    }
}
