//! Where a NOT is tested, and in which order its atoms are read there.
//!
//! ```text
//! home       when                                                      the test
//! Here       there is one node, or the NOT has no atoms                where the row is
//! Of(arg)    a bound term is in each atom, as subject of at least one  at home(arg), which has all facts of the atoms
//! Each       a local variable is, or there is one atom                 at every node: each solution is at one of them
//! ```
//!
//! The object of an atom counts for its home only if the inverse copies are there: not for classes, and for an inline value
//! neither. A row whose `arg` is an inline value stays where it is: no fact has it as subject.

use super::{Context, NegatedBody};
use crate::plan::compile::builder::may_be_scattered;
use crate::plan::{Arg, Atom, Side, Slot};
use entail_model::Direction;
use std::collections::BTreeSet;

/// The node at which a NOT is tested for a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Home {
    Here,
    Of(Arg),
    Each,
}

/// The slots of a rule's body outside of any NOT.
#[derive(Clone, Debug, Default)]
pub struct BodySlots {
    pub all: BTreeSet<Slot>,
    /// The slots that cannot have inline values: subjects and predicates.
    pub nodes: BTreeSet<Slot>,
}

impl BodySlots {
    /// The slots of some atoms.
    pub fn of(atoms: &[Atom]) -> Self {
        let all = atoms.iter().flat_map(Atom::slots).collect();
        let nodes = atoms.iter().flat_map(|atom| [atom.subject, atom.predicate]).filter_map(Arg::slot).collect();
        Self { all, nodes }
    }

    fn has(&self, arg: Arg) -> bool {
        arg.slot().is_none_or(|slot| self.all.contains(&slot))
    }

    /// The slots of the body that a NOT reads.
    pub fn shared_with(&self, negated: &NegatedBody) -> BTreeSet<Slot> {
        let of_atoms = negated.atoms.iter().flat_map(Atom::slots);
        let of_conditions = negated.conditions.iter().flat_map(super::Condition::slots);
        of_atoms.chain(of_conditions).filter(|slot| self.all.contains(slot)).collect()
    }
}

/// The node at which a NOT is tested.
///
/// # Panics
/// If its atoms have no home in common: the checks of the language refuse such a NOT.
pub fn home(context: &Context, negated: &NegatedBody, body: &BodySlots) -> Home {
    let Some(first) = negated.atoms.first().filter(|_| !context.single_node) else { return Home::Here };
    let stands_in =
        |atom: &Atom, arg: Arg| atom.subject == arg || (atom.object == arg && !may_be_scattered(context, atom));
    let is_subject = |arg: Arg| negated.atoms.iter().any(|atom| atom.subject == arg);
    let is_node = |arg: Arg| match arg {
        Arg::Const(term) => !term.is_inline(),
        Arg::Slot(slot) => body.nodes.contains(&slot),
    };
    let is_home =
        |arg: &Arg| (is_subject(*arg) || is_node(*arg)) && negated.atoms.iter().all(|atom| stands_in(atom, *arg));
    let homes: Vec<Arg> = [first.subject, first.object].into_iter().filter(is_home).collect();
    match homes.iter().find(|arg| body.has(**arg)) {
        // A constant that is no node is no subject: nothing matches.
        Some(arg) if arg.slot().is_none() && !is_node(*arg) => Home::Here,
        Some(arg) => Home::Of(*arg),
        None => {
            assert!(
                !homes.is_empty() || negated.atoms.len() == 1,
                "a NOT without a home passes no check of the language"
            );
            Home::Each
        }
    }
}

/// The atoms in the order in which they are read at the home, each with a copy that has all of its facts that may belong to
/// a solution found there.
pub fn sides(context: &Context, negated: &NegatedBody, body: &BodySlots, home: Home) -> Vec<Side> {
    let hub = match home {
        Home::Of(arg) => Some(arg),
        Home::Each if negated.atoms.len() > 1 => hub_of(context, negated),
        Home::Here | Home::Each => None,
    };
    let mut known = body.all.clone();
    let mut left: Vec<&Atom> = negated.atoms.iter().collect();
    let mut sides = Vec::new();
    while !left.is_empty() {
        let is_known = |arg: Arg| arg.slot().is_none_or(|slot| known.contains(&slot));
        let facts = |atom: &Atom| atom.relation().and_then(|of| context.stats.get(&of)).map_or(0, |stats| stats.facts);
        // Bound terms first; among atoms without any, the smallest relation.
        let rank = |atom: &Atom| (!is_known(atom.subject), !is_known(atom.object), facts(atom));
        let next = (0..left.len()).min_by_key(|index| rank(left[*index])).expect("atoms are left");
        let atom = left.remove(next);
        let by_object = !is_known(atom.subject) && is_known(atom.object);
        let copy = match hub {
            // The copies of classes are at the subject's home in either direction.
            Some(hub) if atom.subject == hub && by_object && may_be_scattered(context, atom) => Direction::Inverse,
            Some(hub) if atom.subject == hub => Direction::Forward,
            Some(_) => Direction::Inverse,
            None if by_object => Direction::Inverse,
            None => Direction::Forward,
        };
        known.extend(atom.slots());
        sides.push(Side { atom: atom.clone(), copy });
    }
    sides
}

/// The local variable at whose home each solution lies.
fn hub_of(context: &Context, negated: &NegatedBody) -> Option<Arg> {
    super::hub(context, &negated.atoms).map(Arg::Slot)
}

