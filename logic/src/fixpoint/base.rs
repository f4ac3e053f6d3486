//! The committed facts of a node at one epoch.

use crate::columns::Run;
use entail_model::{Relation, TermId};
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// The runs of a relation's two copies, of all marks, oldest first.
pub type Copies = [Vec<Arc<Run>>; 2];

/// The copies of every relation that has facts.
///
/// Epochs differ by small changes: a clone shares everything with its original, and changing one relation costs the
/// logarithm of the number of relations.
#[derive(Clone, Debug, Default)]
pub struct Base {
    relations: RedBlackTreeMapSync<Relation, Copies>,
}

impl Base {
    /// A relation's copies, if it has facts.
    pub fn get(&self, relation: Relation) -> Option<&Copies> {
        self.relations.get(&relation)
    }

    /// The relations that have facts, in order, with their copies.
    pub fn iter(&self) -> impl Iterator<Item = (Relation, &Copies)> {
        self.relations.iter().map(|(relation, copies)| (*relation, copies))
    }

    /// The relations of one graph.
    pub fn of_graph(&self, graph: TermId) -> impl Iterator<Item = (Relation, &Copies)> {
        let all = Relation { graph, predicate: TermId(0) }..=Relation { graph, predicate: TermId::MAX };
        self.relations.range(all).map(|(relation, copies)| (*relation, copies))
    }

    /// How many relations have facts.
    pub fn len(&self) -> usize {
        self.relations.size()
    }

    /// Are there no facts?
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// Changes a relation's copies, which are empty if it has no facts. Clones stay as they are.
    pub fn change<T>(&mut self, relation: Relation, change: impl FnOnce(&mut Copies) -> T) -> T {
        let mut copies = self.relations.get(&relation).cloned().unwrap_or_default();
        let changed = change(&mut copies);
        if copies.iter().all(Vec::is_empty) {
            _ = self.relations.remove_mut(&relation)
        } else {
            self.relations.insert_mut(relation, copies)
        }
        changed
    }
}

impl FromIterator<(Relation, Copies)> for Base {
    fn from_iter<I: IntoIterator<Item = (Relation, Copies)>>(relations: I) -> Self {
        let with_facts = relations.into_iter().filter(|(_, copies)| !copies.iter().all(Vec::is_empty));
        Self { relations: with_facts.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Mark;

    #[test]
    fn clones_stay_as_they_are() {
        let relation = |graph, predicate| Relation { graph: TermId(graph), predicate: TermId(predicate) };
        let run = Run::resident(Mark::Asserted, vec![(TermId(1), TermId(2))]).expect("not empty");
        let mut base: Base =
            (0..100).map(|number| (relation(number % 2, number), [vec![Arc::clone(&run)], vec![]])).collect();
        let before = base.clone();
        base.change(relation(0, 8), |copies| copies[1].push(Arc::clone(&run)));
        base.change(relation(1, 9), |copies| copies[0].clear());
        base.change(relation(1, 200), |copies| copies[0].push(Arc::clone(&run)));
        base.change(relation(1, 300), |_| ());
        let runs =
            |base: &Base, relation| base.get(relation).map(|copies: &Copies| [0, 1].map(|copy| copies[copy].len()));
        assert_eq!(runs(&base, relation(0, 8)), Some([1, 1]));
        assert_eq!(runs(&before, relation(0, 8)), Some([1, 0]));
        assert_eq!(runs(&base, relation(1, 9)), None, "it has no facts any more");
        assert_eq!(runs(&before, relation(1, 9)), Some([1, 0]));
        assert_eq!((before.len(), base.len()), (100, 100));
        assert_eq!((before.of_graph(TermId(1)).count(), base.of_graph(TermId(0)).count()), (50, 50));
        assert!(base.iter().map(|(relation, _)| relation).is_sorted());
    }
}
