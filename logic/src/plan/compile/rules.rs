//! The plans of rules: each rule is evaluated over everything once, and over the delta of each atom.
//!
//! A rule is *local* if one variable is in every atom and the subject of at least one, since then home(that variable) has a
//! copy of every fact that an instance needs. (An object that is never a subject may be an inline value, whose facts are
//! spread over the nodes.) A rule of one atom is local on either copy. A rule with NOT is local if its NOTs can be tested
//! there as well.

use super::builder::{Builder, copy_of, may_be_scattered};
use super::{Body, Condition, Context, NegatedBody, RuleBody};
use crate::dependencies::Cycle;
use crate::plan::broadcast::Derived;
use crate::plan::strata::strata;
use crate::plan::{
    Arg, Atom, Extent, GraphScope, Head, NegatedPlans, Plan, Program, RulePlans, Sink, Slot, Stratum, View,
};
use entail_model::{Direction, Relation};
use std::collections::BTreeSet;

/// The program of the rules. Its plans read the extents in `broadcast` at every node, except for those that rules derive
/// from derived facts.
///
/// # Errors
/// The numbers of rules that have no strata.
pub fn compile_program(context: &Context, rules: &[RuleBody], broadcast: &BTreeSet<Extent>) -> Result<Program, Cycle> {
    let strata = strata(rules)?;
    if strata.len() > 1 {
        // New facts of one stratum may make others go in the next.
        return Ok(maintenance(context, rules, strata));
    }
    Ok(program(context, rules, strata, broadcast))
}

fn program(context: &Context, rules: &[RuleBody], strata: Vec<Stratum>, broadcast: &BTreeSet<Extent>) -> Program {
    let derived = Derived::of(rules);
    let broadcast =
        broadcast.iter().copied().filter(|extent| !context.single_node && derived.is_found_first(rules, extent));
    let (mut late, mut first): (BTreeSet<Extent>, BTreeSet<Extent>) =
        broadcast.partition(|extent| derived.may_have(extent));
    let relations: BTreeSet<Relation> = late.iter().map(|extent| extent.relation).collect();
    late.extend(first.iter().filter(|extent| relations.contains(&extent.relation)));
    first.retain(|extent| !relations.contains(&extent.relation));
    let broadcasting = Broadcasting { derived, first, late };
    let plans = rules.iter().enumerate().map(|(index, rule)| compile_rule(context, index, rule, &broadcasting));
    let mut program = Program { rules: plans.collect(), rdf_type: context.rdf_type, strata, ..Program::default() };
    let read: BTreeSet<Extent> = program.broadcast_copies().into_iter().map(|(extent, _)| extent).collect();
    (program.broadcast_late, program.broadcast) =
        read.into_iter().partition(|extent| relations.contains(&extent.relation));
    program
}

/// The program of the rules for a change that deletes facts: nothing is broadcast, and each rule has plans that derive
/// deleted facts again.
///
/// # Errors
/// The numbers of rules that have no strata.
pub fn compile_maintenance(context: &Context, rules: &[RuleBody]) -> Result<Program, Cycle> {
    Ok(maintenance(context, rules, strata(rules)?))
}

fn maintenance(context: &Context, rules: &[RuleBody], strata: Vec<Stratum>) -> Program {
    let mut program = program(context, rules, strata, &BTreeSet::new());
    for (index, (plans, rule)) in program.rules.iter_mut().zip(rules).enumerate() {
        plans.rederive = rule.heads.iter().map(|head| rederive(context, index, rule, head)).collect();
    }
    program
}

/// The plan that finds those deleted facts of a head that the rule derives: the head is read like an atom of the body.
fn rederive(context: &Context, index: usize, rule: &RuleBody, head: &Head) -> Plan {
    let Head { graph, subject, predicate, object } = *head;
    let deleted = Atom { graph: GraphScope::One(graph), subject, predicate, object };
    let mut body = rule.body.clone();
    body.atoms.insert(0, deleted);
    let mut views = vec![View::All; body.atoms.len()];
    views[0] = View::Deleted;
    let sink = || Sink::Emit { rule: index, heads: vec![*head] };
    let plan = |copy| Builder::of_rule(context, &body, &views, &rule.negated).build_costed(Some((0, copy)), sink());
    let [forward, inverse] = Direction::BOTH.map(plan);
    if inverse.1 < forward.1 { inverse.0 } else { forward.0 }
}

