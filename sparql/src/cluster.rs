//! The interface through which a query reads the cluster. This crate itself does not communicate.
//!
//! One value serves one query: it pins one epoch, so all its answers are of one committed state. Calls block.

use entail_logic::eval::Batch;
pub use entail_logic::eval::meter::Work;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Fault, NodeId, TermId, term};
use oxrdf::Term;
use std::sync::Arc;

/// Bytes of texts that are decoded at a time.
const DECODED_BYTES_MAX: u64 = 16 << 20;

/// The cluster at one epoch.
pub trait Cluster: Send + Sync {
    /// Placement facts and statistics of the epoch, for the compiler.
    fn context(&self) -> Result<Arc<Context>, Fault>;

    /// The ids of terms, given as canonical bytes; `None` for terms that the dictionary does not know.
    ///
    /// Callers pass no terms with an inline id.
    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt>;

    /// The canonical bytes of the first of some dictionary ids, in order: up to the one with which they have more than
    /// `bytes_max` bytes, or of all of them. The ids are sorted and differ.
    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt>;

    /// The terms of dictionary and inline ids, in order. The ids are sorted and differ.
    fn decode(&self, ids: &[TermId]) -> Result<Vec<Term>, Interrupt> {
        let mut terms = Vec::with_capacity(ids.len());
        let mut texts = (Texts::new(), 0);
        for (at, id) in ids.iter().enumerate() {
            if let Some(term) = term::inline_term(*id) {
                terms.push(term);
                continue;
            }
            if texts.1 == texts.0.len() {
                let rest: Vec<TermId> =
                    ids[at..].iter().copied().filter(|id| term::inline_term(*id).is_none()).collect();
                texts = (self.texts(&rest, DECODED_BYTES_MAX)?, 0);
                if texts.0.is_empty() {
                    return Err(Fault::internal("not every term was decoded").into());
                }
            }
            terms.push(term::decode(texts.0.get(texts.1))?);
            texts.1 += 1;
        }
        Ok(terms)
    }

    /// Starts a plan on all nodes.
    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt>;

    /// The named graphs that have facts.
    fn graphs(&self) -> Result<Vec<TermId>, Fault>;

    /// Does the cluster answer within this process without waiting, or [fall back](Interrupt::Fallback)?
    fn is_local(&self) -> bool {
        false
    }

    /// The name of each shard's holder, for explanations; empty where there are no names.
    fn holders(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a call of the cluster gave no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Interrupt {
    /// A [local](Cluster::is_local) cluster cannot answer without waiting: the query has to run on the distributed
    /// path.
    Fallback,
    Fault(Fault),
}

impl From<Fault> for Interrupt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Interrupt> for Fault {
    /// Only [`run_local`](crate::run_local) uses local clusters, and it handles their fallbacks.
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Fallback => Self::internal("a distributed cluster fell back"),
            Interrupt::Fault(fault) => fault,
        }
    }
}

/// The canonical bytes of many terms, one after the other.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Is there no text?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the canonical bytes of a term.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// Adds a term.
    pub(crate) fn push_term(&mut self, term: &Term) {
        term::encode(term.as_ref(), &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds all texts of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// The text at `index`.
    ///
    /// # Panics
    /// If there are fewer texts.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// Options of a running plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The number of rows after which nodes may stop.
    pub rows_max: Option<u64>,
    /// Is the work measured?
    pub profile: bool,
}

/// The rows of a running plan. Dropping it cancels the work everywhere.
pub trait Rows: Send {
    /// The next batch, with the columns of the plan's gathered slots bound; `None` at the end.
    fn next(&mut self) -> Result<Option<Batch>, Fault>;

    /// The measured work of each node, if the session profiles; complete after the end.
    fn profile(&mut self) -> Vec<NodeProfile>;
}

/// The measured work of one node for a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeProfile {
    pub node: NodeId,
    pub name: String,
    /// Rows of the answer from this node.
    pub rows: u64,
    /// From start to end, including waiting.
    pub seconds: f64,
    pub work: Vec<OperatorWork>,
}

/// The measured work of one operator for one shard at one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatorWork {
    pub stage: usize,
    /// The position in the stage; one past the last operator stands for sending the rows on.
    pub operator: usize,
    /// `None` for rows that belong to no shard.
    pub shard: Option<u16>,
    pub work: Work,
}
