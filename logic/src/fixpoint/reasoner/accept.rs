//! Accepts heads at their home: a new head becomes a fact, is counted for the rule that found it, and is put into the
//! copies that plans read.

use super::{Effect, Emit, Reasoner, Setup};
use crate::columns::blocks::BitBlocks;
use crate::columns::{Pair, pairs};
use crate::exchange::outbox::BLOCKS_BYTES;
use crate::fixpoint::dense::Keeping;
use crate::fixpoint::phase::Phase;
use crate::fixpoint::state::State;
use entail_model::fact::{in_home, is_scattered_predicate};
use entail_model::{Direction, Fault, NodeId, Relation, TermId};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Heads by relation and rule.
pub(super) type Candidates = BTreeMap<Relation, BTreeMap<usize, Vec<Pair>>>;

/// The number of facts of each rule.
type Counts = Vec<(usize, u64)>;

/// A relation's new facts, with their number by rule.
type Accepted = (Relation, Counts, Vec<Pair>);

/// New facts by copy.
pub(super) type FoundFacts = BTreeMap<(Relation, Direction), Vec<Pair>>;

/// Adds a rule's pairs.
pub(super) fn append(candidates: &mut Candidates, relation: Relation, rule: usize, pairs: Vec<Pair>) {
    let list = candidates.entry(relation).or_default().entry(rule).or_default();
    if list.is_empty() { *list = pairs } else { list.extend(pairs) }
}

impl Reasoner {
    /// Makes new candidates facts of this node's copies; inverse copies for other nodes go to the outbox.
    pub(super) fn accept(&mut self, candidates: Candidates, claimed: Candidates) -> Result<FoundFacts, Fault> {
        if self.is_in(Phase::Delete) {
            return self.accept_deletions(candidates);
        }
        let mut candidates = candidates;
        let single = self.is_single();
        for (relation, rules) in &candidates {
            // The late rule reads runs: a matrix cannot be read in the order of keys.
            if self.waits_for_late && self.reads.reads_late(relation.predicate) {
                continue;
            }
            let is_idle = |copy: Direction| !self.reads.reads_earlier(relation.predicate, copy);
            let are_here = single || is_scattered_predicate(relation.predicate, self.setup.program.rdf_type);
            let keeping = Keeping {
                matrix_only: [is_idle(Direction::Forward), are_here && is_idle(Direction::Inverse)],
                collects_inverse: !are_here && !self.reads.reads(relation.predicate, Direction::Inverse),
            };
            self.setup.state.consider(*relation, &rules.values().collect::<Vec<_>>(), keeping)?;
        }
        let mut found = self.accept_claimed(&mut candidates, claimed)?;
        self.accept_candidates(candidates, &mut found)?;
        Ok(found)
    }

    /// Takes the candidates of dense relations: claimed ones are new, the others are looked up in the matrix.
    fn accept_claimed(&mut self, candidates: &mut Candidates, mut claimed: Candidates) -> Result<FoundFacts, Fault> {
        let mut found = FoundFacts::new();
        let all = claimed.keys().chain(candidates.keys());
        let dense: BTreeSet<Relation> = all.copied().filter(|of| self.setup.state.dense(*of).is_some()).collect();
        for relation in dense {
            let mut rules: BTreeMap<usize, (Vec<Pair>, Vec<Pair>)> = BTreeMap::new();
            for (rule, pairs) in claimed.remove(&relation).unwrap_or_default() {
                rules.entry(rule).or_default().0 = pairs;
            }
            for (rule, pairs) in candidates.remove(&relation).unwrap_or_default() {
                rules.entry(rule).or_default().1 = pairs;
            }
            let (rules, mut lists): (Vec<usize>, Vec<_>) = rules.into_iter().unzip();
            let is_dense = self.setup.state.claim_rest(relation, &mut lists)?;
            for (rule, (claimed, rest)) in rules.iter().zip(&mut lists) {
                if is_dense {
                    self.count(*rule, claimed.len() as u64);
                } else {
                    append(candidates, relation, *rule, std::mem::take(claimed));
                    append(candidates, relation, *rule, std::mem::take(rest));
                }
            }
            let new = lists.into_iter().map(|(claimed, _)| claimed).filter(|claimed| !claimed.is_empty());
            let new = new.reduce(|mut all, more| {
                all.extend(more);
                all
            });
            self.place(relation, new.unwrap_or_default(), &mut found)?;
        }
        for (relation, mut owed) in self.setup.state.take_owed() {
            owed.iter_mut().for_each(|(object, subject)| std::mem::swap(object, subject));
            self.place_in_copies(relation, &owed, &mut found)?;
        }
        Ok(found)
    }

