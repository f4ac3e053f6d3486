//! DESCRIBE: the facts with a resource as subject in the default graph, and recursively those of blank nodes among
//! their objects.

use crate::evaluate::lookups::{From, Lookup, Lookups};
use crate::session::Session;
use entail_model::{Fault, TermId, TermKind};
use oxrdf::{NamedOrBlankNode, Term, Triple};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Facts that are decoded together.
const BLOCK_FACTS: usize = 4_096;

/// Describes resources, each once.
pub struct Describer<'a> {
    session: &'a Session,
    lookups: &'a Lookups,
    described: HashSet<TermId>,
    facts: Vec<(TermId, TermId, TermId)>,
}

/// Receives triples; returns whether to continue.
pub type Triples<'t> = &'t mut dyn FnMut(Vec<Triple>) -> Result<ControlFlow<()>, Fault>;

impl<'a> Describer<'a> {
    /// A describer that has not described anything.
    pub fn new(session: &'a Session, lookups: &'a Lookups) -> Self {
        Self { session, lookups, described: HashSet::new(), facts: Vec::new() }
    }

    /// Describes one resource, unless it was described before.
    pub fn describe(&mut self, resource: TermId, triples: Triples<'_>) -> Result<ControlFlow<()>, Fault> {
        let mut next = vec![resource];
        while let Some(subject) = next.pop() {
            if subject.is_inline() || !self.described.insert(subject) {
                continue;
            }
            let lookup = Lookup { subject: Some(subject), predicate: None, object: None, from: From::Default };
            for found in self.lookups.find(lookup)? {
                let found = found?;
                self.facts.push((found.subject, found.predicate, found.object));
                if found.object.kind() == TermKind::BlankNode {
                    next.push(found.object);
                }
                if self.facts.len() >= BLOCK_FACTS && self.flush(triples)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Decodes the facts found so far and sends them as triples.
    pub fn flush(&mut self, triples: Triples<'_>) -> Result<ControlFlow<()>, Fault> {
        let facts = std::mem::take(&mut self.facts);
        let mut ids: Vec<TermId> = facts.iter().flat_map(|(s, p, o)| [*s, *p, *o]).collect();
        ids.sort_unstable();
        ids.dedup();
        let terms = self.session.cluster.decode(&ids)?;
        let term = |id: &TermId| ids.binary_search(id).ok().and_then(|index| terms.get(index)).cloned();
        let triple = |(subject, predicate, object): &(TermId, TermId, TermId)| {
            let subject = match term(subject)? {
                Term::NamedNode(node) => NamedOrBlankNode::from(node),
                Term::BlankNode(node) => node.into(),
                Term::Literal(_) | Term::Triple(_) => return None,
            };
            let Term::NamedNode(predicate) = term(predicate)? else { return None };
            Some(Triple { subject, predicate, object: term(object)? })
        };
        let found: Option<Vec<Triple>> = facts.iter().map(triple).collect();
        triples(found.ok_or_else(|| Fault::corrupt("a fact with invalid terms for a triple"))?)
    }
}