/// The extents that may be read at every node.
struct Broadcasting {
    derived: Derived,
    /// Extents that are broadcast before the rules fire.
    first: BTreeSet<Extent>,
    /// Extents that are broadcast before the second round's work.
    late: BTreeSet<Extent>,
}

impl Broadcasting {
    /// Does the rule gain from waiting for late extents? Only if it reads relations that rules fill further.
    fn is_late(&self, rule: &RuleBody) -> bool {
        let is_late = |atom: &Atom| is_broadcast(&self.late, atom);
        let goes_on = |atom: &Atom| Extent::of(atom).is_none_or(|extent| self.derived.may_have(&extent));
        let (late, others): (Vec<&Atom>, Vec<&Atom>) = rule.body.atoms.iter().partition(|atom| is_late(atom));
        !late.is_empty() && others.into_iter().any(goes_on)
    }
}

fn is_broadcast(broadcast: &BTreeSet<Extent>, atom: &Atom) -> bool {
    Extent::of(atom).is_some_and(|extent| broadcast.iter().any(|of| of.covers(&extent)))
}

/// The plans of a rule: one that reads everything, and one for each atom's delta.
fn compile_rule(context: &Context, index: usize, rule: &RuleBody, broadcasting: &Broadcasting) -> RulePlans {
    let sink = || Sink::Emit { rule: index, heads: rule.heads.clone() };
    if broadcasting.is_late(rule)
        && let Some(plans) = late_plans(context, (index, rule), broadcasting, &sink)
    {
        return plans;
    }
    let count = rule.body.atoms.len();
    let everything = is_found_by_object(context, rule).then_some((0, Direction::Inverse));
    let full = builder(context, rule, &vec![View::All; count]).build(everything, sink());
    let deltas = broadcast_deltas(context, rule, &broadcasting.first, &sink).unwrap_or_else(|| {
        let views = |pivot: usize| (0..count).map(|atom| semi_naive_view(atom, pivot)).collect::<Vec<View>>();
        (0..count).map(|pivot| delta(context, rule, pivot, &views(pivot), sink())).collect()
    });
    let negated = negated_plans(context, index, rule);
    RulePlans { label: rule.label.clone(), deltas, full, rederive: Vec::new(), negated }
}

fn builder<'a>(context: &'a Context, rule: &'a RuleBody, views: &'a [View]) -> Builder<'a> {
    Builder::of_rule(context, &rule.body, views, &rule.negated)
}

/// The plans for changes of the facts that a rule negates.
fn negated_plans(context: &Context, index: usize, rule: &RuleBody) -> Vec<NegatedPlans> {
    let sink = || Sink::Emit { rule: index, heads: rule.heads.clone() };
    let of_atom = |(negated, atom): (&NegatedBody, &Atom)| NegatedPlans {
        appeared: negated_plan(context, &with_negated_atom(rule, negated, atom), &[], (View::Added, sink())),
        disappeared: negated_plan(context, &with_other_names(rule, atom), &rule.negated, (View::Deleted, sink())),
    };
    let atoms = rule.negated.iter().flat_map(|negated| negated.atoms.iter().map(move |atom| (negated, atom)));
    atoms.map(of_atom).collect()
}

/// The plan that begins with the changed facts of a body's first atom.
fn negated_plan(context: &Context, body: &Body, negated: &[NegatedBody], (view, sink): (View, Sink)) -> Plan {
    let mut views = vec![View::All; body.atoms.len()];
    views[0] = view;
    let plan = |copy| {
        let builder = Builder::of_rule(context, body, &views, negated).set_apart_pivot(0);
        builder.build_costed(Some((0, copy)), sink.clone())
    };
    let [forward, inverse] = Direction::BOTH.map(plan);
    if inverse.1 < forward.1 { inverse.0 } else { forward.0 }
}

