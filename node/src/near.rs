//! The node as a coordinator and other nodes of the same process call it: on the caller's thread, with nothing encoded.

use crate::attempt::Attempts;
use crate::context::{Context, StoreTexts};
use crate::queries::{Queries, whole};
use crate::traffic;
use entail_logic::answer::{Answer, Committed, Effect, Event, Setup};
use entail_logic::eval::{Batch, too_much};
use entail_logic::exchange::Message;
use entail_logic::exchange::route::ShardMap;
use entail_logic::near::{Ask, FlowId, Near, Staged};
use entail_model::term::TermHash;
use entail_model::{Attempt, ClusterId, Fault, NodeId, TermId};
use entail_telemetry::count;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::info_span;

/// A node, called by reference.
pub struct ByReference {
    context: Arc<Context>,
    attempts: Arc<Attempts>,
    queries: Arc<Queries>,
}

impl fmt::Debug for ByReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByReference").field("node", &self.context.node).finish_non_exhaustive()
    }
}

impl ByReference {
    /// The node with these parts.
    pub fn new(context: Arc<Context>, attempts: Arc<Attempts>, queries: Arc<Queries>) -> Self {
        Self { context, attempts, queries }
    }

    fn run(&self, ask: Ask) -> Result<Option<Vec<Batch>>, Fault> {
        let Some(snapshot) = self.context.store.snapshot(ask.epoch) else { return Ok(None) };
        let mut shard_map = ShardMap::of_all_holders(self.context.node, ask.placement);
        shard_map.nodes = vec![self.context.node];
        let mut answer = Answer::new(Setup {
            shard_map,
            plan: ask.plan,
            facts: Arc::new(Committed(snapshot.relations.clone())),
            texts: Arc::new(StoreTexts(Arc::clone(&self.context.store))),
            rows_max: ask.rows_max,
            rows_left: ask.rows_taken_max.map(|max| Arc::new(AtomicU64::new(max))),
            stop: ask.stop,
            meter: None,
        })?;
        let (mut rows, mut left) = (Vec::new(), ask.rows_given_max);
        let mut emit = |effect| match effect {
            Effect::Rows(batch) => {
                // Rows without columns are only counted.
                let held = if batch.columns.iter().all(Vec::is_empty) { 1 } else { batch.rows };
                left = left.checked_sub(held).ok_or_else(too_much)?;
                rows.push(batch);
                Ok(())
            }
            Effect::Send { .. } => Err(Fault::internal("a part of one node has a message for another")),
            Effect::Done => Ok(()),
        };
        match answer.step(Event::Start, &mut emit) {
            Ok(()) => {
                self.context.metrics.part_rows.inc_by(answer.rows());
                Ok(Some(rows))
            }
            Err(fault) if fault == too_much() => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

impl Near for ByReference {
    fn answer(&self, ask: Ask) -> Result<Option<Vec<Batch>>, Fault> {
        self.context.check_cluster(ask.cluster.0)?;
        let _at_work = self.queries.begin_near();
        let _timed = self.context.metrics.part_seconds.start_timer();
        let span = info_span!("execute", "entail.epoch" = ask.epoch.0 as i64);
        let result = span.in_scope(|| whole(|| self.run(ask)));
        if let Ok(Some(rows)) = &result {
            count(&span, "entail.rows", rows.iter().map(|batch| batch.rows as u64).sum());
            count(&span, "entail.bytes", rows.iter().map(Batch::bytes).sum());
        }
        result
    }

    fn lookup(&self, cluster: ClusterId, terms: &[&[u8]]) -> Result<Vec<Option<TermId>>, Fault> {
        self.context.check_cluster(cluster.0)?;
        self.context.store.lookup(terms)
    }

    fn intern(
        &self,
        cluster: ClusterId,
        attempt: Attempt,
        terms: &[&[u8]],
        hashes: &[TermHash],
    ) -> Result<Vec<TermId>, Fault> {
        let _span = info_span!("intern", "entail.terms" = terms.len() as i64).entered();
        self.context.check_cluster(cluster.0)?;
        self.attempts.open(&self.context, attempt)?;
        self.context.store.intern_hashed(attempt, terms, hashes)
    }

    fn stage(&self, staged: Staged) -> Result<(), Fault> {
        let _span = info_span!("stage facts").entered();
        self.context.check_cluster(staged.cluster.0)?;
        let open = self.attempts.open(&self.context, staged.attempt)?;
        open.stage(&self.context, staged.previous, staged.sequence, |columns| {
            let facts = staged.facts.iter();
            facts.for_each(|of| columns.add(of.relation, of.copies, of.pairs.iter().copied()));
            Ok(())
        })
    }

    fn receive(&self, cluster: ClusterId, owner: FlowId, from: NodeId, message: Message) -> Result<(), Fault> {
        self.context.check_cluster(cluster.0)?;
        let bytes = traffic::bytes(&message.payload);
        match owner {
            FlowId::Attempt(attempt) => {
                self.attempts.open(&self.context, attempt)?.receive(&self.context, from, message, bytes)
            }
            FlowId::Query(query) => self.queries.receive(&self.context, query, from, message, bytes),
        }
    }

    fn texts(&self, cluster: ClusterId, ids: &[TermId], show: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.context.check_cluster(cluster.0)?;
        self.context.store.show_texts(ids, show)
    }
}
