//! The state that all parts of one running query share: the pinned cluster, the dataset's graphs, looked up terms,
//! memory limits, and the conditions to stop.

pub(crate) mod code;
pub(crate) mod memory;
mod seed;
pub(crate) mod texts;

use self::code::{Code, Interner, UNBOUND};
use self::memory::{Memory, Reservation};
use self::texts::KeptTexts;
use crate::algebra::INTERNAL;
use crate::cluster::{Cluster, Interrupt};
use crate::rewrite::body::Graph;
use crate::rewrite::catalog::Tuning;
use entail_expression::Value;
use entail_expression::value::Text;
use entail_expression::value::instant::Instant;
use entail_logic::eval::meter::Clock;
use entail_logic::plan::compile::Context;
use entail_logic::plan::{GraphScope, Slot};
use entail_model::{Cancellation, Fault, TermId, term as model_term};
use oxiri::Iri;
use oxrdf::{NamedNode, Term};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

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
    pub dataset: Dataset,
    pub tuning: Tuning,
    /// Is the work measured?
    pub profile: bool,
    /// Measures the coordinator's operators; without one their times are zero.
    pub clock: Option<Arc<dyn Clock + Send + Sync>>,
    /// The value of NOW().
    pub now: Option<Instant>,
    /// The base of the query, against which IRI() resolves.
    pub base: Option<Iri<String>>,
    /// Where new blank nodes and random numbers come from.
    pub seed: [u64; 2],
    /// Evaluations of expressions so far.
    pub evaluations: AtomicU64,
    /// Can a computed term meet an id, so that each must be looked up?
    pub compares_computed: bool,
    cancel: Cancellation,
    pub memory: Arc<Memory>,
    ids: Mutex<HashMap<Term, Option<TermId>>>,
    texts: Arc<KeptTexts>,
    interner: Mutex<Interner>,
}