/// The body of a rule after a negated atom, with the conditions of the NOT that need no other atom of it.
fn with_negated_atom(rule: &RuleBody, negated: &NegatedBody, atom: &Atom) -> Body {
    let mut body = rule.body.clone();
    body.atoms.insert(0, atom.clone());
    let bound: BTreeSet<Slot> = body.atoms.iter().flat_map(Atom::slots).collect();
    let is_decided = |condition: &&Condition| condition.slots().iter().all(|slot| bound.contains(slot));
    body.conditions.extend(negated.conditions.iter().filter(is_decided).cloned());
    body
}

/// The body of a rule after a negated atom whose local slots have other numbers, since the NOT is tested with any value of
/// them.
fn with_other_names(rule: &RuleBody, atom: &Atom) -> Body {
    let mut body = rule.body.clone();
    let bound: BTreeSet<Slot> = body.atoms.iter().flat_map(Atom::slots).collect();
    let local: Vec<Slot> = atom.slots().into_iter().filter(|slot| !bound.contains(slot)).collect();
    let renamed = |arg: Arg| match arg.slot().and_then(|slot| local.iter().position(|other| *other == slot)) {
        Some(number) => Arg::Slot(rule.body.width + number),
        None => arg,
    };
    let Atom { graph, subject, predicate, object } = atom.clone();
    let [subject, predicate, object] = [subject, predicate, object].map(renamed);
    body.atoms.insert(0, Atom { graph, subject, predicate, object });
    body.width += local.len();
    body
}

/// The plan for an atom's delta.
fn delta(context: &Context, rule: &RuleBody, pivot: usize, views: &[View], sink: Sink) -> Plan {
    let atom = &rule.body.atoms[pivot];
    let copies = match hub(context, &rule.body.atoms) {
        // Nothing moves: rows that are read in the order of the head's subjects need not be sorted by them.
        _ if context.single_node && is_subject_of_heads(rule, atom.object) => {
            vec![Direction::Inverse, Direction::Forward]
        }
        _ if context.single_node => Direction::BOTH.to_vec(),
        _ if is_found_by_object(context, rule) => vec![Direction::Inverse],
        Some(slot) => vec![copy_of(atom, slot)],
        None => Direction::BOTH.to_vec(),
    };
    let plans =
        copies.into_iter().map(|copy| builder(context, rule, views).build_costed(Some((pivot, copy)), sink.clone()));
    plans.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are one or two copies").0
}

/// The plans for each atom's delta where some atoms' relations are broadcast, so that the other atoms decide where rows
/// are; `None` if there are no broadcast atoms, or if rows would still move.
///
/// Broadcast relations are constant, except for staged facts, which are new only in the first step. Then both copies of
/// every fact agree at all nodes, so that the plans for those deltas may read any copy. Broadcast atoms come last in
/// the order of the triangle: the other atoms' deltas read all of them.
fn broadcast_deltas(
    context: &Context,
    rule: &RuleBody,
    broadcast: &BTreeSet<Extent>,
    sink: &dyn Fn() -> Sink,
) -> Option<Vec<Plan>> {
    let atoms = &rule.body.atoms;
    let is_broadcast = |atom: &Atom| is_broadcast(broadcast, atom);
    let others: Vec<Atom> = atoms.iter().filter(|atom| !is_broadcast(atom)).cloned().collect();
    let hub = match others.len() {
        0 => return None,
        count if count == atoms.len() => return None,
        1 => None,
        _ => Some(hub(context, &others)?),
    };
    let rank = |atom: usize| (is_broadcast(&atoms[atom]), atom);
    let plan = |pivot: usize| {
        let of_pivot = |atom: usize| match rank(atom).cmp(&rank(pivot)) {
            std::cmp::Ordering::Greater if is_broadcast(&atoms[atom]) && !is_broadcast(&atoms[pivot]) => {
                View::Broadcast
            }
            order => view_in_order(order),
        };
        let views: Vec<View> = (0..atoms.len()).map(of_pivot).collect();
        if is_broadcast(&atoms[pivot]) {
            return Some(delta(context, rule, pivot, &views, sink()));
        }
        let copy = hub.map_or(Direction::Forward, |slot| copy_of(&atoms[pivot], slot));
        let plan = builder(context, rule, &views).build(Some((pivot, copy)), sink());
        (plan.stages.len() == 1).then_some(plan)
    };
    (0..atoms.len()).map(plan).collect()
}

