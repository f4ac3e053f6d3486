//! A state's memory stays within its budget, for any input in any number of relations.

use super::*;
use crate::columns::run::tests::VecStore;
use entail_model::TermId;
use std::collections::BTreeSet;

const RELATIONS: u64 = 60;
const BUDGET: u64 = 4000;

/// The number of pairs in one call.
const BATCH: u64 = 50;

fn relation(n: u64) -> Relation {
    Relation { graph: TermId(0), predicate: TermId(n) }
}

/// The pairs of a relation's n-th batch; all are distinct.
fn batch(relation: u64, n: u64) -> Vec<Pair> {
    let scatter = |i: u64| (i * 7919) % 100_003;
    (n * BATCH..(n + 1) * BATCH).map(|i| (TermId(scatter(i)), TermId(i * RELATIONS + relation))).collect()
}

/// Counts the pairs in memory, without the state's own count.
#[track_caller]
fn check(state: &State) {
    let held: u64 = state.relations.values().flatten().map(CopyState::held).sum();
    assert_eq!(held, state.held, "the count is kept");
    assert!(held <= BUDGET, "{held} pairs in memory");
}

fn state(base: &Base, rebuild: bool) -> State {
    let spill = Spill { store: Some(Arc::new(VecStore::default())), above: BUDGET };
    State::new(base, rebuild, spill).expect("in memory")
}

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads")
}

/// A column that is staged.
fn incoming(relation: Relation, copy: Direction, mut pairs: Vec<Pair>) -> StagedColumn<'static> {
    let len = pairs.len() as u64;
    pairs.sort_unstable();
    StagedColumn { relation, copy, len, pairs: Box::new(move |_| pairs) }
}

fn found(n: u64) -> impl Iterator<Item = BTreeMap<(Relation, Direction), Vec<Pair>>> {
    (0..RELATIONS).map(move |of| BTreeMap::from([((relation(of), Direction::Forward), batch(of, n))]))
}

fn pairs(state: &State, mark: Mark) -> BTreeSet<(u64, Direction, Pair)> {
    let mut all = BTreeSet::new();
    for (relation, copy, run) in
        state.changes().expect("in memory").added.into_iter().filter(|(.., run)| run.mark == mark)
    {
        for pair in run.to_vec().expect("in memory") {
            assert!(all.insert((relation.predicate.0, copy, pair)), "runs are disjoint");
        }
    }
    all
}

#[test]
fn what_many_relations_hold_stays_within_one_budget() {
    let (mut state, pool) = (state(&Base::default(), false), pool());
    let mut expected = BTreeSet::new();
    for n in 0..20 {
        for of in 0..RELATIONS {
            state.stage_all(vec![incoming(relation(of), Direction::Forward, batch(of, n))], &pool).expect("in memory");
            expected.extend(batch(of, n).into_iter().map(|pair| (of, Direction::Forward, pair)));
            check(&state);
        }
    }
    state.finish_staging().expect("in memory");
    check(&state);
    assert_eq!(state.staged_facts(), RELATIONS * 20 * BATCH);
    assert_eq!(pairs(&state, Mark::Asserted), expected);
}

#[test]
fn many_columns_at_once_are_staged_as_one_by_one() {
    let pool = pool();
    let mut derived: Vec<Pair> = (0..10).flat_map(|n| batch(3, n)).collect();
    derived.sort_unstable();
    let run = Run::resident(Mark::Derived, derived).expect("pairs");
    let base = Base::from_iter([(relation(3), [vec![run], Vec::new()])]);
    // Few batches at once, and more than the whole budget.
    for batches in [1, 4, 20] {
        let (mut one_by_one, mut at_once) = (state(&base, false), state(&base, false));
        for first in [0, batches / 2, batches] {
            let of = |relation, n: u64| (n..n + batches).flat_map(move |n| batch(relation, n)).collect::<Vec<Pair>>();
            let mut columns = Vec::new();
            for (of, pairs) in (0..RELATIONS).map(|relation| (relation, of(relation, first))) {
                for copy in Direction::BOTH {
                    let column = || incoming(relation(of), copy, pairs.clone());
                    one_by_one.stage_all(vec![column()], &pool).expect("in memory");
                    columns.push(column());
                }
            }
            at_once.stage_all(columns, &pool).expect("in memory");
            check(&at_once);
        }
        one_by_one.finish_staging().expect("in memory");
        at_once.finish_staging().expect("in memory");
        check(&at_once);
        assert_eq!(at_once.staged_facts(), one_by_one.staged_facts());
        for mark in [Mark::Asserted, Mark::Promoted] {
            assert_eq!(pairs(&at_once, mark), pairs(&one_by_one, mark));
        }
        assert_eq!(pairs(&at_once, Mark::Promoted).len() as u64, (batches * 2).min(10) * BATCH);
    }
}

