//! Facts of plain lines: their terms are slices of the line, or IRIs that the batch has already.

use crate::batch::Slot;
use oxrdf::TermRef;

/// The terms of a plain line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlainFact<'t> {
    pub(crate) subject: PlainTerm<'t>,
    pub(crate) predicate: PlainTerm<'t>,
    pub(crate) object: PlainTerm<'t>,
    pub(crate) graph: Option<PlainTerm<'t>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlainTerm<'t> {
    /// An IRI that the batch has already.
    Known(Slot),
    Term(TermRef<'t>),
}

/// The position of a term in its fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TermPosition {
    Subject,
    Predicate,
    Object,
    Graph,
}

/// Lookup of IRIs that a batch has already.
pub(crate) trait Known {
    /// The known IRI at the start of the bytes, as its length and its slot; a `>` follows it.
    fn iri(&self, bytes: &[u8], place: TermPosition) -> Option<(usize, Slot)>;
}
