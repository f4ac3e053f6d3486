//! From atoms and conditions to plans: `builder` orders the atoms of one body, `rules` has the plans of a program.

mod builder;
mod negation;
mod rules;

pub(super) use rules::hub;
pub use rules::{compile_maintenance, compile_program};

use super::{Arg, Atom, Condition, Head, Plan, Sink, Slot, View};
use builder::Builder;
use entail_model::{Direction, Relation, TermId};
use std::collections::HashMap;

/// The known size of a relation, over all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelationStats {
    pub facts: u64,
    pub subjects: u64,
    pub objects: u64,
}

/// The compiler's knowledge of the cluster and its data.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Does one node hold every shard, so that no row needs to move?
    pub single_node: bool,
    /// The number of nodes that hold shards: rows that are tested at each of them visit all. Only rules with NOT need it.
    pub nodes: usize,
    /// The id of `rdf:type`, whose objects are scattered.
    pub rdf_type: Option<TermId>,
    /// The sizes of all relations.
    pub stats: HashMap<Relation, RelationStats>,
    /// The number of facts of a relation with an object, where known: for the classes of `rdf:type`.
    pub objects: HashMap<(Relation, TermId), u64>,
}

impl Context {
    /// The number of facts that an atom's relation has with the atom's object, if both are constants and the number is
    /// known.
    pub fn facts_of_object(&self, atom: &Atom) -> Option<u64> {
        match atom.object {
            Arg::Const(object) => self.objects.get(&(atom.relation()?, object)).copied(),
            Arg::Slot(_) => None,
        }
    }
}

/// A body: the atoms and conditions that a plan must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    pub width: usize,
    pub atoms: Vec<Atom>,
    pub conditions: Vec<Condition>,
}

/// A rule in terms of slots.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleBody {
    pub label: String,
    pub body: Body,
    pub heads: Vec<Head>,
    /// The NOTs of the rule. The body's width counts their slots too.
    pub negated: Vec<NegatedBody>,
}

/// The atoms and conditions of a NOT: a row of the body stays if no facts match all atoms, with the row's values, under which
/// all conditions are true.
///
/// Its *local* slots are those that no atom of the body has. No other NOT of the rule has them, and a condition with one is
/// decided by ids. All atoms can be evaluated at one home: see `negation`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NegatedBody {
    pub atoms: Vec<Atom>,
    pub conditions: Vec<Condition>,
}

/// The plan of a query's basic graph pattern: its answers are the bag of `output` rows.
pub fn compile_query(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder::of_query(context, body, &views);
    builder.build(None, Sink::Gather(output))
}

/// Like [`compile_query`], but scans a body of one atom in the order of its objects if they come first in the output,
/// so that rows with equal leading terms are adjacent.
pub fn compile_in_order(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder::of_query(context, body, &views);
    builder.build(by_object(body, &output), Sink::Gather(output))
}

/// Like [`compile_in_order`], but the rows are only counted: equal adjacent rows are sent once, with their number.
///
/// # Panics
/// If `output` is empty: the number of rows is known without slots.
pub fn compile_tally(context: &Context, body: &Body, output: Vec<Slot>) -> Plan {
    assert!(!output.is_empty(), "rows without columns need no tally");
    let body = Body { width: body.width + 1, ..body.clone() };
    let views = vec![View::All; body.atoms.len()];
    let builder = Builder::of_query(context, &body, &views);
    builder.build(by_object(&body, &output), Sink::Tally { slots: output, times: body.width - 1 })
}

/// The only atom and its inverse copy, if its objects come first in the output and the atom is read whole.
fn by_object(body: &Body, output: &[Slot]) -> Option<(usize, Direction)> {
    let [only] = &body.atoms[..] else { return None };
    let is_whole = only.relation().is_some() && only.subject.slot().is_some() && only.subject != only.object;
    (is_whole && only.object.slot() == output.first().copied() && !output.is_empty()).then_some((0, Direction::Inverse))
}
