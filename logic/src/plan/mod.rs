//! Plans: the form to which queries and rules are compiled.
//!
//! ```text
//! stage 0 (every node, or one) ──► Match · Filter · … ──► route(home of a slot | everywhere) ──► stage 1 ──► … ──► sink
//! ```
//!
//! A plan works on batches of rows; a row has a *slot* per variable. Stage 0 starts from one empty row at each node
//! that takes part. Each [`Op::Match`] extends a row by the facts of *local* copies, or of a relation that is complete
//! at every node ([`View::Broadcast`]); the compiler places the routes so that every matching fact is met at exactly one
//! node:
//!
//! - the row is at home(v) and v is the atom's subject: the forward copy has all facts of v;
//! - the row is at home(v) and v is the object, not scattered: the inverse copy has all facts of v;
//! - the row is everywhere (stage 0, or routed to all): either copy, and each node meets its own facts.
//!
//! An [`Op::AntiMatch`] drops the rows for which its atoms have facts. It runs where all facts of a row's atoms are, or at
//! each node in turn ([`Route::Next`]): a row that some node drops is gone, and a row that is left has no match anywhere.

pub mod broadcast;
mod check;
pub mod compile;
pub mod extent;
pub mod lower;
pub mod strata;

pub use extent::Extent;
pub use strata::Stratum;

use entail_model::{Direction, Relation, ShardId, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;

/// A variable's column within a plan.
pub type Slot = usize;

/// A position of an atom: a term or a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Arg {
    Const(TermId),
    Slot(Slot),
}

impl Arg {
    /// The slot, of a variable.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::Const(_) => None,
        }
    }
}

/// The graphs that an atom reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GraphScope {
    /// One graph, or the default graph.
    One(TermId),
    /// The merge of several graphs: a fact in two of them counts once.
    Union(Vec<TermId>),
    /// The merge of all graphs, the default graph included.
    UnionOfAll,
    /// Each named graph (of those listed, if there is a list), bound to the slot.
    Each(Slot, Option<Vec<TermId>>),
}

/// One triple pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Atom {
    pub graph: GraphScope,
    pub subject: Arg,
    pub predicate: Arg,
    pub object: Arg,
}

impl Atom {
    /// The slots that the atom mentions, without repetitions.
    pub fn slots(&self) -> Vec<Slot> {
        let graph = match self.graph {
            GraphScope::Each(slot, _) => Some(slot),
            _ => None,
        };
        let all = [self.subject.slot(), self.predicate.slot(), self.object.slot(), graph];
        let mut slots: Vec<Slot> = all.into_iter().flatten().collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The relation, when graph and predicate are constants.
    pub fn relation(&self) -> Option<Relation> {
        match (&self.graph, self.predicate) {
            (GraphScope::One(graph), Arg::Const(predicate)) => Some(Relation { graph: *graph, predicate }),
            _ => None,
        }
    }

    /// The arguments as a copy sorts them: (key, value).
    pub fn key_value(&self, copy: Direction) -> (Arg, Arg) {
        match copy {
            Direction::Forward => (self.subject, self.object),
            Direction::Inverse => (self.object, self.subject),
        }
    }
}

/// Which of a relation's facts an atom reads. Queries read `All`; semi-naive evaluation needs the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum View {
    /// Everything known.
    All,
    /// Facts that were known before this step: `Old` and `Delta` together are `All`.
    Old,
    /// Facts that are new in this step; while facts are deleted, those that the step before has deleted.
    Delta,
    /// Facts that the attempt has deleted, some of which may be derived again.
    Deleted,
    /// Facts that the attempt has added.
    Added,
    /// All facts of a relation that is [broadcast](Program::broadcast), from every node.
    Broadcast,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Extends each row by the matching facts of a local copy.
    Match { atom: Atom, copy: Direction, view: View },
    /// Extends each row by the values that several lists have in common. Each side is a relation whose key is bound in
    /// the row and whose value is the slot, which is unbound. All facts are read. There are at least two sides.
    Intersect { slot: Slot, sides: Vec<Side> },
    /// Adds the texts of a slot's terms to the rows, from this node's dictionary. Inline values need none.
    Resolve { slot: Slot },
    /// Keeps the rows for which the expression's effective boolean value is true.
    Filter(Condition),
    /// Drops each row for which all sides have matching local facts, with values of the slots that the row does not bind,
    /// the same in all sides, under which all conditions are true. The sides are read in this order, all facts of each.
    /// Binds nothing. Without sides, only the conditions decide.
    AntiMatch { sides: Vec<Side>, conditions: Vec<Condition> },
}

