//! The cluster as the dataset that spareval evaluates over.
//!
//! Basic graph patterns are evaluated through [services](super::service); this module has the remaining single
//! patterns, and the conversion between ids and terms.

use crate::algebra::INTERNAL;
use crate::evaluate::lookups::{Found, From, Lookup, Lookups};
use crate::session::Session;
use crate::session::term::EvalTerm;
use entail_model::{Fault, TermId, term};
use oxrdf::Term;
use spareval::{ExpressionTerm, InternalQuad, QueryableDataset};
use std::sync::Arc;

/// The dataset of one query.
#[derive(Clone)]
pub struct ClusterDataset {
    pub session: Arc<Session>,
    pub lookups: Arc<Lookups>,
    /// Are computed terms ever compared with ids, so that each must be looked up?
    pub compares_computed: bool,
}

impl ClusterDataset {
    /// `None` if a bound position is a term that no fact has.
    fn lookup(
        subject: Option<&EvalTerm>,
        predicate: Option<&EvalTerm>,
        object: Option<&EvalTerm>,
        graph: Option<Option<&EvalTerm>>,
    ) -> Option<Lookup> {
        let id = |term: Option<&EvalTerm>| match term {
            None => Some(None),
            Some(EvalTerm::Id(id)) => Some(Some(*id)),
            Some(EvalTerm::Computed(_)) => None,
        };
        let from = match graph {
            None => From::Each,
            Some(None) => From::Default,
            Some(graph) => From::Named(id(graph)??),
        };
        Some(Lookup { subject: id(subject)?, predicate: id(predicate)?, object: id(object)?, from })
    }
}

fn quad(found: Found, named: Option<TermId>) -> InternalQuad<EvalTerm> {
    InternalQuad {
        subject: EvalTerm::Id(found.subject),
        predicate: EvalTerm::Id(found.predicate),
        object: EvalTerm::Id(found.object),
        graph_name: found.graph.or(named).map(EvalTerm::Id),
    }
}

impl<'a> QueryableDataset<'a> for ClusterDataset {
    type InternalTerm = EvalTerm;
    type Error = Fault;

    fn internal_quads_for_pattern(
        &self,
        subject: Option<&EvalTerm>,
        predicate: Option<&EvalTerm>,
        object: Option<&EvalTerm>,
        graph_name: Option<Option<&EvalTerm>>,
    ) -> impl Iterator<Item = Result<InternalQuad<EvalTerm>, Fault>> + use<'a> {
        let found: crate::evaluate::lookups::Answer = match Self::lookup(subject, predicate, object, graph_name) {
            None => Box::new(std::iter::empty()),
            Some(lookup) => self.lookups.find(lookup).unwrap_or_else(|fault| Box::new(std::iter::once(Err(fault)))),
        };
        let named = match graph_name {
            Some(Some(EvalTerm::Id(graph))) => Some(*graph),
            _ => None,
        };
        let session = Arc::clone(&self.session);
        found.map(move |found| session.kept(found).map(|found| quad(found, named)))
    }

    fn internal_named_graphs(&self) -> impl Iterator<Item = Result<EvalTerm, Fault>> + use<'a> {
        let graphs = self.session.kept(self.session.named_graphs());
        let (graphs, fault) = match graphs {
            Ok(graphs) => (graphs, None),
            Err(fault) => (Vec::new(), Some(Err(fault))),
        };
        graphs.into_iter().map(|graph| Ok(EvalTerm::Id(graph))).chain(fault)
    }

    fn contains_internal_graph_name(&self, graph_name: &EvalTerm) -> Result<bool, Fault> {
        let EvalTerm::Id(graph) = graph_name else { return Ok(false) };
        Ok(self.session.kept(self.session.named_graphs())?.contains(graph))
    }

    fn internalize_term(&self, term: Term) -> Result<EvalTerm, Fault> {
        if let Some(id) = self.session.stand_in.id(term.as_ref()) {
            return Ok(EvalTerm::Id(id));
        }
        match &term {
            // No dictionary has the names of leaf services.
            Term::NamedNode(node) if node.as_str().starts_with(INTERNAL) && !node.as_str()[1..].starts_with("id:") => {
                Ok(EvalTerm::Computed(Arc::new(term)))
            }
            _ => self.session.kept(self.session.internal(term)),
        }
    }

    fn externalize_term(&self, term: EvalTerm) -> Result<Term, Fault> {
        Ok(match term {
            EvalTerm::Id(id) => term::inline_term(id).unwrap_or_else(|| self.session.stand_in.term(id)),
            EvalTerm::Computed(term) => Term::clone(&term),
        })
    }

    fn externalize_expression_term(&self, term: EvalTerm) -> Result<ExpressionTerm, Fault> {
        Ok(match term {
            EvalTerm::Id(id) => self.session.kept(self.session.text(id))?.into(),
            EvalTerm::Computed(term) => Term::clone(&term).into(),
        })
    }

    fn internalize_expression_term(&self, term: ExpressionTerm) -> Result<EvalTerm, Fault> {
        // Triple terms can come from VALUES, whose terms must be comparable.
        let must_look = self.compares_computed || matches!(term, ExpressionTerm::Triple(_));
        let term = Term::from(term);
        if must_look {
            return self.session.kept(self.session.internal(term));
        }
        Ok(term::inline_id(term.as_ref()).map_or_else(|| EvalTerm::Computed(Arc::new(term)), EvalTerm::Id))
    }
}
