//! A local step: evaluates every local rule over the new facts, in morsels for all cores.

use super::Reasoner;
use super::accept::{Candidates, append};
use super::plan_of;
use crate::eval::key_sets::KeySets;
use crate::eval::{Batch, Facts, Scope, run_stage};
use crate::exchange::PlanKey;
use crate::fixpoint::heads::{ByRelation, Heads};
use crate::fixpoint::morsels::{ByValue, Morsel};
use crate::fixpoint::reasoner::{Effect, Emit};
use crate::fixpoint::state::LocalFacts;
use crate::plan::{Head, Plan, Program, RulePlans, Sink};
use entail_model::Fault;
use rayon::prelude::*;
use std::sync::Arc;

/// The heads that a morsel has found.
struct FoundHeads {
    rule: usize,
    pairs: ByRelation,
    claimed: ByRelation,
}

impl Reasoner {
    /// Evaluates the local rules to their fixpoint.
    pub(super) fn saturate(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        while self.setup.state.has_recent() && !self.gives_up() {
            self.check_limits()?;
            let (candidates, claimed) = self.run_local_rules()?;
            let found = self.accept(candidates, claimed)?;
            self.setup.state.step(found)?;
            self.endpoint.flush_claimed(&mut |to, message| emit(Effect::Send { to, message }))?;
        }
        Ok(())
    }

    /// Evaluates every local rule over the delta. Returns the candidates, and separately the claimed ones, which are new.
    fn run_local_rules(&mut self) -> Result<(Candidates, Candidates), Fault> {
        let program = Arc::clone(&self.setup.program);
        let facts = self.setup.state.local();
        let key_sets = KeySets::default();
        let fires = |(index, rule): &(usize, &RulePlans)| {
            self.takes_part(*index) && (!self.waits_for_late || !program.is_late(rule))
        };
        let rules = || program.rules.iter().enumerate().filter(fires).map(|(_, rule)| rule);
        let by_value = ByValue::of(&facts, rules().flat_map(local_plans))?;
        let mut heads = Vec::new();
        let mut together = Vec::new();
        for rule in rules() {
            let morsels = morsels_of(rule, &facts, &by_value);
            // A fact that several rules find belongs to the first, so rules that claim facts run one after the other.
            if self.has_dense_heads(rule) {
                heads.extend(self.run_morsels(&morsels, &key_sets)?)
            } else {
                together.extend(morsels)
            }
        }
        heads.extend(self.run_morsels(&together, &key_sets)?);
        let (mut local, mut claimed) = (Candidates::new(), Candidates::new());
        for heads in heads {
            self.route_claimed(heads.rule, heads.claimed, &mut claimed)?;
            self.route_heads(heads.rule, heads.pairs, &mut local)?;
        }
        Ok((local, claimed))
    }

    fn has_dense_heads(&self, rule: &RulePlans) -> bool {
        let state = &self.setup.state;
        let is_dense = |head: &Head| head.relation().is_some_and(|relation| state.dense(relation).is_some());
        let heads = |plan: &Plan| matches!(&plan.sink, Sink::Emit { heads, .. } if heads.iter().any(is_dense));
        state.has_matrices() && rule.deltas.iter().any(heads)
    }

