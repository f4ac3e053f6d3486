//! Checks of plans and programs that arrive over the wire.
//!
//! The compiler makes only plans that pass: a plan that fails is damaged, and would index beyond its own columns.

use super::{Arg, Extent, Op, Plan, Program, Route, RulePlans, Side, Sink, Slot};
use entail_model::Fault;
use std::collections::BTreeSet;

impl Plan {
    /// Has the plan stages, and are all its slots columns?
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn check(&self) -> Result<(), Fault> {
        if self.stages.is_empty() {
            return Err(Fault::corrupt("a plan without stages"));
        }
        if let Some(slot) = self.slots().into_iter().find(|slot| *slot >= self.width) {
            return Err(Fault::corrupt(format!("a plan of {} columns that uses column {slot}", self.width)));
        }
        // The slots that are bound before an operator.
        let mut bound = BTreeSet::new();
        for op in self.stages.iter().flat_map(|stage| &stage.ops) {
            match op {
                Op::Intersect { slot, sides } if !is_sound(*slot, sides, &bound) => {
                    return Err(Fault::corrupt("a plan that intersects invalid lists"));
                }
                Op::Match { .. } | Op::Intersect { .. } => bound.extend(op.slots()),
                Op::Resolve { .. } | Op::Filter(_) | Op::AntiMatch { .. } => {}
            }
        }
        Ok(())
    }

    fn intersects(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.ops).any(|op| matches!(op, Op::Intersect { .. }))
    }

    /// May a row make facts of the extent?
    pub(super) fn may_derive(&self, extent: &Extent) -> bool {
        let Sink::Emit { heads, .. } = &self.sink else { return false };
        heads.iter().any(|head| extent.may_have(head))
    }

    /// Every slot of the plan, with repetitions.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for stage in &self.stages {
            slots.extend_from_slice(&stage.live);
            match &stage.route {
                Route::Subject(slot) | Route::Object(slot) | Route::Texts(slot) => slots.push(*slot),
                Route::Everywhere | Route::Shard(_) | Route::Broadcast | Route::Next => {}
            }
            slots.extend(stage.ops.iter().flat_map(Op::slots));
        }
        match &self.sink {
            Sink::Gather(gathered) => slots.extend_from_slice(gathered),
            Sink::Tally { slots: gathered, times } => {
                slots.extend_from_slice(gathered);
                slots.push(*times);
            }
            Sink::Emit { heads, .. } => {
                let arguments = heads.iter().flat_map(|head| [head.subject, head.predicate, head.object]);
                slots.extend(arguments.filter_map(Arg::slot));
            }
        }
        slots
    }
}

/// Are there at least two lists, all of an unbound slot and by bound keys?
fn is_sound(slot: Slot, sides: &[Side], bound: &BTreeSet<Slot>) -> bool {
    let is_list = |side: &Side| {
        let (key, value) = side.atom.key_value(side.copy);
        let is_keyed = key.slot().is_some_and(|key| bound.contains(&key));
        side.atom.relation().is_some() && value == Arg::Slot(slot) && !bound.contains(&slot) && is_keyed
    };
    sides.len() > 1 && sides.iter().all(is_list)
}

