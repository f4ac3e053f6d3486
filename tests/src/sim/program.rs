//! The program of an attempt: the rule sets after the change, compiled, and the mode.

use super::Cluster;
use super::wire::{Change, FirstRound};
use entail_coordinator::metalog::{RuleSet, RuleSets, State};
use entail_logic::fixpoint::Mode;
use entail_logic::plan::compile::{Context, RelationStats, RuleBody, compile_maintenance, compile_program};
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
    let nodes = placement.nodes().len();
    let mut context = Context { single_node: nodes == 1, nodes, rdf_type, ..Context::default() };
    for relation in cluster.vocabulary.relations() {
        if random.chance(8_000) {
            let facts = random.below(1_000);
            let stats = RelationStats { facts, subjects: random.below(facts + 1), objects: random.below(facts + 1) };
            context.stats.insert(relation, stats);
        }
    }
    let numbers = |sets: &RuleSets| -> Vec<usize> { sets.sets.iter().flat_map(rules_of).collect() };
    let (before, mut all) = (numbers(state.rules()), numbers(after.unwrap_or(state.rules())));
    let mode = mode(change, &before, &mut all);
    let rules: Vec<RuleBody> = all.iter().map(|number| cluster.rules[*number].clone()).collect();
    let program = Arc::new(match &mode {
        Mode::Maintain { .. } => compile_maintenance(&context, &rules).expect("no rule has a NOT"),
        _ => with_broadcasts(cluster, &context, &rules, random),
    });
    let gives_up_in = if random.chance(1_500) { random.among(1..=4) as u32 } else { u32::MAX };
    FirstRound { program, mode, placement, gives_up_in }
}

fn with_broadcasts(cluster: &Cluster, context: &Context, rules: &[RuleBody], random: &mut Random) -> Program {
    let read: BTreeSet<Extent> = rules
        .iter()
        .flat_map(|rule| &rule.body.atoms)
        .filter_map(Extent::of)
        .filter(|of| of.object.is_some())
        .collect();
    let extents = cluster.vocabulary.relations().map(Extent::all).chain(read);
    let broadcast = extents.filter(|_| random.chance(5_000)).collect();
    compile_program(context, rules, &broadcast).expect("no rule has a NOT")
}

/// The mode of a change; `all` are the rules of after, to which it adds those that are dropped.
fn mode(change: &Change, before: &[usize], all: &mut Vec<usize>) -> Mode {
    if let Change::Facts { removed, .. } = change {
        return match removed.is_empty() {
            true => Mode::Increment,
            false => Mode::Maintain { new: BTreeSet::new(), dropped: BTreeSet::new() },
        };
    }
    let mut gone = before.to_vec();
    let mut new = BTreeSet::new();
    for (position, rule) in all.iter().enumerate() {
        match gone.iter().position(|other| other == rule) {
            Some(known) => _ = gone.swap_remove(known),
            None => _ = new.insert(position),
        }
    }
    if gone.is_empty() {
        return Mode::NewRules(new);
    }
    let dropped = (all.len()..all.len() + gone.len()).collect();
    all.append(&mut gone);
    Mode::Maintain { new, dropped }
}
