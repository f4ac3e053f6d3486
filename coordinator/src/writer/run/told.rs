//! What the answer to a change says beside its counts.

use super::{Run, lock};
use crate::writer::{OnlyDerived, described};
use entail_logic::fixpoint::OperationCounts;
use entail_model::{Cancellation, Fact, Fault, TermId, term};
use entail_proto::v1::ChangeSummary;
use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term};
use std::collections::HashMap;

impl Run<'_> {
    /// Names a fact that was to be removed but that only rules say, and the rules that may derive it.
    pub(super) async fn describe_removals(&self, summary: &mut ChangeSummary) {
        let example = lock(&self.stats).removal.example;
        let OnlyDerived { fact, rules } = self.only_derived(example).await;
        (summary.derived_only_fact, summary.derived_only_rules) = (fact, rules);
    }

    /// The counts of each operation, with such a fact of its own.
    pub(super) async fn described_operations(&self) -> Vec<(OperationCounts, OnlyDerived)> {
        let operations = lock(&self.stats).operations();
        let mut described = Vec::with_capacity(operations.len());
        for counts in operations {
            described.push((counts, self.only_derived(counts.removal.example).await));
        }
        described
    }

    /// Only a convenience: the change does not fail if a fact cannot be named.
    async fn only_derived(&self, example: Option<Fact>) -> OnlyDerived {
        let Some(example) = example else { return OnlyDerived::default() };
        match self.quad(example).await {
            Ok(quad) => {
                let rules = described::rules_of(&self.rule_sets(), &quad);
                OnlyDerived { fact: described::fact(&quad), rules }
            }
            Err(fault) => {
                tracing::debug!(%fault, "a fact cannot be named");
                OnlyDerived::default()
            }
        }
    }

    async fn quad(&self, fact: Fact) -> Result<Quad, Fault> {
        let Fact { graph, predicate, subject, object } = fact;
        let ids = [graph, predicate, subject, object];
        let terms = self.terms(&ids).await?;
        let term = |id: TermId| match term::inline_term(id) {
            Some(term) => Ok(term),
            None => terms.get(&id).cloned().ok_or_else(|| Fault::internal(format!("{id:?} has no text"))),
        };
        let resource = |term: Term| match term {
            Term::NamedNode(node) => Ok(NamedOrBlankNode::from(node)),
            Term::BlankNode(node) => Ok(node.into()),
            other => Err(Fault::corrupt(format!("{other} cannot be a subject"))),
        };
        let graph_name = match graph == TermId::DEFAULT_GRAPH {
            true => GraphName::DefaultGraph,
            false => resource(term(graph)?)?.into(),
        };
        let Term::NamedNode(predicate) = term(predicate)? else {
            return Err(Fault::corrupt("a predicate that is no IRI"));
        };
        Ok(Quad { subject: resource(term(subject)?)?, predicate, object: term(object)?, graph_name })
    }

    /// The names of graphs and predicates; that of the default graph is empty.
    pub(super) async fn names(&self, ids: &[TermId]) -> Result<Vec<String>, Fault> {
        let terms = self.terms(ids).await?;
        let name = |id: &TermId| match terms.get(id) {
            Some(Term::NamedNode(node)) => node.as_str().to_owned(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Ok(ids.iter().map(name).collect())
    }

    /// The terms of ids: committed ones, and names that the attempt has added.
    async fn terms(&self, ids: &[TermId]) -> Result<HashMap<TermId, Term>, Fault> {
        let new = self.loader.as_ref().map(|loader| loader.names()).unwrap_or_default();
        let mut terms = HashMap::new();
        let mut committed = Vec::new();
        for id in ids.iter().filter(|id| !id.is_inline()) {
            match new.get(id) {
                Some(text) => _ = terms.insert(*id, term::decode(text)?),
                None => committed.push(*id),
            }
        }
        committed.sort_unstable();
        committed.dedup();
        let texts = self.reader(Cancellation::default()).fetch_texts(&committed, u64::MAX).await?;
        for (id, text) in texts {
            terms.insert(id, term::decode(&text)?);
        }
        Ok(terms)
    }
}
