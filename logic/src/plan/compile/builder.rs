//! The plan of one body: join order and routes.
//!
//! The builder is greedy: it takes the cheapest next atom, by estimated rows and with a price on moving rows, and
//! records after each step the node of a row. Rows move only when the next atom's facts are at another node:
//!
//! ```text
//! place        meaning                                                 may read
//! Everywhere   every node has the row                                  any copy of any atom
//! Home(arg)    the row is at home(arg)                                 the forward copy of arg; its inverse copy, if arg is a node
//! Unknown      the row stayed at its node because a value is inline    nothing
//! ```
//!
//! Invariants: a filter runs as soon as its slots are bound; each fact that matches a row is read at exactly one node
//! (the module docs of [`plan`](crate::plan) say why). A NOT is tested as soon as its slots are bound and the row is at its
//! home; the others are tested last, since rows would move for them (`negated`).

mod negated;

use super::negation::BodySlots;
use super::{Body, Context, NegatedBody, RelationStats};
use crate::plan::{Arg, Atom, GraphScope, Op, Plan, Route, Side, Sink, Slot, Stage, View};
use entail_model::{Direction, TermId};
use std::collections::BTreeSet;

/// The assumed size of a relation without statistics, such as one that rules are about to fill.
const UNKNOWN: RelationStats = RelationStats { facts: 10_000, subjects: 1_000, objects: 1_000 };

/// The shortest expected list that is intersected with others: for a shorter one, looking up each value is as fast.
const LIST_MIN: f64 = 2.0;

/// The factor by which the cost of a row grows if it moves.
const MOVE_PRICE: f64 = 3.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Everywhere,
    Home(Arg),
    Unknown,
}

/// The copy in which an atom is read by a variable.
pub fn copy_of(atom: &Atom, hub: Slot) -> Direction {
    if atom.subject == Arg::Slot(hub) { Direction::Forward } else { Direction::Inverse }
}

/// May the atom's inverse copies be at the subject's home, independent of the object?
pub fn may_be_scattered(context: &Context, atom: &Atom) -> bool {
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

/// A plan that is being built.
pub struct Builder<'a> {
    context: &'a Context,
    body: &'a Body,
    views: &'a [View],
    stages: Vec<Stage>,
    bound: BTreeSet<Slot>,
    /// Slots that cannot have inline values, since they are subjects.
    nodes: BTreeSet<Slot>,
    resolved: BTreeSet<Slot>,
    /// Is a bound subject looked up among the adjacent members of its class, instead of its class among all facts of
    /// `rdf:type`? Not in rules, which would then need one more inverse copy in order.
    lists_classes: bool,
    /// Are the values of a variable of several atoms found in all their lists at once? Not in rules, which read few new
    /// facts, or read in the order of their rows.
    intersects: bool,
    place: Place,
    rows: f64,
    cost: f64,
    filtered: Vec<bool>,
    negated: &'a [NegatedBody],
    body_slots: BodySlots,
    tested: Vec<bool>,
    /// Does the pivot only decide whether there are rows? It has no slots in common with the other atoms then.
    is_pivot_apart: bool,
}

/// A way to read an atom next.
struct Access {
    copy: Direction,
    route: Option<Route>,
    after: Place,
    rows: f64,
    cost: f64,
}

