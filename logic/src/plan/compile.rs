//! From atoms and conditions to plans: join order and routes.
//!
//! The compiler is greedy: it takes the cheapest next atom, by estimated rows and with a price on moving rows, and
//! notes after each step where a row is. Moving is needed only when the next atom's facts live elsewhere:
//!
//! ```text
//! place        meaning                                                 may read
//! Everywhere   every node has the row                                  any copy of any atom
//! Home(arg)    the row is at home(arg)                                 the out copy of arg; its in copy, if arg is a node
//! Unknown      the row stayed where it was because a value is inline   nothing
//! ```
//!
//! Invariants: a filter runs as soon as its slots are bound; each fact that matches a row is read at exactly one node
//! (the module docs of [`plan`](crate::plan) say why); a rule is *local* if one variable is in every atom and the
//! subject of at least one, since then home(that variable) has a copy of every fact that an instance needs. (An object
//! that is never a subject may be an inline value, whose facts are spread over the nodes.) A rule of one atom is local on
//! either copy.

use super::spread::Derived;
use super::{
    Arg, Atom, Condition, Extent, GraphScope, Head, Op, Plan, Program, Route, RulePlans, Side, Sink, Slot, Stage, View,
};
use entail_model::{Copy, Relation, TermId};
use std::collections::{BTreeSet, HashMap};

/// What is known of a relation's size, over all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelationStats {
    pub facts: u64,
    pub subjects: u64,
    pub objects: u64,
}

/// What the compiler knows of the cluster and its data.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Does one node hold every shard, so that nothing ever needs to move?
    pub single_node: bool,
    /// The id of `rdf:type`, whose objects are scattered.
    pub rdf_type: Option<TermId>,
    /// The sizes of all relations.
    pub stats: HashMap<Relation, RelationStats>,
    /// How many facts of a relation have an object, where that is known: of the classes under `rdf:type`.
    pub objects: HashMap<(Relation, TermId), u64>,
}

impl Context {
    /// How many facts an atom's relation has with the atom's object, if both are constants and it is known.
    pub fn facts_of_object(&self, atom: &Atom) -> Option<u64> {
        match atom.object {
            Arg::Const(object) => self.objects.get(&(atom.relation()?, object)).copied(),
            Arg::Slot(_) => None,
        }
    }
}

/// The guess at a relation that nothing is known of, such as one that rules are about to fill.
const UNKNOWN: RelationStats = RelationStats { facts: 10_000, subjects: 1_000, objects: 1_000 };

/// Values of a list from which on it is intersected with others: those of a shorter one are as soon looked up one by one.
const LIST_MIN: f64 = 2.0;

/// How much dearer a row becomes by moving.
const MOVE_PRICE: f64 = 3.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Everywhere,
    Home(Arg),
    Unknown,
}

/// A body: what a plan must match.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub width: usize,
    pub atoms: Vec<Atom>,
    pub conditions: Vec<Condition>,
}

/// A rule in terms of slots.
#[derive(Clone, Debug)]
pub struct RuleBody {
    pub label: String,
    pub body: Body,
    pub heads: Vec<Head>,
}

/// The plan of a query's basic graph pattern: its answers are the bag of `output` rows.
pub fn compile_query(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder { lists_classes: true, intersects: true, ..Builder::new(context, body, &views) };
    builder.build(None, Sink::Gather(output))
}

/// The same for those for whom rows that begin with the same term had better come together: what is read whole is read in
/// the order of its objects, if they come first.
pub fn compile_in_order(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder { lists_classes: true, intersects: true, ..Builder::new(context, body, &views) };
    builder.build(by_object(body, &output), Sink::Gather(output))
}

/// The same for those who only want to know how often each row is there.
///
/// # Panics
/// If no slot is asked for: how many rows there are is known without them.
pub fn compile_tally(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    assert!(!output.is_empty(), "rows without columns need no tally");
    let body = Body { width: body.width + 1, ..body.clone() };
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder { lists_classes: true, intersects: true, ..Builder::new(context, &body, &views) };
    builder.build(by_object(&body, &output), Sink::Tally { slots: output, times: body.width - 1 })
}

