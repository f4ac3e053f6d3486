//! Folds against sets of facts that apply one operation after the other.

use super::*;
use crate::columns::run::tests::VecStore;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Quad = (u64, u64, u64, u64);

/// An operation on facts of two graphs, two predicates and few terms.
#[derive(Clone, Debug)]
enum Operation {
    Facts {
        removed: Vec<Quad>,
        added: Vec<Quad>,
    },
    Clear(Graphs),
    Transfer(u64, u64),
    /// Not an operation: memory is short here.
    Store,
}

const GRAPHS: [u64; 2] = [TermId::DEFAULT_GRAPH.0, 7];

fn quads() -> impl Strategy<Value = Vec<Quad>> {
    prop::collection::vec((prop::sample::select(GRAPHS.to_vec()), 0u64..2, 0u64..4, 0u64..4), 0..12)
}

fn operation() -> impl Strategy<Value = Operation> {
    let graph = prop::sample::select(GRAPHS.to_vec());
    let graphs =
        prop_oneof![graph.clone().prop_map(|graph| Graphs::One(TermId(graph))), Just(Graphs::Named), Just(Graphs::All)];
    prop_oneof![
        6 => (quads(), quads()).prop_map(|(removed, added)| Operation::Facts { removed, added }),
        1 => graphs.prop_map(Operation::Clear),
        1 => (graph.clone(), graph).prop_map(|(from, to)| Operation::Transfer(from, to)),
        1 => Just(Operation::Store),
    ]
}

fn relation((graph, predicate, ..): Quad) -> Relation {
    Relation { graph: TermId(graph), predicate: TermId(predicate) }
}

/// Committed facts: asserted, derived, and both.
fn base(asserted: &BTreeSet<Quad>, derived: &BTreeSet<Quad>) -> Base {
    let mut base = Base::default();
    let plain = asserted.difference(derived).map(|quad| (Mark::Asserted, *quad));
    let promoted = asserted.intersection(derived).map(|quad| (Mark::Promoted, *quad));
    let derived = derived.iter().map(|quad| (Mark::Derived, *quad));
    let mut runs: BTreeMap<(Relation, Mark, u8), BTreeSet<Pair>> = BTreeMap::new();
    for (mark, quad) in plain.chain(promoted).chain(derived) {
        for copy in Direction::BOTH {
            let pair = copy.pair(TermId(quad.2), TermId(quad.3));
            runs.entry((relation(quad), mark, copy as u8)).or_default().insert(pair);
        }
    }
    for ((relation, mark, copy), pairs) in runs {
        let run = Run::resident(mark, pairs.into_iter().collect()).expect("not empty");
        base.change(relation, |copies| copies[usize::from(copy)].push(run));
    }
    base
}

/// The facts after all operations, one after the other.
fn applied(asserted: &BTreeSet<Quad>, operations: &[Operation]) -> BTreeSet<Quad> {
    let mut now = asserted.clone();
    for operation in operations {
        match operation {
            Operation::Facts { removed, added } => {
                removed.iter().for_each(|quad| _ = now.remove(quad));
                now.extend(added);
            }
            Operation::Clear(graphs) => now.retain(|quad| !graphs.contains(TermId(quad.0))),
            Operation::Transfer(from, to) => {
                let moved: Vec<Quad> = now.iter().filter(|quad| quad.0 == *from).copied().collect();
                now.extend(moved.into_iter().map(|(_, p, s, o)| (*to, p, s, o)));
            }
            Operation::Store => {}
        }
    }
    now
}

/// Stages the operations of a request.
fn staged(operations: &[Operation], base: &Base, resources: Resources<'_>) -> StagedChanges {
    let mut changes = StagedChanges::default();
    if operations.iter().all(|operation| matches!(operation, Operation::Facts { .. })) {
        changes.count_each();
    }
    for (number, operation) in operations.iter().enumerate() {
        let operation_number = number as u32;
        match operation {
            Operation::Facts { removed, added } => {
                // Additions may arrive before removals of the same operation.
                for (effect, quads) in [(Effect::Added, added), (Effect::Removed, removed)] {
                    for quad in quads {
                        let step = Step { operation: operation_number, effect };
                        let fact = [(TermId(quad.2), TermId(quad.3))];
                        changes.add(step, (relation(*quad), &Direction::BOTH), fact.into_iter()).expect("in order");
                    }
                }
            }
            Operation::Clear(graphs) => changes.clear(operation_number, *graphs, base).expect("in order"),
            Operation::Transfer(from, to) => {
                let graphs = (TermId(*from), TermId(*to));
                changes.transfer(operation_number, graphs, base, resources).expect("in order");
            }
            Operation::Store => changes.store(resources).expect("in memory"),
        }
    }
    changes
}

