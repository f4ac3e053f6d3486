//! Random programs over random facts: several nodes against a naive oracle.

use super::base::Base;
use super::phase::Step;
use super::reasoner::{Effect, Event, Mode, Reasoner, Report, Setup};
use super::staging::StagedFacts;
use super::state::State;
use crate::columns::spine::Spill;
use crate::eval::Texts;
use crate::exchange::route::ShardMap;
use crate::plan::compile::{Body, Context, RuleBody, compile_maintenance, compile_program};
use crate::plan::{Arg, Atom, Extent, GraphScope, Head};
use entail_model::fact::in_home;
use entail_model::{Direction, Fault, NodeId, Placement, Relation, Round, ShardId, TermId, TermKind, term};
use oxrdf::vocab::xsd;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

mod filters;
mod maintenance;
mod negation;

static POOL: LazyLock<rayon::ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"));

type Triple = (TermId, TermId, TermId);

struct NoTexts;
impl Texts for NoTexts {
    fn texts(&self, _ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        Err(Fault::internal("these programs have no filters"))
    }
}

const SHARDS: u16 = 16;

fn node_term(number: u64) -> TermId {
    TermId::dictionary(ShardId((number % u64::from(SHARDS)) as u16), number, TermKind::Iri)
}

/// Terms 0..8 are nodes (0 stands for rdf:type as well), the rest small integers.
fn any_term(number: u64) -> TermId {
    match number {
        0..8 => node_term(number),
        _ => term::inline_literal(&number.to_string(), xsd::INTEGER).expect("a small integer"),
    }
}

fn predicate(number: u64) -> TermId {
    if number == 0 { node_term(0) } else { node_term(100 + number) }
}

fn facts() -> impl Strategy<Value = BTreeSet<Triple>> {
    let fact = (0u64..8, 0u64..4, 0u64..10).prop_map(|(s, p, o)| (any_term(s), predicate(p), any_term(o)));
    prop::collection::btree_set(fact, 0..14)
}

fn arg(vars: u64, constants: u64) -> impl Strategy<Value = Arg> {
    prop_oneof![
        6 => (0..vars).prop_map(|slot| Arg::Slot(slot as usize)),
        1 => (0..constants).prop_map(|n| Arg::Const(any_term(n))),
    ]
}

fn rules() -> impl Strategy<Value = Vec<RuleBody>> {
    let verb = || prop_oneof![8 => (0u64..4).prop_map(|p| Arg::Const(predicate(p))), 1 => Just(Arg::Slot(3))];
    let atom = (arg(4, 8), verb(), arg(4, 10)).prop_map(|(subject, predicate, object)| Atom {
        graph: GraphScope::One(TermId::DEFAULT_GRAPH),
        subject,
        predicate,
        object,
    });
    let head = (arg(4, 8), (0u64..4).prop_map(|p| Arg::Const(predicate(p))), arg(4, 10));
    let rule = (prop::collection::vec(atom, 0..4), prop::collection::vec(head, 1..3)).prop_map(|(atoms, heads)| {
        let bound: BTreeSet<usize> = atoms.iter().flat_map(Atom::slots).collect();
        let safe = |arg: Arg| match arg {
            Arg::Slot(slot) if !bound.contains(&slot) => {
                bound.first().map_or(Arg::Const(any_term(slot as u64)), |s| Arg::Slot(*s))
            }
            other => other,
        };
        let heads = heads.into_iter().map(|(subject, predicate, object)| Head {
            graph: TermId::DEFAULT_GRAPH,
            subject: safe(subject),
            predicate,
            object: safe(object),
        });
        RuleBody {
            label: "random".into(),
            heads: heads.collect(),
            body: Body { width: 4, atoms, conditions: Vec::new() },
            negated: Vec::new(),
        }
    });
    prop::collection::vec(rule, 1..4)
}

/// An atom of two variables.
fn atom(number: u64, subject: usize, object: usize) -> Atom {
    Atom {
        graph: GraphScope::One(TermId::DEFAULT_GRAPH),
        subject: Arg::Slot(subject),
        predicate: Arg::Const(predicate(number)),
        object: Arg::Slot(object),
    }
}