/// Reads the only atom by its objects, if these come first in the output and it is read whole.
fn by_object(body: &Body, output: &[Slot]) -> Option<(usize, Copy)> {
    let [only] = &body.atoms[..] else { return None };
    let is_whole = only.relation().is_some() && only.subject.slot().is_some() && only.subject != only.object;
    (is_whole && only.object.slot() == output.first().copied() && !output.is_empty()).then_some((0, Copy::In))
}

/// The program of rules, with plans that read these relations at every node; those that rules derive from what they derive
/// stay as they are.
pub fn compile_program(context: &Context, rules: &[RuleBody], spread: &BTreeSet<Extent>) -> Program {
    let derived = Derived::of(rules);
    let spread = spread.iter().copied().filter(|extent| !context.single_node && derived.is_found_first(rules, extent));
    let (mut late, mut first): (BTreeSet<Extent>, BTreeSet<Extent>) =
        spread.partition(|extent| derived.may_have(extent));
    let relations: BTreeSet<Relation> = late.iter().map(|extent| extent.relation).collect();
    late.extend(first.iter().filter(|extent| relations.contains(&extent.relation)));
    first.retain(|extent| !relations.contains(&extent.relation));
    let spreading = Spreading { derived, first, late };
    let plans = rules.iter().enumerate().map(|(index, rule)| compile_rule(context, index, rule, &spreading));
    let mut program = Program { rules: plans.collect(), rdf_type: context.rdf_type, ..Program::default() };
    let read: BTreeSet<Extent> = program.spread_copies().into_iter().map(|(extent, _)| extent).collect();
    (program.spread_late, program.spread) = read.into_iter().partition(|extent| relations.contains(&extent.relation));
    program
}

/// What may be read at every node.
struct Spreading {
    derived: Derived,
    /// Before the rules fire.
    first: BTreeSet<Extent>,
    /// From the second round on.
    late: BTreeSet<Extent>,
}

impl Spreading {
    /// Is it worth it to let a rule wait for what is spread late? Only if it reads what rules go on finding.
    fn is_late(&self, rule: &RuleBody) -> bool {
        let is_late = |atom: &Atom| is_spread(&self.late, atom);
        let goes_on = |atom: &Atom| Extent::of(atom).is_none_or(|extent| self.derived.may_have(&extent));
        let (late, others): (Vec<&Atom>, Vec<&Atom>) = rule.body.atoms.iter().partition(|atom| is_late(atom));
        !late.is_empty() && others.into_iter().any(goes_on)
    }
}

fn is_spread(spread: &BTreeSet<Extent>, atom: &Atom) -> bool {
    Extent::of(atom).is_some_and(|extent| spread.iter().any(|of| of.covers(&extent)))
}

/// The plans of a rule: one that reads everything, and one for each atom's delta.
fn compile_rule(context: &Context, index: usize, rule: &RuleBody, spreading: &Spreading) -> RulePlans {
    let sink = || Sink::Emit { rule: index, heads: rule.heads.clone() };
    if spreading.is_late(rule)
        && let Some(plans) = late_plans(context, rule, spreading, &sink)
    {
        return plans;
    }
    let count = rule.body.atoms.len();
    let everything = is_found_by_object(context, rule).then_some((0, Copy::In));
    let full = Builder::new(context, &rule.body, &vec![View::All; count]).build(everything, sink());
    let deltas = spread_deltas(context, rule, &spreading.first, &sink).unwrap_or_else(|| {
        let views = |pivot: usize| (0..count).map(|atom| semi_naive_view(atom, pivot)).collect::<Vec<View>>();
        (0..count).map(|pivot| delta(context, rule, pivot, &views(pivot), sink())).collect()
    });
    RulePlans { label: rule.label.clone(), deltas, full }
}

