//! A local step: every local rule over what is new, in parts for all cores.

use super::Reasoner;
use super::accept::{Candidates, append};
use crate::eval::{Batch, Facts, Scope, run_stage};
use crate::fixpoint::heads::{ByRelation, Heads};
use crate::fixpoint::parts::DeltaPart;
use crate::fixpoint::reasoner::Emit;
use crate::plan::{Head, Plan, RulePlans, Sink};
use entail_model::Fault;
use rayon::prelude::*;
use std::sync::Arc;

/// What a part of a rule's work has found.
struct FoundHeads {
    rule: usize,
    pairs: ByRelation,
    claimed: ByRelation,
}

impl Reasoner {
    /// Evaluates the local rules to their fixpoint.
    pub(super) fn saturate(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        while self.setup.state.has_recent() {
            self.check_limits()?;
            let (candidates, claimed) = self.run_local_rules()?;
            let found = self.accept(candidates, claimed)?;
            self.setup.state.step(found)?;
            self.outbox.flush_claimed(&mut self.flow, emit)?;
        }
        Ok(())
    }

    /// One local step: every local rule over the delta. Gives the candidates, and what of them is known to be new.
    fn run_local_rules(&mut self) -> Result<(Candidates, Candidates), Fault> {
        let program = Arc::clone(&self.setup.program);
        let mut heads = Vec::new();
        let mut together = Vec::new();
        for rule in &program.rules {
            // What several rules find is the first one's, so those that claim facts take turns.
            match self.has_dense_heads(rule) {
                true => heads.extend(self.run_parts(&self.parts(rule))?),
                false => together.extend(self.parts(rule)),
            }
        }
        heads.extend(self.run_parts(&together)?);
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

    /// The parts of a local rule's work in this step.
    fn parts<'p>(&self, rule: &'p RulePlans) -> Vec<(&'p Plan, usize, usize)> {
        let facts = self.setup.state.local();
        let plans = rule.deltas.iter().enumerate().filter(|(pivot, _)| !rule.ships(*pivot));
        let parts = plans.flat_map(|(_, plan)| {
            let of = facts.parts(plan);
            (0..of).map(move |number| (plan, number, of))
        });
        parts.collect()
    }

    fn run_parts(&self, parts: &[(&Plan, usize, usize)]) -> Result<Vec<FoundHeads>, Fault> {
        let facts = self.setup.state.local();
        let run = |(plan, number, of): &(&Plan, usize, usize)| {
            self.run_source(plan, &DeltaPart { facts: &facts, number: *number, of: *of })
        };
        match parts {
            [only] => Ok(vec![run(only)?]),
            _ => parts.par_iter().map(run).collect(),
        }
    }

    /// Runs the single stage of a local plan.
    fn run_source(&self, plan: &Plan, facts: &dyn Facts) -> Result<FoundHeads, Fault> {
        let scope = Scope {
            facts,
            texts: &*self.setup.texts,
            conditions: &self.conditions,
            stop: None,
            meter: None,
            groups: Some(&self.room_for_groups),
            rows_left: None,
        };
        let mut heads = Heads::new(plan, |relation| self.setup.state.dense(relation));
        run_stage(&scope, plan, 0, Batch::unit(plan.width), &mut |rows| {
            self.check_limits()?;
            heads.add(&rows);
            Ok(())
        })?;
        heads.sort_distinct();
        Ok(FoundHeads { rule: heads.rule, pairs: heads.pairs, claimed: heads.claimed })
    }

    /// Keeps the claimed heads that are at home here, and sends the others.
    fn route_claimed(&mut self, rule: usize, heads: ByRelation, local: &mut Candidates) -> Result<(), Fault> {
        for (relation, pairs) in heads {
            if self.is_single() {
                append(local, relation, rule, pairs);
                continue;
            }
            // They come by subject, most of them.
            for group in pairs.chunk_by(|a, b| a.0 == b.0) {
                let Some(node) = self.setup.territory.home_node(group[0].0)? else { continue };
                let list = match node == self.setup.territory.me {
                    true => local.entry(relation).or_default().entry(rule).or_default(),
                    false => self.outbox.claimed(node, rule, relation),
                };
                list.extend_from_slice(group);
            }
        }
        Ok(())
    }
}
