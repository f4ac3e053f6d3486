//! Fills batches: encodes, relabels and deduplicates the terms of one parsed fact after the other.

use crate::batch::blank::BlankNames;
use crate::batch::plain::{Known, PlainFact, PlainTerm, TermPosition};
use crate::batch::{Batch, Slot, SlotFact};
use entail_model::term::{self, HashKey};
use entail_model::{Fault, Reason};
use hashbrown::{DefaultHashBuilder, HashTable};
use memchr::memchr;
use oxrdf::{
    BlankNode, GraphNameRef, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, QuadRef, Term, TermRef,
    Triple,
};
use std::hash::BuildHasher;

/// The deepest nesting of triple terms. Encoding and dropping them is recursive.
pub(crate) const TRIPLE_DEPTH_MAX: usize = 64;

/// The number of recent IRIs that are found without their hash; a power of two.
const RECENT: usize = 1024;
const NOT_THERE: u32 = u32::MAX;

/// A batch under construction.
pub(crate) struct BatchBuilder {
    batch: Batch,
    /// Positions in the table, by a hash that is faster than the cluster's hash of terms, and as unpredictable.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Positions of recent IRIs, by a weak hash: most predicates and classes are found here, without a hash of all
    /// their bytes.
    recent: Box<[u32; RECENT]>,
    key: HashKey,
    graph: Option<NamedNode>,
    term_bytes_max: usize,
    /// The last fact's slots: consecutive facts often share them, and comparing is cheaper than hashing.
    last: Option<SlotFact>,
    pub(crate) names: BlankNames,
}

/// A state of a builder to return to.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    terms: usize,
    facts: usize,
}

impl BatchBuilder {
    pub(crate) fn new(key: HashKey, graph: Option<NamedNode>, term_bytes_max: usize, names: BlankNames) -> Self {
        let (index, hasher) = (HashTable::new(), DefaultHashBuilder::default());
        let recent = Box::new([NOT_THERE; RECENT]);
        Self { batch: Batch::default(), index, hasher, recent, key, graph, term_bytes_max, last: None, names }
    }

    pub(crate) fn fact_count(&self) -> usize {
        self.batch.facts.len()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.batch.byte_len()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { terms: self.batch.terms.len(), facts: self.batch.facts.len() }
    }

