//! Small random facts and rules, and their closure, computed naively.
//!
//! Term ids are constructed without a dictionary: a handful of nodes spread over the shards, and small integers, so
//! that joins have matches and rules recurse.

use entail_logic::columns::Pair;
use entail_logic::plan::compile::{Body, RuleBody};
use entail_logic::plan::{Arg, Atom, GraphScope, Head};
use entail_model::fact::in_home;
use entail_model::random::Random;
use entail_model::{Direction, NodeId, Placement, Relation, ShardCount, ShardId, TermId, TermKind, term};
use oxrdf::vocab::xsd;
use std::collections::BTreeSet;

/// A fact of the default graph.
pub type Triple = (TermId, TermId, TermId);

/// The number of terms that are nodes: subjects, and classes too.
const NODES: u64 = 6;
/// The number of all terms; those that are not nodes are inline integers.
const TERMS: u64 = 8;
const PREDICATES: u64 = 4;
/// The number of variables of a rule.
const WIDTH: usize = 4;

/// The terms of a cluster with this many shards.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    pub shards: ShardCount,
}

impl Vocabulary {
    fn node(&self, number: u64) -> TermId {
        let shard = ShardId((number % u64::from(self.shards.get())) as u16);
        TermId::dictionary(shard, number, TermKind::Iri)
    }

    /// The term of a number below [`TERMS`].
    fn term(&self, number: u64) -> TermId {
        match number {
            0..NODES => self.node(number),
            _ => term::inline_literal(&number.to_string(), xsd::INTEGER).expect("small integers are inline"),
        }
    }

    fn predicate(&self, number: u64) -> TermId {
        // The first class is a node as well, so that rules can refer to it.
        if number == 0 { self.node(0) } else { self.node(100 + number) }
    }

    /// The predicate whose objects are scattered.
    pub fn rdf_type(&self) -> TermId {
        self.predicate(0)
    }

    /// Every relation that facts and heads can have.
    pub fn relations(&self) -> impl Iterator<Item = Relation> + '_ {
        (0..PREDICATES).map(|number| Relation { graph: TermId::DEFAULT_GRAPH, predicate: self.predicate(number) })
    }

    /// Between none and `count_max` facts.
    pub fn facts(&self, random: &mut Random, count_max: u64) -> BTreeSet<Triple> {
        let count = random.among(0..=count_max);
        let fact = |_| {
            let (subject, predicate) = (random.below(NODES), random.below(PREDICATES));
            (self.node(subject), self.predicate(predicate), self.term(random.below(TERMS)))
        };
        (0..count).map(fact).collect()
    }

    /// A rule of one to three atoms and one or two heads, whose head variables are bound.
    pub fn rule(&self, random: &mut Random) -> RuleBody {
        let atoms: Vec<Atom> = (0..*random.pick(&[1, 1, 2, 2, 2, 3])).map(|_| self.atom(random)).collect();
        let bound: Vec<usize> = atoms.iter().flat_map(Atom::slots).collect::<BTreeSet<_>>().into_iter().collect();
        let heads = (0..random.among(1..=2)).map(|_| self.head(random, &bound)).collect();
        let body = Body { width: WIDTH, atoms, conditions: Vec::new() };
        RuleBody { label: "random".to_owned(), heads, body, negated: Vec::new() }
    }

    fn atom(&self, random: &mut Random) -> Atom {
        let slot = |random: &mut Random| Arg::Slot(random.below(WIDTH as u64) as usize);
        let subject = if random.chance(1_500) { Arg::Const(self.term(random.below(NODES))) } else { slot(random) };
        let object = if random.chance(1_500) { Arg::Const(self.term(random.below(TERMS))) } else { slot(random) };
        let predicate = if random.chance(1_000) {
            Arg::Slot(WIDTH - 1)
        } else {
            Arg::Const(self.predicate(random.below(PREDICATES)))
        };
        Atom { graph: GraphScope::One(TermId::DEFAULT_GRAPH), subject, predicate, object }
    }

    fn head(&self, random: &mut Random, bound: &[usize]) -> Head {
        let mut arg = |constants: u64| match bound {
            [_, ..] if !random.chance(1_500) => Arg::Slot(*random.pick(bound)),
            _ => Arg::Const(self.term(random.below(constants))),
        };
        let (subject, object) = (arg(NODES), arg(TERMS));
        let predicate = Arg::Const(self.predicate(random.below(PREDICATES)));
        Head { graph: TermId::DEFAULT_GRAPH, subject, predicate, object }
    }
}