/// Rules of which the first derives a relation from an underived one, and the others read both and derive more.
fn layered_rules() -> impl Strategy<Value = Vec<RuleBody>> {
    let constant = |number: u64| Arg::Const(predicate(number));
    (rules(), rules()).prop_map(move |(first, others)| {
        let mut rules = [&first[..1], &others[..]].concat();
        for (index, rule) in rules.iter_mut().enumerate() {
            for atom in rule.body.atoms.iter_mut().filter(|_| index == 0) {
                atom.predicate = constant(1);
            }
            for head in &mut rule.heads {
                let is_even = head.predicate == constant(0) || head.predicate == constant(2);
                head.predicate = constant(if index == 0 { 3 } else { 2 * u64::from(is_even) });
            }
            let bound: BTreeSet<usize> = rule.body.atoms.iter().flat_map(Atom::slots).collect();
            let safe = |arg: Arg| match arg {
                Arg::Slot(slot) if !bound.contains(&slot) => Arg::Const(any_term(2)),
                other => other,
            };
            for head in &mut rule.heads {
                (head.subject, head.object) = (safe(head.subject), safe(head.object));
            }
        }
        rules
    })
}

/// Rules about classes, of which some are derived from other classes, and some from other relations.
fn class_rules() -> impl Strategy<Value = Vec<RuleBody>> {
    let classes = prop::collection::vec(0u64..4, 16);
    (rules(), rules(), classes).prop_map(|(some, others, classes)| {
        let mut rules = [some, others].concat();
        let mut classes = classes.into_iter().cycle().map(|number| Arg::Const(any_term(number)));
        let is_type = |predicate_: Arg| predicate_ == Arg::Const(predicate(0));
        let mut class = || classes.next().expect("they come again and again");
        for rule in &mut rules {
            rule.body.atoms.iter_mut().filter(|atom| is_type(atom.predicate)).for_each(|atom| atom.object = class());
            let bound: BTreeSet<usize> = rule.body.atoms.iter().flat_map(Atom::slots).collect();
            for head in &mut rule.heads {
                head.predicate =
                    if head.predicate == Arg::Const(predicate(2)) { head.predicate } else { Arg::Const(predicate(0)) };
                let is_unbound = |arg: &Arg| arg.slot().is_some_and(|slot| !bound.contains(&slot));
                let any = bound.first().map_or(Arg::Const(any_term(1)), |slot| Arg::Slot(*slot));
                head.subject = if is_unbound(&head.subject) { any } else { head.subject };
                head.object = if is_type(head.predicate) || is_unbound(&head.object) { class() } else { head.object };
            }
        }
        rules
    })
}

/// The closure, by trying every assignment of facts to atoms until nothing is new. What rules negate is complete.
pub fn naive_closure(facts: &BTreeSet<Triple>, rules: &[RuleBody]) -> BTreeSet<Triple> {
    let mut all = facts.clone();
    loop {
        let mut new = BTreeSet::new();
        for rule in rules {
            let rows = naive_rows(Row::new(), &rule.body.atoms, &all);
            let rows = rows.into_iter().filter(|row| !negation::is_excluded(rule, row, &all));
            new.extend(rows.flat_map(|row| naive_heads(rule, &row)));
        }
        let before = all.len();
        all.extend(new);
        if all.len() == before {
            return all;
        }
    }
}

/// Values by slot.
type Row = HashMap<usize, TermId>;

/// The extensions of a row for which facts match all atoms.
fn naive_rows(row: Row, atoms: &[Atom], facts: &BTreeSet<Triple>) -> Vec<Row> {
    atoms.iter().fold(vec![row], |rows, atom| {
        rows.iter().flat_map(|row| facts.iter().filter_map(|fact| unify(row, atom, fact))).collect()
    })
}

/// The facts that a rule derives from a row.
fn naive_heads(rule: &RuleBody, row: &Row) -> Vec<Triple> {
    let value = |arg: Arg| match arg {
        Arg::Const(term) => term,
        Arg::Slot(slot) => row[&slot],
    };
    let heads = rule.heads.iter().map(|head| (value(head.subject), value(head.predicate), value(head.object)));
    heads.filter(|fact| fact.0.kind() != TermKind::Literal && fact.1.kind() == TermKind::Iri).collect()
}

fn unify(row: &Row, atom: &Atom, fact: &Triple) -> Option<Row> {
    let mut row = row.clone();
    for (arg, term) in [(atom.subject, fact.0), (atom.predicate, fact.1), (atom.object, fact.2)] {
        let expected = match arg {
            Arg::Const(constant) => constant,
            Arg::Slot(slot) => *row.entry(slot).or_insert(term),
        };
        if expected != term {
            return None;
        }
    }
    Some(row)
}

/// The settings of a case.
#[derive(Clone, Copy, Debug)]
struct Shape {
    nodes: u64,
    dense_from: u64,
    /// Does every node have the relations that no rule derives?
    broadcasts: bool,
}