impl Program {
    /// Checks the plans of all rules.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn check(&self) -> Result<(), Fault> {
        for (index, rule) in self.rules.iter().enumerate() {
            for plan in rule.plans() {
                plan.check()?;
                if !matches!(plan.sink, Sink::Emit { rule, .. } if rule == index) {
                    return Err(Fault::corrupt(format!("a plan of rule {index} that emits other facts")));
                }
                if plan.intersects() {
                    return Err(Fault::corrupt(format!("a plan of rule {index} that intersects lists")));
                }
            }
        }
        self.check_strata()?;
        let plans = || self.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full]));
        let derives = |extent: &Extent| plans().any(|plan| plan.may_derive(extent));
        if let Some(extent) = self.broadcast.iter().find(|extent| derives(extent)) {
            return Err(Fault::corrupt(format!("{extent:?} is broadcast, and derived")));
        }
        let is_found_later = |extent: &Extent| {
            let deriving = self.rules.iter().filter(|rule| rule.full.may_derive(extent));
            let mut read = deriving.flat_map(|rule| rule.full.matches());
            read.any(|(atom, ..)| Extent::of(atom).is_none_or(|read| derives(&read)))
        };
        if let Some(extent) = self.broadcast_late.iter().find(|extent| is_found_later(extent)) {
            return Err(Fault::corrupt(format!("{extent:?} is broadcast before all of it is found")));
        }
        let is_late = |relation| self.broadcast_late.iter().any(|late| late.relation == relation);
        if let Some(extent) = self.broadcast.iter().find(|extent| is_late(extent.relation)) {
            return Err(Fault::corrupt(format!("{extent:?} is broadcast twice")));
        }
        let is_broadcast = |extent: &Extent| self.broadcast.contains(extent) || self.broadcast_late.contains(extent);
        if let Some((extent, _)) = self.broadcast_copies().iter().find(|(extent, _)| !is_broadcast(extent)) {
            return Err(Fault::corrupt(format!("a plan that reads all of {extent:?}, which is not broadcast")));
        }
        Ok(())
    }

    /// Is each rule in one stratum?
    fn check_strata(&self) -> Result<(), Fault> {
        let mut rules: Vec<usize> = self.strata.iter().flat_map(|stratum| stratum.rules.iter().copied()).collect();
        rules.sort_unstable();
        let are_once = rules.into_iter().eq(0..self.rules.len());
        let are_below = self.strata.iter().enumerate().all(|(number, stratum)| stratum.recompute_from <= number);
        if are_once && are_below { Ok(()) } else { Err(Fault::corrupt("strata that do not fit their rules")) }
    }

    /// Do rows that are tested at each node visit this number of nodes?
    ///
    /// # Errors
    /// `Corrupt`: the program was compiled for another number.
    pub fn check_nodes(&self, nodes: usize) -> Result<(), Fault> {
        let steps = |plan: &Plan| plan.stages.iter().filter(|stage| stage.route == Route::Next).count();
        let mut steps = self.rules.iter().flat_map(RulePlans::plans).map(steps);
        match steps.find(|steps| ![0, nodes.saturating_sub(1)].contains(steps)) {
            Some(_) => Err(Fault::corrupt(format!("a program for another number of nodes than {nodes}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Atom, GraphScope, Program, RulePlans, Stage, Stratum, View};
    use entail_model::{Direction, Reason, TermId};

    fn plan(routes: &[Route], gathered: Slot) -> Plan {
        let stage = |route: &Route| Stage { route: route.clone(), ops: Vec::new(), live: vec![0] };
        Plan { width: 2, stages: routes.iter().map(stage).collect(), sink: Sink::Gather(vec![gathered]) }
    }

    #[test]
    fn damaged_plans_are_corrupt() {
        let sound = [Route::Everywhere, Route::Subject(1), Route::Broadcast];
        assert_eq!(plan(&sound, 1).check(), Ok(()));
        for (damaged, what) in [
            (plan(&[], 0), "no stages"),
            (plan(&[Route::Everywhere, Route::Object(2)], 0), "a route by a column that is not there"),
            (plan(&sound, 2), "a column that is not there"),
        ] {
            assert_eq!(damaged.check().expect_err(what).reason, Reason::Corrupt, "{what}");
        }
    }

    #[test]
    fn only_lists_of_one_slot_are_intersected() {
        let side = |subject, object| {
            let (graph, predicate) = (GraphScope::One(TermId::DEFAULT_GRAPH), Arg::Const(TermId(9)));
            Side { atom: Atom { graph, subject, predicate, object }, copy: Direction::Forward }
        };
        let check_after = |(subject, object), sides: &[Side]| {
            let mut plan = plan(&[Route::Everywhere], 1);
            let Side { atom, copy } = side(subject, object);
            let first = Op::Match { atom, copy, view: View::All };
            plan.stages[0].ops = vec![first, Op::Intersect { slot: 1, sides: sides.to_vec() }];
            plan.check()
        };
        let class = Arg::Const(TermId(9));
        let check = |sides: &[Side]| check_after((Arg::Slot(0), class), sides);
        let sound = side(Arg::Slot(0), Arg::Slot(1));
        let both = [sound.clone(), sound.clone()];
        assert_eq!(check(&both), Ok(()));
        assert_eq!(check_after((class, class), &both).expect_err("no key").reason, Reason::Corrupt);
        assert_eq!(check_after((Arg::Slot(0), Arg::Slot(1)), &both).expect_err("a value").reason, Reason::Corrupt);
        for other in [
            side(Arg::Slot(1), Arg::Slot(0)),
            side(Arg::Slot(1), Arg::Slot(1)),
            side(Arg::Const(TermId(9)), Arg::Slot(1)),
        ] {
            assert_eq!(check(&[sound.clone(), other]).expect_err("no list").reason, Reason::Corrupt);
        }
        assert_eq!(check(&[sound]).expect_err("one list").reason, Reason::Corrupt);
    }

    #[test]
    fn rules_intersect_nothing() {
        let atom = |number| {
            let (graph, predicate) = (GraphScope::One(TermId::DEFAULT_GRAPH), Arg::Const(TermId(9)));
            Atom { graph, subject: Arg::Slot(number), predicate, object: Arg::Slot(1) }
        };
        let first = Op::Match {
            atom: Atom { object: Arg::Const(TermId(9)), ..atom(0) },
            copy: Direction::Forward,
            view: View::All,
        };
        let sides = vec![Side { atom: atom(0), copy: Direction::Forward }; 2];
        let check = |ops: &[Op]| {
            let mut full = plan(&[Route::Everywhere], 0);
            full.stages[0].ops = ops.to_vec();
            full.sink = Sink::Emit { rule: 0, heads: Vec::new() };
            let (deltas, rederive, negated) = (Vec::new(), Vec::new(), Vec::new());
            let rules = vec![RulePlans { label: String::new(), full, deltas, rederive, negated }];
            let strata = vec![Stratum { rules: vec![0], recompute_from: 0 }];
            Program { rules, strata, ..Program::default() }.check()
        };
        assert_eq!(check(std::slice::from_ref(&first)), Ok(()));
        let refused = check(&[first, Op::Intersect { slot: 1, sides }]);
        assert_eq!(refused.expect_err("lists").reason, Reason::Corrupt);
    }

    #[test]
    fn each_rule_is_in_one_stratum() {
        let rule = |number| {
            let full = Plan { sink: Sink::Emit { rule: number, heads: Vec::new() }, ..plan(&[Route::Everywhere], 0) };
            let (deltas, rederive, negated) = (Vec::new(), Vec::new(), Vec::new());
            RulePlans { label: String::new(), full, deltas, rederive, negated }
        };
        let check = |strata: &[(&[usize], usize)]| {
            let stratum = |(rules, recompute_from): &(&[usize], usize)| Stratum {
                rules: rules.to_vec(),
                recompute_from: *recompute_from,
            };
            let (rules, strata) = (vec![rule(0), rule(1)], strata.iter().map(stratum).collect());
            Program { rules, strata, ..Program::default() }.check().map_err(|fault| fault.reason)
        };
        assert_eq!(check(&[(&[1], 0), (&[0], 1)]), Ok(()));
        let damaged: [&[(&[usize], usize)]; 5] =
            [&[], &[(&[0], 0)], &[(&[0, 1], 0), (&[1], 1)], &[(&[0, 1, 2], 0)], &[(&[0, 1], 1)]];
        for strata in damaged {
            assert_eq!(check(strata), Err(Reason::Corrupt), "{strata:?}");
        }
    }
}
