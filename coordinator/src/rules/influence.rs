//! What the rules in force read and derive, by predicate: an update must know which facts its changes may reach.

use super::ParsedSet;
use entail_logic::rules::{NamedNodePattern, TriplePattern};
use entail_model::Fault;
use entail_sparql::update::Influence;
use oxrdf::{GraphName, NamedNode};
use std::sync::Arc;

/// The influence of each rule.
///
/// # Errors
/// The fault of a set that does not parse.
pub fn influences(sets: &[Arc<ParsedSet>]) -> Result<Vec<Influence>, Fault> {
    let mut influences = Vec::new();
    for set in sets {
        let content = set.content()?;
        let graph = content.graph.as_ref().map_or(GraphName::DefaultGraph, |graph| graph.clone().into());
        for rule in &content.rules.rules {
            let negated = rule.negated.iter().flat_map(|negated| &negated.patterns);
            let (reads, derives) = (predicates(rule.body.iter().chain(negated)), predicates(&rule.head));
            influences.push(Influence { graph: graph.clone(), reads, derives });
        }
    }
    Ok(influences)
}

/// The predicates of patterns; `None` stands for any.
fn predicates<'p>(patterns: impl IntoIterator<Item = &'p TriplePattern>) -> Vec<Option<NamedNode>> {
    let predicate = |pattern: &TriplePattern| match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => Some(node.clone()),
        NamedNodePattern::Variable(_) => None,
    };
    patterns.into_iter().map(predicate).collect()
}