    pub(super) fn count(&mut self, rule: usize, facts: u64) {
        self.derived[rule] += facts;
        self.derived_total += facts;
    }

    /// Subtracts known facts from the candidates.
    fn accept_candidates(&mut self, candidates: Candidates, found: &mut FoundFacts) -> Result<(), Fault> {
        let state = &self.setup.state;
        let new: Vec<Accepted> = candidates
            .into_par_iter()
            .map(|(relation, rules)| accept_rules(state, relation, rules))
            .collect::<Result<_, Fault>>()?;
        for (relation, counts, pairs) in new {
            counts.into_iter().for_each(|(rule, count)| self.count(rule, count));
            self.place(relation, pairs, found)?;
        }
        Ok(())
    }

    /// Puts new facts into the copies that need them.
    fn place(&mut self, relation: Relation, pairs: Vec<Pair>, found: &mut FoundFacts) -> Result<(), Fault> {
        if self.must_place(relation, Direction::Inverse, pairs.len()) {
            self.place_in_copies(relation, &pairs, found)?;
        }
        if self.must_place(relation, Direction::Forward, pairs.len()) && !pairs.is_empty() {
            found.insert((relation, Direction::Forward), pairs);
        }
        Ok(())
    }

    /// Must a copy's new facts go into runs? Facts that no plan reads may be in a matrix only.
    fn must_place(&mut self, relation: Relation, copy: Direction, facts: usize) -> bool {
        let state = &mut self.setup.state;
        if self.reads.reads(relation.predicate, copy) {
            return true;
        }
        if state.is_matrix_only(relation, copy) {
            state.add_unlisted(relation, copy, facts as u64);
            return false;
        }
        !(copy == Direction::Inverse && state.defer_inverse(relation, facts as u64))
    }

    fn place_in_copies(&mut self, relation: Relation, pairs: &[Pair], found: &mut FoundFacts) -> Result<(), Fault> {
        let here = self.send_in_copies(relation, pairs)?;
        if !self.reads.reads(relation.predicate, Direction::Inverse) {
            return self.setup.state.add_later(relation, &here);
        }
        if !here.is_empty() {
            found.insert((relation, Direction::Inverse), here);
        }
        Ok(())
    }

    /// Puts the inverse copies of facts that are for other nodes into the outbox; returns those for this node.
    pub(super) fn send_in_copies(&mut self, relation: Relation, pairs: &[Pair]) -> Result<Vec<Pair>, Fault> {
        let turned = |pair: &Pair| (pair.1, pair.0);
        let rdf_type = self.setup.program.rdf_type;
        let home = |pair: &Pair| in_home(pair.0, relation.predicate, pair.1, rdf_type);
        let mut here = Vec::new();
        if self.is_single() {
            here.extend(pairs.iter().map(turned));
        } else {
            for group in pairs.chunk_by(|a, b| home(a) == home(b)) {
                let home = home(&group[0]).ok_or_else(|| Fault::internal("a fact with an inline subject"))?;
                let node = self.setup.shard_map.holder(home)?;
                let list = if node == self.setup.shard_map.me {
                    &mut here
                } else {
                    self.endpoint.outbox().copies(node, relation)
                };
                list.extend(group.iter().map(turned));
            }
        }
        Ok(here)
    }

