//! Morsels: a step of many facts and few rules is cut into morsels for all cores.

use super::state::LocalFacts;
use crate::columns::{Pair, Run, pairs};
use crate::eval::Facts;
use crate::plan::{Arg, Atom, Op, Plan, View};
use entail_model::{Direction, Fault, Mark, Relation, TermId};
use std::collections::HashMap;
use std::sync::Arc;

/// The number of new facts in a morsel.
const MORSEL_PAIRS: u64 = 1 << 12;

/// Morsels for each thread, so that no thread waits long for the largest one.
const MORSELS_PER_THREAD: usize = 4;

/// The number of plans that start from the new facts with one value, from which those facts are grouped by value once
/// instead of scanned by each plan.
const PLANS_MIN: usize = 4;

/// New facts by value, for relations of which many plans read the facts with one value, mainly classes.
#[derive(Default)]
pub struct ByValue(HashMap<(Relation, Direction), HashMap<TermId, Arc<Run>>>);

impl ByValue {
    /// Groups the new facts that many of the plans start from.
    pub fn of<'p>(facts: &LocalFacts<'_>, plans: impl Iterator<Item = &'p Plan>) -> Result<Self, Fault> {
        let mut asked: HashMap<(Relation, Direction), usize> = HashMap::new();
        for (atom, copy) in plans.filter_map(first) {
            if let ((Arg::Slot(_), Arg::Const(_)), Some(relation)) = (atom.key_value(copy), atom.relation()) {
                *asked.entry((relation, copy)).or_default() += 1;
            }
        }
        let mut by_value = Self::default();
        for ((relation, copy), _) in asked.into_iter().filter(|(_, plans)| *plans >= PLANS_MIN) {
            let runs = facts.runs(relation, copy, View::Delta);
            // Grouping copies the facts, which needs all of them in memory.
            if runs.iter().any(|run| run.resident_bytes() == 0) {
                continue;
            }
            let mut groups: HashMap<TermId, Vec<Pair>> = HashMap::new();
            for run in runs {
                run.for_each_piece(|piece| {
                    piece.chunk_by(|a, b| a.1 == b.1).for_each(|same| {
                        groups.entry(same[0].1).or_default().extend_from_slice(same);
                    });
                    Ok(())
                })?;
            }
            let run = |(value, mut pairs): (TermId, Vec<Pair>)| {
                // Pairs of several runs are not in order.
                pairs::sort_distinct(&mut pairs);
                Run::resident(Mark::Derived, pairs).map(|run| (value, run))
            };
            by_value.0.insert((relation, copy), groups.into_iter().filter_map(run).collect());
        }
        Ok(by_value)
    }

    /// The new facts of a relation with a value, if they were grouped.
    fn get(&self, relation: Relation, copy: Direction, value: TermId) -> Option<Vec<Arc<Run>>> {
        let values = self.0.get(&(relation, copy))?;
        Some(values.get(&value).into_iter().cloned().collect())
    }
}

/// The atom whose delta a plan starts from.
fn first(plan: &Plan) -> Option<(&Atom, Direction)> {
    match plan.stages.first().and_then(|stage| stage.ops.first()) {
        Some(Op::Match { atom, copy, view: View::Delta }) => Some((atom, *copy)),
        _ => None,
    }
}

/// A morsel of a plan's new facts, with all other facts that local rules read. Every row of a plan comes from exactly
/// one new fact, so the rows of all morsels are the rows of the plan.
pub struct Morsel<'a> {
    facts: &'a LocalFacts<'a>,
    /// The new facts, if they are of one relation.
    new: Option<Vec<Arc<Run>>>,
    number: usize,
    of: usize,
}

impl<'a> Morsel<'a> {
    /// The morsels of a plan; none if nothing is new to it.
    pub fn all(facts: &'a LocalFacts<'a>, by_value: &ByValue, plan: &Plan) -> Vec<Self> {
        let Some((atom, copy)) = first(plan) else { return vec![Self { facts, new: None, number: 0, of: 1 }] };
        let new = atom.relation().map(|relation| match atom.key_value(copy) {
            (Arg::Const(key), _) => {
                let runs = facts.runs(relation, copy, View::Delta);
                runs.iter().filter_map(|run| run.around(key)).collect()
            }
            (Arg::Slot(_), Arg::Const(value)) => {
                let known = by_value.get(relation, copy, value);
                known.unwrap_or_else(|| facts.runs(relation, copy, View::Delta))
            }
            _ => facts.runs(relation, copy, View::Delta),
        });
        let pairs = |runs: &[Arc<Run>]| runs.iter().map(|run| run.len).sum::<u64>();
        let count = match &new {
            Some(runs) => pairs(runs),
            None => facts.relations().into_iter().map(|relation| pairs(&facts.runs(relation, copy, View::Delta))).sum(),
        };
        let of = count.div_ceil(MORSEL_PAIRS).min((rayon::current_num_threads() * MORSELS_PER_THREAD) as u64) as usize;
        (0..of).map(|number| Self { facts, new: new.clone(), number, of }).collect()
    }
}

impl Facts for Morsel<'_> {
    fn runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>> {
        let runs = match &self.new {
            // A delta plan reads the new facts once.
            Some(new) if view == View::Delta => new.clone(),
            _ => self.facts.runs(relation, copy, view),
        };
        if view == View::Delta && self.of > 1 {
            runs.iter().filter_map(|run| run.part(self.number, self.of)).collect()
        } else {
            runs
        }
    }

    fn relations(&self) -> Vec<Relation> {
        self.facts.relations()
    }
}
