//! Finds all facts of one key: for a row with a bound key and unbound predicate and value.
//!
//! Each run of the graph is searched for that key only, and only the facts found are combined with the row, since most
//! relations have none.

use super::matching::Step;
use super::{Batch, Output, PIECE_ROWS};
use crate::plan::{Arg, GraphScope, Slot};
use entail_model::{Fault, TermId};
use std::mem;

/// The key that is sought, and the slots that are bound.
pub(super) struct Described {
    key: TermId,
    graph: TermId,
    predicate: Slot,
    value: Slot,
}

impl Described {
    /// The search for a batch, if the step has a bound key and unbound predicate and value.
    pub fn of(step: &Step<'_>, batch: &Batch) -> Option<Self> {
        let (key, value) = step.atom.key_value(step.copy);
        let (GraphScope::One(graph), Arg::Slot(predicate), Arg::Slot(value)) =
            (&step.atom.graph, step.atom.predicate, value)
        else {
            return None;
        };
        let key = match key {
            Arg::Const(term) => term,
            Arg::Slot(slot) => *batch.columns[slot].first()?,
        };
        let is_free = predicate != value && !batch.is_bound(predicate) && !batch.is_bound(value);
        (is_free && batch.rows == 1 && !step.is_counted).then_some(Self { key, graph: *graph, predicate, value })
    }

    /// Hands on the facts found, in pieces.
    pub fn run(&self, step: &Step<'_>, batch: &Batch, output: Output<'_>) -> Result<(), Fault> {
        let (mut predicates, mut values) = (Vec::new(), Vec::new());
        let mut hand_on = |predicates: &mut Vec<TermId>, values: &mut Vec<TermId>| {
            step.scope.check()?;
            let same = vec![0; values.len()];
            let mut piece = match step.live {
                None => batch.take_rows(&same),
                Some(live) => batch.take_live_rows(&same, live),
            };
            piece.columns[self.predicate] = mem::take(predicates);
            piece.columns[self.value] = mem::take(values);
            output(piece)
        };
        step.scope.facts.visit_runs(self.graph, step.copy, step.view, &mut |predicate, run| {
            step.scope.check()?;
            run.for_each_of(self.key, |group| {
                for pairs in group.chunks(PIECE_ROWS) {
                    values.extend(pairs.iter().map(|pair| pair.1));
                    predicates.resize(values.len(), predicate);
                    if values.len() >= PIECE_ROWS {
                        hand_on(&mut predicates, &mut values)?;
                    }
                }
                Ok(())
            })
        })?;
        if values.is_empty() { Ok(()) } else { hand_on(&mut predicates, &mut values) }
    }
}
