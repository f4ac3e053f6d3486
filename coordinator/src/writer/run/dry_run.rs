//! A dry run: instead of sealing, each node says what its seal would change; then the attempt is aborted.

use super::{Run, lock};
use entail_logic::epoch::{Event, Outcome};
use entail_model::{Attempt, Fault, NodeId, Reason, Relation};
use entail_node_api::RelationChange;
use entail_proto::v1::{ChangeSummary, PredicateChange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{Instrument, info_span};

/// Key of the calls in the run's list.
const PREVIEW: u32 = super::SEAL;

/// The most changes of predicates in an answer.
const PREDICATES_MAX: usize = 1_000;

/// What the nodes have said.
#[derive(Debug, Default)]
pub struct Previews {
    nodes: BTreeSet<NodeId>,
    relations: BTreeMap<Relation, RelationChange>,
}

impl Previews {
    /// Adds what a node says, once.
    fn add(&mut self, node: NodeId, relations: Vec<(Relation, RelationChange)>) {
        if !self.nodes.insert(node) {
            return;
        }
        for (relation, change) in relations {
            let sum = self.relations.entry(relation).or_default();
            sum.asserted += change.asserted;
            sum.removed += change.removed;
            sum.derived += change.derived;
            sum.derived_removed += change.derived_removed;
        }
    }
}

/// The fault with which a dry run ends its attempt.
pub fn fault() -> Fault {
    Fault::new(Reason::EpochAborted, "a dry run commits nothing")
}

impl Run<'_> {
    /// Asks a node what its seal would change; the last answer ends the attempt.
    pub(super) fn preview(&self, node: NodeId, attempt: Attempt) {
        if lock(&self.previews).nodes.contains(&node) {
            return;
        }
        let link = self.holders.links[&node].clone();
        let (previews, nodes) = (Arc::clone(&self.previews), self.holders.links.len());
        let call = async move {
            let relations = link.call(None, |node, call| node.preview(call, attempt)).await?;
            let mut previews = lock(&previews);
            previews.add(node, relations);
            match previews.nodes.len() == nodes {
                true => Ok(Event::Failed { node: None, fault: fault() }),
                false => Ok(Event::Tick),
            }
        };
        self.call(node, PREVIEW, call.instrument(info_span!("preview")));
    }

    /// The answer of a dry run.
    pub(super) async fn told(&self) -> Result<ChangeSummary, Fault> {
        let (derived, rounds) = {
            let stats = lock(&self.stats);
            (stats.derived.clone(), stats.rounds())
        };
        let outcome = Outcome { epoch: self.previous, rounds, derived, ..Outcome::default() };
        let mut summary = self.summary(&outcome).await;
        let mut relations: Vec<(Relation, RelationChange)> =
            lock(&self.previews).relations.iter().map(|(relation, change)| (*relation, *change)).collect();
        summary.derived_removed = relations.iter().map(|(_, change)| change.derived_removed).sum();
        let came: u64 = relations.iter().map(|(_, change)| change.derived).sum();
        summary.derived = came;
        summary.derived_net = came.cast_signed() - summary.derived_removed.cast_signed();
        let size = |change: &RelationChange| change.asserted + change.removed + change.derived + change.derived_removed;
        relations.sort_by_key(|(_, change)| std::cmp::Reverse(size(change)));
        relations.truncate(PREDICATES_MAX);
        summary.predicates = self.named(&relations).await?;
        summary.dry_run = true;
        Ok(summary)
    }

    async fn named(&self, relations: &[(Relation, RelationChange)]) -> Result<Vec<PredicateChange>, Fault> {
        let ids: Vec<_> = relations.iter().flat_map(|(relation, _)| [relation.graph, relation.predicate]).collect();
        let names = self.names(&ids).await?;
        let change = |((_, change), names): (&(Relation, RelationChange), &[String])| PredicateChange {
            graph: names[0].clone(),
            predicate: names[1].clone(),
            asserted: change.asserted,
            removed: change.removed,
            derived: change.derived,
            derived_removed: change.derived_removed,
        };
        Ok(relations.iter().zip(names.chunks(2)).map(change).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::TermId;

    #[test]
    fn a_node_that_says_it_twice_counts_once() {
        let mut previews = Previews::default();
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
        let change = RelationChange { asserted: 1, removed: 2, derived: 3, derived_removed: 4 };
        for node in [1, 1, 2] {
            previews.add(NodeId(node), vec![(relation, change)]);
        }
        let sum = RelationChange { asserted: 2, removed: 4, derived: 6, derived_removed: 8 };
        assert_eq!((previews.nodes.len(), previews.relations[&relation]), (2, sum));
    }
}
