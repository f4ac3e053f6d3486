//! The facts of a state as plans read them.
//!
//! ```text
//!            Old                                    Delta                         All
//! Insert     local: base + added, but recent ones   recent ones                   both
//!            shared: base + settled                 published in this round       both
//! Delete     local: base                            recent ones                   both
//!            shared: base + found in this round     published in this round       both
//! ```
//! In `Delete` the base lacks everything that has been deleted. Facts that were found in this round still count as there for
//! shared rules, since other nodes have not heard of them; facts that were published in an earlier round do not.

use super::State;
use crate::columns::Run;
use crate::eval::Facts;
use crate::fixpoint::phase::Phase;
use crate::plan::View;
use entail_model::{Direction, Relation};
use std::sync::Arc;

/// All facts of this node; the delta is the facts that no local step has read.
pub struct LocalFacts<'a>(pub(super) &'a State);

impl Facts for LocalFacts<'_> {
    fn runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>> {
        let Some(copies) = self.0.relations.get(&relation) else { return self.0.closed_runs(relation, copy, view) };
        let state = &copies[copy as usize];
        let recent = state.wave(self.0.phase).recent();
        let earlier = || match self.0.phase {
            Phase::Delete => state.base.clone(),
            Phase::Insert | Phase::Recompute => state.base.iter().chain(state.added.earlier()).cloned().collect(),
        };
        match view {
            View::Old => earlier(),
            View::Delta => recent.cloned().collect(),
            View::All => earlier().into_iter().chain(recent.cloned()).collect(),
            View::Deleted => state.deleted.runs().cloned().collect(),
            View::Added => state.added.runs().cloned().collect(),
            View::Broadcast => self.0.broadcast_runs(relation, copy),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        self.0.all_relations()
    }
}

/// The facts that all nodes agree on in this round; the delta is the facts that are published in it.
pub struct SharedFacts<'a>(pub(super) &'a State);

impl Facts for SharedFacts<'_> {
    fn runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>> {
        let Some(copies) = self.0.relations.get(&relation) else { return self.0.closed_runs(relation, copy, view) };
        let state = &copies[copy as usize];
        let delta = state.wave(self.0.phase).delta();
        let old = || -> Vec<Arc<Run>> {
            match self.0.phase {
                Phase::Delete => state.base.iter().chain(state.deleted.unpublished()).cloned().collect(),
                Phase::Insert | Phase::Recompute => {
                    state.base.iter().chain(&state.added.settled.runs).cloned().collect()
                }
            }
        };
        match view {
            View::Old => old(),
            View::Delta => delta.cloned().collect(),
            View::All => old().into_iter().chain(delta.cloned()).collect(),
            View::Deleted => state.deleted.runs().cloned().collect(),
            View::Added => state.added.runs().cloned().collect(),
            View::Broadcast => self.0.broadcast_runs(relation, copy),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        self.0.all_relations()
    }
}
