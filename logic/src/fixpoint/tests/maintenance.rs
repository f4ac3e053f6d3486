//! Random sequences of changes (facts and rules that come and go) on several nodes: after each, the state is the closure of
//! what is asserted under the rules in force.

use super::negation::{rules_with_not, stratified_closure, with_strata};
use super::*;
use crate::columns::run::tests::VecStore;
use entail_model::Mark;
use std::collections::BTreeMap;

/// One change.
#[derive(Clone, Debug)]
struct Step {
    added: BTreeSet<Triple>,
    /// Facts to take back, asserted or not.
    removed: BTreeSet<Triple>,
    /// Asserted facts to take back, by their position.
    positions: Vec<prop::sample::Index>,
    /// Rules to add if they are not in force, and to drop if they are.
    toggled: BTreeSet<usize>,
    gives_up_in: Option<u32>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let positions = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let toggled = prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(0usize..5, 0..3)];
    let gives_up_in = prop_oneof![3 => Just(None), 1 => (1u32..6).prop_map(Some)];
    let few = || facts().prop_map(|facts| facts.into_iter().take(3).collect::<BTreeSet<Triple>>());
    let step = (facts(), few(), positions, toggled, gives_up_in);
    let step = step.prop_map(|(added, removed, positions, toggled, gives_up_in)| Step {
        added,
        removed,
        positions,
        toggled,
        gives_up_in,
    });
    prop::collection::vec(step, 1..6)
}

/// The committed facts of each node, and what they must be.
struct History {
    shape: Shape,
    bases: Vec<Base>,
    asserted: BTreeSet<Triple>,
    rules: Vec<RuleBody>,
    in_force: BTreeSet<usize>,
    /// Runs are stored in chunks, so that deletions are vectors.
    spill: Spill,
}

impl History {
    fn new(shape: Shape, rules: &[RuleBody], is_stored: bool) -> Self {
        let bases = (0..shape.nodes).map(|_| Base::default()).collect();
        let spill = match is_stored {
            true => Spill { store: Some(Arc::new(VecStore::default())), above: 0 },
            false => Spill::default(),
        };
        let (asserted, rules, in_force) = (BTreeSet::new(), rules.to_vec(), BTreeSet::new());
        Self { shape, bases, asserted, rules, in_force, spill }
    }

    fn apply(&mut self, step: &Step) {
        let mut removed = step.removed.clone();
        let all: Vec<Triple> = self.asserted.iter().copied().collect();
        removed.extend(step.positions.iter().filter(|_| !all.is_empty()).map(|position| *position.get(&all)));
        let removed: BTreeSet<Triple> = removed.difference(&step.added).copied().collect();
        let toggled: BTreeSet<usize> = step.toggled.iter().copied().filter(|rule| *rule < self.rules.len()).collect();
        let dropped: BTreeSet<usize> = self.in_force.intersection(&toggled).copied().collect();
        let new: BTreeSet<usize> = toggled.difference(&dropped).copied().collect();
        // The program has the rules of before and after.
        let numbers: Vec<usize> = self.in_force.union(&new).copied().collect();
        let program: Vec<RuleBody> = numbers.iter().map(|number| self.rules[*number].clone()).collect();
        let positions = |of: &BTreeSet<usize>| -> BTreeSet<usize> {
            (0..numbers.len()).filter(|position| of.contains(&numbers[*position])).collect()
        };
        let mode = Mode::Maintain { new: positions(&new), dropped: positions(&dropped) };
        let mut cluster = self.cluster(&program, &mode, &step.added, &removed);
        cluster.gives_up_in = step.gives_up_in;
        cluster.run();
        for (base, reasoner) in self.bases.iter_mut().zip(&mut cluster.reasoners) {
            *base = applied(base, reasoner.changes().expect("in memory"), &self.spill);
        }
        self.in_force = numbers.into_iter().filter(|number| !dropped.contains(number)).collect();
        self.asserted.retain(|fact| !removed.contains(fact));
        self.asserted.extend(&step.added);
        self.check();
    }

