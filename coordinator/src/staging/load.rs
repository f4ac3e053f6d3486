//! One epoch of a load: takes batches from the parser and brings them to the nodes, in the writer's turn.
//!
//! To replace a graph, the graph is cleared first: the nodes find the difference, so what is in both is not touched.

use super::{FactLoader, Place};
use entail_logic::fixpoint::{Graphs, StagedEffect};
use entail_model::{Fault, Reason, TermKind, term};
use entail_rdf::{Batch, Slot};
use entail_telemetry::metrics::Counter;
use oxrdf::{GraphName, Term, TermRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument;

/// Batches that are being staged.
const BATCHES_AT_WORK: usize = 3;

/// What the parser gives, with a look at what comes next.
pub struct Batches {
    pub waiting: mpsc::Receiver<Result<Batch, Fault>>,
    pub first: Option<Batch>,
}

impl Batches {
    /// Completes when there is a batch, or when no more come, and returns whether there is one.
    pub async fn ready(&mut self) -> Result<bool, Fault> {
        if self.first.is_none() {
            self.first = self.waiting.recv().await.transpose()?;
        }
        Ok(self.first.is_some())
    }

    /// Takes as many facts as an earlier send of the load has committed.
    pub async fn skip(&mut self, mut facts: u64) -> Result<(), Fault> {
        while facts > 0 {
            let Some(batch) = self.next().await else { break };
            let mut batch = batch?;
            let skipped = facts.min(batch.facts.len() as u64);
            facts -= skipped;
            if skipped < batch.facts.len() as u64 {
                batch.facts.drain(..skipped as usize);
                self.first = Some(batch);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Batch, Fault>> {
        match self.first.take() {
            Some(batch) => Some(Ok(batch)),
            None => self.waiting.recv().await,
        }
    }
}

pub type Source = Arc<Mutex<Batches>>;

/// What a load does with its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadKind {
    Add,
    /// The facts are removed; those that are not there are counted.
    Delete,
    /// The graph is cleared first, so it becomes what the load has.
    Replace(GraphName),
}

impl LoadKind {
    /// The name in requests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Delete => "delete",
            Self::Replace(_) => "replace",
        }
    }

    /// Refuses facts that cannot be what a graph becomes: facts of other graphs, and with blank nodes, which are not those of
    /// the graph, so that an unchanged file would change it.
    ///
    /// # Errors
    /// `InvalidRequest` and `Unsupported`.
    pub fn check(&self, batch: &Batch) -> Result<(), Fault> {
        let Self::Replace(graph) = self else { return Ok(()) };
        for index in 0..batch.terms.len() {
            if has_blank_node(batch.terms.bytes(index))? {
                let text = "not supported: a file with blank nodes to replace a graph; give the nodes IRIs, or clear the graph \
                            and load the file";
                return Err(Fault::new(Reason::Unsupported, text));
            }
        }
        let name = match graph {
            GraphName::NamedNode(node) => Some(canonical(node.as_ref().into())),
            GraphName::DefaultGraph | GraphName::BlankNode(_) => None,
        };
        let is_it = |slot: Slot| match (&name, slot.index()) {
            (Some(name), Some(index)) => batch.terms.bytes(index) == name,
            (None, None) => true,
            _ => false,
        };
        match batch.facts.iter().all(|fact| is_it(fact.graph)) {
            true => Ok(()),
            false => {
                let text = "the file has facts of another graph than the one that is to be replaced";
                Err(Fault::new(Reason::InvalidRequest, text))
            }
        }
    }

    /// Where the facts belong in the attempt's request.
    fn place(&self) -> Place {
        match self {
            Self::Add => Place { operation: None, effect: StagedEffect::Added },
            Self::Delete => Place { operation: Some(0), effect: StagedEffect::Removed },
            Self::Replace(_) => Place { operation: Some(1), effect: StagedEffect::Added },
        }
    }
}

fn canonical(term: TermRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    term::encode(term, &mut bytes);
    bytes
}

/// Is the term, or one within it, a blank node?
fn has_blank_node(canonical: &[u8]) -> Result<bool, Fault> {
    fn is_within(term: &Term) -> bool {
        match term {
            Term::BlankNode(_) => true,
            Term::Triple(triple) => triple.subject.is_blank_node() || is_within(&triple.object),
            Term::NamedNode(_) | Term::Literal(_) => false,
        }
    }
    match term::kind_of(canonical)? {
        TermKind::BlankNode => Ok(true),
        TermKind::Triple => Ok(is_within(&term::decode(canonical)?)),
        TermKind::Iri | TermKind::Literal => Ok(false),
    }
}

/// One epoch of a load, as data of a change: where its facts come from, and what becomes of them.
pub struct Load {
    pub source: Source,
    pub kind: LoadKind,
    pub part: EpochPart,
}

/// The counters of one epoch of a load.
pub struct EpochPart {
    /// Facts after which the epoch is closed; 0 takes everything.
    pub every: u64,
    pub staged: Arc<AtomicU64>,
    /// Set when the load has no more facts.
    pub is_over: Arc<AtomicBool>,
    /// Set while this takes facts.
    pub has_turn: Arc<AtomicBool>,
    /// Of all loads.
    pub triples_total: Counter,
    /// Of this one, for the list of running calls.
    pub triples_of_call: Arc<AtomicU64>,
}

impl Load {
    /// Stages batches until there are no more, or the part is full.
    pub async fn stage(&self, loader: &Arc<FactLoader>) -> Result<(), Fault> {
        let Self { source, kind, part } = self;
        let _turn = Turn::begin(Arc::clone(&part.has_turn));
        let mut source = source.lock().await;
        if let LoadKind::Replace(graph) = kind
            && let Some(graph) = loader.known_graph(graph).await?
        {
            loader.clear(0, Graphs::One(graph)).await?;
        }
        let place = kind.place();
        let mut at_work = JoinSet::new();
        while part.every == 0 || part.staged.load(Ordering::Relaxed) < part.every {
            let Some(batch) = source.next().await else {
                part.is_over.store(true, Ordering::Relaxed);
                break;
            };
            let batch = batch?;
            part.staged.fetch_add(batch.facts.len() as u64, Ordering::Relaxed);
            part.triples_total.inc_by(batch.facts.len() as u64);
            part.triples_of_call.fetch_add(batch.facts.len() as u64, Ordering::Relaxed);
            if at_work.len() >= BATCHES_AT_WORK {
                next_staged(&mut at_work).await.expect("some are at work")?;
            }
            at_work.spawn(Arc::clone(loader).stage_batch(place, batch).in_current_span());
        }
        while let Some(result) = next_staged(&mut at_work).await {
            result?;
        }
        Ok(())
    }
}

/// Says that facts are taken in the writer's turn, until this is dropped.
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn begin(is_taken: Arc<AtomicBool>) -> Self {
        is_taken.store(true, Ordering::Relaxed);
        Self(is_taken)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The result of one of the calls at work, as soon as one has ended.
pub(super) async fn next_staged(at_work: &mut JoinSet<Result<(), Fault>>) -> Option<Result<(), Fault>> {
    let ended = at_work.join_next().await?;
    Some(ended.unwrap_or_else(|error| Err(Fault::internal(format!("staging failed: {error}")))))
}