#[cfg(test)]
mod tests {
    use crate::plan::compile::{Body, Context, NegatedBody, RuleBody, compile_program};
    use crate::plan::{Arg, Atom, GraphScope, Head, Op, Plan, Route, RulePlans, View};
    use entail_model::{ShardId, TermId, TermKind, term};
    use oxrdf::vocab::xsd;
    use std::collections::BTreeSet;

    const X: Arg = Arg::Slot(0);
    const V: Arg = Arg::Slot(1);
    const OWN: Arg = Arg::Slot(2);
    const TYPE: u64 = 0;

    fn iri(number: u64) -> Arg {
        Arg::Const(TermId::dictionary(ShardId(number as u16 % 4), number, TermKind::Iri))
    }

    fn atom((subject, predicate, object): (Arg, u64, Arg)) -> Atom {
        Atom { graph: GraphScope::One(TermId::DEFAULT_GRAPH), subject, predicate: iri(predicate), object }
    }

    /// The plans of `?x 9 ?v :- ?x 1 ?v, NOT {...}`.
    fn plans(nodes: usize, not: &[(Arg, u64, Arg)]) -> RulePlans {
        let Arg::Const(rdf_type) = iri(TYPE) else { unreachable!("an IRI is constant") };
        let context = Context { single_node: nodes == 1, nodes, rdf_type: Some(rdf_type), ..Context::default() };
        let negated = NegatedBody { atoms: not.iter().copied().map(atom).collect(), conditions: Vec::new() };
        let rule = RuleBody {
            label: String::new(),
            heads: vec![Head { graph: TermId::DEFAULT_GRAPH, subject: X, predicate: iri(9), object: V }],
            body: Body { width: 4, atoms: vec![atom((X, 1, V))], conditions: Vec::new() },
            negated: vec![negated],
        };
        let program = compile_program(&context, &[rule], &BTreeSet::new()).expect("one rule that negates others");
        program.check().expect("a sound program");
        assert!(program.check_nodes(nodes).is_ok(), "the number of nodes");
        program.rules.into_iter().next().expect("one rule")
    }

    /// The routes after the first, and the number of tests.
    fn shape(plan: &Plan) -> (Vec<Route>, usize) {
        let routes = plan.stages[1..].iter().map(|stage| stage.route.clone()).collect();
        let ops = plan.stages.iter().flat_map(|stage| &stage.ops);
        (routes, ops.filter(|op| matches!(op, Op::AntiMatch { .. })).count())
    }

    #[test]
    fn rows_go_where_the_facts_of_a_not_are() {
        let number = Arg::Const(term::inline_literal("7", xsd::INTEGER).expect("a small integer"));
        let next = || vec![Route::Next, Route::Next];
        let cases = [
            ("the subject is that of the body", vec![(X, 2, OWN)], vec![], 1),
            ("and in several atoms", vec![(X, 2, OWN), (OWN, 3, X)], vec![], 1),
            ("a subject that may be a number", vec![(V, 2, OWN)], vec![Route::Texts(1)], 1),
            ("a constant subject", vec![(iri(7), 2, V)], vec![Route::Shard(ShardId(3))], 1),
            ("an object that is a subject in the body", vec![(OWN, 2, X)], vec![], 1),
            ("an object that may be a number", vec![(OWN, 2, V)], next(), 3),
            ("a constant object", vec![(OWN, 2, iri(7))], vec![Route::Shard(ShardId(3))], 1),
            ("a number", vec![(OWN, 2, number)], next(), 3),
            ("a class", vec![(OWN, TYPE, iri(7))], next(), 3),
            ("nothing is bound", vec![(OWN, 2, Arg::Slot(3))], next(), 3),
            ("atoms that meet at a variable of the NOT", vec![(OWN, 2, X), (OWN, TYPE, iri(7))], next(), 3),
        ];
        for (case, not, routes, tests) in cases {
            assert_eq!(shape(&plans(3, &not).full), (routes, tests), "{case}");
            assert_eq!(shape(&plans(1, &not).full), (vec![], 1), "{case}, on one node");
        }
    }

    #[test]
    fn changes_of_negated_facts_have_plans_of_their_own() {
        let plans = plans(3, &[(X, 2, OWN), (X, 3, V)]);
        assert_eq!(plans.negated.len(), 2);
        for (of_atom, predicate) in plans.negated.iter().zip([2, 3]) {
            let first = |plan: &Plan| match &plan.stages[0].ops[0] {
                Op::Match { atom, view, .. } => (atom.predicate, *view),
                other => panic!("{other:?}"),
            };
            assert_eq!(first(&of_atom.appeared), (iri(predicate), View::Added));
            assert_eq!(first(&of_atom.disappeared), (iri(predicate), View::Deleted));
            assert_eq!((shape(&of_atom.appeared).1, shape(&of_atom.disappeared).1), (0, 1));
        }
    }

    #[test]
    fn a_program_for_another_number_of_nodes_is_corrupt() {
        let rules = vec![plans(3, &[(OWN, 2, Arg::Slot(3))])];
        let program = crate::plan::Program { rules, ..crate::plan::Program::default() };
        assert!(program.check_nodes(3).is_ok());
        assert!(program.check_nodes(2).is_err() && program.check_nodes(4).is_err() && program.check_nodes(1).is_err());
    }
}