    fn cluster(
        &self,
        rules: &[RuleBody],
        mode: &Mode,
        added: &BTreeSet<Triple>,
        removed: &BTreeSet<Triple>,
    ) -> Cluster {
        let nodes = self.shape.nodes;
        let context = Context {
            single_node: nodes == 1,
            nodes: nodes as usize,
            rdf_type: Some(predicate(0)),
            ..Context::default()
        };
        let program = Arc::new(compile_maintenance(&context, rules).expect("stratified rules"));
        let holders = (0..SHARDS).map(|shard| NodeId(u64::from(shard) % nodes)).collect();
        let mut cluster = Cluster::empty(Placement { version: 1, holders }, rules, mode);
        (cluster.steps, cluster.strata) = (mode.steps(program.strata.len()), program.strata.len().max(1) as u32);
        for (me, base) in (0..nodes).map(NodeId).zip(&self.bases) {
            let mut state = State::new(base, *mode == Mode::Rebuild, Spill::default()).expect("in memory");
            state.remove_all(cluster.columns(me, removed).take(), &POOL).expect("in memory");
            cluster.stage(me, added, &mut state);
            state.set_dense_from(self.shape.dense_from);
            let setup = Setup {
                shard_map: ShardMap::of_all_holders(me, cluster.placement.clone()),
                program: Arc::clone(&program),
                mode: mode.clone(),
                state,
                texts: Arc::new(NoTexts),
                facts_max: u64::MAX,
                stop: Arc::default(),
                give_up: Arc::clone(&cluster.give_up),
            };
            cluster.reasoners.push(Reasoner::new(setup).expect("sound programs"));
        }
        cluster
    }

    #[track_caller]
    fn check(&self) {
        let rules: Vec<RuleBody> = self.in_force.iter().map(|number| self.rules[*number].clone()).collect();
        let expected = stratified_closure(&self.asserted, &rules);
        for copy in Direction::BOTH {
            let mut found: BTreeMap<Mark, BTreeSet<Triple>> = BTreeMap::new();
            for base in &self.bases {
                for (relation, copies) in base.iter() {
                    for run in &copies[copy as usize] {
                        let triple = |pair: (TermId, TermId)| {
                            let (s, o) = copy.pair(pair.0, pair.1);
                            (s, relation.predicate, o)
                        };
                        for pair in run.to_vec().expect("in memory") {
                            assert!(
                                found.entry(run.mark).or_default().insert(triple(pair)),
                                "runs of a mark are disjoint"
                            );
                        }
                    }
                }
            }
            let of = |mark| found.get(&mark).cloned().unwrap_or_default();
            let [asserted, derived, promoted] = [Mark::Asserted, Mark::Derived, Mark::Promoted].map(of);
            assert!(asserted.is_disjoint(&derived), "{copy:?}");
            assert!(promoted.is_subset(&derived), "{copy:?}: {promoted:?} is not in {derived:?}");
            assert_eq!(asserted.union(&derived).copied().collect::<BTreeSet<_>>(), expected, "{copy:?}");
            assert_eq!(asserted.union(&promoted).copied().collect::<BTreeSet<_>>(), self.asserted, "{copy:?}");
        }
    }
}

/// The committed facts after the changes.
fn applied(base: &Base, changes: crate::fixpoint::Changes, spill: &Spill) -> Base {
    let mut next = base.clone();
    if changes.is_rebuild {
        let relations: Vec<Relation> = next.iter().map(|(relation, _)| relation).collect();
        for relation in relations {
            next.change(relation, |copies| {
                copies.iter_mut().for_each(|runs| runs.retain(|run| run.mark == Mark::Asserted))
            });
        }
    }
    for (relation, copy, mark, gone) in changes.removed {
        let gone = gone.to_vec().expect("in memory");
        next.change(relation, |copies| {
            let mut found = Vec::new();
            let runs = std::mem::take(&mut copies[copy as usize]);
            for run in runs {
                let without = if run.mark == mark { Some(run.without(&gone).expect("in memory")) } else { None };
                match without {
                    Some(without) => {
                        copies[copy as usize].extend(without.rest);
                        found.extend(without.removed);
                    }
                    None => copies[copy as usize].push(run),
                }
            }
            found.sort_unstable();
            assert_eq!(found, gone, "what is removed was there, once");
        });
    }
    for (relation, copy, run) in changes.added {
        let run = spill.place(run).expect("in memory");
        next.change(relation, |copies| copies[copy as usize].push(run));
    }
    next
}

