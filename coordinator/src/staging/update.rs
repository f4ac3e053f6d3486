//! A SPARQL update as a change: evaluated over the epoch that the attempt builds on, and staged as it is evaluated.

use super::FactLoader;
use super::load::next_staged;
use crate::admission::Admission;
use crate::deadline::bounded;
use crate::reader::Reader;
use crate::rules::{ParsedSet, influences};
use entail_logic::fixpoint::Graphs;
use entail_model::{Cancellation, Fault, TermId};
use entail_sparql::Instant as Moment;
use entail_sparql::update::{self, Changes, GraphTarget, Target, UpdateRequest};
use oxrdf::GraphName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

/// Facts in one message of staging.
const BATCH_FACTS: usize = 16_384;

/// Calls of staging at work.
const CALLS_AT_WORK: usize = 3;

/// A SPARQL update, as data of a change.
#[derive(Clone, Debug)]
pub struct Update {
    pub text: String,
    /// The base IRI for relative IRIs.
    pub base: Option<String>,
    /// The time of the request, which NOW() gives.
    pub now: Option<Moment>,
    /// Does it have a WHERE to be evaluated?
    pub has_where: bool,
    /// Its facts, if it consists of facts without variables.
    pub data: Option<Arc<Changes>>,
    /// The time that its evaluation may take.
    pub time: Duration,
}

/// What updates are evaluated with.
pub struct Evaluation {
    pub admission: Arc<Admission>,
    /// Bytes that the coordinator may hold for one evaluation.
    pub held_bytes_max: u64,
}

impl Update {
    /// The time limit of an evaluation that begins now. It has its own cancellation: the limit is for the evaluation alone.
    pub fn begin(&self) -> Cancellation {
        Cancellation::until(Instant::now() + self.time)
    }

    /// Evaluates the update over the epoch of `reader`, under the rules of `sets`, and stages its changes. Dropping the
    /// future cancels the evaluation.
    pub async fn stage(
        &self,
        loader: &Arc<FactLoader>,
        evaluation: &Evaluation,
        reader: Reader,
        sets: &[Arc<ParsedSet>],
    ) -> Result<(), Fault> {
        let cancel = reader.cancel.clone();
        let _owner = bounded(&cancel);
        let permit = match cancel.deadline().filter(|_| self.has_where) {
            Some(deadline) => Some(evaluation.admission.admitted(deadline).await?),
            None => None,
        };
        let request = UpdateRequest {
            text: self.text.clone(),
            base: self.base.clone(),
            cancel: cancel.clone(),
            held_bytes_max: evaluation.held_bytes_max,
            now: self.now,
        };
        let rules = influences(sets)?;
        let runtime = Handle::current();
        let mut staging =
            Staging { loader: Arc::clone(loader), runtime, cancel, at_work: JoinSet::new(), span: Span::current() };
        let span = Span::current();
        let work = move || {
            let _permit = permit;
            span.in_scope(|| {
                update::run(&request, &rules, Arc::new(reader), &mut staging)?;
                staging.settle()
            })
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Fault::internal(format!("an update's task failed: {error}"))))
    }
}

/// Stages changes from the thread that evaluates the update.
struct Staging {
    loader: Arc<FactLoader>,
    runtime: Handle,
    cancel: Cancellation,
    at_work: JoinSet<Result<(), Fault>>,
    span: Span,
}

impl Staging {
    fn block<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.runtime.block_on(self.cancel.race(work))
    }

    /// Waits until one of the calls at work has ended; returns whether there was one.
    fn next(&mut self) -> Result<bool, Fault> {
        let (runtime, cancel) = (self.runtime.clone(), self.cancel.clone());
        let next = async { next_staged(&mut self.at_work).await.transpose() };
        Ok(runtime.block_on(cancel.race(next))?.is_some())
    }

    /// Waits until all calls have ended.
    fn settle(&mut self) -> Result<(), Fault> {
        while self.next()? {}
        Ok(())
    }

    fn stage(&mut self, operation: u32, changes: Changes) -> Result<(), Fault> {
        if self.at_work.len() >= CALLS_AT_WORK {
            self.next()?;
        }
        let loader = Arc::clone(&self.loader);
        let work = async move { loader.stage_changes(operation, changes).await };
        self.at_work.spawn_on(work.instrument(self.span.clone()), &self.runtime);
        Ok(())
    }
}

impl Target for Staging {
    fn facts(&mut self, operation: u32, changes: Changes) -> Result<(), Fault> {
        let Changes { mut removed, mut added } = changes;
        while removed.len().max(added.len()) > BATCH_FACTS {
            let take = |facts: &mut Vec<_>| facts.split_off(facts.len().saturating_sub(BATCH_FACTS));
            let part = Changes { removed: take(&mut removed), added: take(&mut added) };
            self.stage(operation, part)?;
        }
        self.stage(operation, Changes { removed, added })
    }

    fn clear(&mut self, operation: u32, graphs: &GraphTarget) -> Result<(), Fault> {
        self.settle()?;
        let loader = Arc::clone(&self.loader);
        self.block(async {
            let graphs = match graphs {
                GraphTarget::AllGraphs => Graphs::All,
                GraphTarget::NamedGraphs => Graphs::Named,
                GraphTarget::DefaultGraph => Graphs::One(TermId::DEFAULT_GRAPH),
                GraphTarget::NamedNode(node) => match loader.known_graph(&node.clone().into()).await? {
                    Some(graph) => Graphs::One(graph),
                    // No fact is in it.
                    None => return Ok(()),
                },
            };
            loader.clear(operation, graphs).await
        })
    }

    fn transfer(&mut self, operation: u32, from: &GraphName, to: &GraphName) -> Result<(), Fault> {
        self.settle()?;
        let loader = Arc::clone(&self.loader);
        self.block(async {
            let Some(from) = loader.known_graph(from).await? else { return Ok(()) };
            loader.rdf_type().await?;
            let to = loader.new_graph(to).await?;
            loader.transfer(operation, from, to).await
        })
    }
}