#[test]
fn what_rules_find_and_what_peers_send_stays_within_it_too() {
    let mut state = state(&Base::default(), false);
    let mut expected = BTreeSet::new();
    for round in 0..8 {
        for step in 0..3 {
            state.step(BTreeMap::new()).expect("in memory");
            for found in found(round * 3 + step) {
                for ((relation, copy), pairs) in &found {
                    expected.extend(pairs.iter().map(|pair| (relation.predicate.0, *copy, *pair)));
                }
                state.add_recent(found).expect("in memory");
                check(&state);
            }
        }
        state.step(BTreeMap::new()).expect("in memory");
        for of in 0..RELATIONS {
            for n in [2 * round, 2 * round + 1] {
                state.keep_copies(relation(of), &batch(of, n)).expect("in memory");
                expected.extend(batch(of, n).into_iter().map(|pair| (of, Direction::Inverse, pair)));
                check(&state);
            }
        }
        assert!(state.has_arrivals());
        state.next_round().expect("in memory");
        state.take_copies().expect("in memory");
        assert!(!state.has_arrivals());
        check(&state);
    }
    assert_eq!(pairs(&state, Mark::Derived), expected);
}

#[test]
fn relations_that_are_not_open_read_the_same() {
    let sorted = |n| batch(1, n).into_iter().collect::<BTreeSet<Pair>>().into_iter().collect::<Vec<Pair>>();
    let run = |mark, n| Run::resident(mark, sorted(n)).expect("pairs");
    let runs = vec![run(Mark::Asserted, 0), run(Mark::Derived, 1), run(Mark::Promoted, 1)];
    let base = Base::from_iter([(relation(1), [runs, Vec::new()])]);
    let mut state = state(&base, false);
    let read = |state: &State| {
        let all = [View::Old, View::Delta, View::All].map(|view| {
            [
                state.local().runs(relation(1), Direction::Forward, view),
                state.shared().runs(relation(1), Direction::Forward, view),
            ]
        });
        let pairs = all.map(|views| views.map(|runs| runs.iter().map(|run| run.to_vec().expect("pairs")).collect()));
        let candidates = (0..3).flat_map(|n| batch(1, n)).collect::<BTreeSet<Pair>>().into_iter().collect();
        let new = state.subtract_known(relation(1), candidates).expect("in memory");
        (pairs.map(<[Vec<Vec<Pair>>; 2]>::from), new, state.all_relations())
    };
    let closed = read(&state);
    state.open(relation(1));
    assert_eq!(closed, read(&state));
    assert_eq!(closed.1, sorted(2));
    assert_eq!(state.changes().expect("in memory").added.len(), 0);
}

#[test]
fn a_rebuild_takes_promoted_facts_within_it() {
    let mut base = Base::default();
    let mut expected = BTreeSet::new();
    for of in 0..RELATIONS {
        let mut promoted: Vec<Pair> = (0..20).flat_map(|n| batch(of, n)).collect();
        promoted.sort_unstable();
        expected.extend(promoted.iter().map(|pair| (of, Direction::Forward, *pair)));
        let runs = [Mark::Derived, Mark::Promoted].map(|mark| Run::resident(mark, promoted.clone()).expect("pairs"));
        base.change(relation(of), |copies| copies[Direction::Forward as usize] = runs.to_vec());
    }
    let state = state(&base, true);
    check(&state);
    assert_eq!(pairs(&state, Mark::Asserted), expected);
}