/// Checks the counts of each operation, if there are any, against what it changes after those before it.
fn check_counts(
    asserted: &BTreeSet<Quad>,
    derived: &BTreeSet<Quad>,
    operations: &[Operation],
    counted: &[OperationCounts],
) {
    for counts in counted {
        let number = counts.operation as usize;
        let Operation::Facts { removed, added } = &operations[number] else { panic!("only facts are counted") };
        let mut now = applied(asserted, &operations[..number]);
        let gone = removed.iter().collect::<BTreeSet<_>>();
        let is_derived_only =
            |quad: &&&Quad| !now.contains(**quad) && derived.contains(**quad) && !asserted.contains(**quad);
        let derived_only = gone.iter().filter(is_derived_only).count() as u64;
        assert_eq!(counts.removal.derived_only, derived_only);
        assert_eq!(counts.removal.removed, gone.into_iter().filter(|quad| now.remove(*quad)).count() as u64);
        assert_eq!(counts.added, added.iter().filter(|quad| now.insert(**quad)).count() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn a_fold_is_what_the_operations_do_one_after_the_other(
        asserted in quads(), derived in quads(), operations in prop::collection::vec(operation(), 1..7),
    ) {
        let (asserted, derived) = (BTreeSet::from_iter(asserted), BTreeSet::from_iter(derived));
        let base = base(&asserted, &derived);
        let spill = Spill { store: Some(Arc::new(VecStore::default())), above: 1 << 20 };
        let resources = Resources { spill: &spill, threads: 1 };
        let mut changes = staged(&operations, &base, resources);
        let mut found: BTreeMap<(Effect, u8), BTreeSet<Quad>> = BTreeMap::new();
        let counts = changes.fold(&base, resources, &mut |Folded { removed, added }| {
            for (effect, columns) in [(Effect::Removed, removed), (Effect::Added, added)] {
                for column in columns {
                    let Relation { graph, predicate } = column.relation;
                    let pairs = (column.pairs)(1);
                    assert!(pairs.is_sorted_by(|a, b| a < b));
                    for (key, value) in pairs {
                        let (subject, object) = column.copy.pair(key, value);
                        let quad = (graph.0, predicate.0, subject.0, object.0);
                        let is_new = found.entry((effect, column.copy as u8)).or_default().insert(quad);
                        assert!(is_new, "{quad:?} is given twice");
                    }
                }
            }
            Ok(())
        }).expect("in memory");
        let after = applied(&asserted, &operations);
        let of = |effect, copy: Direction| found.get(&(effect, copy as u8)).cloned().unwrap_or_default();
        for copy in Direction::BOTH {
            let (removed, added) = (of(Effect::Removed, copy), of(Effect::Added, copy));
            prop_assert!(removed.is_disjoint(&added));
            prop_assert_eq!(&removed, &asserted.difference(&after).copied().collect());
            let new = added.difference(&asserted).copied().collect::<BTreeSet<Quad>>();
            prop_assert_eq!(new, after.difference(&asserted).copied().collect());
            prop_assert!(added.is_subset(&after));
        }
        let FoldCounts { removal, operations: counted } = counts;
        prop_assert_eq!(removal.removed, asserted.difference(&after).count() as u64);
        prop_assert_eq!(removal.example.is_some(), removal.derived_only > 0);
        check_counts(&asserted, &derived, &operations, &counted);
        prop_assert!(changes.is_empty() && changes.held() == 0);
    }
}

#[test]
fn what_only_rules_say_is_counted_and_stays() {
    let (asserted, derived) =
        (BTreeSet::from([(7, 0, 1, 1), (7, 0, 1, 2)]), BTreeSet::from([(7, 0, 1, 2), (7, 0, 1, 3)]));
    let base = base(&asserted, &derived);
    let spill = Spill::default();
    let resources = Resources { spill: &spill, threads: 1 };
    // Asserted, asserted and derived, derived, unknown.
    let removed = (1..=4).map(|object| (7, 0, 1, object)).collect();
    let operations = [Operation::Facts { removed, added: Vec::new() }];
    let counts = staged(&operations, &base, resources).fold(&base, resources, &mut |_| Ok(())).expect("in memory");
    let example = Fact { graph: TermId(7), predicate: TermId(0), subject: TermId(1), object: TermId(3) };
    assert_eq!(counts.removal, RemovalCounts { removed: 2, derived_only: 1, example: Some(example) });
    let removal = counts.removal;
    assert_eq!(counts.operations, [OperationCounts { operation: 0, added: 0, removal }]);
}

#[test]
fn facts_after_a_later_operation_on_whole_graphs_are_refused() {
    let mut changes = StagedChanges::default();
    changes.clear(3, Graphs::All, &Base::default()).expect("nothing came before");
    let place = (Relation { graph: TermId(7), predicate: TermId(0) }, &Direction::BOTH[..]);
    let mut add = |operation| changes.add(Step { operation, effect: Effect::Added }, place, [].into_iter());
    assert!(add(2).is_err() && add(3).is_err());
    assert!(add(4).is_ok());
}
