//! What makes a step of many facts, and few rules, work for all cores; and what a step need not do.

use super::state::LocalFacts;
use crate::columns::Run;
use crate::eval::Facts;
use crate::plan::{Op, Plan, Program, View};
use entail_model::{Copy, Relation, TermId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// New facts that are worth a part of their own.
const PART_PAIRS: u64 = 1 << 14;

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

/// The predicates whose in copies a program reads from one step to the next. (Plans over everything run in the first
/// round, before what it finds is published.)
#[derive(Debug)]
pub struct ReadsIn {
    /// A variable stands for any predicate.
    any: bool,
    predicates: BTreeSet<TermId>,
}

impl ReadsIn {
    /// What the program's delta plans read.
    pub fn of(program: &Program) -> Self {
        let mut reads = Self { any: false, predicates: BTreeSet::new() };
        let stages = program.rules.iter().flat_map(|rule| &rule.deltas).flat_map(|plan| &plan.stages);
        for op in stages.flat_map(|stage| &stage.ops) {
            if let Op::Match { atom, copy: Copy::In, .. } = op {
                match atom.predicate {
                    crate::plan::Arg::Const(predicate) => _ = reads.predicates.insert(predicate),
                    crate::plan::Arg::Slot(_) => reads.any = true,
                }
            }
        }
        reads
    }

    /// Are the predicate's in copies read?
    pub fn contains(&self, predicate: TermId) -> bool {
        self.any || self.predicates.contains(&predicate)
    }
}
