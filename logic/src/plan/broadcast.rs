//! Chooses the relations that are broadcast to every node, so that recursion stays at the nodes of its facts.
//!
//! ```text
//! path(x, z) :- path(x, y), edge(y, z)
//!   joined at home(y):   a path goes there for its inverse copy, and each candidate goes to home(x)
//!   edge is broadcast:   joined at home(x), the home of the path and of the candidate
//! ```
//!
//! To broadcast a relation costs its size at each node, once per attempt. That is little compared with the facts that
//! recursion finds, but their number is not known beforehand. So a relation is broadcast only if it is joined with
//! facts that recursion finds, only where that keeps rows or heads at home, and only if enough facts are new for
//! recursion to find as many as the relation has.
//!
//! A relation that rules derive can be broadcast as well, if all of it is found in the first round: rules that read it
//! everywhere wait for the second round. They fire over everything then, so waiting pays only for rules that do so in
//! any case, because they are new. The size of a derived relation is an estimate: if the first round finds more, the
//! attempt begins again, and no rule waits.
//!
//! The facts with one object are judged separately: of `rdf:type`, which most rules derive, a class may be constant, or
//! complete early.

use super::compile::{Context, RuleBody, hub};
use super::{Arg, Atom, Extent, Slot};
use entail_model::{Relation, TermId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The most facts of all broadcast relations together, existing and expected: 16 MiB to send to each node, and as much
/// in its memory for each copy. Derived facts, once found, have this limit for themselves, without the existing facts.
pub const FACTS_MAX: u64 = 1 << 20;

/// A relation has grown if this part of it is new.
const GROWN_SHARE: u64 = 16;

/// The facts and rules that are new in an epoch.
pub enum News<'n> {
    /// New rules, by their numbers, and whether they may wait for the second round.
    Rules { new: &'n BTreeSet<usize>, may_wait: bool },
    /// The number of new facts of each relation.
    Facts(&'n BTreeMap<Relation, u64>),
}

/// The extents that rules derive.
#[derive(Default)]
pub struct Derived {
    /// Relations of which facts with some object are derived, and relations of which facts with any object are.
    relations: BTreeSet<Relation>,
    whole: BTreeSet<Relation>,
    /// Extents of one object that are derived.
    parts: BTreeSet<(Relation, TermId)>,
    /// Graphs in which a head's predicate is a variable.
    graphs: BTreeSet<TermId>,
}

impl Derived {
    /// The extents of the heads of these rules.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r RuleBody>) -> Self {
        let mut derived = Self::default();
        for head in rules.into_iter().flat_map(|rule| &rule.heads) {
            let Some(relation) = head.relation() else {
                derived.graphs.insert(head.graph);
                continue;
            };
            derived.relations.insert(relation);
            _ = match head.object {
                Arg::Const(object) => derived.parts.insert((relation, object)),
                Arg::Slot(_) => derived.whole.insert(relation),
            };
        }
        derived
    }

    /// May a rule derive a fact of the extent?
    pub fn may_have(&self, extent: &Extent) -> bool {
        let relation = extent.relation;
        let has = match extent.object {
            None => self.relations.contains(&relation),
            Some(object) => self.whole.contains(&relation) || self.parts.contains(&(relation, object)),
        };
        has || self.graphs.contains(&relation.graph)
    }

    /// Are all derived facts of the extent found in the first round? They are if the rules derive them from facts that
    /// no rule derives: every instance has fired by then, and its head is at its home when the second round begins.
    pub fn is_found_first(&self, rules: &[RuleBody], extent: &Extent) -> bool {
        let is_constant = |atom: &Atom| Extent::of(atom).is_some_and(|read| !self.may_have(&read));
        let negated = |rule: &RuleBody| rule.negated.iter().flat_map(|negated| &negated.atoms).all(is_constant);
        deriving(rules, extent).all(|rule| rule.body.atoms.iter().all(is_constant) && negated(rule))
    }
}

/// The extents that pay for being broadcast before these rules fire.
pub fn worthwhile(context: &Context, rules: &[RuleBody], news: &News<'_>) -> BTreeSet<Extent> {
    if context.single_node {
        return BTreeSet::new();
    }
    let derived = Derived::of(rules);
    let filled = Derived::of(&recursive(rules));
    let reads_filled =
        |rule: &&RuleBody| rule.body.atoms.iter().filter_map(Extent::of).any(|extent| filled.may_have(&extent));
    let grown = news.grown(context);
    let size = |extent: &Extent| {
        if !derived.may_have(extent) {
            return Some(facts_of(context, extent, news));
        }
        if !news.may_wait() || !derived.is_found_first(rules, extent) {
            return None;
        }
        let found: u64 = deriving(rules, extent).map(|of| heads_of(context, of)).sum();
        Some(facts_of(context, extent, news) + found)
    };
    let concerned = news.concerned(rules, &grown).into_iter().filter(reads_filled);
    let worthwhile = concerned.flat_map(|rule| {
        let read: BTreeSet<Extent> = rule.body.atoms.iter().filter_map(Extent::of).collect();
        let read = read.into_iter().filter_map(|extent| Some((size(&extent)?, extent)));
        let mut fits: Vec<(u64, Extent)> = read.filter(|(facts, _)| *facts <= FACTS_MAX).collect();
        fits.sort_unstable();
        let fits: Vec<Extent> = fits.into_iter().map(|(_, extent)| extent).collect();
        let given: Vec<Extent> = fits.iter().filter(|extent| !derived.may_have(extent)).copied().collect();
        // Extents that can be broadcast first are preferred to later ones, and the smallest single one to all of them.
        let choices = [&given, &fits].into_iter().flat_map(|of| of.chunks(1).chain([&of[..]]));
        let mut gains = choices.map(|choice| worth_for(context, rule, choice));
        gains.find(|gain| !gain.is_empty()).unwrap_or_default()
    });
    let mut worthwhile: BTreeSet<Extent> = worthwhile.collect();
    let kept_for_old = late_for_old(rules, news, &derived, &worthwhile);
    worthwhile.retain(|extent| !derived.may_have(extent) || !kept_for_old.contains(&extent.relation));
    let mut by_size: Vec<(u64, Extent)> = worthwhile.into_iter().filter_map(|of| Some((size(&of)?, of))).collect();
    by_size.sort_unstable();
    let mut all = 0;
    let fits = by_size.into_iter().take_while(|(facts, _)| {
        all += facts;
        all <= FACTS_MAX
    });
    fits.map(|(_, extent)| extent).collect()
}

/// Relations with partly derived extents for which rules that are not new would have to wait, and then fire over
/// everything.
fn late_for_old(
    rules: &[RuleBody],
    news: &News<'_>,
    derived: &Derived,
    worthwhile: &BTreeSet<Extent>,
) -> BTreeSet<Relation> {
    let late: BTreeSet<Relation> =
        worthwhile.iter().filter(|extent| derived.may_have(extent)).map(|extent| extent.relation).collect();
    let waits = |read: &Extent| late.contains(&read.relation) && worthwhile.iter().any(|extent| extent.covers(read));
    let old = rules.iter().enumerate().filter(|(number, _)| !news.is_new(*number));
    let read = old.flat_map(|(_, rule)| rule.body.atoms.iter().filter_map(Extent::of));
    read.filter(waits).map(|read| read.relation).collect()
}

/// The greatest possible number of facts of an extent. Of new facts only the relation is known.
fn facts_of(context: &Context, extent: &Extent, news: &News<'_>) -> u64 {
    let with_object = extent.object.and_then(|object| context.objects.get(&(extent.relation, object)));
    match (with_object, news) {
        (Some(facts), News::Rules { .. }) => *facts,
        _ => context.stats.get(&extent.relation).map_or(0, |stats| stats.facts),
    }
}

/// The rules that may derive a fact of the extent.
fn deriving<'a>(rules: &'a [RuleBody], extent: &'a Extent) -> impl Iterator<Item = &'a RuleBody> {
    rules.iter().filter(move |rule| rule.heads.iter().any(|head| extent.may_have(head)))
}

/// Estimates the rows of a rule's body: the combinations of facts that agree, if values are spread evenly.
fn heads_of(context: &Context, rule: &RuleBody) -> u64 {
    let mut met: BTreeMap<Slot, f64> = BTreeMap::new();
    let mut rows = 1.0;
    for atom in &rule.body.atoms {
        let stats = atom.relation().and_then(|relation| context.stats.get(&relation)).copied().unwrap_or_default();
        rows *= context.facts_of_object(atom).unwrap_or(stats.facts) as f64;
        for (arg, values) in [(atom.subject, stats.subjects), (atom.object, stats.objects)] {
            let values = values.max(1) as f64;
            match arg {
                Arg::Slot(slot) => {
                    if let Some(others) = met.get_mut(&slot) {
                        rows /= others.max(values);
                        *others = others.min(values);
                    } else {
                        met.insert(slot, values);
                    }
                }
                Arg::Const(_) if context.facts_of_object(atom).is_none() => rows /= values,
                Arg::Const(_) => {}
            }
        }
    }
    (rows.ceil() as u64).saturating_mul(rule.heads.len() as u64)
}

/// The candidates among `may_broadcast` that one rule would gain from.
fn worth_for(context: &Context, rule: &RuleBody, may_broadcast: &[Extent]) -> Vec<Extent> {
    let fixed = |atom: &Atom| Extent::of(atom).filter(|extent| may_broadcast.contains(extent));
    let (broadcast, others): (Vec<&Atom>, Vec<&Atom>) = rule.body.atoms.iter().partition(|atom| fixed(atom).is_some());
    let others: Vec<Atom> = others.into_iter().cloned().collect();
    let stays = |slot| rule.heads.iter().all(|head| head.subject == Arg::Slot(slot));
    let place = match &others[..] {
        [only] => only.subject.slot(),
        _ => hub(context, &others),
    };
    let is_gain = match (hub(context, &rule.body.atoms), place) {
        // Rows would move.
        (None, place) => place.is_some() || others.len() == 1,
        // Only heads move, to a home at which they would be found with the broadcast.
        (Some(now), Some(place)) => !stays(now) && stays(place),
        (Some(_), None) => false,
    };
    if is_gain { broadcast.into_iter().filter_map(fixed).collect() } else { Vec::new() }
}

/// The recursive rules: those in strongly connected components of more than one vertex, in the graph of rules and of the
/// extents that they read and derive.
fn recursive(rules: &[RuleBody]) -> Vec<RuleBody> {
    let mut graph = Graph::default();
    for (index, rule) in rules.iter().enumerate() {
        for atom in &rule.body.atoms {
            match atom.relation() {
                Some(relation) => graph.edge(Vertex::Relation(relation), Vertex::Rule(index)),
                None => graph.edge(Vertex::Any, Vertex::Rule(index)),
            }
            graph.edge(Vertex::Unknown, Vertex::Rule(index));
        }
        for head in &rule.heads {
            match head.relation() {
                Some(relation) => {
                    graph.edge(Vertex::Rule(index), Vertex::Relation(relation));
                    graph.edge(Vertex::Relation(relation), Vertex::Any);
                }
                None => graph.edge(Vertex::Rule(index), Vertex::Unknown),
            }
        }
    }
    let components = graph.components();
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    components.values().for_each(|component| *sizes.entry(*component).or_default() += 1);
    let is_recursive = |index: &usize| components.get(&Vertex::Rule(*index)).is_some_and(|of| sizes[of] > 1);
    (0..rules.len()).filter(is_recursive).map(|index| rules[index].clone()).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Vertex {
    Rule(usize),
    Relation(Relation),
    /// Read by an atom whose predicate is a variable: all relations.
    Any,
    /// Derived by a head whose predicate is a variable.
    Unknown,
}

#[derive(Default)]
struct Graph {
    edges: BTreeMap<Vertex, Vec<Vertex>>,
    back: BTreeMap<Vertex, Vec<Vertex>>,
}

impl Graph {
    fn edge(&mut self, from: Vertex, to: Vertex) {
        self.edges.entry(from).or_default().push(to);
        self.back.entry(to).or_default().push(from);
    }

    /// The component of each vertex (Sharir 1981): a search in reversed edges, in the reverse of the order in which a
    /// first search ends.
    fn components(&self) -> BTreeMap<Vertex, usize> {
        let vertices: BTreeSet<Vertex> = self.edges.keys().chain(self.back.keys()).copied().collect();
        let (mut ended, mut seen) = (Vec::new(), BTreeSet::new());
        for vertex in vertices {
            // A vertex, and whether all after it have ended.
            let mut waiting = vec![(vertex, false)];
            while let Some((vertex, is_over)) = waiting.pop() {
                if is_over {
                    ended.push(vertex);
                } else if seen.insert(vertex) {
                    waiting.push((vertex, true));
                    waiting.extend(self.edges.get(&vertex).into_iter().flatten().map(|next| (*next, false)));
                }
            }
        }
        let mut components = BTreeMap::new();
        for (number, vertex) in ended.into_iter().rev().enumerate() {
            let mut waiting = vec![vertex];
            while let Some(vertex) = waiting.pop() {
                if let Entry::Vacant(none) = components.entry(vertex) {
                    none.insert(number);
                    waiting.extend(self.back.get(&vertex).into_iter().flatten());
                }
            }
        }
        components
    }
}

impl News<'_> {
    /// The relations with enough new facts for rules to find as many facts as there are.
    pub fn grown(&self, context: &Context) -> BTreeSet<Relation> {
        let Self::Facts(new) = self else { return BTreeSet::new() };
        if context.single_node {
            return BTreeSet::new();
        }
        let all = |of: &Relation| facts_of(context, &Extent::all(*of), self);
        let grown = new.iter().filter(|(of, new)| new.saturating_mul(GROWN_SHARE) >= all(of));
        grown.map(|(relation, _)| *relation).collect()
    }

    /// May new rules wait for the second round?
    fn may_wait(&self) -> bool {
        matches!(self, Self::Rules { may_wait: true, .. })
    }

    fn is_new(&self, rule: usize) -> bool {
        matches!(self, Self::Rules { new, .. } if new.contains(&rule))
    }

    /// The rules that read relations that have grown; or new rules, and the rules that may find more because of their
    /// heads.
    fn concerned<'r>(&self, rules: &'r [RuleBody], grown: &BTreeSet<Relation>) -> Vec<&'r RuleBody> {
        if let Self::Facts(_) = self {
            let reads_grown =
                |rule: &&RuleBody| rule.body.atoms.iter().filter_map(Atom::relation).any(|of| grown.contains(&of));
            return rules.iter().filter(reads_grown).collect();
        }
        let (new, mut others): (Vec<_>, Vec<_>) =
            rules.iter().enumerate().partition(|(number, _)| self.is_new(*number));
        let mut concerned: Vec<&RuleBody> = new.into_iter().map(|(_, rule)| rule).collect();
        let mut last = 0;
        while last < concerned.len() {
            let derived = Derived::of(concerned[last..].iter().copied());
            last = concerned.len();
            let reads = |atom: &Atom| Extent::of(atom).is_none_or(|read| derived.may_have(&read));
            let (more, rest) = others.into_iter().partition(|(_, rule)| rule.body.atoms.iter().any(reads));
            others = rest;
            concerned.extend(Vec::into_iter(more).map(|(_, rule)| rule));
        }
        concerned
    }
}

#[cfg(test)]
mod tests;