    /// Forgets everything pushed since `mark`.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        for place in mark.terms..self.batch.terms.len() {
            let hash = self.hasher.hash_one(self.batch.terms.bytes(place));
            if let Ok(entry) = self.index.find_entry(hash, |known| *known as usize == place) {
                entry.remove();
            }
        }
        self.batch.terms.truncate(mark.terms);
        self.batch.facts.truncate(mark.facts);
        self.recent.fill(NOT_THERE);
        self.last = None;
    }

    /// Takes the facts so far and begins the next batch.
    pub(crate) fn take(&mut self) -> Batch {
        self.index.clear();
        self.recent.fill(NOT_THERE);
        self.last = None;
        let next = Batch::with_room_for(&self.batch);
        std::mem::replace(&mut self.batch, next)
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// `LimitExceeded` for a term that is too long or too deeply nested; the batch is then unchanged, except for new
    /// terms in its table.
    pub(crate) fn push(&mut self, quad: QuadRef<'_>) -> Result<(), Fault> {
        let last = self.last;
        let graph = self.graph_slot(quad.graph_name, last.map(|fact| fact.graph))?;
        let subject = match quad.subject {
            NamedOrBlankNodeRef::NamedNode(node) => self.intern(node.into(), last.map(|fact| fact.subject))?,
            NamedOrBlankNodeRef::BlankNode(node) => self.intern(node.into(), last.map(|fact| fact.subject))?,
        };
        let predicate = self.intern(quad.predicate.into(), last.map(|fact| fact.predicate))?;
        let object = self.intern(quad.object, None)?;
        let fact = SlotFact { graph, subject, predicate, object };
        self.batch.facts.push(fact);
        self.last = Some(fact);
        Ok(())
    }

    /// Adds the fact of a plain line.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub(crate) fn push_plain(&mut self, fact: PlainFact<'_>) -> Result<(), Fault> {
        let graph = match fact.graph {
            Some(graph) => self.intern_plain(graph)?,
            None => self.graph_slot(GraphNameRef::DefaultGraph, self.last.map(|last| last.graph))?,
        };
        let subject = self.intern_plain(fact.subject)?;
        let predicate = self.intern_plain(fact.predicate)?;
        let object = self.intern_plain(fact.object)?;
        let fact = SlotFact { graph, subject, predicate, object };
        self.batch.facts.push(fact);
        self.last = Some(fact);
        Ok(())
    }

    fn intern_plain(&mut self, term: PlainTerm<'_>) -> Result<Slot, Fault> {
        match term {
            PlainTerm::Known(slot) => Ok(slot),
            PlainTerm::Term(TermRef::NamedNode(node)) => self.intern_other_iri(node),
            PlainTerm::Term(term) => self.intern(term, None),
        }
    }

    fn graph_slot(&mut self, graph: GraphNameRef<'_>, hint: Option<Slot>) -> Result<Slot, Fault> {
        match graph {
            GraphNameRef::NamedNode(node) => self.intern(node.into(), hint),
            GraphNameRef::BlankNode(node) => self.intern(node.into(), hint),
            GraphNameRef::DefaultGraph => match self.graph.take() {
                None => Ok(Slot::DEFAULT_GRAPH),
                Some(target) => {
                    let slot = self.intern(target.as_ref().into(), hint);
                    self.graph = Some(target);
                    slot
                }
            },
        }
    }

    /// The slot of a term; `hint` is a likely slot.
    fn intern(&mut self, term: TermRef<'_>, hint: Option<Slot>) -> Result<Slot, Fault> {
        if let TermRef::NamedNode(node) = term {
            return self.intern_iri(node, hint);
        }
        if let Some(id) = term::inline_id(term) {
            return Ok(Slot::inline(id));
        }
        self.encode(term)?;
        let table = &mut self.batch.terms;
        if let Some(place) = hint.and_then(Slot::index).filter(|place| table.bytes(*place) == table.tail()) {
            table.drop_tail();
            return Ok(Slot::term(place));
        }
        self.keep_tail().map(Slot::term)
    }

    fn intern_iri(&mut self, node: NamedNodeRef<'_>, hint: Option<Slot>) -> Result<Slot, Fault> {
        let iri = node.as_str().as_bytes();
        let known = hint.filter(|slot| self.iri_at(*slot) == Some(iri)).or_else(|| self.recent_iri(iri));
        known.map_or_else(|| self.intern_other_iri(node), Ok)
    }

    /// The slot of an IRI that is not among the recent ones.
    fn intern_other_iri(&mut self, node: NamedNodeRef<'_>) -> Result<Slot, Fault> {
        term::encode(node.into(), self.batch.terms.tail_buffer());
        let place = self.keep_tail()?;
        self.recent[recent(node.as_str().as_bytes())] = place as u32;
        Ok(Slot::term(place))
    }

    fn iri_at(&self, slot: Slot) -> Option<&[u8]> {
        self.batch.terms.bytes(slot.index()?).strip_prefix(b"I")
    }

    fn recent_iri(&self, iri: &[u8]) -> Option<Slot> {
        let place = self.recent[recent(iri)];
        let slot = (place != NOT_THERE).then(|| Slot::term(place as usize))?;
        (self.iri_at(slot) == Some(iri)).then_some(slot)
    }

    /// The position of the term whose bytes were appended to the table.
    fn keep_tail(&mut self) -> Result<usize, Fault> {
        let table = &mut self.batch.terms;
        if table.tail().len() > self.term_bytes_max {
            let message = format!("a term of {} bytes; the limit is {}", table.tail().len(), self.term_bytes_max);
            table.drop_tail();
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let hash = self.hasher.hash_one(table.tail());
        if let Some(place) = self.index.find(hash, |place| table.bytes(*place as usize) == table.tail()) {
            table.drop_tail();
            return Ok(*place as usize);
        }
        let place = table.keep(self.key.hash(table.tail()));
        self.index.insert_unique(hash, place as u32, |place| self.hasher.hash_one(table.bytes(*place as usize)));
        Ok(place)
    }

    /// Appends the canonical bytes of a term, its blank nodes renamed, to the table's tail.
    fn encode(&mut self, term: TermRef<'_>) -> Result<(), Fault> {
        let buffer = self.batch.terms.tail_buffer();
        match term {
            TermRef::BlankNode(node) => {
                let label = self.names.rename(node);
                term::encode(oxrdf::BlankNodeRef::new_unchecked(&label).into(), buffer);
            }
            TermRef::Triple(triple) => {
                let renamed = Term::from(rename_triple(triple, &mut self.names, 1)?);
                term::encode(renamed.as_ref(), buffer);
            }
            _ => term::encode(term, buffer),
        }
        Ok(())
    }
}

/// The index of a recent IRI: by its length and its last bytes, in which IRIs differ most.
fn recent(iri: &[u8]) -> usize {
    let tail = iri.last_chunk::<8>().map_or(0, |tail| u64::from_le_bytes(*tail));
    let mixed = (tail ^ iri.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 54) as usize % RECENT
}

