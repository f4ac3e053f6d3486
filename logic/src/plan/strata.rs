//! Strata: the order in which rules with NOT are evaluated, so that what a rule negates is complete before it fires.
//!
//! A rule needs another one if a head of that one can be a fact of one of its atoms. It needs it completely if the atom is
//! negated. Heads and atoms are compared as triples, not only by predicate: a rule that derives `?x :status :safe` may
//! negate `?x :status :critical`.
//!
//! Rules of several strata may derive the same fact. No atom of a rule below the highest of these strata matches it, so
//! nothing reads such a fact before it is settled. But facts that a stratum may derive cannot be dropped without firing the
//! rules of lower strata that may derive them as well: see [`Stratum::recompute_from`].

use super::compile::RuleBody;
use super::{Arg, Atom, GraphScope, Head, Slot};
use crate::dependencies::{self, Cycle, Dependency};
use entail_model::TermId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The rules that are evaluated together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// The numbers of the rules, in order.
    pub rules: Vec<usize>,
    /// This stratum, or the next one below it, from which on all derived facts may be dropped and derived again: no rule
    /// below it derives a fact that a rule from it on may derive.
    pub recompute_from: usize,
}

/// The strata of some rules, as few as possible: all rules without dependencies on a negated fact are in the first.
///
/// # Errors
/// A cycle of rules of which the first one negates what the others derive.
pub fn strata(rules: &[RuleBody]) -> Result<Vec<Stratum>, Cycle> {
    if rules.iter().all(|rule| rule.negated.is_empty()) {
        let all = Stratum { rules: (0..rules.len()).collect(), recompute_from: 0 };
        return Ok(if rules.is_empty() { Vec::new() } else { vec![all] });
    }
    let heads = Heads::of(rules);
    let needs: Vec<Vec<Dependency>> = rules.iter().map(|rule| needs(rule, &heads)).collect();
    let stratum_of = dependencies::strata(&needs)?;
    let count = stratum_of.iter().max().map_or(0, |last| last + 1);
    let mut members = vec![Vec::new(); count];
    let mut shared_with: Vec<usize> = (0..count).collect();
    for (rule, stratum) in stratum_of.iter().enumerate() {
        members[*stratum].push(rule);
        for head in &rules[rule].heads {
            let lowest = heads.matching(&atom_of(head)).map(|other| stratum_of[other]).min();
            shared_with[*stratum] = shared_with[*stratum].min(lowest.unwrap_or(*stratum));
        }
    }
    let is_separate = |from: &usize| shared_with[*from..].iter().all(|lowest| lowest >= from);
    let recompute_from = |number: usize| (0..=number).rev().find(is_separate).unwrap_or(0);
    let stratum = |(number, rules)| Stratum { rules, recompute_from: recompute_from(number) };
    Ok(members.into_iter().enumerate().map(stratum).collect())
}

/// The rules that a rule needs.
fn needs(rule: &RuleBody, heads: &Heads<'_>) -> Vec<Dependency> {
    let mut found: BTreeMap<usize, bool> = BTreeMap::new();
    for atom in &rule.body.atoms {
        heads.matching(atom).for_each(|other| _ = found.entry(other).or_default());
    }
    for atom in rule.negated.iter().flat_map(|negated| &negated.atoms) {
        heads.matching(atom).for_each(|other| *found.entry(other).or_default() = true);
    }
    found.into_iter().map(|(to, closed)| Dependency { to, closed }).collect()
}