/// Several reasoners, and the messages between them.
struct Cluster {
    reasoners: Vec<Reasoner>,
    placement: Placement,
    /// Facts by rule.
    derived: Vec<u64>,
    steps: Vec<Step>,
    strata: u32,
    /// All nodes give up in this round.
    gives_up_in: Option<u32>,
    give_up: Arc<AtomicBool>,
}

impl Cluster {
    fn new(shape: Shape, rules: &[RuleBody], facts: &BTreeSet<Triple>, mode: &Mode, staged: &BTreeSet<Triple>) -> Self {
        Self::with_texts(Arc::new(NoTexts), shape, rules, facts, mode, staged)
    }

    fn with_texts(
        texts: Arc<dyn Texts + Send + Sync>,
        Shape { nodes, dense_from, broadcasts }: Shape,
        rules: &[RuleBody],
        facts: &BTreeSet<Triple>,
        mode: &Mode,
        staged: &BTreeSet<Triple>,
    ) -> Self {
        let rdf_type = Some(predicate(0));
        let context = Context { single_node: nodes == 1, nodes: nodes as usize, rdf_type, ..Context::default() };
        let relations = (0..4).map(|number| Relation { graph: TermId::DEFAULT_GRAPH, predicate: predicate(number) });
        let read = rules.iter().flat_map(|rule| &rule.body.atoms).filter_map(Extent::of);
        let broadcast = relations.map(Extent::all).chain(read).filter(|_| broadcasts).collect();
        let program = Arc::new(compile_program(&context, rules, &broadcast).expect("stratified rules"));
        let holders = (0..SHARDS).map(|shard| NodeId(u64::from(shard) % nodes)).collect();
        let placement = Placement { version: 1, holders };
        let mut cluster = Self::empty(placement.clone(), rules, mode);
        for me in 0..nodes {
            let shard_map = ShardMap::of_all_holders(NodeId(me), placement.clone());
            let base = cluster.base_of(NodeId(me), facts);
            let mut state = State::new(&base, *mode == Mode::Rebuild, Spill::default()).expect("in memory");
            cluster.stage(NodeId(me), staged, &mut state);
            state.set_dense_from(dense_from);
            let setup = Setup {
                shard_map,
                program: Arc::clone(&program),
                mode: mode.clone(),
                state,
                texts: Arc::clone(&texts),
                facts_max: u64::MAX,
                stop: Arc::default(),
                give_up: Arc::clone(&cluster.give_up),
            };
            cluster.reasoners.push(Reasoner::new(setup).expect("sound programs"));
        }
        cluster
    }

    fn empty(placement: Placement, rules: &[RuleBody], mode: &Mode) -> Self {
        let (reasoners, derived, give_up) = (Vec::new(), vec![0; rules.len()], Arc::default());
        Self { reasoners, placement, derived, steps: mode.steps(1), strata: 1, gives_up_in: None, give_up }
    }

    /// Stages the copies of the facts that belong to a node, and ends the staging.
    fn stage(&self, node: NodeId, facts: &BTreeSet<Triple>, state: &mut State) {
        state.stage_all(self.columns(node, facts).take(), &POOL).expect("in memory");
        state.finish_staging().expect("in memory");
    }

