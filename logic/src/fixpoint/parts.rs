//! What makes a step of many facts, and few rules, work for all cores.

use super::state::LocalFacts;
use crate::columns::Run;
use crate::eval::Facts;
use crate::plan::{Op, Plan, View};
use entail_model::{Copy, Relation};
use std::sync::Arc;

/// New facts that are worth a part of their own.
const PART_PAIRS: u64 = 1 << 12;

/// Parts for each thread, so that no thread waits for the largest one.
const PARTS_PER_THREAD: usize = 4;

impl LocalFacts<'_> {
    /// In how many parts a plan's new facts are worth being evaluated. Every row of a plan comes from one new fact, so the
    /// rows of all parts are those of the whole.
    pub fn parts(&self, plan: &Plan) -> usize {
        let Some(Op::Match { atom, copy, view: View::Delta }) = plan.stages.first().and_then(|stage| stage.ops.first())
        else {
            return 1;
        };
        let new = |relation| self.runs(relation, *copy, View::Delta).iter().map(|run| run.len).sum::<u64>();
        let new: u64 = match atom.relation() {
            Some(relation) => new(relation),
            None => self.relations().into_iter().map(new).sum(),
        };
        ((new / PART_PAIRS) as usize).clamp(1, rayon::current_num_threads() * PARTS_PER_THREAD)
    }
}

/// What local rules read, but of what is new only one of several parts.
pub struct DeltaPart<'a> {
    pub facts: &'a LocalFacts<'a>,
    pub number: usize,
    pub of: usize,
}

impl Facts for DeltaPart<'_> {
    fn runs(&self, relation: Relation, copy: Copy, view: View) -> Vec<Arc<Run>> {
        let runs = self.facts.runs(relation, copy, view);
        if view != View::Delta || self.of == 1 {
            return runs;
        }
        runs.iter().filter_map(|run| run.part(self.number, self.of)).collect()
    }

    fn relations(&self) -> Vec<Relation> {
        self.facts.relations()
    }
}