impl Known for BatchBuilder {
    fn iri(&self, bytes: &[u8], place: TermPosition) -> Option<(usize, Slot)> {
        // Subjects and graphs are often those of the previous fact; then their end is known.
        let hint = match place {
            TermPosition::Subject => self.last.map(|last| last.subject),
            TermPosition::Graph => self.last.map(|last| last.graph),
            TermPosition::Predicate | TermPosition::Object => None,
        };
        if let Some(slot) = hint
            && let Some(iri) = self.iri_at(slot)
            && bytes.get(iri.len()) == Some(&b'>')
            && bytes.starts_with(iri)
        {
            return Some((iri.len(), slot));
        }
        let iri = &bytes[..memchr(b'>', bytes)?];
        Some((iri.len(), self.recent_iri(iri)?))
    }
}

fn rename_triple(triple: &Triple, names: &mut BlankNames, depth: usize) -> Result<Triple, Fault> {
    if depth > TRIPLE_DEPTH_MAX {
        return Err(too_deep());
    }
    let subject = match &triple.subject {
        NamedOrBlankNode::BlankNode(node) => renamed(node, names).into(),
        other => other.clone(),
    };
    let object = match &triple.object {
        Term::BlankNode(node) => renamed(node, names).into(),
        Term::Triple(inner) => rename_triple(inner, names, depth + 1)?.into(),
        other => other.clone(),
    };
    Ok(Triple { subject, predicate: triple.predicate.clone(), object })
}

fn renamed(node: &BlankNode, names: &mut BlankNames) -> BlankNode {
    BlankNode::new_unchecked(names.rename(node.as_ref()))
}

/// The fault for triple terms nested deeper than [`TRIPLE_DEPTH_MAX`].
pub(crate) fn too_deep() -> Fault {
    Fault::new(Reason::LimitExceeded, format!("triple terms nested more than {TRIPLE_DEPTH_MAX} deep"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::{Literal, Quad};

    fn builder() -> BatchBuilder {
        BatchBuilder::new(HashKey([3; 16]), None, 1 << 20, BlankNames::labelled(1))
    }

    fn quad(subject: &str, object: impl Into<Term>) -> Quad {
        let predicate = NamedNodeRef::new_unchecked("http://p");
        Quad::new(NamedNodeRef::new_unchecked(subject), predicate, object, GraphNameRef::DefaultGraph)
    }

    #[test]
    fn terms_are_kept_once_and_inline_values_not_at_all() {
        let mut builder = builder();
        for quad in [
            quad("http://a", Literal::from(1)),
            quad("http://b", Literal::from(1)),
            quad("http://a", Literal::from("x")),
        ] {
            builder.push(quad.as_ref()).expect("fits");
        }
        let batch = builder.take();
        let terms: Vec<&[u8]> = batch.terms.iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(terms, [&b"Ihttp://a"[..], b"Ihttp://p", b"Ihttp://b", b"Sx"]);
        assert_eq!(batch.facts[0].object, batch.facts[1].object);
        assert_eq!(batch.facts[0].object.id(), term::inline_id(Literal::from(1).as_ref().into()));
        assert_eq!(batch.facts[0].subject, batch.facts[2].subject);
        assert_eq!(batch.facts[0].graph, Slot::DEFAULT_GRAPH);
        for (hash, bytes) in batch.terms.iter() {
            assert_eq!(hash, HashKey([3; 16]).hash(bytes));
        }
    }

    #[test]
    fn rollback_forgets_terms_and_facts() {
        let mut builder = builder();
        builder.push(quad("http://a", Literal::from("x")).as_ref()).expect("fits");
        let mark = builder.mark();
        builder.push(quad("http://b", Literal::from("y")).as_ref()).expect("fits");
        builder.rollback(mark);
        builder.push(quad("http://b", Literal::from("x")).as_ref()).expect("fits");
        let batch = builder.take();
        let terms: Vec<&[u8]> = batch.terms.iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(terms, [&b"Ihttp://a"[..], b"Ihttp://p", b"Sx", b"Ihttp://b"]);
        assert_eq!(batch.facts.len(), 2);
        assert_eq!(batch.facts[1].object.index(), Some(2));
    }

    #[test]
    fn long_and_deep_terms_are_refused() {
        let mut builder = BatchBuilder::new(HashKey([0; 16]), None, 100, BlankNames::labelled(1));
        let fault = builder.push(quad("http://a", Literal::from("x".repeat(200))).as_ref()).expect_err("too long");
        assert_eq!(fault.reason, Reason::LimitExceeded);
        let mut term = Term::from(Literal::from("x"));
        for _ in 0..=TRIPLE_DEPTH_MAX {
            term = Triple::new(NamedNodeRef::new_unchecked("a:s"), NamedNodeRef::new_unchecked("a:p"), term).into();
        }
        let fault = builder.push(quad("http://a", term).as_ref()).expect_err("too deep");
        assert_eq!(fault.reason, Reason::LimitExceeded);
        assert_eq!(builder.fact_count(), 0);
        builder.push(quad("http://a", Literal::from("x")).as_ref()).expect("still works");
    }
}
