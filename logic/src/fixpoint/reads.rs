//! The copies that a program reads from one step to the next: all others need not be kept in order.
//!
//! These are fewer than the copies that plans mention. Plans over everything run in the first round, before its facts
//! are published, or once in the second round, up to which the copies that they read are kept in order. A plan for new
//! facts of a predicate that no rule derives has work in the first step only, before any fact is found.

use crate::plan::{Arg, Atom, Plan, Program, RulePlans, Sink, View};
use entail_model::{Direction, Relation, TermId};
use std::collections::BTreeSet;

/// The copies that a program's delta plans read.
#[derive(Debug, Default)]
pub struct Reads {
    /// By copy: the predicates that are read.
    all: [Predicates; 2],
    /// By copy: the predicates whose facts are read again after the step in which they are new.
    earlier: [Predicates; 2],
    /// The predicates that late rules read when they fire over everything, in either copy.
    late: Predicates,
}

/// The relations that a program's plans name; `None` if an atom may read others.
pub fn relations(program: &Program) -> Option<BTreeSet<Relation>> {
    let plans = program.rules.iter().flat_map(RulePlans::plans);
    plans.flat_map(Plan::matches).map(|(atom, ..)| atom.relation()).collect()
}

/// Some predicates, or all.
#[derive(Debug, Default)]
struct Predicates {
    /// Are all predicates meant, because of a variable?
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

impl Reads {
    /// The copies that the program's delta plans read.
    pub fn of(program: &Program) -> Self {
        let mut derived = Predicates::default();
        for plan in program.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full])) {
            if let Sink::Emit { heads, .. } = &plan.sink {
                heads.iter().for_each(|head| derived.add(head.predicate));
            }
        }
        let mut reads = Self::default();
        for rule in program.rules.iter().filter(|rule| program.is_late(rule)) {
            rule.full.matches().for_each(|(atom, ..)| reads.late.add(atom.predicate));
        }
        for rule in &program.rules {
            for (pivot, plan) in rule.deltas.iter().enumerate() {
                let is_new = |(atom, _, view): (&Atom, Direction, View)| {
                    view == View::Delta && derived.may_contain(atom.predicate)
                };
                if !plan.matches().any(is_new) {
                    continue;
                }
                for (atom, copy, view) in plan.matches().filter(|(_, _, view)| *view != View::Broadcast) {
                    reads.all[copy as usize].add(atom.predicate);
                    // The delta of a rule that moves rows is published later than it is found.
                    if view != View::Delta || rule.ships(pivot) {
                        reads.earlier[copy as usize].add(atom.predicate);
                    }
                }
            }
        }
        reads
    }

    /// Is the predicate's copy read by any delta plan?
    pub fn reads(&self, predicate: TermId, copy: Direction) -> bool {
        self.all[copy as usize].may_contain(Arg::Const(predicate))
    }

    /// Is the predicate read by a late rule when it fires over everything?
    pub fn reads_late(&self, predicate: TermId) -> bool {
        self.late.may_contain(Arg::Const(predicate))
    }

    /// Is the predicate's copy read after the step in which its facts are new?
    pub fn reads_earlier(&self, predicate: TermId, copy: Direction) -> bool {
        self.earlier[copy as usize].may_contain(Arg::Const(predicate))
    }
}