    /// The copies of the facts that belong to a node.
    fn columns(&self, node: NodeId, facts: &BTreeSet<Triple>) -> StagedFacts {
        let mut staged = StagedFacts::default();
        for (s, p, o) in facts {
            let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: *p };
            let out_home = s.home().expect("subjects are nodes");
            let in_home = in_home(*s, *p, *o, Some(predicate(0))).expect("subjects are nodes");
            for (copy, home) in [(Direction::Forward, out_home), (Direction::Inverse, in_home)] {
                if self.placement.holder(home) == Some(node) {
                    staged.add(relation, &[copy], iter::once((*s, *o)));
                }
            }
        }
        staged
    }

    fn base_of(&self, node: NodeId, facts: &BTreeSet<Triple>) -> Base {
        let mut state = State::new(&Base::default(), false, Spill::default()).expect("in memory");
        self.stage(node, facts, &mut state);
        let mut base = Base::default();
        for (relation, copy, run) in state.changes().expect("in memory").added {
            base.change(relation, |copies| copies[copy as usize].push(run));
        }
        base
    }

    /// Runs rounds until no node is active; returns their number.
    fn run(&mut self) -> u32 {
        let mut steps = self.steps.clone();
        for round in 1..400 {
            self.give_up.store(self.gives_up_in == Some(round), Ordering::Relaxed);
            let mut queue = VecDeque::new();
            let mut reports = Vec::new();
            for index in 0..self.reasoners.len() {
                self.deliver(index, Event::Open(Round(round), steps[0]), &mut queue, &mut reports);
            }
            // Messages overtake each other, in an order that each run repeats.
            let mut random = u64::from(round);
            while !queue.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let next = (random >> 33) as usize % queue.len();
                let (from, to, message) = queue.swap_remove_back(next).expect("it is there");
                self.deliver(to, Event::Received { from, message }, &mut queue, &mut reports);
            }
            assert_eq!(reports.len(), self.reasoners.len(), "every node closes the round");
            for report in &reports {
                self.derived.iter_mut().zip(&report.derived).for_each(|(all, more)| *all += more);
            }
            if reports.iter().any(|report| report.gave_up) {
                steps = Step::recompute(self.strata).collect();
            } else if !reports.iter().any(|report| report.active) {
                steps.remove(0);
            }
            if steps.is_empty() {
                return round;
            }
        }
        panic!("no fixpoint after 400 rounds")
    }

    fn deliver(
        &mut self,
        to: usize,
        event: Event,
        queue: &mut VecDeque<(NodeId, usize, crate::exchange::Message)>,
        reports: &mut Vec<Report>,
    ) {
        let result = self.reasoners[to].step(event, &mut |effect| {
            match effect {
                Effect::Send { to: peer, message } => queue.push_back((NodeId(to as u64), peer.0 as usize, message)),
                Effect::Closed(report) => reports.push(report),
            }
            Ok(())
        });
        result.expect("nothing fails here");
    }

    /// All facts in the nodes' copies of one direction, and the number of copies.
    fn facts(&mut self, base: &BTreeSet<Triple>, wanted: Direction) -> (BTreeSet<Triple>, usize) {
        let mut all = base.clone();
        let mut count = base.len();
        for reasoner in &mut self.reasoners {
            for (relation, copy, run) in reasoner.changes().expect("in memory").added {
                if copy == wanted && run.mark != entail_model::Mark::Promoted {
                    for pair in run.to_vec().expect("in memory") {
                        let (s, o) = copy.pair(pair.0, pair.1);
                        all.insert((s, relation.predicate, o));
                        count += 1;
                    }
                }
            }
        }
        (all, count)
    }
}