impl Session {
    /// A session over `cluster` whose operators at the coordinator may hold `held_max` bytes.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        dataset: &crate::DatasetClause,
        cancel: Cancellation,
        held_max: u64,
    ) -> Result<Self, Interrupt> {
        let memory = Memory::new(held_max);
        let mut session = Self {
            context: cluster.context()?,
            cluster,
            dataset: Dataset { default: None, named: None },
            tuning: Tuning::default(),
            profile: false,
            clock: None,
            now: None,
            base: None,
            seed: seed::seed(),
            evaluations: AtomicU64::new(0),
            compares_computed: false,
            cancel,
            texts: KeptTexts::new(&memory),
            memory,
            ids: Mutex::default(),
            interner: Mutex::default(),
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

    /// Fails if the query has to stop. Called at least once per batch of rows, and within every long loop.
    pub fn check(&self) -> Result<(), Fault> {
        self.cancel.check()
    }

    /// Bytes that the query may hold.
    pub fn held_max(&self) -> u64 {
        self.memory.max()
    }

    /// A reservation of memory for one operator.
    pub fn reservation(&self) -> Reservation {
        Reservation::new(Arc::clone(&self.memory))
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

    /// The code of a term, which is looked up.
    pub fn code_of(&self, term: &Term) -> Result<Code, Interrupt> {
        if let Some(id) = self.id_of(term)? {
            return Ok(id);
        }
        let mut text = Vec::new();
        model_term::encode(term.as_ref(), &mut text);
        Ok(self.intern(|interner| interner.add(text.into(), None)))
    }

    /// Changes the interner, and counts the change among the bytes that the query holds.
    fn intern<T>(&self, change: impl FnOnce(&mut Interner) -> T) -> T {
        let mut interner = lock(&self.interner);
        let before = interner.bytes() as u64;
        let result = change(&mut interner);
        self.memory.count(before, interner.bytes() as u64);
        result
    }

    /// The codes of values; those of computed terms are looked up if they can meet ids.
    pub fn codes(&self, values: &[Value]) -> Result<Vec<Code>, Fault> {
        self.codes_of(values, self.compares_computed)
    }

    /// The codes of values, all of which are looked up.
    pub fn known_codes(&self, values: &[Value]) -> Result<Vec<Code>, Fault> {
        self.codes_of(values, true)
    }

    fn codes_of(&self, values: &[Value], is_looked_up: bool) -> Result<Vec<Code>, Fault> {
        let mut codes = vec![UNBOUND; values.len()];
        let mut texts: Vec<(usize, Text)> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            match value {
                Value::Error => {}
                Value::Stored { id, .. } => codes[at] = *id,
                Value::Term(text) => match code::inline(text) {
                    Some(id) => codes[at] = id,
                    None => texts.push((at, text.clone())),
                },
                other => {
                    let mut text = Vec::new();
                    other.view().encode(&mut text)?;
                    match code::inline(&text) {
                        Some(id) => codes[at] = id,
                        None => texts.push((at, text.into())),
                    }
                }
            }
        }
        if texts.is_empty() {
            return Ok(codes);
        }
        if is_looked_up {
            self.look_up(texts.iter().map(|(_, text)| text))?;
        }
        self.intern(|interner| {
            for (at, text) in texts {
                codes[at] = interner.add(text, None);
            }
        });
        self.memory.fit()?;
        Ok(codes)
    }

    /// Gives texts their ids, as far as the dictionary has them.
    fn look_up<'t>(&self, texts: impl Iterator<Item = &'t Text>) -> Result<(), Fault> {
        let mut unknown: Vec<Vec<u8>> = {
            let interner = lock(&self.interner);
            texts.filter(|text| interner.find(text).is_none()).map(|text| text.to_vec()).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let ids = self.cluster.lookup(&unknown)?;
        self.intern(|interner| unknown.into_iter().zip(ids).for_each(|(text, id)| _ = interner.add(text.into(), id)));
        Ok(())
    }

    /// Lets expressions find a term of the query's text by its text.
    pub fn name(&self, term: &Term) -> Result<(), Interrupt> {
        let id = self.id_of(term)?;
        let mut text = Vec::new();
        model_term::encode(term.as_ref(), &mut text);
        self.intern(|interner| interner.add(text.into(), id));
        Ok(())
    }

    /// Makes the terms so far constants of the query.
    pub fn seal(&self) {
        lock(&self.interner).seal();
    }

    /// Forgets the computed terms of rows: none of these rows is left.
    pub fn release(&self) {
        self.intern(Interner::release);
    }

    /// The text of a computed term.
    pub fn computed(&self, code: Code) -> Option<Text> {
        lock(&self.interner).text(code).cloned()
    }

    /// Bytes of the computed terms of rows.
    pub fn computed_bytes(&self) -> u64 {
        lock(&self.interner).passing_bytes() as u64
    }

    /// The term of a code that is not unbound.
    pub fn term(&self, code: Code) -> Result<Term, Fault> {
        if let Some(term) = model_term::inline_term(code) {
            return Ok(term);
        }
        let text = self.texts(&[code])?.pop().flatten();
        model_term::decode(&text.ok_or_else(|| Fault::internal("a term was not decoded"))?)
    }

    /// An IRI for a graph of any name: its own, or, for blank nodes, an internal one.
    pub fn graph_node(&self, graph: TermId) -> Result<NamedNode, Fault> {
        Ok(match self.term(graph)? {
            Term::NamedNode(node) => node,
            _ => NamedNode::new_unchecked(format!("{INTERNAL}id:{}", graph.0)),
        })
    }
}

/// The id of a term that carries it: an inline value, or an internal IRI of a graph.
fn own_id(term: &Term) -> Option<TermId> {
    match term {
        Term::NamedNode(node) => internal(node.as_str()),
        _ => model_term::inline_id(term.as_ref()),
    }
}

/// The graph with a blank name for which an IRI of this crate stands.
fn internal(iri: &str) -> Option<TermId> {
    iri.strip_prefix(INTERNAL)?.strip_prefix("id:")?.parse().ok().map(TermId)
}

/// The graph with a blank name for which the canonical bytes of an IRI stand.
pub fn internal_id(text: &[u8]) -> Option<TermId> {
    internal(std::str::from_utf8(text.strip_prefix(b"I")?).ok()?)
}

/// Locks a mutex, also after a panic: no panic can leave its data half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