/// All heads with their rules, by predicate.
struct Heads<'r> {
    by_predicate: BTreeMap<TermId, Vec<(usize, &'r Head)>>,
    any_predicate: Vec<(usize, &'r Head)>,
    all: Vec<(usize, &'r Head)>,
}

impl<'r> Heads<'r> {
    fn of(rules: &'r [RuleBody]) -> Self {
        let (mut by_predicate, mut any_predicate, mut all) = (BTreeMap::<_, Vec<_>>::new(), Vec::new(), Vec::new());
        for (rule, head) in
            rules.iter().enumerate().flat_map(|(rule, of)| of.heads.iter().map(move |head| (rule, head)))
        {
            all.push((rule, head));
            match head.predicate {
                Arg::Const(predicate) => by_predicate.entry(predicate).or_default().push((rule, head)),
                Arg::Slot(_) => any_predicate.push((rule, head)),
            }
        }
        Self { by_predicate, any_predicate, all }
    }

    /// The rules with a head that may be a fact of the atom, with repetitions.
    fn matching<'a>(&'a self, atom: &'a Atom) -> impl Iterator<Item = usize> + 'a {
        let (named, others) = match atom.predicate {
            Arg::Const(predicate) => (self.by_predicate.get(&predicate), &self.any_predicate),
            Arg::Slot(_) => (None, &self.all),
        };
        let candidates = named.into_iter().flatten().chain(others);
        candidates.filter(|(_, head)| may_match(atom, head)).map(|(rule, _)| *rule)
    }
}

/// The atom that matches the facts of a head.
fn atom_of(head: &Head) -> Atom {
    let Head { graph, subject, predicate, object } = *head;
    Atom { graph: GraphScope::One(graph), subject, predicate, object }
}

/// May a head be a fact of an atom? Variables of the two are distinct, also if they have the same number.
fn may_match(atom: &Atom, head: &Head) -> bool {
    let is_in_graph = match &atom.graph {
        GraphScope::One(graph) => *graph == head.graph,
        GraphScope::Union(graphs) | GraphScope::Each(_, Some(graphs)) => graphs.contains(&head.graph),
        GraphScope::UnionOfAll | GraphScope::Each(_, None) => true,
    };
    let mut classes = Classes::default();
    is_in_graph
        && [(atom.subject, head.subject), (atom.predicate, head.predicate), (atom.object, head.object)]
            .into_iter()
            .all(|(of_atom, of_head)| classes.unite(Place::of(of_atom, Side::Atom), Place::of(of_head, Side::Head)))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Atom,
    Head,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Term(TermId),
    Variable(Side, Slot),
}

impl Place {
    fn of(arg: Arg, side: Side) -> Self {
        match arg {
            Arg::Const(term) => Self::Term(term),
            Arg::Slot(slot) => Self::Variable(side, slot),
        }
    }
}

/// Classes of variables and terms that are equal in a match.
#[derive(Default)]
struct Classes(Vec<BTreeSet<Place>>);

impl Classes {
    /// Makes two members equal; returns whether that is possible: terms are equal to themselves only.
    fn unite(&mut self, a: Place, b: Place) -> bool {
        let (touched, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|class| class.contains(&a) || class.contains(&b));
        let class: BTreeSet<Place> = touched.into_iter().flatten().chain([a, b]).collect();
        let terms = class.iter().filter(|member| matches!(member, Place::Term(_))).count();
        self.0 = others;
        self.0.push(class);
        terms <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::compile::{Body, NegatedBody};
    use entail_model::{ShardId, TermKind};

    const X: Arg = Arg::Slot(0);
    const Y: Arg = Arg::Slot(1);

    fn term(number: u64) -> TermId {
        TermId::dictionary(ShardId(0), number, TermKind::Iri)
    }

    fn c(number: u64) -> Arg {
        Arg::Const(term(number))
    }

    type Spo = (Arg, Arg, Arg);

    fn atom(graph: u64, (subject, predicate, object): Spo) -> Atom {
        Atom { graph: GraphScope::One(term(graph)), subject, predicate, object }
    }

    fn rule_in(graph: u64, head: Spo, body: &[Spo], negated: &[Spo]) -> RuleBody {
        let atoms = |list: &[Spo]| list.iter().map(|spo| atom(graph, *spo)).collect::<Vec<_>>();
        let (subject, predicate, object) = head;
        RuleBody {
            label: String::new(),
            heads: vec![Head { graph: term(graph), subject, predicate, object }],
            body: Body { width: 4, atoms: atoms(body), conditions: Vec::new() },
            negated: negated.iter().map(|spo| NegatedBody { atoms: atoms(&[*spo]), conditions: Vec::new() }).collect(),
        }
    }

    fn rule(head: Spo, body: &[Spo], negated: &[Spo]) -> RuleBody {
        rule_in(99, head, body, negated)
    }

    fn numbers(rules: &[RuleBody]) -> Result<Vec<Vec<usize>>, Vec<usize>> {
        let numbers = |strata: Vec<Stratum>| strata.into_iter().map(|stratum| stratum.rules).collect();
        strata(rules).map(numbers).map_err(|Cycle(cycle)| cycle)
    }

    #[test]
    fn rules_without_not_are_one_stratum() {
        assert_eq!(numbers(&[]), Ok(vec![]));
        let recursive = [rule((X, c(1), Y), &[(X, c(2), Y)], &[]), rule((X, c(2), Y), &[(X, c(1), Y)], &[])];
        assert_eq!(numbers(&recursive), Ok(vec![vec![0, 1]]));
    }

    #[test]
    fn what_is_negated_comes_first() {
        let safe = rule((X, c(1), c(10)), &[(X, c(2), Y)], &[(X, c(1), c(11))]);
        let critical = rule((X, c(1), c(11)), &[(X, c(3), Y)], &[]);
        assert_eq!(numbers(&[safe.clone(), critical.clone()]), Ok(vec![vec![1], vec![0]]));
        // The same class is negated and derived.
        let own = rule((X, c(1), c(11)), &[(X, c(2), Y)], &[(X, c(1), c(11))]);
        assert_eq!(numbers(&[own]), Err(vec![0]));
        // A variable predicate may be any.
        let any = rule((X, Y, c(11)), &[(X, c(1), c(10)), (Y, c(4), c(5))], &[]);
        assert_eq!(numbers(&[any, safe, critical]), Err(vec![1, 0]));
    }

    #[test]
    fn triples_are_compared_as_a_whole() {
        let loops = |head| rule(head, &[(X, c(2), Y)], &[(Arg::Slot(2), c(1), Arg::Slot(2))]);
        assert_eq!(numbers(&[loops((X, c(1), Y))]), Err(vec![0]), "?x may be ?y");
        assert_eq!(numbers(&[loops((c(5), c(1), c(6)))]), Ok(vec![vec![0]]), "two terms are no loop");
        let other = |object| rule((X, c(1), X), &[(X, c(2), Y)], &[(c(5), c(1), object)]);
        assert_eq!(numbers(&[other(c(6))]), Ok(vec![vec![0]]));
        assert_eq!(numbers(&[other(c(5))]), Err(vec![0]));
        // Rules of another graph derive other facts.
        let elsewhere = rule_in(98, (X, c(1), Y), &[(X, c(2), Y)], &[]);
        assert_eq!(numbers(&[rule((X, c(3), Y), &[(X, c(2), Y)], &[(X, c(1), Y)]), elsewhere]), Ok(vec![vec![0, 1]]));
    }

    #[test]
    fn strata_that_derive_the_same_facts_are_recomputed_together() {
        let first = rule((X, c(1), Y), &[(X, c(2), Y)], &[]);
        let second = rule((X, c(3), Y), &[(X, c(2), Y)], &[(X, c(1), Y)]);
        let third = rule((X, c(4), Y), &[(X, c(2), Y)], &[(X, c(3), Y)]);
        let from = |rules: &[RuleBody]| {
            let strata = strata(rules).expect("stratified");
            strata.into_iter().map(|stratum| stratum.recompute_from).collect::<Vec<_>>()
        };
        let three = [first, second, third];
        assert_eq!(from(&three), [0, 1, 2]);
        let also = |predicate| rule((X, c(predicate), Y), &[(X, c(5), Y)], &[]);
        assert_eq!(from(&[&three[..], &[also(3)]].concat()), [0, 0, 2], "the second derives what the first does");
        assert_eq!(from(&[&three[..], &[also(4)]].concat()), [0, 0, 0], "who drops the second drops the third");
    }
}
