//! The state that all parts of one running query share: the pinned cluster, the dataset's graphs, looked up terms,
//! memory limits, and the conditions to stop.
//!
//! spareval drops some errors of its inputs (in filters, and on the right of MINUS). A fault would then mean fewer or
//! more rows, so every fault is recorded here too, and [`Session::check`] is called before rows are passed on: an
//! answer is complete or an error.

pub(crate) mod reservation;
pub(crate) mod term;

use self::reservation::Reservation;
use self::term::{EvalTerm, StandIn, Watch};
use crate::algebra::INTERNAL;
use crate::cluster::{Cluster, Interrupt};
use crate::rewrite::body::Graph;
use crate::rewrite::catalog::Tuning;
use entail_logic::plan::compile::Context;
use entail_logic::plan::{GraphScope, Slot};
use entail_model::{Cancellation, Fault, Reason, TermId, term as model_term};
use oxrdf::{NamedNode, Term};
use spareval::CancellationToken;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of decoded terms that a query keeps for its expressions.
const TEXTS_BYTES_MAX: usize = 128 << 20;

/// The graphs of the query's dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The default graph, which patterns outside GRAPH read; `None`: an empty graph.
    pub default: Option<GraphScope>,
    /// The named graphs; `None`: all of the store.
    pub named: Option<Vec<TermId>>,
}

/// The state that all parts of a running query share.
pub struct Session {
    pub cluster: Arc<dyn Cluster>,
    pub context: Arc<Context>,
    pub stand_in: StandIn,
    pub dataset: Dataset,
    pub tuning: Tuning,
    /// Is the work measured?
    pub profile: bool,
    /// Stops spareval.
    pub token: CancellationToken,
    cancel: Cancellation,
    /// Bytes of rows that were passed to spareval's operators, and their limit.
    fed: AtomicU64,
    fed_max: u64,
    /// Bytes that the folds and sets of this crate hold, and their limit.
    held: AtomicU64,
    held_max: u64,
    ids: Mutex<HashMap<Term, Option<TermId>>>,
    texts: Mutex<Texts>,
    fault: Mutex<Option<Fault>>,
}

#[derive(Default)]
struct Texts {
    terms: HashMap<TermId, Term>,
    bytes: usize,
}