    /// Sends the deferred inverse copies, once a round finds nothing new.
    pub(super) fn give_in_copies(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        if !self.setup.state.owes_any() || self.derived.iter().any(|facts| *facts > 0) {
            return Ok(());
        }
        let Setup { shard_map, program, .. } = &self.setup;
        let (shard_map, rdf_type) = (shard_map.clone(), program.rdf_type);
        let mut parcels: BTreeMap<(NodeId, Relation), BitBlocks> = BTreeMap::new();
        let mut here: Vec<(Relation, BitBlocks)> = Vec::new();
        let (endpoint, me) = (&mut self.endpoint, shard_map.me);
        let deliver = &mut |to, message| emit(Effect::Send { to, message });
        let mut hand_over = |(to, relation): (NodeId, Relation), blocks: BitBlocks| {
            if to == me {
                here.push((relation, blocks));
                Ok(())
            } else {
                endpoint.send_blocks(to, relation, blocks, deliver)
            }
        };
        self.setup.state.give_inverse(|relation, objects, subjects, words| {
            let home = in_home(subjects, relation.predicate, objects, rdf_type);
            let home = home.ok_or_else(|| Fault::internal("a matrix with an inline subject"))?;
            let to = (shard_map.holder(home)?, relation);
            let blocks = parcels.entry(to).or_default();
            blocks.push(objects, subjects, words);
            if blocks.bytes() >= BLOCKS_BYTES { hand_over(to, std::mem::take(blocks)) } else { Ok(()) }
        })?;
        let mut rest = parcels.into_iter().filter(|(_, blocks)| !blocks.is_empty());
        rest.try_for_each(|(to, blocks)| hand_over(to, blocks))?;
        here.into_iter().try_for_each(|(relation, blocks)| self.setup.state.keep_blocks(relation, blocks))
    }
}

/// The new facts among each rule's candidates, in any order: a fact belongs to the first rule that has found it.
fn accept_rules(state: &State, relation: Relation, rules: BTreeMap<usize, Vec<Pair>>) -> Result<Accepted, Fault> {
    let unknown = |(rule, mut pairs): (usize, Vec<Pair>)| {
        pairs::sort_distinct(&mut pairs);
        Ok((rule, state.subtract_known(relation, pairs)?))
    };
    let by_rule: Vec<(usize, Vec<Pair>)> = rules.into_par_iter().map(unknown).collect::<Result<_, Fault>>()?;
    let by_value: Vec<(Counts, Vec<Pair>)> = group_by_value(by_rule).into_par_iter().map(first_rule_wins).collect();
    let mut all = (Vec::new(), Vec::new());
    for (counts, new) in by_value {
        all.0.extend(counts);
        if all.1.is_empty() { all.1 = new } else { all.1.extend(new) }
    }
    Ok((relation, all.0, all.1))
}

/// Lists of pairs by rule.
type ByRule = Vec<(usize, Vec<Pair>)>;

/// Groups rules by the value of their candidates if each rule has a single one, such as a class: groups then share no
/// candidates. Otherwise all rules are one group.
fn group_by_value(by_rule: ByRule) -> Vec<ByRule> {
    let value = |pairs: &[Pair]| {
        let value = pairs.first()?.1;
        pairs.iter().all(|pair| pair.1 == value).then_some(value)
    };
    let lists: ByRule = by_rule.into_iter().filter(|(_, pairs)| !pairs.is_empty()).collect();
    let values: Option<Vec<TermId>> = lists.iter().map(|(_, pairs)| value(pairs)).collect();
    let Some(values) = values else { return vec![lists] };
    let mut group_by_value: BTreeMap<TermId, ByRule> = BTreeMap::new();
    for (value, list) in values.into_iter().zip(lists) {
        group_by_value.entry(value).or_default().push(list);
    }
    group_by_value.into_values().collect()
}

/// Gives each fact that several rules have found to the first of them: returns the number of facts of each rule, and all
/// facts in order.
fn first_rule_wins(by_rule: ByRule) -> (Counts, Vec<Pair>) {
    let mut all: Vec<Pair> = Vec::new();
    let mut counts = Vec::with_capacity(by_rule.len());
    for (rule, mut new) in by_rule {
        pairs::subtract_in_place(&mut new, &all);
        counts.push((rule, new.len() as u64));
        all = match (all.is_empty(), new.is_empty()) {
            (_, true) => all,
            (true, false) => new,
            (false, false) => pairs::merge(&all, &new),
        };
    }
    (counts, all)
}
