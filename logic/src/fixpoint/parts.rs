//! What makes a step of many facts, and few rules, work for all cores; and what a step need not do.

use super::state::LocalFacts;
use crate::columns::Run;
use crate::eval::Facts;
use crate::plan::{Arg, Op, Plan, Program, Sink, View};
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

/// The predicates whose in copies a program reads from one step to the next.
///
/// That is less than what its plans mention. Plans over everything run in the first round, before what it finds is
/// published; and a plan for new facts of a predicate that no rule derives has work in the first step only, before
/// anything has been found.
#[derive(Debug)]
pub struct ReadsIn(Predicates);

/// Some predicates, or all.
#[derive(Debug, Default)]
struct Predicates {
    /// A variable stands for any predicate.
    any: bool,
    named: BTreeSet<TermId>,
}

impl Predicates {
    fn add(&mut self, predicate: Arg) {
        match predicate {
            Arg::Const(predicate) => _ = self.named.insert(predicate),
            Arg::Slot(_) => self.any = true,
        }
    }

    fn may_contain(&self, predicate: Arg) -> bool {
        match predicate {
            Arg::Const(predicate) => self.any || self.named.contains(&predicate),
            Arg::Slot(_) => self.any || !self.named.is_empty(),
        }
    }
}

impl ReadsIn {
    /// What the program's delta plans read.
    pub fn of(program: &Program) -> Self {
        let (mut derived, mut read) = (Predicates::default(), Predicates::default());
        let deltas = || program.rules.iter().flat_map(|rule| &rule.deltas);
        for plan in deltas() {
            if let Sink::Emit { heads, .. } = &plan.sink {
                heads.iter().for_each(|head| derived.add(head.predicate));
            }
        }
        for plan in deltas() {
            let matches = || {
                let ops = plan.stages.iter().flat_map(|stage| &stage.ops);
                ops.filter_map(
                    |op| if let Op::Match { atom, copy, view } = op { Some((atom, *copy, *view)) } else { None },
                )
            };
            let goes_on = matches().any(|(atom, _, view)| view == View::Delta && derived.may_contain(atom.predicate));
            if goes_on {
                matches().filter(|(_, copy, _)| *copy == Copy::In).for_each(|(atom, ..)| read.add(atom.predicate));
            }
        }
        Self(read)
    }

    /// Are the predicate's in copies read?
    pub fn contains(&self, predicate: TermId) -> bool {
        self.0.may_contain(Arg::Const(predicate))
    }
}