impl Session {
    /// A session over `cluster` that may pass rows of `fed_max` bytes to the coordinator's operators.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        dataset: &crate::DatasetClause,
        cancel: Cancellation,
        fed_max: u64,
    ) -> Result<Self, Interrupt> {
        let mut session = Self {
            context: cluster.context()?,
            cluster,
            stand_in: StandIn::new(),
            dataset: Dataset { default: None, named: None },
            tuning: Tuning::default(),
            profile: false,
            token: CancellationToken::new(),
            cancel,
            fed: AtomicU64::new(0),
            fed_max,
            held: AtomicU64::new(0),
            held_max: fed_max,
            ids: Mutex::default(),
            texts: Mutex::default(),
            fault: Mutex::default(),
        };
        session.dataset = session.resolve(dataset)?;
        Ok(session)
    }

    fn resolve(&self, clause: &crate::DatasetClause) -> Result<Dataset, Interrupt> {
        let known = |graphs: &[NamedNode]| -> Result<Vec<TermId>, Interrupt> {
            let terms: Vec<Term> = graphs.iter().map(|graph| graph.clone().into()).collect();
            self.learn(&terms)?;
            let mut ids: Vec<TermId> = terms
                .iter()
                .map(|term| self.id_of(term))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect();
            ids.sort_unstable();
            ids.dedup();
            Ok(ids)
        };
        let default = match &clause.default {
            crate::DefaultGraph::Own => Some(GraphScope::One(TermId::DEFAULT_GRAPH)),
            crate::DefaultGraph::UnionOfAll => Some(GraphScope::UnionOfAll),
            crate::DefaultGraph::Merge(graphs) => match known(graphs)?[..] {
                [] => None,
                [one] => Some(GraphScope::One(one)),
                ref several => Some(GraphScope::Union(several.to_vec())),
            },
        };
        Ok(Dataset { default, named: clause.named.as_deref().map(known).transpose()? })
    }

    /// The graphs that a pattern reads; `None` if there is none. `slot` is the variable graph's.
    pub fn scope(&self, graph: &Graph, slot: impl FnOnce() -> Slot) -> Result<Option<GraphScope>, Interrupt> {
        Ok(match graph {
            Graph::Default => self.dataset.default.clone(),
            Graph::Variable(_) => Some(GraphScope::Each(slot(), self.dataset.named.clone())),
            Graph::Named(node) => {
                let id = self.id_of(&node.clone().into())?;
                id.filter(|id| self.dataset.named.as_ref().is_none_or(|named| named.contains(id))).map(GraphScope::One)
            }
        })
    }

    /// The named graphs of the dataset. Graphs listed in the request are included even if they have no facts.
    pub fn named_graphs(&self) -> Result<Vec<TermId>, Fault> {
        match &self.dataset.named {
            Some(named) => Ok(named.clone()),
            None => self.cluster.graphs(),
        }
    }

    /// Fails if the query has to stop or a fault was recorded. Called at least once per batch of rows.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(fault) = lock(&self.fault).as_ref() {
            return Err(fault.clone());
        }
        self.cancel.check()
    }

    /// Records the first fault of the query, and stops the evaluation.
    pub fn fail(&self, fault: Fault) {
        lock(&self.fault).get_or_insert(fault);
        self.token.cancel();
    }

    /// Passes `result` on and records its fault.
    pub fn kept<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.inspect_err(|fault| self.fail(fault.clone()))
    }

    /// Lifts the limit on rows for the coordinator's operators: none of them holds rows.
    pub fn feed_without_limit(&mut self) {
        self.fed_max = u64::MAX;
    }

    /// Counts bytes of rows that the coordinator's operators may have to hold.
    pub fn feed(&self, bytes: u64) -> Result<(), Fault> {
        if self.fed.fetch_add(bytes, Ordering::Relaxed) + bytes > self.fed_max {
            let message =
                format!("more than {} MiB of intermediate rows; make the query more selective", self.fed_max >> 20);
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        Ok(())
    }

    /// A reservation of memory for one operator.
    pub fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation::new(Arc::clone(self))
    }

    /// Looks up all `terms` in one call, for [`Session::id_of`].
    pub fn learn(&self, terms: &[Term]) -> Result<(), Interrupt> {
        let mut unknown: Vec<&Term> = {
            let ids = lock(&self.ids);
            terms.iter().filter(|term| own_id(term).is_none() && !ids.contains_key(*term)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let canonical = |term: &&Term| {
            let mut bytes = Vec::new();
            model_term::encode(term.as_ref(), &mut bytes);
            bytes
        };
        unknown.sort_by_cached_key(canonical);
        unknown.dedup();
        let found = self.cluster.lookup(&unknown.iter().map(canonical).collect::<Vec<_>>())?;
        lock(&self.ids).extend(unknown.into_iter().cloned().zip(found));
        Ok(())
    }

    /// The id of a term; `None` if the dictionary does not know it.
    pub fn id_of(&self, term: &Term) -> Result<Option<TermId>, Interrupt> {
        if let Some(id) = own_id(term) {
            return Ok(Some(id));
        }
        if let Some(id) = lock(&self.ids).get(term) {
            return Ok(*id);
        }
        self.learn(std::slice::from_ref(term))?;
        Ok(lock(&self.ids).get(term).copied().flatten())
    }

    /// A term in the form that the evaluation uses.
    pub fn internal(&self, term: Term) -> Result<EvalTerm, Fault> {
        Ok(match self.id_of(&term)? {
            Some(id) => EvalTerm::Id(id),
            None => EvalTerm::Computed(Arc::new(term)),
        })
    }

    /// Decodes ids that expressions will need, in one call.
    pub fn prefetch(&self, mut ids: Vec<TermId>) -> Result<(), Fault> {
        {
            let texts = lock(&self.texts);
            ids.retain(|id| !id.is_inline() && !texts.terms.contains_key(id));
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let terms = self.cluster.decode(&ids)?;
        let mut texts = lock(&self.texts);
        ids.into_iter().zip(terms).for_each(|(id, term)| texts.keep(id, term));
        Ok(())
    }

    /// The term of an id, for expressions.
    pub fn text(&self, id: TermId) -> Result<Term, Fault> {
        if let Some(term) = model_term::inline_term(id) {
            return Ok(term);
        }
        if let Some(term) = lock(&self.texts).terms.get(&id) {
            return Ok(term.clone());
        }
        self.check()?;
        let term = self.cluster.decode(&[id])?.pop().ok_or_else(|| Fault::internal("a term was not decoded"))?;
        lock(&self.texts).keep(id, term.clone());
        Ok(term)
    }

    /// An IRI for a graph of any name: its own, or, for blank nodes, an internal one.
    pub fn graph_node(&self, graph: TermId) -> Result<NamedNode, Fault> {
        Ok(match self.text(graph)? {
            Term::NamedNode(node) => node,
            _ => NamedNode::new_unchecked(format!("{INTERNAL}id:{}", graph.0)),
        })
    }
}

impl Watch for Session {
    fn must_stop(&self) -> bool {
        self.check().is_err()
    }
}

impl Texts {
    fn keep(&mut self, id: TermId, term: Term) {
        let bytes = 64
            + match &term {
                Term::NamedNode(node) => node.as_str().len(),
                Term::BlankNode(_) => 0,
                Term::Literal(literal) => literal.value().len(),
                // Rare: an upper bound is sufficient.
                Term::Triple(triple) => 256 + triple.to_string().len(),
            };
        if self.bytes + bytes > TEXTS_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.terms.insert(id, term);
    }
}

/// The id of a term that carries it: an inline value, or an internal IRI of a graph.
fn own_id(term: &Term) -> Option<TermId> {
    match term {
        Term::NamedNode(node) => node.as_str().strip_prefix(INTERNAL)?.strip_prefix("id:")?.parse().ok().map(TermId),
        _ => model_term::inline_id(term.as_ref()),
    }
}

/// Locks a mutex, also after a panic: no panic can leave its data half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