    fn run_morsels(&self, morsels: &[(&Plan, Morsel<'_>)], key_sets: &KeySets) -> Result<Vec<FoundHeads>, Fault> {
        let dense = |relation| self.setup.state.dense(relation);
        let run =
            |(plan, morsel): &(&Plan, Morsel<'_>)| self.run_source(plan, morsel, key_sets, Heads::new(plan, dense));
        match morsels {
            [only] => Ok(vec![run(only)?]),
            _ => morsels.par_iter().with_max_len(1).map(run).collect(),
        }
    }

    /// Runs the single stage of a plan.
    fn run_source(
        &self,
        plan: &Plan,
        facts: &dyn Facts,
        key_sets: &KeySets,
        heads: Heads<'_>,
    ) -> Result<FoundHeads, Fault> {
        let scope = Scope {
            facts,
            texts: &*self.setup.texts,
            conditions: &self.conditions,
            stop: Some(&self.setup.stop),
            meter: None,
            groups: Some(&self.index_budget),
            key_sets: Some(key_sets),
            rows_left: None,
        };
        let mut heads = heads;
        run_stage(&scope, plan, 0, Batch::unit(plan.width), &mut |rows| {
            self.check_limits()?;
            heads.add(&rows);
            Ok(())
        })?;
        heads.sort_distinct();
        Ok(FoundHeads { rule: heads.rule, pairs: heads.pairs, claimed: heads.claimed })
    }

    /// Evaluates those of the plans that move no rows.
    pub(super) fn run_here(&mut self, program: &Program, keys: &[PlanKey]) -> Result<(), Fault> {
        let plans = keys.iter().map(|key| plan_of(program, *key)).collect::<Result<Vec<&Plan>, Fault>>()?;
        let starts = |plan: &&Plan| plan.stages.len() == 1 && self.setup.shard_map.starts(plan);
        let is_late =
            |plan: &&Plan| matches!(plan.sink, Sink::Emit { rule, .. } if program.is_late(&program.rules[rule]));
        let here = plans.into_iter().filter(|plan| starts(plan) && !is_late(plan)).collect();
        let heads = self.run_full(here, &self.setup.state.shared())?;
        heads.into_iter().try_for_each(|found| self.keep_heads(found.rule, found.pairs))
    }

    /// Evaluates late rules over everything that is known at this node, except for the facts that the next step reads
    /// as new.
    pub(super) fn run_late_rules(&mut self) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        let late = program.rules.iter().filter(|rule| program.is_late(rule)).map(|rule| &rule.full).collect();
        let heads = self.run_full(late, &self.setup.state.local())?;
        heads.into_iter().try_for_each(|found| self.keep_heads(found.rule, found.pairs))
    }

    /// Runs plans over everything. Their heads become facts in the next round, so none is claimed here.
    fn run_full(&self, plans: Vec<&Plan>, facts: &(dyn Facts + Sync)) -> Result<Vec<FoundHeads>, Fault> {
        let key_sets = KeySets::default();
        let run = |plan: &Plan| self.run_source(plan, facts, &key_sets, Heads::new(plan, |_| None));
        plans.into_par_iter().with_max_len(1).map(run).collect()
    }

    /// Keeps the claimed heads that are at home here, and sends the others.
    fn route_claimed(&mut self, rule: usize, heads: ByRelation, local: &mut Candidates) -> Result<(), Fault> {
        for (relation, pairs) in heads {
            if self.is_single() {
                append(local, relation, rule, pairs);
                continue;
            }
            // Most heads are in the order of their subjects.
            for group in pairs.chunk_by(|a, b| a.0.home() == b.0.home()) {
                let Some(node) = self.setup.shard_map.home_node(group[0].0)? else { continue };
                let list = if node == self.setup.shard_map.me {
                    local.entry(relation).or_default().entry(rule).or_default()
                } else {
                    self.endpoint.outbox().claimed(node, rule, relation)
                };
                list.extend_from_slice(group);
            }
        }
        Ok(())
    }
}

/// The delta plans of a rule that move no rows.
fn local_plans(rule: &RulePlans) -> impl Iterator<Item = &Plan> {
    let plans = rule.deltas.iter().enumerate().filter(|(pivot, _)| !rule.ships(*pivot));
    plans.map(|(_, plan)| plan)
}

/// The morsels of a rule's local work in this step.
fn morsels_of<'a>(rule: &'a RulePlans, facts: &'a LocalFacts<'a>, by_value: &ByValue) -> Vec<(&'a Plan, Morsel<'a>)> {
    let morsels = |plan: &'a Plan| Morsel::all(facts, by_value, plan).into_iter().map(move |morsel| (plan, morsel));
    local_plans(rule).flat_map(morsels).collect()
}