impl Op {
    /// The slots that the operator reads or binds.
    pub fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Match { atom, .. } => atom.slots(),
            Self::Intersect { slot, sides } => sides.iter().flat_map(|side| side.atom.slots()).chain([*slot]).collect(),
            Self::Resolve { slot } => vec![*slot],
            Self::Filter(condition) => condition.slots(),
            Self::AntiMatch { sides, conditions } => {
                let of_sides = sides.iter().flat_map(|side| side.atom.slots());
                of_sides.chain(conditions.iter().flat_map(Condition::slots)).collect()
            }
        }
    }

    /// The atom that determines the home of the operator's rows, with its copy, if each row has a fact of the operator.
    pub fn leading(&self) -> Option<(&Atom, Direction)> {
        match self {
            Self::Match { atom, copy, .. } => Some((atom, *copy)),
            Self::Intersect { sides, .. } => sides.first().map(|side| (&side.atom, side.copy)),
            Self::Resolve { .. } | Self::Filter(_) | Self::AntiMatch { .. } => None,
        }
    }
}

/// The facts of an atom, in one copy: of an [intersection](Op::Intersect), those of one relation with a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    pub atom: Atom,
    pub copy: Direction,
}

/// An expression over the slots of rows. Its effective boolean value decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub program: entail_expression::Program,
}

impl Condition {
    /// The slots that it reads, each once.
    pub fn slots(&self) -> Vec<Slot> {
        self.program.slots().into_iter().map(|slot| slot as Slot).collect()
    }
}

/// Which rows a stage starts with, and at which nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// One empty row at every node.
    Everywhere,
    /// One empty row, at the node that holds the shard.
    Shard(ShardId),
    /// Rows of the stage before, each where the facts with this subject are. Inline values are never subjects: rows with
    /// one are dropped.
    Subject(Slot),
    /// Rows of the stage before, each where the facts with this object are. Facts of inline values are everywhere, so
    /// rows with one go to every node.
    Object(Slot),
    /// Rows of the stage before, each where its slot's term can be turned into text: at its home, or, for an inline
    /// value, where the row is.
    Texts(Slot),
    /// Rows of the stage before, each at every node.
    Broadcast,
    /// Rows of the stage before, each at the node after its own, in the order of the nodes that take part; the first node
    /// follows the last. One stage less than there are nodes takes a row to all of them.
    Next,
}

/// A route and the operators after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub route: Route,
    pub ops: Vec<Op>,
    /// The slots that a later stage or the sink still needs when rows leave this stage.
    pub live: Vec<Slot>,
}

/// A fact to emit for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    pub graph: TermId,
    pub subject: Arg,
    pub predicate: Arg,
    pub object: Arg,
}

impl Head {
    /// The relation, when the predicate is a constant.
    pub fn relation(&self) -> Option<Relation> {
        match self.predicate {
            Arg::Const(predicate) => Some(Relation { graph: self.graph, predicate }),
            Arg::Slot(_) => None,
        }
    }
}

/// The destination of a plan's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sink {
    /// Rows go to the coordinator, these slots in this order, as a bag.
    Gather(Vec<Slot>),
    /// Facts go to their homes, as a set.
    Emit { rule: usize, heads: Vec<Head> },
    /// Like `Gather`, for consumers that only count repetitions: neighbouring equal rows of a piece are sent once, with
    /// their number in place of an id.
    Tally { slots: Vec<Slot>, times: Slot },
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of slots.
    pub width: usize,
    pub stages: Vec<Stage>,
    pub sink: Sink,
}

impl Plan {
    /// The atoms of a rule's plan, negated ones included, with the copy and the facts of it that each reads: rules
    /// intersect nothing.
    pub fn matches(&self) -> impl Iterator<Item = (&Atom, Direction, View)> {
        let ops = self.stages.iter().flat_map(|stage| &stage.ops);
        ops.flat_map(|op| {
            let (matched, sides) = match op {
                Op::Match { atom, copy, view } => (Some((atom, *copy, *view)), &[][..]),
                Op::AntiMatch { sides, .. } => (None, &sides[..]),
                Op::Intersect { .. } | Op::Resolve { .. } | Op::Filter(_) => (None, &[][..]),
            };
            matched.into_iter().chain(sides.iter().map(|side| (&side.atom, side.copy, View::All)))
        })
    }
}

/// A rule's plans, ready to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulePlans {
    /// Name or text, for reports.
    pub label: String,
    /// Evaluates the rule over everything, once, when it is new.
    pub full: Plan,
    /// One plan per body atom, which reads its delta.
    pub deltas: Vec<Plan>,
    /// One plan per head, for changes that delete facts: finds those of the head's deleted facts that the rule derives.
    pub rederive: Vec<Plan>,
    /// The plans for changes of the facts that the rule negates: one per atom, NOT by NOT.
    pub negated: Vec<NegatedPlans>,
}

/// The plans for changes of the facts of one negated atom, all of which belong to lower strata.
///
/// Each reads the atom positively, and the atoms outside of any NOT with [`View::All`]. The other atoms of the NOT are left
/// out, so each plan finds every row that is concerned, and possibly more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NegatedPlans {
    /// For facts of the atom that were [added](View::Added), while `All` are the facts before the change, those that go
    /// included: finds the heads that may have lost an instance because the NOT has a solution now. No NOT is tested.
    pub appeared: Plan,
    /// For facts of the atom that were [deleted](View::Deleted), while `All` are the facts after the change: finds the heads
    /// that may have a new instance because the NOT has lost a solution. Every NOT of the rule is tested over `All`.
    pub disappeared: Plan,
}

