//! Terms as spareval sees them: ids, so that joins, groups and DISTINCT never need a text.
//!
//! A term that the dictionary knows is its id; a computed term is kept itself. spareval passes terms in and out of
//! services and results as `oxrdf` terms: there a [`StandIn`] carries the id, so terms are decoded only for
//! output. A stand-in is a blank node with a random number of the query; no client can create one.
//!
//! spareval's loops cannot be interrupted from outside while they produce no row. Each of them copies terms, so copying
//! checks the query's [`Watch`] at intervals, and unwinds the evaluation with [`Stopped`] when it must end. The
//! unwinding is caught where the evaluation was started.

use entail_model::TermId;
use oxrdf::{BlankNode, Term, TermRef};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

/// A term within the evaluation. Two terms that one query compares are equal if and only if the RDF terms are.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum EvalTerm {
    Id(TermId),
    Computed(Arc<Term>),
}

impl Clone for EvalTerm {
    fn clone(&self) -> Self {
        tick();
        match self {
            Self::Id(id) => Self::Id(*id),
            Self::Computed(term) => Self::Computed(Arc::clone(term)),
        }
    }
}

/// Creates and recognises the blank nodes that stand for ids in one query.
#[derive(Clone, Copy, Debug)]
pub struct StandIn {
    nonce: u64,
}

impl StandIn {
    /// Stand-ins that only this query knows.
    pub fn new() -> Self {
        // The hasher's keys come from the system's randomness. The top bit keeps all numbers equally long.
        Self { nonce: RandomState::new().build_hasher().finish() | 1 << 63 }
    }

    /// The term that stands for `id`.
    pub fn term(self, id: TermId) -> Term {
        BlankNode::new_from_unique_id(u128::from(self.nonce) << 64 | u128::from(id.0)).into()
    }

    /// The id that the term stands for, if it is a stand-in.
    pub fn id(self, term: TermRef<'_>) -> Option<TermId> {
        let TermRef::BlankNode(node) = term else { return None };
        let number = node.unique_id()?;
        (number >> 64 == u128::from(self.nonce)).then_some(TermId(number as u64))
    }
}

/// Checks whether a query has to stop.
pub trait Watch {
    /// Must the evaluation end now?
    fn must_stop(&self) -> bool;
}

/// The panic payload with which a stopped evaluation unwinds.
pub struct Stopped;

/// Copies between two checks of the watch.
const TICKS: u32 = 1 << 16;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(TICKS) };
    static WATCH: RefCell<Option<Arc<dyn Watch>>> = const { RefCell::new(None) };
}

/// Runs `work` under a watch on this thread. `None` if it was stopped.
///
/// Any other panic is propagated.
pub fn watched<T>(watch: Arc<dyn Watch>, work: impl FnOnce() -> T) -> Option<T> {
    let before = WATCH.with(|own| own.replace(Some(watch)));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    WATCH.with(|own| own.replace(before));
    match result {
        Ok(value) => Some(value),
        Err(panic) if panic.is::<Stopped>() => None,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn tick() {
    let left = LEFT.get();
    if left > 0 {
        LEFT.set(left - 1);
        return;
    }
    LEFT.set(TICKS);
    if !std::thread::panicking() && WATCH.with(|watch| watch.borrow().as_ref().is_some_and(|watch| watch.must_stop())) {
        // Not a panic in the usual sense: no message is printed.
        std::panic::resume_unwind(Box::new(Stopped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_known_only_to_their_query() {
        let (mine, yours) = (StandIn::new(), StandIn::new());
        let term = mine.term(TermId(42));
        assert_eq!(mine.id(term.as_ref()), Some(TermId(42)));
        assert_eq!(yours.id(term.as_ref()), None);
        assert_eq!(mine.id(BlankNode::new_unchecked("b0").as_ref().into()), None);
    }

    #[test]
    fn a_loop_that_copies_terms_can_be_stopped() {
        struct Now;
        impl Watch for Now {
            fn must_stop(&self) -> bool {
                true
            }
        }
        let term = EvalTerm::Id(TermId(1));
        let endless = || loop {
            std::hint::black_box(term.clone());
        };
        assert!(watched(Arc::new(Now), endless).is_none());
    }
}