/// The plan for an atom's delta.
fn delta(context: &Context, rule: &RuleBody, pivot: usize, views: &[View], sink: Sink) -> Plan {
    let atom = &rule.body.atoms[pivot];
    let copies = match hub(context, &rule.body.atoms) {
        // Nothing moves: what is read in the order of the head's subjects need not be sorted by them.
        _ if context.single_node && is_subject_of_heads(rule, atom.object) => vec![Copy::In, Copy::Out],
        _ if context.single_node => Copy::BOTH.to_vec(),
        _ if is_found_by_object(context, rule) => vec![Copy::In],
        Some(slot) => vec![copy_of(atom, slot)],
        None => Copy::BOTH.to_vec(),
    };
    let plans = copies
        .into_iter()
        .map(|copy| Builder::new(context, &rule.body, views).build_costed(Some((pivot, copy)), sink.clone()));
    plans.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are one or two copies").0
}

/// The plans for each atom's delta where some atoms' relations are spread, so that the others alone decide where rows are;
/// none if there are no such atoms, or rows would move all the same.
///
/// What is spread is constant, but for what was staged, and that is new only in the first step. Then both copies of every
/// fact agree at all nodes, so that the plans for those deltas may read what they like. Spread atoms come last in the
/// order of the triangle: the others' deltas read all of them.
fn spread_deltas(
    context: &Context,
    rule: &RuleBody,
    spread: &BTreeSet<Extent>,
    sink: &dyn Fn() -> Sink,
) -> Option<Vec<Plan>> {
    let atoms = &rule.body.atoms;
    let is_spread = |atom: &Atom| is_spread(spread, atom);
    let others: Vec<Atom> = atoms.iter().filter(|atom| !is_spread(atom)).cloned().collect();
    let hub = match others.len() {
        0 => return None,
        count if count == atoms.len() => return None,
        1 => None,
        _ => Some(hub(context, &others)?),
    };
    let rank = |atom: usize| (is_spread(&atoms[atom]), atom);
    let plan = |pivot: usize| {
        let of_pivot = |atom: usize| match rank(atom).cmp(&rank(pivot)) {
            std::cmp::Ordering::Greater if is_spread(&atoms[atom]) && !is_spread(&atoms[pivot]) => View::Spread,
            order => view_in_order(order),
        };
        let views: Vec<View> = (0..atoms.len()).map(of_pivot).collect();
        if is_spread(&atoms[pivot]) {
            return Some(delta(context, rule, pivot, &views, sink()));
        }
        let copy = hub.map_or(Copy::Out, |slot| copy_of(&atoms[pivot], slot));
        let plan = Builder::new(context, &rule.body, &views).build(Some((pivot, copy)), sink());
        (plan.stages.len() == 1).then_some(plan)
    };
    (0..atoms.len()).map(plan).collect()
}

/// The plans of a rule that waits until everything that it reads at every node has been found, and brought there: then that
/// is constant, so that there are no deltas of it. None if rows would move all the same.
fn late_plans(context: &Context, rule: &RuleBody, spreading: &Spreading, sink: &dyn Fn() -> Sink) -> Option<RulePlans> {
    let atoms = &rule.body.atoms;
    let is_spread = |atom: &Atom| is_spread(&spreading.first, atom) || is_spread(&spreading.late, atom);
    let others: Vec<usize> = (0..atoms.len()).filter(|atom| !is_spread(&atoms[*atom])).collect();
    let hub = match others.len() {
        1 => None,
        _ => Some(hub(context, &others.iter().map(|atom| atoms[*atom].clone()).collect::<Vec<_>>())?),
    };
    let plan = |pivot: usize, view: &dyn Fn(usize) -> View| {
        let views: Vec<View> =
            (0..atoms.len()).map(|atom| if is_spread(&atoms[atom]) { View::Spread } else { view(atom) }).collect();
        let copy = hub.map_or(Copy::Out, |slot| copy_of(&atoms[pivot], slot));
        let plan = Builder::new(context, &rule.body, &views).build(Some((pivot, copy)), sink());
        (plan.stages.len() == 1).then_some(plan)
    };
    // What is new when they fire over everything is the next step's.
    let full = plan(*others.first()?, &|_| View::Old)?;
    let deltas = others.iter().map(|pivot| plan(*pivot, &|atom| semi_naive_view(atom, *pivot)));
    Some(RulePlans { label: rule.label.clone(), deltas: deltas.collect::<Option<_>>()?, full })
}

