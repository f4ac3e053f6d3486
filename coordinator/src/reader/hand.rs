//! The cluster when one node of this process holds everything: what is small is answered on the caller's thread, by
//! reference, without waiting for anything but the disk. What would have to wait is a [fallback](Interrupt::Fallback).

use super::shared::Shared;
use crate::fanout::FanOut;
use crate::nodes::{Holders, Link};
use entail_logic::eval::Batch;
use entail_logic::near::{Ask, Near};
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Cancellation, Epoch, Fault, NodeId, Placement, Reason, TermId, TermKind};
use entail_sparql::cluster::{Cluster, Interrupt, NodeProfile, Rows, Texts, Wanted};
use std::sync::Arc;
use std::vec::IntoIter;
use tracing::{Span, info_span};

/// Rows that the operators of a plan may take in when a thread of the async runtime answers.
const ROWS_TAKEN_MAX: u64 = 2_048;

/// Rows of an answer that are held; more are streamed.
const ROWS_GIVEN_MAX: usize = 32_768;

/// The cluster at one epoch.
pub struct AtHand {
    shared: Arc<Shared>,
    holders: Arc<Holders>,
    epoch: Epoch,
    context: Arc<Context>,
    cancel: Cancellation,
}

impl AtHand {
    /// The cluster, if one node of this process holds everything, and its statistics are known.
    pub fn new(shared: &Arc<Shared>, holders: &Arc<Holders>, epoch: Epoch, cancel: &Cancellation) -> Option<Self> {
        holders.only_near()?;
        let (context, cancel) = (shared.known_context(epoch)?, cancel.clone());
        Some(Self { shared: Arc::clone(shared), holders: Arc::clone(holders), epoch, context, cancel })
    }

    fn node(&self) -> Result<(&Link, &Arc<dyn Near>), Interrupt> {
        self.holders.only_near().ok_or(Interrupt::Fallback)
    }

    /// The rows of a plan; `None` if they are too many.
    pub fn answer(
        &self,
        plan: Arc<Plan>,
        wanted: Wanted,
        rows_taken_max: Option<u64>,
        span: &Span,
    ) -> Result<Option<Box<dyn Rows>>, Interrupt> {
        let (link, node) = self.node()?;
        let (_at_work, fan_out) = (link.begin(), FanOut::new(&self.shared.metrics, 1));
        let ask = Ask {
            cluster: self.holders.cluster,
            epoch: self.epoch,
            plan,
            placement: self.placement(),
            rows_max: wanted.rows_max,
            rows_taken_max,
            rows_given_max: ROWS_GIVEN_MAX,
            stop: self.cancel.flag(),
        };
        let answer = span.in_scope(|| node.answer(ask));
        // The node knows that it was stopped, and not why.
        let Some(rows) = answer.map_err(|fault| self.cancel.check().err().unwrap_or(fault))? else { return Ok(None) };
        fan_out.call().ended(&link.name);
        Ok(Some(Box::new(Found(rows.into_iter()))))
    }

    fn placement(&self) -> Placement {
        let map = &self.holders.map;
        Placement { version: map.version, holders: map.holders.iter().map(|node| NodeId(*node)).collect() }
    }
}

impl Cluster for AtHand {
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
        for (index, id) in missing.into_iter().zip(self.node()?.1.lookup(self.holders.cluster, &wanted)?) {
            if let Some(id) = id {
                self.shared.ids.insert(terms[index].clone(), id);
            }
            ids[index] = id;
        }
        Ok(ids)
    }

    fn texts(&self, ids: &[TermId]) -> Result<Texts, Interrupt> {
        // The text of a triple term is decoded as deep as it nests, off the async runtime.
        if ids.iter().any(|id| id.kind() == TermKind::Triple) {
            return Err(Interrupt::Fallback);
        }
        Ok(texts(&self.holders, self.node()?.1, ids)?)
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

/// The texts of a node's terms.
pub fn texts(holders: &Holders, node: &Arc<dyn Near>, ids: &[TermId]) -> Result<Texts, Fault> {
    let mut texts = Texts::new();
    if !ids.is_empty() {
        let span = info_span!("decode", "entail.terms" = ids.len() as i64);
        span.in_scope(|| node.texts(holders.cluster, ids, &mut |text| texts.push(text)))?;
    }
    match texts.len() == ids.len() {
        true => Ok(texts),
        false => Err(Fault::new(Reason::Internal, "a node gave texts of other terms")),
    }
}

/// Rows that are all here.
struct Found(IntoIter<Batch>);

impl Rows for Found {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(self.0.next())
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        Vec::new()
    }
}
