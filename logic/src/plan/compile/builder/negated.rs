//! The tests of a rule's NOTs in a plan.

use super::{Builder, Place, route_to};
use crate::plan::compile::negation::{self, BodySlots, Home};
use crate::plan::compile::{Body, Context, NegatedBody};
use crate::plan::{Op, Route, Slot, Stage, View};
use std::collections::BTreeSet;

impl<'a> Builder<'a> {
    /// A builder for a rule with NOTs; the body's atoms have no local slots of them.
    pub fn of_rule(context: &'a Context, body: &'a Body, views: &'a [View], negated: &'a [NegatedBody]) -> Self {
        let body_slots = BodySlots::of(&body.atoms);
        let tested = vec![false; negated.len()];
        Self { negated, body_slots, tested, ..Self::new(context, body, views) }
    }

    /// The plan reads the pivot only to know whether it has facts, if no other atom has its slots.
    pub fn set_apart_pivot(mut self, pivot: usize) -> Self {
        let slots = self.body.atoms[pivot].slots();
        let others = self.body.atoms.iter().enumerate().filter(|(atom, _)| *atom != pivot);
        let others: BTreeSet<Slot> = others.flat_map(|(_, atom)| atom.slots()).collect();
        self.is_pivot_apart = self.body.atoms.len() > 1 && !slots.iter().any(|slot| others.contains(slot));
        self
    }

    /// Tests each NOT for which rows need not move.
    pub(super) fn test_what_is_here(&mut self) {
        for index in 0..self.negated.len() {
            let negated = &self.negated[index];
            if self.tested[index] || !self.body_slots.shared_with(negated).is_subset(&self.bound) {
                continue;
            }
            let is_here = match negation::home(self.context, negated, &self.body_slots) {
                Home::Here => true,
                Home::Of(arg) => self.place == Place::Home(arg),
                Home::Each => false,
            };
            if is_here && self.texts_for(negated).is_subset(&self.resolved) {
                self.test(index);
            }
        }
    }

    /// Tests all other NOTs, each where its facts are.
    pub(super) fn test_the_rest(&mut self) {
        let mut at_each_node = Vec::new();
        for index in 0..self.negated.len() {
            if self.tested[index] {
                continue;
            }
            let negated = &self.negated[index];
            self.texts_for(negated).into_iter().for_each(|slot| self.resolve(slot));
            match negation::home(self.context, negated, &self.body_slots) {
                Home::Each => at_each_node.push(index),
                Home::Of(arg) if self.place != Place::Home(arg) => {
                    self.enter(route_to(arg, Route::Texts));
                    self.place = Place::Home(arg);
                    self.test(index);
                }
                Home::Here | Home::Of(_) => self.test(index),
            }
            // Rows may have come to the home of another NOT.
            self.test_what_is_here();
        }
        self.test_at_each_node(&at_each_node);
    }

    fn test_at_each_node(&mut self, negated: &[usize]) {
        if negated.is_empty() {
            return;
        }
        assert!(self.context.nodes > 0, "the number of nodes is known where rules with NOT are compiled");
        negated.iter().for_each(|index| self.test(*index));
        for _ in 1..self.context.nodes {
            self.stages.push(Stage { route: Route::Next, ops: Vec::new(), live: Vec::new() });
            negated.iter().for_each(|index| self.test(*index));
        }
        self.place = Place::Unknown;
    }

    fn test(&mut self, index: usize) {
        let negated = &self.negated[index];
        let home = negation::home(self.context, negated, &self.body_slots);
        let sides = negation::sides(self.context, negated, &self.body_slots, home);
        let conditions = negated.conditions.clone();
        self.stage().ops.push(Op::AntiMatch { sides, conditions });
        self.tested[index] = true;
        self.rows *= 0.5;
    }

    /// The slots whose texts the conditions of a NOT need.
    fn texts_for(&self, negated: &NegatedBody) -> BTreeSet<Slot> {
        let looking = negated.conditions.iter().filter(|condition| !condition.program.is_decided_by_ids());
        looking.flat_map(super::super::Condition::slots).collect()
    }
}
