//! Batches of facts that exist as quads, such as those of an update.
//!
//! Their blank nodes are nodes of the graph, or new ones: they keep their labels, unlike blank nodes of a file.

use crate::batch::Batch;
use crate::batch::blank::BlankNames;
use crate::batch::builder::BatchBuilder;
use crate::request::Limits;
use entail_model::Fault;
use entail_model::term::HashKey;
use oxrdf::QuadRef;

/// Builds a sequence of batches.
pub struct QuadBatches(BatchBuilder);

impl QuadBatches {
    /// For a cluster with this key for term hashes.
    pub fn new(key: HashKey) -> Self {
        Self(BatchBuilder::new(key, None, Limits::default().term_bytes, BlankNames::kept()))
    }

    /// The batch of some quads, which must fit into memory with their terms.
    ///
    /// # Errors
    /// `LimitExceeded` for a term that is too long or too deeply nested.
    pub fn batch<'q>(&mut self, quads: impl IntoIterator<Item = QuadRef<'q>>) -> Result<Batch, Fault> {
        quads.into_iter().try_for_each(|quad| self.0.push(quad))?;
        Ok(self.0.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::term;
    use oxrdf::{BlankNodeRef, GraphNameRef, LiteralRef, NamedNodeRef};

    #[test]
    fn terms_are_in_a_batch_once_and_blank_nodes_keep_their_labels() {
        let node = BlankNodeRef::new_unchecked("x");
        let predicate = NamedNodeRef::new_unchecked("urn:p");
        let quad = |object: LiteralRef<'static>, graph| QuadRef::new(node, predicate, object, graph);
        let mut batches = QuadBatches::new(HashKey([1; 16]));
        let (one, other) = (LiteralRef::new_simple_literal("one"), LiteralRef::new_simple_literal("other"));
        let quads = [quad(one, GraphNameRef::DefaultGraph), quad(other, predicate.into())];
        let batch = batches.batch(quads).unwrap();
        assert_eq!((batch.facts.len(), batch.terms.len()), (2, 4));
        assert_eq!(batch.facts[0].subject, batch.facts[1].subject);
        assert_eq!(batch.facts[1].graph, batch.facts[1].predicate);
        let subject = batch.terms.bytes(batch.facts[0].subject.index().unwrap());
        assert_eq!(term::decode(subject).unwrap(), node.into_owned().into());
        assert_eq!(batches.batch([]).unwrap().terms.len(), 0, "the next batch begins anew");
    }
}
