//! Relations that are worth being brought to every node, so that recursion stays where its facts are.
//!
//! ```text
//! path(x, z) :- path(x, y), edge(y, z)
//!   joined at home(y):   a path goes there for its in copy, and each candidate goes to home(x)
//!   with edge at hand:   joined at home(x), where the path is, and the candidate is
//! ```
//!
//! To spread a relation costs its size at each node, once an attempt. That is little beside what recursion finds, and
//! nothing is known of that beforehand: so only what is joined with what recursion finds is spread, only where that keeps
//! rows or heads at home, and only if so much is new that recursion may find as much as there is.

use super::compile::{Context, RuleBody, hub};
use super::{Arg, Atom};
use entail_model::{Relation, TermId};
use std::collections::{BTreeMap, BTreeSet};

/// The most facts of a relation that is spread: 16 MiB on the way to each node, and in its memory.
const FACTS_MAX: u64 = 1 << 20;

/// A relation has grown if this part of it is new.
const GROWN_SHARE: u64 = 16;

/// How much is new in an epoch.
pub enum News<'n> {
    /// The rules.
    Rules,
    /// So many facts of each relation.
    Facts(&'n BTreeMap<Relation, u64>),
}

/// What rules derive.
pub struct Derived {
    relations: BTreeSet<Relation>,
    /// Graphs in which a head's predicate is a variable.
    graphs: BTreeSet<TermId>,
}

impl Derived {
    /// What the heads of these rules are.
    pub fn of(rules: &[RuleBody]) -> Self {
        let heads = || rules.iter().flat_map(|rule| &rule.heads);
        let graphs = heads().filter(|head| head.relation().is_none()).map(|head| head.graph);
        Self { relations: heads().filter_map(|head| head.relation()).collect(), graphs: graphs.collect() }
    }

    /// May a rule derive facts of the relation?
    pub fn may_have(&self, relation: Relation) -> bool {
        self.relations.contains(&relation) || self.graphs.contains(&relation.graph)
    }
}

/// The relations that are worth spreading before these rules fire.
pub fn worthwhile(context: &Context, rules: &[RuleBody], news: &News<'_>) -> BTreeSet<Relation> {
    if context.single_node {
        return BTreeSet::new();
    }
    let derived = Derived::of(rules);
    let recursive = (0..rules.len()).filter(|index| is_recursive(rules, *index)).map(|index| rules[index].clone());
    let filled = Derived::of(&recursive.collect::<Vec<_>>());
    let reads_filled =
        |rule: &&RuleBody| rule.body.atoms.iter().filter_map(Atom::relation).any(|relation| filled.may_have(relation));
    let grown = news.grown(context);
    let rules = rules.iter().filter(reads_filled).filter(|rule| news.concern(rule, &grown));
    rules.flat_map(|rule| worth_for(context, rule, &derived)).collect()
}

/// What one rule would gain from.
fn worth_for(context: &Context, rule: &RuleBody, derived: &Derived) -> Vec<Relation> {
    let facts = |relation: Relation| context.stats.get(&relation).map_or(0, |stats| stats.facts);
    let fixed =
        |atom: &Atom| atom.relation().filter(|relation| !derived.may_have(*relation) && facts(*relation) <= FACTS_MAX);
    let (spread, others): (Vec<&Atom>, Vec<&Atom>) = rule.body.atoms.iter().partition(|atom| fixed(atom).is_some());
    let others: Vec<Atom> = others.into_iter().cloned().collect();
    let stays = |slot| rule.heads.iter().all(|head| head.subject == Arg::Slot(slot));
    let place = match &others[..] {
        [only] => only.subject.slot(),
        _ => hub(context, &others),
    };
    let is_gain = match (hub(context, &rule.body.atoms), place) {
        // Rows would move.
        (None, place) => place.is_some() || others.len() == 1,
        // Only heads move: to where they would be already.
        (Some(now), Some(place)) => !stays(now) && stays(place),
        (Some(_), None) => false,
    };
    if is_gain { spread.into_iter().filter_map(fixed).collect() } else { Vec::new() }
}

/// Does what the rule derives lead to its own body?
fn is_recursive(rules: &[RuleBody], index: usize) -> bool {
    let feeds = |from: &RuleBody, to: &RuleBody| {
        let reads = |relation: Option<Relation>| {
            to.body.atoms.iter().any(|atom| relation.is_none() || atom.relation().is_none_or(|of| Some(of) == relation))
        };
        from.heads.iter().any(|head| reads(head.relation()))
    };
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    let mut waiting = vec![index];
    while let Some(from) = waiting.pop() {
        let next = (0..rules.len()).filter(|to| feeds(&rules[from], &rules[*to]));
        waiting.extend(next.filter(|to| reached.insert(*to)).collect::<Vec<_>>());
    }
    reached.contains(&index)
}

impl News<'_> {
    /// The relations of which so much is new that rules may find as much as there is.
    pub fn grown(&self, context: &Context) -> BTreeSet<Relation> {
        let Self::Facts(new) = self else { return BTreeSet::new() };
        if context.single_node {
            return BTreeSet::new();
        }
        let facts = |relation| context.stats.get(relation).map_or(0, |stats| stats.facts);
        let grown = new.iter().filter(|(relation, new)| new.saturating_mul(GROWN_SHARE) >= facts(relation));
        grown.map(|(relation, _)| *relation).collect()
    }

    /// Has anything grown that the rule reads, or is it new itself?
    fn concern(&self, rule: &RuleBody, grown: &BTreeSet<Relation>) -> bool {
        let mut read = rule.body.atoms.iter().filter_map(Atom::relation);
        matches!(self, Self::Rules) || read.any(|relation| grown.contains(&relation))
    }
}

#[cfg(test)]
mod tests;