/// Is a rule of one atom evaluated where the object is, so that its heads are at home? Each fact is in one node's in copies,
/// as it is in one node's out copies.
fn is_found_by_object(context: &Context, rule: &RuleBody) -> bool {
    matches!(&rule.body.atoms[..], [only] if !context.single_node && is_subject_of_heads(rule, only.object))
}

fn is_subject_of_heads(rule: &RuleBody, arg: Arg) -> bool {
    arg.slot().is_some() && rule.heads.iter().all(|head| head.subject == arg)
}

/// Atoms before the delta read the old facts, atoms after it all: so no instance fires twice.
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
pub(super) fn hub(context: &Context, atoms: &[Atom]) -> Option<Slot> {
    let first = atoms.first()?;
    let candidates = [first.subject.slot(), first.object.slot()];
    candidates.into_iter().flatten().find(|slot| {
        let reachable = |atom: &Atom| {
            atom.subject == Arg::Slot(*slot) || (atom.object == Arg::Slot(*slot) && !may_be_scattered(context, atom))
        };
        atoms.iter().all(reachable) && atoms.iter().any(|atom| atom.subject == Arg::Slot(*slot))
    })
}

fn copy_of(atom: &Atom, hub: Slot) -> Copy {
    if atom.subject == Arg::Slot(hub) { Copy::Out } else { Copy::In }
}

/// May the atom's in copies be at the subject's home whatever the object is?
fn may_be_scattered(context: &Context, atom: &Atom) -> bool {
    match atom.predicate {
        Arg::Const(predicate) => Some(predicate) == context.rdf_type,
        Arg::Slot(_) => true,
    }
}

fn route_to(arg: Arg, by: fn(Slot) -> Route) -> Route {
    match arg {
        Arg::Const(term) => term.home().map_or(Route::Broadcast, Route::Shard),
        Arg::Slot(slot) => by(slot),
    }
}

struct Builder<'a> {
    context: &'a Context,
    body: &'a Body,
    views: &'a [View],
    stages: Vec<Stage>,
    bound: BTreeSet<Slot>,
    /// Slots whose terms cannot be inline values, since they are subjects.
    nodes: BTreeSet<Slot>,
    resolved: BTreeSet<Slot>,
    /// Is a bound subject looked for among the subjects of its class, which lie side by side, and not its class among all
    /// facts of `rdf:type`? In rules that would be one more reader of in copies.
    lists_classes: bool,
    /// Is a value that several atoms say something of looked for in all their lists at once? What rules read is new, and
    /// small, or goes in the order of its rows.
    intersects: bool,
    place: Place,
    rows: f64,
    cost: f64,
    filtered: Vec<bool>,
}

/// How an atom would be read next.
struct Access {
    copy: Copy,
    route: Option<Route>,
    after: Place,
    rows: f64,
    cost: f64,
}

impl<'a> Builder<'a> {
    fn new(context: &'a Context, body: &'a Body, views: &'a [View]) -> Self {
        let first = Stage { route: Route::Everywhere, ops: Vec::new(), live: Vec::new() };
        Self {
            context,
            body,
            views,
            stages: vec![first],
            bound: BTreeSet::new(),
            nodes: BTreeSet::new(),
            resolved: BTreeSet::new(),
            lists_classes: false,
            intersects: false,
            place: Place::Everywhere,
            rows: 1.0,
            cost: 0.0,
            filtered: vec![false; body.conditions.len()],
        }
    }

    fn build(self, pivot: Option<(usize, Copy)>, sink: Sink) -> Plan {
        self.build_costed(pivot, sink).0
    }

