//! The program of an attempt: the rule sets after the change, compiled, and the mode.

use super::Cluster;
use super::wire::{Change, FirstRound};
use entail_coordinator::metalog::{RuleSet, RuleSets, State};
use entail_logic::fixpoint::Mode;
use entail_logic::plan::compile::{Context, RelationStats, RuleBody, compile_program};
use entail_logic::plan::{Extent, Program};
use entail_model::random::Random;
use entail_model::{Fault, Reason};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The numbers of a set's rules.
pub fn rules_of(set: &RuleSet) -> impl Iterator<Item = usize> + '_ {
    set.source.split_whitespace().map(|number| number.parse().expect("sources are lists of numbers"))
}

/// The rule sets after a change; `None` if it does not change them.
///
/// # Errors
/// `NotFound` if the set to drop does not exist.
pub fn rules_after(state: &State, change: &Change) -> Result<Option<RuleSets>, Fault> {
    let Change::Rules { set, rules } = change else { return Ok(None) };
    let before = state.rules();
    let version = before.version + 1;
    let mut sets: Vec<RuleSet> = before.sets.iter().filter(|other| other.name != *set).cloned().collect();
    match rules {
        Some(rules) => {
            let source = rules.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
            sets.push(RuleSet { name: set.clone(), graph: None, source, version });
            sets.sort_by(|a, b| a.name.cmp(&b.name));
        }
        None if before.get(set).is_none() => {
            return Err(Fault::new(Reason::NotFound, format!("there is no rule set {set}")));
        }
        None => {}
    }
    Ok(Some(RuleSets { version, sets }))
}

/// Compiles an attempt's program with random statistics and a random choice of broadcast relations: the plans vary, the
/// results must not.
pub fn first_round(
    cluster: &Cluster,
    state: &State,
    change: &Change,
    after: Option<&RuleSets>,
    random: &mut Random,
) -> FirstRound {
    let placement = state.placement().clone();
    let rdf_type = Some(cluster.vocabulary.rdf_type());
    let mut context = Context { single_node: placement.nodes().len() == 1, rdf_type, ..Context::default() };
    for relation in cluster.vocabulary.relations() {
        if random.chance(8_000) {
            let facts = random.below(1_000);
            let stats = RelationStats { facts, subjects: random.below(facts + 1), objects: random.below(facts + 1) };
            context.stats.insert(relation, stats);
        }
    }
    let sets = &after.unwrap_or(state.rules()).sets;
    let rules: Vec<RuleBody> = sets.iter().flat_map(rules_of).map(|number| cluster.rules[number].clone()).collect();
    let read: BTreeSet<Extent> = rules
        .iter()
        .flat_map(|rule| &rule.body.atoms)
        .filter_map(Extent::of)
        .filter(|of| of.object.is_some())
        .collect();
    let extents = cluster.vocabulary.relations().map(Extent::all).chain(read);
    let broadcast = extents.filter(|_| random.chance(5_000)).collect();
    let program: Arc<Program> = Arc::new(compile_program(&context, &rules, &broadcast));
    FirstRound { program, mode: mode(state, change, sets), placement }
}

/// New rules are added to the existing facts; after a drop of rules all facts are derived again.
fn mode(state: &State, change: &Change, sets: &[RuleSet]) -> Mode {
    let Change::Rules { set, .. } = change else { return Mode::Increment };
    if state.rules().get(set).is_some() {
        return Mode::Rebuild;
    }
    let named = sets.iter().flat_map(|other| rules_of(other).map(move |_| other.name == *set));
    Mode::NewRules(named.enumerate().filter(|(_, is_new)| *is_new).map(|(index, _)| index).collect::<BTreeSet<_>>())
}