fn check_all(rules: &[RuleBody], steps: &[Step]) {
    let shapes = [(1, u64::MAX, false), (1, 0, true), (2, 0, false), (2, u64::MAX, true), (4, 1, false)];
    for (nodes, dense_from, is_stored) in shapes {
        let mut history = History::new(Shape { nodes, dense_from, broadcasts: false }, rules, is_stored);
        // All rules are in force before the first step.
        history.in_force = (0..rules.len()).collect();
        let first = stratified_closure(&BTreeSet::new(), rules);
        if !first.is_empty() {
            // Rules without a body: they come with the first change.
            history.in_force.clear();
            let toggled = (0..rules.len()).collect();
            let nothing = Step {
                added: BTreeSet::new(),
                removed: BTreeSet::new(),
                positions: vec![],
                toggled,
                gives_up_in: None,
            };
            history.apply(&nothing);
        }
        for step in steps {
            history.apply(step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn facts_and_rules_come_and_go(rules in rules(), steps in steps()) {
        check_all(&rules, &steps);
    }

    #[test]
    fn facts_and_rules_with_not_come_and_go(rules in rules_with_not(), steps in steps()) {
        check_all(&with_strata(rules), &steps);
    }

    #[test]
    fn facts_of_classes_come_and_go(rules in class_rules(), steps in steps()) {
        check_all(&rules, &steps);
    }

    #[test]
    fn facts_of_layers_come_and_go(rules in layered_rules(), steps in steps()) {
        check_all(&rules, &steps);
    }
}

/// A rule `subject head object :- atoms`.
fn rule(head: (usize, u64, usize), atoms: &[(usize, u64, usize)]) -> RuleBody {
    let (subject, number, object) = head;
    let head = Head {
        graph: TermId::DEFAULT_GRAPH,
        subject: Arg::Slot(subject),
        predicate: Arg::Const(predicate(number)),
        object: Arg::Slot(object),
    };
    let atoms = atoms.iter().map(|(subject, number, object)| atom(*number, *subject, *object)).collect();
    let body = Body { width: 3, atoms, conditions: Vec::new() };
    RuleBody { label: "rule".into(), heads: vec![head], body, negated: Vec::new() }
}

fn fact(subject: u64, number: u64, object: u64) -> Triple {
    (node_term(subject), predicate(number), node_term(object))
}

fn step(added: &[Triple], removed: &[Triple], toggled: &[usize]) -> Step {
    Step {
        added: added.iter().copied().collect(),
        removed: removed.iter().copied().collect(),
        positions: Vec::new(),
        toggled: toggled.iter().copied().collect(),
        gives_up_in: None,
    }
}

fn transitive() -> Vec<RuleBody> {
    vec![rule((0, 2, 1), &[(0, 1, 1)]), rule((0, 2, 2), &[(0, 2, 1), (1, 1, 2)])]
}

/// `?x p2 ?y` for each edge `?x p1 ?y` whose end has no edge of `p3`.
fn without_exit() -> RuleBody {
    let mut rule = rule((0, 2, 1), &[(0, 1, 1)]);
    let exit = atom(3, 1, 2);
    rule.negated = vec![crate::plan::compile::NegatedBody { atoms: vec![exit], conditions: Vec::new() }];
    rule
}

#[test]
fn facts_go_below_a_not_and_come() {
    let rules = [rule((1, 3, 0), &[(0, 0, 1)]), without_exit()];
    check_all(
        &rules,
        &[
            step(&[fact(1, 1, 2), fact(3, 1, 2), fact(4, 1, 5)], &[], &[]),
            // An exit of 2 is derived, and goes.
            step(&[fact(6, 0, 2)], &[], &[]),
            step(&[fact(7, 3, 8)], &[fact(6, 0, 2)], &[]),
            step(&[fact(2, 3, 9)], &[fact(4, 1, 5)], &[]),
            step(&[fact(6, 0, 2)], &[fact(2, 3, 9)], &[]),
            // The rule that derives exits goes and comes.
            step(&[], &[], &[0]),
            step(&[], &[], &[0, 1]),
            step(&[], &[], &[1]),
        ],
    );
}

/// A matrix that holds asserted facts is listed when the next stratum begins to delete.
#[test]
fn a_matrix_is_listed_between_strata() {
    let rules = [rule((0, 1, 0), &[(0, 0, 1)]), without_exit(), rule((0, 0, 1), &[(0, 3, 1)])];
    check_all(
        &rules,
        &[step(&[fact(0, 1, 1), fact(1, 0, 0)], &[], &[]), step(&[fact(3, 0, 0)], &[fact(0, 1, 1)], &[])],
    );
}

#[test]
fn the_seed_of_a_symmetric_cycle_goes() {
    let rules = [rule((1, 2, 0), &[(0, 2, 1)]), rule((0, 2, 1), &[(0, 1, 1)])];
    check_all(&rules, &[step(&[fact(1, 1, 2), fact(3, 1, 4)], &[], &[]), step(&[], &[fact(1, 1, 2)], &[])]);
}

#[test]
fn the_only_bridge_into_a_cycle_that_stays_goes() {
    let cycle = [fact(2, 1, 3), fact(3, 1, 4), fact(4, 1, 2)];
    let all = [&cycle[..], &[fact(1, 1, 2)]].concat();
    check_all(
        &transitive(),
        &[step(&all, &[], &[]), step(&[], &[fact(1, 1, 2)], &[]), step(&[], &[fact(3, 1, 4)], &[])],
    );
}

#[test]
fn a_diamond_and_a_chain() {
    let edges = [fact(1, 1, 2), fact(1, 1, 3), fact(2, 1, 4), fact(3, 1, 4), fact(4, 1, 5), fact(5, 1, 6)];
    check_all(
        &transitive(),
        &[
            step(&edges, &[], &[]),
            step(&[], &[fact(2, 1, 4)], &[]),
            step(&[], &[fact(3, 1, 4)], &[]),
            step(&[fact(2, 1, 4)], &[fact(5, 1, 6)], &[]),
        ],
    );
}

#[test]
fn a_fact_that_is_asserted_and_derived() {
    let rules = transitive();
    check_all(
        &rules,
        &[
            step(&[fact(1, 1, 2)], &[], &[]),
            // Derived, then asserted as well, then only derived again.
            step(&[fact(1, 2, 2)], &[], &[]),
            step(&[], &[fact(1, 2, 2)], &[]),
            // Asserted, then what derives it goes.
            step(&[fact(1, 2, 2)], &[], &[]),
            step(&[], &[fact(1, 1, 2)], &[]),
            step(&[], &[fact(1, 2, 2)], &[]),
            // Asserted before it is derived.
            step(&[fact(3, 2, 4)], &[], &[]),
            step(&[fact(3, 1, 4)], &[], &[]),
            step(&[], &[fact(3, 2, 4)], &[]),
            step(&[], &[fact(3, 1, 4)], &[]),
        ],
    );
}

#[test]
fn a_rule_goes_whose_facts_another_one_derives_too() {
    let rules = [rule((0, 2, 1), &[(0, 1, 1)]), rule((0, 2, 1), &[(0, 3, 1)]), rule((1, 3, 0), &[(0, 2, 1)])];
    check_all(
        &rules,
        &[
            step(&[fact(1, 1, 2), fact(1, 3, 2), fact(5, 1, 6)], &[], &[]),
            step(&[], &[], &[0]),
            step(&[], &[], &[0, 1]),
            step(&[], &[], &[1, 2]),
        ],
    );
}