    fn build_costed(mut self, pivot: Option<(usize, Copy)>, sink: Sink) -> (Plan, f64) {
        let mut left: Vec<usize> = (0..self.body.atoms.len()).collect();
        if left.is_empty() {
            // One row in the whole cluster: at the holder of the first shard.
            self.stages[0].route = Route::Shard(entail_model::ShardId(0));
            self.place = Place::Unknown;
        }
        self.filter_what_is_bound();
        if let Some((pivot, copy)) = pivot {
            left.retain(|atom| *atom != pivot);
            let access = self.scan(pivot, copy);
            self.take(pivot, access);
        }
        while !left.is_empty() {
            let accesses = left.iter().map(|atom| (*atom, self.access(*atom)));
            let (atom, access) =
                accesses.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)).expect("atoms are left to choose from");
            left.retain(|other| *other != atom);
            let is_long = self.intersects && self.estimate(atom) >= LIST_MIN;
            match self.list(atom).filter(|_| is_long) {
                Some(slot) => self.take_lists(slot, atom, access, &mut left),
                None => self.take(atom, access),
            }
        }
        self.mark_live(&sink);
        (Plan { width: self.body.width, stages: self.stages, sink }, self.cost)
    }

    fn is_bound(&self, arg: Arg) -> bool {
        arg.slot().is_none_or(|slot| self.bound.contains(&slot))
    }

    /// Reading a whole copy, as a delta plan starts.
    fn scan(&self, index: usize, copy: Copy) -> Access {
        let atom = &self.body.atoms[index];
        Access { copy, route: None, after: self.place_after(atom, copy), rows: self.estimate(index), cost: 0.0 }
    }

    /// A row that matched through a copy is where that copy's facts live.
    fn place_after(&self, atom: &Atom, copy: Copy) -> Place {
        match copy {
            Copy::In if !may_be_scattered(self.context, atom) => Place::Home(atom.object),
            // In copies of an unknown predicate are at either home.
            Copy::In if atom.predicate.slot().is_some() => Place::Unknown,
            _ => Place::Home(atom.subject),
        }
    }

    fn access(&self, index: usize) -> Access {
        let atom = &self.body.atoms[index];
        let (copy, route) = match self.route_for(atom) {
            _ if self.views[index] == View::Spread => {
                let is_by_object = !self.is_bound(atom.subject) && self.is_bound(atom.object);
                (if is_by_object { Copy::In } else { Copy::Out }, None)
            }
            // The in copies of classes are where the out copies are.
            (Copy::Out, route) if self.lists_class(atom) => (Copy::In, route),
            other => other,
        };
        let rows = self.rows * self.estimate(index);
        let moved = if self.context.single_node || route.is_none() { 0.0 } else { self.rows * MOVE_PRICE };
        let broadcast = if matches!(route, Some(Route::Broadcast)) { self.rows * MOVE_PRICE } else { 0.0 };
        let after = match self.views[index] {
            View::Spread => self.place,
            _ => self.place_after(atom, copy),
        };
        Access { copy, route, after, rows, cost: rows + moved + broadcast }
    }

    fn lists_class(&self, atom: &Atom) -> bool {
        let is_class = matches!((atom.predicate, atom.object), (Arg::Const(predicate), Arg::Const(object))
            if Some(predicate) == self.context.rdf_type && !object.is_inline());
        // Of several graphs each fact counts once, which the list of one class cannot tell.
        self.lists_classes && is_class && self.is_bound(atom.subject) && atom.relation().is_some()
    }

    /// The copy to read an atom from, and how rows must move first.
    fn route_for(&self, atom: &Atom) -> (Copy, Option<Route>) {
        let (subject, object) = (self.is_bound(atom.subject), self.is_bound(atom.object));
        if self.context.single_node {
            return (if subject || !object { Copy::Out } else { Copy::In }, None);
        }
        if self.place == Place::Everywhere {
            return self.route_from_everywhere(atom, subject, object);
        }
        if subject && self.place == Place::Home(atom.subject) {
            return (Copy::Out, None);
        }
        if object && self.place == Place::Home(atom.object) && self.has_in_copies_at_home(atom) {
            return (Copy::In, None);
        }
        match (subject, object) {
            (true, _) => (Copy::Out, Some(route_to(atom.subject, Route::Subject))),
            (false, true) if may_be_scattered(self.context, atom) => (Copy::In, Some(Route::Broadcast)),
            (false, true) => (Copy::In, Some(route_to(atom.object, Route::Object))),
            (false, false) => (Copy::Out, Some(Route::Broadcast)),
        }
    }

    /// At the start every node may look; a constant's home is the only one that finds something.
    fn route_from_everywhere(&self, atom: &Atom, subject: bool, object: bool) -> (Copy, Option<Route>) {
        let first = self.stages.len() == 1 && self.bound.is_empty() && self.stages[0].ops.is_empty();
        let at = |arg: Arg| match arg {
            Arg::Const(term) if first => term.home().map(Route::Shard),
            _ => None,
        };
        match (subject, object) {
            (true, _) => (Copy::Out, at(atom.subject)),
            (false, true) if may_be_scattered(self.context, atom) => (Copy::In, None),
            (false, true) => (Copy::In, at(atom.object)),
            (false, false) => (Copy::Out, None),
        }
    }

    /// Are all facts of the object's in copy at the object's home, when the row is there?
    fn has_in_copies_at_home(&self, atom: &Atom) -> bool {
        let is_node = match atom.object {
            Arg::Const(term) => !term.is_inline(),
            Arg::Slot(slot) => self.nodes.contains(&slot),
        };
        is_node && !may_be_scattered(self.context, atom)
    }

    /// Expected matches per row.
    fn estimate(&self, index: usize) -> f64 {
        let atom = &self.body.atoms[index];
        let stats = self.stats_of(atom);
        let facts = stats.facts as f64;
        let subjects = (stats.subjects as f64).max(1.0);
        let objects = (stats.objects as f64).max(1.0);
        if let Some(facts) = self.context.facts_of_object(atom) {
            let facts = facts as f64;
            return if self.is_bound(atom.subject) { (facts / subjects).min(1.0) } else { facts };
        }
        match (self.is_bound(atom.subject), self.is_bound(atom.object)) {
            (true, true) => (facts / subjects / objects).min(1.0),
            (true, false) => facts / subjects,
            (false, true) => facts / objects,
            (false, false) => facts,
        }
    }

    fn stats_of(&self, atom: &Atom) -> RelationStats {
        let graph_matches = |graph: TermId| match &atom.graph {
            GraphScope::One(one) => *one == graph,
            GraphScope::Union(graphs) | GraphScope::Each(_, Some(graphs)) => graphs.contains(&graph),
            GraphScope::UnionOfAll => true,
            GraphScope::Each(_, None) => graph != TermId::DEFAULT_GRAPH,
        };
        if let Some(relation) = atom.relation() {
            return self.context.stats.get(&relation).copied().unwrap_or(UNKNOWN);
        }
        let predicate_matches = |predicate| match atom.predicate {
            Arg::Const(constant) => constant == predicate,
            Arg::Slot(_) => true,
        };
        let matching = self
            .context
            .stats
            .iter()
            .filter(|(relation, _)| graph_matches(relation.graph) && predicate_matches(relation.predicate));
        let mut sum = matching.fold(RelationStats::default(), |sum, (_, stats)| RelationStats {
            facts: sum.facts + stats.facts,
            subjects: sum.subjects.max(stats.subjects),
            objects: sum.objects.max(stats.objects),
        });
        if atom.predicate.slot().is_some_and(|slot| self.bound.contains(&slot)) {
            sum.facts = sum.facts.div_ceil(self.context.stats.len().max(1) as u64);
        }
        sum
    }

    fn take(&mut self, index: usize, access: Access) {
        let atom = &self.body.atoms[index];
        if let Some(route) = access.route {
            self.enter(route);
        }
        let op = Op::Match { atom: atom.clone(), copy: access.copy, view: self.views[index] };
        self.stage().ops.push(op);
        self.rows = access.rows;
        self.cost += access.cost;
        self.place = access.after;
        self.bound.extend(atom.slots());
        self.nodes.extend(atom.subject.slot());
        self.filter_what_is_bound();
    }

    /// The slot of which an atom has a list for each row, where the rows are.
    fn list(&self, index: usize) -> Option<Slot> {
        let (atom, access) = (&self.body.atoms[index], self.access(index));
        let (key, value) = atom.key_value(access.copy);
        let (of, slot) = (key.slot()?, value.slot()?);
        let is_here = access.route.is_none() && (self.context.single_node || self.place == Place::Home(key));
        let is_list = atom.relation().is_some() && self.bound.contains(&of) && !self.bound.contains(&slot);
        (is_here && is_list).then_some(slot)
    }

    /// Takes an atom that has lists of a slot together with all others that have such lists, too: most of what one says
    /// another may deny, and what both say costs no more than the shorter of two lists.
    fn take_lists(&mut self, slot: Slot, first: usize, access: Access, left: &mut Vec<usize>) {
        let others: Vec<usize> = left.iter().copied().filter(|other| self.list(*other) == Some(slot)).collect();
        if others.is_empty() {
            return self.take(first, access);
        }
        left.retain(|other| !others.contains(other));
        let side = |index: usize| Side { atom: self.body.atoms[index].clone(), copy: self.access(index).copy };
        let sides: Vec<Side> = std::iter::once(first).chain(others.iter().copied()).map(side).collect();
        self.nodes.extend(sides.iter().filter_map(|side| side.atom.subject.slot()));
        self.stage().ops.push(Op::Intersect { slot, sides });
        self.bound.insert(slot);
        self.rows = others.iter().fold(access.rows, |rows, other| rows * self.estimate(*other));
        self.cost += access.cost;
        self.place = access.after;
        self.filter_what_is_bound();
    }

    fn stage(&mut self) -> &mut Stage {
        self.stages.last_mut().expect("a plan has a first stage")
    }

    /// Starts a new stage; a plan that has done nothing yet is simply routed at its start.
    fn enter(&mut self, route: Route) {
        if self.stages.len() == 1 && self.stages[0].ops.is_empty() && matches!(route, Route::Shard(_)) {
            self.stages[0].route = route;
        } else {
            self.stages.push(Stage { route, ops: Vec::new(), live: Vec::new() });
        }
    }

    fn filter_what_is_bound(&mut self) {
        for index in 0..self.body.conditions.len() {
            let condition = &self.body.conditions[index];
            let bound = condition.variables.iter().all(|(_, slot)| self.bound.contains(slot));
            if !bound || self.filtered[index] {
                continue;
            }
            self.filtered[index] = true;
            if !condition.by_id {
                let slots: Vec<Slot> = condition.variables.iter().map(|(_, slot)| *slot).collect();
                slots.into_iter().for_each(|slot| self.resolve(slot));
            }
            let condition = self.body.conditions[index].clone();
            self.stage().ops.push(Op::Filter(condition));
            self.rows *= 0.5;
        }
    }

    /// Texts are at their terms' homes; rows with inline values need none and stay.
    fn resolve(&mut self, slot: Slot) {
        if !self.resolved.insert(slot) {
            return;
        }
        if !self.context.single_node && self.place != Place::Home(Arg::Slot(slot)) {
            self.cost += self.rows;
            self.stages.push(Stage { route: Route::Texts(slot), ops: Vec::new(), live: Vec::new() });
            self.place = Place::Unknown;
        }
        self.stage().ops.push(Op::Resolve { slot });
    }

    /// Backwards: a slot lives as long as something later reads it.
    fn mark_live(&mut self, sink: &Sink) {
        let mut needed: BTreeSet<Slot> = match sink {
            Sink::Gather(slots) | Sink::Tally { slots, .. } => slots.iter().copied().collect(),
            Sink::Emit { heads, .. } => heads
                .iter()
                .flat_map(|head| [head.subject, head.predicate, head.object])
                .filter_map(Arg::slot)
                .collect(),
        };
        for stage in self.stages.iter_mut().rev() {
            stage.live = needed.iter().copied().collect();
            needed.extend(stage.ops.iter().flat_map(Op::slots));
            if let Route::Subject(slot) | Route::Object(slot) | Route::Texts(slot) = stage.route {
                needed.insert(slot);
            }
        }
    }
}