impl RulePlans {
    /// Every plan of the rule.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        let negated = self.negated.iter().flat_map(|plans| [&plans.appeared, &plans.disappeared]);
        self.deltas.iter().chain(&self.rederive).chain([&self.full]).chain(negated)
    }

    /// Can the rule be evaluated without moving rows between nodes? A rule that reads broadcast relations can, once no
    /// staged facts are new.
    pub fn is_local(&self) -> bool {
        self.reads_broadcast() || self.deltas.iter().all(|plan| plan.stages.len() == 1)
    }

    /// Does this atom's delta move rows between nodes, or does the rule move rows for any other?
    pub fn ships(&self, pivot: usize) -> bool {
        !self.is_local() || self.deltas[pivot].stages.len() > 1
    }

    /// The plan over everything, or the one with this pivot: a body atom; after those, a head that is derived again; after
    /// those, a negated atom with facts that appeared; after those, one with facts that disappeared.
    pub fn plan(&self, pivot: Option<usize>) -> Option<&Plan> {
        let Some(pivot) = pivot else { return Some(&self.full) };
        let appeared = self.negated.iter().map(|plans| &plans.appeared);
        let disappeared = self.negated.iter().map(|plans| &plans.disappeared);
        self.deltas.iter().chain(&self.rederive).chain(appeared).chain(disappeared).nth(pivot)
    }

    /// The pivots of the heads that are derived again.
    pub fn rederived(&self) -> Range<usize> {
        let first = self.deltas.len();
        first..first + self.rederive.len()
    }

    /// The pivots of the negated atoms with facts that appeared.
    pub fn appeared(&self) -> Range<usize> {
        let first = self.rederived().end;
        first..first + self.negated.len()
    }

    /// The pivots of the negated atoms with facts that disappeared.
    pub fn disappeared(&self) -> Range<usize> {
        let first = self.appeared().end;
        first..first + self.negated.len()
    }

    fn reads_broadcast(&self) -> bool {
        self.broadcast_copies().next().is_some()
    }

    fn broadcast_copies(&self) -> impl Iterator<Item = (Extent, Direction)> {
        let plans = self.deltas.iter().chain([&self.full]);
        let broadcast = plans.flat_map(Plan::matches).filter(|(_, _, view)| *view == View::Broadcast);
        broadcast.filter_map(|(atom, copy, _)| Some((Extent::of(atom)?, copy)))
    }
}

/// The rules of one epoch's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub rules: Vec<RulePlans>,
    /// The id of `rdf:type`, whose objects are scattered.
    pub rdf_type: Option<TermId>,
    /// Facts that are sent to every node before the rules fire; no rule derives any of them.
    pub broadcast: Vec<Extent>,
    /// Facts that are sent to every node before the second round's work, when the first round has found all of them.
    /// The rules that read them everywhere are *late*: they fire from the second round on, and once over everything.
    /// All extents of one relation are broadcast together.
    pub broadcast_late: Vec<Extent>,
    /// The rules by stratum: each rule is in one, and is evaluated when the strata before it are complete.
    pub strata: Vec<Stratum>,
}

impl Program {
    /// The copies of broadcast relations that plans read.
    pub fn broadcast_copies(&self) -> BTreeSet<(Extent, Direction)> {
        self.rules.iter().flat_map(RulePlans::broadcast_copies).collect()
    }

    /// The number of the stratum of each rule.
    pub fn strata_of_rules(&self) -> Vec<usize> {
        let mut strata = vec![0; self.rules.len()];
        for (number, stratum) in self.strata.iter().enumerate() {
            stratum.rules.iter().for_each(|rule| strata[*rule] = number);
        }
        strata
    }

    /// Does the rule derive facts that are broadcast late?
    pub fn derives_late(&self, rule: &RulePlans) -> bool {
        self.broadcast_late.iter().any(|extent| rule.full.may_derive(extent))
    }

    /// Does the rule wait for facts that are broadcast late?
    pub fn is_late(&self, rule: &RulePlans) -> bool {
        !self.broadcast_late.is_empty()
            && rule.broadcast_copies().any(|(extent, _)| self.broadcast_late.contains(&extent))
    }

    /// The number of exchange levels that the first round of these rules needs: one for heads, plus one per row exchange.
    pub fn levels(&self) -> usize {
        let plans = self.rules.iter().flat_map(RulePlans::plans);
        plans.map(|plan| plan.stages.len()).max().unwrap_or(1)
    }

    /// The number of exchange levels of later rounds, in which no rule moves rows to be evaluated over everything, and
    /// no staged fact is new.
    pub fn later_levels(&self) -> usize {
        let plans = self.rules.iter().filter(|rule| !rule.is_local()).flat_map(|rule| &rule.deltas);
        plans.map(|plan| plan.stages.len()).max().unwrap_or(1)
    }
}
