//! The local fast path for small queries: a snapshot of a cluster whose one node is in this process. It answers on the
//! caller's thread, by reference, and waits for nothing but the disk; a query that would have to wait gets a
//! [fallback](Interrupt::Fallback) to the distributed path.
//!
//! Only [`Reader::local`](super::Reader::local) chooses it.

use super::shared::Shared;
use crate::fanout::FanOut;
use crate::nodes::Holders;
use entail_logic::eval::Batch;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Cancellation, Epoch, Fault, NodeId, Placement, Reason, TermId, TermKind};
use entail_node_api::{Answered, Ask, AtOnce, Call};
use entail_sparql::cluster::{Cluster, Interrupt, NodeProfile, Rows, Texts, Wanted};
use std::sync::Arc;
use std::vec::IntoIter;
use tracing::{Span, info_span};

/// Limit on the rows that the operators of a plan read when a thread of the async runtime evaluates it.
const ROWS_TAKEN_MAX: u64 = 2_048;

/// Limit on the rows of an answer that are held in memory; longer answers are streamed.
const ROWS_GIVEN_MAX: u64 = 32_768;

/// The cluster at one epoch, on one node of this process.
pub struct LocalSnapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) holders: Arc<Holders>,
    pub(super) epoch: Epoch,
    pub(super) context: Arc<Context>,
    pub(super) cancel: Cancellation,
}

impl LocalSnapshot {
    fn ask<T>(&self, ask: impl FnOnce(&dyn AtOnce, Call) -> Result<T, Fault>) -> Result<T, Interrupt> {
        Ok(self.holders.only().and_then(|link| link.at_once(ask)).ok_or(Interrupt::Fallback)??)
    }

    /// The rows of a plan whose operators read at most `rows_taken_max` rows; `None` if they would read more.
    pub fn answer(
        &self,
        plan: Arc<Plan>,
        wanted: Wanted,
        rows_taken_max: Option<u64>,
        span: &Span,
    ) -> Result<Option<Box<dyn Rows>>, Interrupt> {
        let link = self.holders.only().ok_or(Interrupt::Fallback)?;
        let (_at_work, fan_out) = (link.begin(), FanOut::new(&self.shared.metrics, 1));
        let ask = Ask {
            epoch: self.epoch,
            plan,
            placement: self.placement(),
            rows_max: wanted.rows_max,
            rows_taken_max,
            rows_given_max: ROWS_GIVEN_MAX,
            stop: self.cancel.flag(),
        };
        let answer = span.in_scope(|| self.ask(|node, call| node.answer(call, ask)));
        // The node reports only that it was stopped; the cancellation has the reason.
        match answer.map_err(|interrupt| self.cancel.check().err().map_or(interrupt, Interrupt::Fault))? {
            Answered::Fallback => Ok(None),
            Answered::Rows(rows) => {
                fan_out.call().ended(&link.name);
                Ok(Some(Box::new(Found(rows.into_iter()))))
            }
        }
    }

    fn placement(&self) -> Placement {
        let map = &self.holders.map;
        Placement { version: map.version, holders: map.holders.iter().map(|node| NodeId(*node)).collect() }
    }

    /// The texts of the first terms, as [`Cluster::texts`] gives them.
    pub fn first_texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        let mut texts = Texts::new();
        if !ids.is_empty() {
            let span = info_span!("decode", "entail.terms" = ids.len() as i64);
            let mut push = |text: &[u8]| texts.push(text);
            span.in_scope(|| self.ask(|node, call| node.texts(call, ids, bytes_max, &mut push)))?;
        }
        match texts.len() == ids.len() || texts.bytes() as u64 > bytes_max {
            true => Ok(texts),
            false => Err(Fault::new(Reason::Internal, "a node gave texts of other terms").into()),
        }
    }
}

impl Cluster for LocalSnapshot {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        Ok(Arc::clone(&self.context))
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        let mut ids: Vec<Option<TermId>> = terms.iter().map(|text| self.shared.ids.get(text)).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|index| ids[*index].is_none()).collect();
        self.shared.metrics.cached("ids", ids.len(), ids.len() - missing.len());
        if missing.is_empty() {
            return Ok(ids);
        }
        let wanted: Vec<&[u8]> = missing.iter().map(|index| &terms[*index][..]).collect();
        for (index, id) in missing.into_iter().zip(self.ask(|node, call| node.lookup(call, &wanted))?) {
            if let Some(id) = id {
                self.shared.ids.insert(terms[index].clone(), id);
            }
            ids[index] = id;
        }
        Ok(ids)
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        // The text of a triple term is decoded recursively, as deep as it nests, so not on a thread of the async runtime.
        if ids.iter().any(|id| id.kind() == TermKind::Triple) {
            return Err(Interrupt::Fallback);
        }
        self.first_texts(ids, bytes_max)
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        if wanted.profile {
            return Err(Interrupt::Fallback);
        }
        self.answer(plan, wanted, Some(ROWS_TAKEN_MAX), &info_span!("fan-out"))?.ok_or(Interrupt::Fallback)
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(super::graphs(&self.context))
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Rows in memory.
struct Found(IntoIter<Batch>);

impl Rows for Found {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(self.0.next())
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        Vec::new()
    }
}