fn check(facts: &BTreeSet<Triple>, staged: &BTreeSet<Triple>, rules: &[RuleBody], mode: &Mode) {
    let base = match mode {
        Mode::Increment => naive_closure(facts, rules),
        _ => facts.clone(),
    };
    let expected = naive_closure(&base.union(staged).copied().collect(), rules);
    let shapes = [(1, u64::MAX), (1, 0), (2, 0), (2, u64::MAX), (3, 1), (5, u64::MAX)];
    let shapes = shapes.into_iter().flat_map(|(nodes, dense_from)| {
        [false, true]
            .map(|broadcasts| Shape { nodes, dense_from, broadcasts })
            .into_iter()
            .filter(|of| of.nodes > 1 || !of.broadcasts)
    });
    for shape in shapes {
        let mut cluster = Cluster::new(shape, rules, &base, mode, staged);
        cluster.run();
        for copy in Direction::BOTH {
            let (found, count) = cluster.facts(&base, copy);
            assert_eq!(found, expected, "{shape:?}, {copy:?} copies");
            assert_eq!(count, expected.len(), "{shape:?}: each fact has one {copy:?} copy");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn new_rules_over_facts(facts in facts(), rules in rules()) {
        check(&facts, &BTreeSet::new(), &rules, &Mode::NewRules((0..rules.len()).collect()));
    }

    #[test]
    fn new_facts_under_rules(facts in facts(), staged in facts(), rules in rules()) {
        check(&facts, &staged, &rules, &Mode::Increment);
    }

    #[test]
    fn new_rules_in_layers(facts in facts(), staged in facts(), rules in layered_rules(), old in 0usize..3) {
        let new: BTreeSet<usize> = (old.min(rules.len())..rules.len()).collect();
        let base = naive_closure(&facts, &rules[..rules.len() - new.len()]);
        check(&base, &BTreeSet::new(), &rules, &Mode::NewRules(new));
        check(&facts, &staged, &rules, &Mode::Increment);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn classes_that_are_found_soon(facts in facts(), staged in facts(), rules in class_rules(), old in 0usize..3) {
        let new: BTreeSet<usize> = (old.min(rules.len())..rules.len()).collect();
        let base = naive_closure(&facts, &rules[..rules.len() - new.len()]);
        check(&base, &BTreeSet::new(), &rules, &Mode::NewRules(new));
        check(&facts, &staged, &rules, &Mode::Increment);
        check(&facts, &BTreeSet::new(), &rules, &Mode::Rebuild);
    }
}

/// A relation that is derived from given facts is broadcast before the closure over it begins.
#[test]
fn what_is_found_first_is_broadcast_late() {
    let rule = |number, atoms: Vec<Atom>, object| RuleBody {
        label: "step".into(),
        heads: vec![Head {
            graph: TermId::DEFAULT_GRAPH,
            subject: Arg::Slot(0),
            predicate: Arg::Const(predicate(number)),
            object: Arg::Slot(object),
        }],
        body: Body { width: 3, atoms, conditions: Vec::new() },
        negated: Vec::new(),
    };
    let rules = [
        rule(3, vec![atom(1, 0, 1), atom(1, 1, 2)], 2),
        rule(2, vec![atom(3, 0, 1)], 1),
        rule(2, vec![atom(2, 0, 1), atom(3, 1, 2)], 2),
    ];
    let edge = |from: u64, to: u64| (node_term(200 + from), predicate(1), node_term(200 + to));
    let facts: BTreeSet<Triple> =
        (0..50).flat_map(|n: u64| [edge(n, (n * 7 + 3) % 50), edge(n, (n * n + 1) % 50)]).collect();
    let expected = naive_closure(&facts, &rules);
    // All rules at once, and the closure over a relation that was derived before.
    let stepped = naive_closure(&facts, &rules[..1]);
    let modes = [(facts, BTreeSet::from([0, 1, 2])), (stepped, BTreeSet::from([1, 2]))];
    for ((base, new), dense_from) in modes.into_iter().flat_map(|mode| [(mode.clone(), 0), (mode, u64::MAX)]) {
        let shape = |broadcasts| Shape { nodes: 3, dense_from, broadcasts };
        let [rounds, more] = [true, false].map(|broadcasts| {
            let mode = Mode::NewRules(new.clone());
            let mut cluster = Cluster::new(shape(broadcasts), &rules, &base, &mode, &BTreeSet::new());
            let rounds = cluster.run();
            for copy in Direction::BOTH {
                let (found, count) = cluster.facts(&base, copy);
                assert_eq!((&found, count), (&expected, expected.len()), "{copy:?}");
            }
            rounds
        });
        assert!(rounds <= 5 && more > rounds + 2, "{rounds} rounds, {more} without");
    }
}

/// The closure of a graph, on one node and on several: facts and counts of each rule are equal with and without a matrix.
#[test]
fn a_dense_relation_is_what_its_runs_would_be() {
    let rule = |atoms: Vec<Atom>, subject, object| RuleBody {
        label: "path".into(),
        heads: vec![Head {
            graph: TermId::DEFAULT_GRAPH,
            subject: Arg::Slot(subject),
            predicate: Arg::Const(predicate(2)),
            object: Arg::Slot(object),
        }],
        body: Body { width: 3, atoms, conditions: Vec::new() },
        negated: Vec::new(),
    };
    let rules = [rule(vec![atom(1, 0, 1)], 0, 1), rule(vec![atom(2, 0, 1), atom(1, 1, 2)], 0, 2)];
    let edge = |from: u64, to: u64| (node_term(200 + from), predicate(1), node_term(200 + to));
    // Some edges lead to numbers, which have a place in a matrix as well.
    let number = |n: u64| (node_term(200 + n), predicate(1), any_term(10 + n % 7));
    let edges = (0..60).flat_map(|n: u64| [edge(n, (n * 7 + 3) % 60), edge(n, (n * n + 1) % 60)]);
    let facts: BTreeSet<Triple> = edges.chain((0..60).step_by(9).map(number)).collect();
    let expected = naive_closure(&facts, &rules);
    for (nodes, broadcasts) in [(1, false), (3, false), (3, true)] {
        let derived = [u64::MAX, 0].map(|dense_from| {
            let mode = Mode::NewRules(BTreeSet::from([0, 1]));
            let mut cluster =
                Cluster::new(Shape { nodes, dense_from, broadcasts }, &rules, &facts, &mode, &BTreeSet::new());
            let rounds = cluster.run();
            assert!(!broadcasts || rounds <= 4, "each path is found where it begins, in {rounds} rounds");
            let are_dense: Vec<bool> = cluster.reasoners.iter().map(|one| one.state().has_matrices()).collect();
            assert_eq!(are_dense, vec![dense_from == 0; nodes as usize], "{nodes} nodes");
            for copy in Direction::BOTH {
                let (found, count) = cluster.facts(&facts, copy);
                assert_eq!((&found, count), (&expected, expected.len()), "{nodes} nodes, {copy:?}");
            }
            cluster.derived
        });
        assert_eq!(derived[0], derived[1]);
    }
}