impl<'a> Builder<'a> {
    pub fn new(context: &'a Context, body: &'a Body, views: &'a [View]) -> Self {
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
            negated: &[],
            body_slots: BodySlots::default(),
            tested: Vec::new(),
            is_pivot_apart: false,
        }
    }

    /// A builder for a query, which reads everything.
    pub fn of_query(context: &'a Context, body: &'a Body, views: &'a [View]) -> Self {
        Self { lists_classes: true, intersects: true, ..Self::new(context, body, views) }
    }

    pub fn build(self, pivot: Option<(usize, Direction)>, sink: Sink) -> Plan {
        self.build_costed(pivot, sink).0
    }

    pub fn build_costed(mut self, pivot: Option<(usize, Direction)>, sink: Sink) -> (Plan, f64) {
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
            if self.is_pivot_apart {
                // One row in place of one for each fact.
                self.enter(Route::Broadcast);
                self.place = Place::Everywhere;
            }
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
        self.test_the_rest();
        self.mark_live(&sink);
        (Plan { width: self.body.width, stages: self.stages, sink }, self.cost)
    }

    fn is_bound(&self, arg: Arg) -> bool {
        arg.slot().is_none_or(|slot| self.bound.contains(&slot))
    }

    /// The access that reads a whole copy, with which a delta plan starts.
    fn scan(&self, index: usize, copy: Direction) -> Access {
        let atom = &self.body.atoms[index];
        Access { copy, route: None, after: self.place_after(atom, copy), rows: self.estimate(index), cost: 0.0 }
    }

    /// The place of a row after a match: that of the facts of the copy.
    fn place_after(&self, atom: &Atom, copy: Direction) -> Place {
        match copy {
            Direction::Inverse if !may_be_scattered(self.context, atom) => Place::Home(atom.object),
            // Inverse copies of an unknown predicate are at either home.
            Direction::Inverse if atom.predicate.slot().is_some() => Place::Unknown,
            _ => Place::Home(atom.subject),
        }
    }

    fn access(&self, index: usize) -> Access {
        let atom = &self.body.atoms[index];
        let (copy, route) = match self.route_for(atom) {
            _ if self.views[index] == View::Broadcast => {
                let is_by_object = !self.is_bound(atom.subject) && self.is_bound(atom.object);
                (if is_by_object { Direction::Inverse } else { Direction::Forward }, None)
            }
            // The inverse copies of classes are where the forward copies are.
            (Direction::Forward, route) if self.lists_class(atom) => (Direction::Inverse, route),
            other => other,
        };
        let rows = self.rows * self.estimate(index);
        let moved = if self.context.single_node || route.is_none() { 0.0 } else { self.rows * MOVE_PRICE };
        let broadcast = if matches!(route, Some(Route::Broadcast)) { self.rows * MOVE_PRICE } else { 0.0 };
        let after = match self.views[index] {
            View::Broadcast => self.place,
            _ => self.place_after(atom, copy),
        };
        Access { copy, route, after, rows, cost: rows + moved + broadcast }
    }

    fn lists_class(&self, atom: &Atom) -> bool {
        let is_class = matches!((atom.predicate, atom.object), (Arg::Const(predicate), Arg::Const(object))
            if Some(predicate) == self.context.rdf_type && !object.is_inline());
        // A fact of several graphs counts once, which the list of one class does not ensure.
        self.lists_classes && is_class && self.is_bound(atom.subject) && atom.relation().is_some()
    }

    /// The copy to read an atom from, and the route that rows take first.
    fn route_for(&self, atom: &Atom) -> (Direction, Option<Route>) {
        let (subject, object) = (self.is_bound(atom.subject), self.is_bound(atom.object));
        if self.context.single_node {
            return (if subject || !object { Direction::Forward } else { Direction::Inverse }, None);
        }
        if self.place == Place::Everywhere {
            return self.route_from_everywhere(atom, subject, object);
        }
        if subject && self.place == Place::Home(atom.subject) {
            return (Direction::Forward, None);
        }
        if object && self.place == Place::Home(atom.object) && self.has_in_copies_at_home(atom) {
            return (Direction::Inverse, None);
        }
        match (subject, object) {
            (true, _) => (Direction::Forward, Some(route_to(atom.subject, Route::Subject))),
            (false, true) if may_be_scattered(self.context, atom) => (Direction::Inverse, Some(Route::Broadcast)),
            (false, true) => (Direction::Inverse, Some(route_to(atom.object, Route::Object))),
            (false, false) => (Direction::Forward, Some(Route::Broadcast)),
        }
    }

    /// The route from a start at every node: if a term is a constant, only its home has matching facts.
    fn route_from_everywhere(&self, atom: &Atom, subject: bool, object: bool) -> (Direction, Option<Route>) {
        let first = self.stages.len() == 1 && self.bound.is_empty() && self.stages[0].ops.is_empty();
        let at = |arg: Arg| match arg {
            Arg::Const(term) if first => term.home().map(Route::Shard),
            _ => None,
        };
        match (subject, object) {
            (true, _) => (Direction::Forward, at(atom.subject)),
            (false, true) if may_be_scattered(self.context, atom) => (Direction::Inverse, None),
            (false, true) => (Direction::Inverse, at(atom.object)),
            (false, false) => (Direction::Forward, None),
        }
    }

    /// Is the row at the object's home, with all facts of the object's inverse copy?
    fn has_in_copies_at_home(&self, atom: &Atom) -> bool {
        let is_node = match atom.object {
            Arg::Const(term) => !term.is_inline(),
            Arg::Slot(slot) => self.nodes.contains(&slot),
        };
        is_node && !may_be_scattered(self.context, atom)
    }

    /// The expected number of matches per row.
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
        self.test_what_is_here();
    }

    /// The slot of which an atom has a list for each row, at the node of the row.
    fn list(&self, index: usize) -> Option<Slot> {
        let (atom, access) = (&self.body.atoms[index], self.access(index));
        let (key, value) = atom.key_value(access.copy);
        let (of, slot) = (key.slot()?, value.slot()?);
        let is_here = access.route.is_none() && (self.context.single_node || self.place == Place::Home(key));
        let is_list = atom.relation().is_some() && self.bound.contains(&of) && !self.bound.contains(&slot);
        (is_here && is_list).then_some(slot)
    }

    /// Adds all other atoms that have lists of the same slot to an atom that has one: one list excludes most values of
    /// another, and the common values cost no more than the shorter of two lists.
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

    /// Starts a new stage; a plan without operators is routed at its start instead.
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
            let slots = condition.slots();
            let bound = slots.iter().all(|slot| self.bound.contains(slot));
            if !bound || self.filtered[index] {
                continue;
            }
            self.filtered[index] = true;
            if !condition.program.is_decided_by_ids() {
                slots.into_iter().for_each(|slot| self.resolve(slot));
            }
            let condition = self.body.conditions[index].clone();
            self.stage().ops.push(Op::Filter(condition));
            self.rows *= 0.5;
        }
    }

    /// Adds the texts of a slot: rows go to the home of its term; rows with inline values stay.
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

    /// Marks live slots, from the last stage to the first: a slot is live as long as a later operator or the sink reads it.
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
            // The local slots of a NOT have no column.
            needed.extend(stage.ops.iter().flat_map(Op::slots).filter(|slot| self.bound.contains(slot)));
            if let Route::Subject(slot) | Route::Object(slot) | Route::Texts(slot) = stage.route {
                needed.insert(slot);
            }
        }
    }
}
