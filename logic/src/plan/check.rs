//! What a plan that came over the wire must be like before anything runs it.
//!
//! The compiler makes no others: a plan that fails here is damaged, and would index beyond its own columns.

use super::{Arg, Op, Plan, Program, Route, Side, Sink, Slot};
use entail_model::{Fault, Relation};

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
        let mut ops = self.stages.iter().flat_map(|stage| &stage.ops);
        match ops.all(|op| !matches!(op, Op::Intersect { slot, sides } if !is_sound(*slot, sides))) {
            true => Ok(()),
            false => Err(Fault::corrupt("a plan that intersects what are no lists of one slot")),
        }
    }

    /// May a row make facts of the relation?
    fn may_derive(&self, relation: Relation) -> bool {
        let Sink::Emit { heads, .. } = &self.sink else { return false };
        heads.iter().any(|head| head.relation().map_or(head.graph == relation.graph, |of| of == relation))
    }

    /// Every slot that is mentioned, as often as it is.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for stage in &self.stages {
            slots.extend_from_slice(&stage.live);
            match &stage.route {
                Route::Subject(slot) | Route::Object(slot) | Route::Texts(slot) => slots.push(*slot),
                Route::Everywhere | Route::Shard(_) | Route::Broadcast => {}
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

/// Are these two lists or more, of a slot that is not their key?
fn is_sound(slot: Slot, sides: &[Side]) -> bool {
    let is_list = |side: &Side| {
        let (key, value) = side.atom.key_value(side.copy);
        side.atom.relation().is_some() && value == Arg::Slot(slot) && key != value && key.slot().is_some()
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
            for plan in rule.deltas.iter().chain([&rule.full]) {
                plan.check()?;
                if !matches!(plan.sink, Sink::Emit { rule, .. } if rule == index) {
                    return Err(Fault::corrupt(format!("a plan of rule {index} that is not for its facts")));
                }
            }
        }
        let plans = || self.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full]));
        let derives = |relation: &Relation| plans().any(|plan| plan.may_derive(*relation));
        if let Some(relation) = self.spread.iter().find(|relation| derives(relation)) {
            return Err(Fault::corrupt(format!("{relation:?} is spread, and derived")));
        }
        let is_found_later = |relation: &Relation| {
            let deriving = self.rules.iter().filter(|rule| rule.full.may_derive(*relation));
            let mut read = deriving.flat_map(|rule| rule.full.matches());
            read.any(|(atom, ..)| atom.relation().is_none_or(|read| derives(&read)))
        };
        if let Some(relation) = self.spread_late.iter().find(|relation| is_found_later(relation)) {
            return Err(Fault::corrupt(format!("{relation:?} is spread before all of it is found")));
        }
        let is_spread = |relation: &Relation| self.spread.contains(relation) || self.spread_late.contains(relation);
        if let Some((relation, _)) = self.spread_copies().iter().find(|(relation, _)| !is_spread(relation)) {
            return Err(Fault::corrupt(format!("a plan that reads all of {relation:?}, which is not spread")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Atom, GraphScope, Stage};
    use entail_model::{Copy, Reason, TermId};

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
            Side { atom: Atom { graph, subject, predicate, object }, copy: Copy::Out }
        };
        let check = |sides: &[Side]| {
            let mut plan = plan(&[Route::Everywhere], 1);
            plan.stages[0].ops = vec![Op::Intersect { slot: 1, sides: sides.to_vec() }];
            plan.check()
        };
        let sound = side(Arg::Slot(0), Arg::Slot(1));
        assert_eq!(check(&[sound.clone(), sound.clone()]), Ok(()));
        for other in [
            side(Arg::Slot(1), Arg::Slot(0)),
            side(Arg::Slot(1), Arg::Slot(1)),
            side(Arg::Const(TermId(9)), Arg::Slot(1)),
        ] {
            assert_eq!(check(&[sound.clone(), other]).expect_err("no list").reason, Reason::Corrupt);
        }
        assert_eq!(check(&[sound]).expect_err("one list").reason, Reason::Corrupt);
    }
}