/// A row of bindings, by slot.
type Row = [Option<TermId>; WIDTH];

/// The closure of the facts: tries every fact for every atom until a fixpoint.
pub fn naive_closure(facts: &BTreeSet<Triple>, rules: &[&RuleBody]) -> BTreeSet<Triple> {
    let mut all = facts.clone();
    loop {
        let new: Vec<Triple> = rules.iter().flat_map(|rule| instances(rule, &all)).collect();
        let before = all.len();
        all.extend(new);
        if all.len() == before {
            return all;
        }
    }
}

/// The heads of every instance of a rule over the facts.
fn instances(rule: &RuleBody, facts: &BTreeSet<Triple>) -> BTreeSet<Triple> {
    assert!(rule.body.conditions.is_empty() && rule.body.width <= WIDTH, "only what `Vocabulary::rule` makes");
    let mut rows: BTreeSet<Row> = BTreeSet::from([[None; WIDTH]]);
    for atom in &rule.body.atoms {
        rows = rows.iter().flat_map(|row| facts.iter().filter_map(|fact| unify(*row, atom, fact))).collect();
    }
    let mut heads = BTreeSet::new();
    for row in &rows {
        let value = |arg: Arg| match arg {
            Arg::Const(term) => term,
            Arg::Slot(slot) => row[slot].expect("head variables are bound"),
        };
        let facts = rule.heads.iter().map(|head| (value(head.subject), value(head.predicate), value(head.object)));
        heads.extend(facts.filter(|(s, p, _)| s.kind() != TermKind::Literal && p.kind() == TermKind::Iri));
    }
    heads
}

fn unify(mut row: Row, atom: &Atom, fact: &Triple) -> Option<Row> {
    for (arg, term) in [(atom.predicate, fact.1), (atom.subject, fact.0), (atom.object, fact.2)] {
        let expected = match arg {
            Arg::Const(constant) => constant,
            Arg::Slot(slot) => *row[slot].get_or_insert(term),
        };
        if expected != term {
            return None;
        }
    }
    Some(row)
}

/// One copy of a fact, with its placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    pub node: NodeId,
    pub relation: Relation,
    pub copy: Direction,
    pub pair: Pair,
}

/// Both copies of each fact.
///
/// # Panics
/// For facts whose subject is no node, and shards that are not placed.
pub fn copies<'a>(
    facts: impl IntoIterator<Item = &'a Triple> + 'a,
    placement: &'a Placement,
    rdf_type: TermId,
) -> impl Iterator<Item = Placed> + 'a {
    facts.into_iter().flat_map(move |(subject, predicate, object)| {
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: *predicate };
        let homes = [subject.home(), in_home(*subject, *predicate, *object, Some(rdf_type))];
        Direction::BOTH.into_iter().zip(homes).map(move |(copy, home)| {
            let node = home.and_then(|home| placement.holder(home)).expect("subjects have placed homes");
            Placed { node, relation, copy, pair: copy.pair(*subject, *object) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_of_an_edge_relation_is_transitive() {
        let vocabulary = Vocabulary { shards: ShardCount::new(4).expect("a power of two") };
        let edge = vocabulary.predicate(1);
        let fact = |from: u64, to: u64| (vocabulary.node(from), edge, vocabulary.node(to));
        let atom = |subject: usize, object: usize| Atom {
            graph: GraphScope::One(TermId::DEFAULT_GRAPH),
            subject: Arg::Slot(subject),
            predicate: Arg::Const(edge),
            object: Arg::Slot(object),
        };
        let graph = TermId::DEFAULT_GRAPH;
        let head = Head { graph, subject: Arg::Slot(0), predicate: Arg::Const(edge), object: Arg::Slot(2) };
        let body = Body { width: 3, atoms: vec![atom(0, 1), atom(1, 2)], conditions: Vec::new() };
        let rule = RuleBody { label: String::new(), heads: vec![head], body, negated: Vec::new() };
        let facts = BTreeSet::from([fact(1, 2), fact(2, 3), fact(3, 4)]);
        let closure = naive_closure(&facts, &[&rule]);
        assert_eq!(closure, facts.into_iter().chain([fact(1, 3), fact(2, 4), fact(1, 4)]).collect());
    }
}
