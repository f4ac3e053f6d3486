//! Batches: facts over a table of distinct terms, the output of parsing.
//!
//! ```text
//! terms   0: I http://a     1: I http://p     2: S hello          one byte buffer, one hash per term
//! facts   (default graph, 0, 1, 2)   (default graph, 0, 1, inline 42)
//! ```
//!
//! Invariant: a term is in the table once, and never if it is inline; a slot is an index into the table or, with the
//! top bit set, the [`TermId`] itself. So the receiver looks up each distinct term once and then only maps slots.

pub(crate) mod blank;
pub(crate) mod builder;
pub(crate) mod plain;
pub(crate) mod quads;

use entail_model::term::TermHash;
use entail_model::{Fact, Fault, TermId, TermKind, term};

/// A term of a fact in a batch: an index into the batch's table, or an id that needs no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Slot(u64);

impl Slot {
    /// Stands for the default graph.
    pub const DEFAULT_GRAPH: Self = Self(TermId::DEFAULT_GRAPH.0);

    pub(crate) fn term(index: usize) -> Self {
        Self(index as u64)
    }

    /// # Panics
    /// If `id` is a dictionary id: a batch holds terms and inline ids only.
    pub(crate) fn inline(id: TermId) -> Self {
        assert!(id.is_inline(), "{id:?} belongs to a dictionary");
        Self(id.0)
    }

    /// The index into the table, unless the slot has an id.
    pub fn index(self) -> Option<usize> {
        self.id().is_none().then_some(self.0 as usize)
    }

    /// The inline value or the default graph, unless the slot is an index into the table.
    pub fn id(self) -> Option<TermId> {
        let id = TermId(self.0);
        id.is_inline().then_some(id)
    }

    /// The id of the term, given the ids of the table's terms in order.
    ///
    /// # Panics
    /// If there are fewer `ids` than terms in the table.
    pub fn resolve(self, ids: &[TermId]) -> TermId {
        self.id().unwrap_or_else(|| ids[self.0 as usize])
    }
}

/// A fact of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotFact {
    pub graph: Slot,
    pub subject: Slot,
    pub predicate: Slot,
    pub object: Slot,
}

impl SlotFact {
    /// The fact over ids, given the ids of the table's terms in order.
    pub fn resolve(&self, ids: &[TermId]) -> Fact {
        Fact {
            graph: self.graph.resolve(ids),
            predicate: self.predicate.resolve(ids),
            subject: self.subject.resolve(ids),
            object: self.object.resolve(ids),
        }
    }
}

/// Distinct terms as canonical bytes with their hashes.
#[derive(Clone, Debug, Default)]
pub struct TermTable {
    bytes: Vec<u8>,
    /// The end of each term in `bytes`; a term begins at the end of the previous one.
    ends: Vec<u32>,
    hashes: Vec<TermHash>,
}

impl TermTable {
    /// The number of terms.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Are there no terms?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all terms together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// The canonical bytes of a term.
    ///
    /// # Panics
    /// If the table has no such term.
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }

    /// The hash of a term under the cluster's key.
    ///
    /// # Panics
    /// If the table has no such term.
    pub fn hash(&self, index: usize) -> TermHash {
        self.hashes[index]
    }

    /// The hashes of all terms in order.
    pub fn hashes(&self) -> &[TermHash] {
        &self.hashes
    }

    /// The kind of a term.
    ///
    /// # Errors
    /// None for tables made by parsing.
    pub fn kind(&self, index: usize) -> Result<TermKind, Fault> {
        term::kind_of(self.bytes(index))
    }

    /// All terms in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TermHash, &[u8])> {
        (0..self.len()).map(|index| (self.hash(index), self.bytes(index)))
    }

    /// The buffer, for appending the bytes of a term that may be new; then call [`keep`](Self::keep) or
    /// [`drop_tail`](Self::drop_tail).
    pub(crate) fn tail_buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes that were appended after the last term.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.start(self.len())..]
    }

    /// Makes the appended bytes the next term.
    pub(crate) fn keep(&mut self, hash: TermHash) -> usize {
        let end = u32::try_from(self.bytes.len()).expect("limits keep a batch far below 4 GiB");
        self.ends.push(end);
        self.hashes.push(hash);
        self.ends.len() - 1
    }

    /// Drops the bytes that were appended after the last term.
    pub(crate) fn drop_tail(&mut self) {
        self.bytes.truncate(self.start(self.ends.len()));
    }

    /// Forgets all terms past the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.hashes.truncate(len);
        self.drop_tail();
    }
}

/// Some facts of the input and their terms. The order of facts has no meaning.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub terms: TermTable,
    pub facts: Vec<SlotFact>,
}

impl Batch {
    /// An empty batch with the capacity of another.
    pub(crate) fn with_room_for(other: &Self) -> Self {
        let TermTable { bytes, ends, hashes } = &other.terms;
        let terms = TermTable {
            bytes: Vec::with_capacity(bytes.len()),
            ends: Vec::with_capacity(ends.len()),
            hashes: Vec::with_capacity(hashes.len()),
        };
        Self { terms, facts: Vec::with_capacity(other.facts.len()) }
    }

    /// The estimated memory of the batch, in bytes.
    pub fn byte_len(&self) -> usize {
        self.terms.byte_len() + self.terms.len() * 20 + self.facts.len() * size_of::<SlotFact>()
    }
}