/// The plans of a rule that waits until every relation that it reads at every node is complete and has been broadcast,
/// so that these relations are constant and have no deltas. `None` if rows would still move.
fn late_plans(
    context: &Context,
    (index, rule): (usize, &RuleBody),
    broadcasting: &Broadcasting,
    sink: &dyn Fn() -> Sink,
) -> Option<RulePlans> {
    let atoms = &rule.body.atoms;
    let is_broadcast = |atom: &Atom| is_broadcast(&broadcasting.first, atom) || is_broadcast(&broadcasting.late, atom);
    let others: Vec<usize> = (0..atoms.len()).filter(|atom| !is_broadcast(&atoms[*atom])).collect();
    let hub = match others.len() {
        1 => None,
        _ => Some(hub(context, &others.iter().map(|atom| atoms[*atom].clone()).collect::<Vec<_>>())?),
    };
    let plan = |pivot: usize, view: &dyn Fn(usize) -> View| {
        let views: Vec<View> = (0..atoms.len())
            .map(|atom| if is_broadcast(&atoms[atom]) { View::Broadcast } else { view(atom) })
            .collect();
        let copy = hub.map_or(Direction::Forward, |slot| copy_of(&atoms[pivot], slot));
        let plan = builder(context, rule, &views).build(Some((pivot, copy)), sink());
        (plan.stages.len() == 1).then_some(plan)
    };
    // When late rules fire over everything, new facts belong to the next step.
    let full = plan(*others.first()?, &|_| View::Old)?;
    let deltas = others.iter().map(|pivot| plan(*pivot, &|atom| semi_naive_view(atom, *pivot)));
    let deltas = deltas.collect::<Option<_>>()?;
    let negated = negated_plans(context, index, rule);
    Some(RulePlans { label: rule.label.clone(), deltas, full, rederive: Vec::new(), negated })
}

/// Is a rule of one atom evaluated at the object's home, so that its heads are at home? Each fact is in the inverse copies
/// of exactly one node, and in the forward copies of exactly one.
fn is_found_by_object(context: &Context, rule: &RuleBody) -> bool {
    matches!(&rule.body.atoms[..], [only] if !context.single_node && is_subject_of_heads(rule, only.object))
}

fn is_subject_of_heads(rule: &RuleBody, arg: Arg) -> bool {
    arg.slot().is_some() && rule.heads.iter().all(|head| head.subject == arg)
}

/// The view of an atom: atoms before the delta read the old facts, atoms after it all facts, so no instance fires twice.
fn semi_naive_view(atom: usize, pivot: usize) -> View {
    view_in_order(atom.cmp(&pivot))
}

fn view_in_order(atom_to_pivot: std::cmp::Ordering) -> View {
    match atom_to_pivot {
        std::cmp::Ordering::Less => View::Old,
        std::cmp::Ordering::Equal => View::Delta,
        std::cmp::Ordering::Greater => View::All,
    }
}

/// The variable at whose home a rule can be evaluated without moving rows.
pub fn hub(context: &Context, atoms: &[Atom]) -> Option<Slot> {
    let first = atoms.first()?;
    let candidates = [first.subject.slot(), first.object.slot()];
    candidates.into_iter().flatten().find(|slot| {
        let reachable = |atom: &Atom| {
            atom.subject == Arg::Slot(*slot) || (atom.object == Arg::Slot(*slot) && !may_be_scattered(context, atom))
        };
        atoms.iter().all(reachable) && atoms.iter().any(|atom| atom.subject == Arg::Slot(*slot))
    })
}
