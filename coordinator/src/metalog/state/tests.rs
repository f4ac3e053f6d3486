//! Properties of the machine over random entries, sensible and not, and each refusal by name.

use super::*;
use crate::metalog::entry::{Counts, RuleSet};
use entail_model::{ClusterId, Reason, ShardCount};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn create() -> Entry {
    let shards = ShardCount::new(4).expect("a power of two");
    Entry::CreateCluster(Cluster { cluster: ClusterId(9), shards, hash_key: [1; 16] })
}

fn register(node: u64) -> Entry {
    Entry::RegisterNode { node: NodeId(node), name: format!("node-{node}"), address: format!("host:{node}") }
}

fn place(version: u64, holders: [u64; 4]) -> Entry {
    Entry::Place { placement: Placement { version, holders: holders.map(NodeId).to_vec() } }
}

fn begin(previous: u64, request: &str) -> Entry {
    let request = RequestId(request.to_owned());
    Entry::BeginEpoch { previous: Epoch(previous), kind: EpochKind::Facts, request, rules: 0 }
}

/// The present seals of every holder.
fn seals(state: &State) -> Vec<Seal> {
    let seal = |node: &NodeId| Seal {
        node: *node,
        incarnation: state.nodes()[node].incarnation,
        digest: node.0,
        counts: Counts::default(),
    };
    state.placement().nodes().iter().map(seal).collect()
}

fn commit(state: &State, attempt: u64, epoch: u64) -> Entry {
    let (attempt, epoch) = (Attempt(attempt), Epoch(epoch));
    Entry::CommitEpoch { attempt, epoch, nodes: seals(state), result: vec![epoch.0 as u8], rules: None }
}

fn abort(attempt: u64) -> Entry {
    Entry::AbortEpoch { attempt: Attempt(attempt), reason: "a node was lost".to_owned() }
}

/// A cluster of nodes 1 and 2 at index 4, in its first epoch.
fn ready() -> State {
    let mut state = State::default();
    for entry in [create(), register(1), register(2), place(1, [1, 2, 1, 2])] {
        apply(&mut state, &entry).expect("each fits the one before");
    }
    state
}

fn apply(state: &mut State, entry: &Entry) -> Result<Applied, Refused> {
    state.apply(state.index() + 1, entry)
}

/// What a random entry is made from; numbers are taken relative to the state so that many fit and many nearly do.
#[derive(Clone, Debug)]
enum Move {
    Register(u64),
    Place(i64),
    Begin(i64, u8),
    Commit(i64, i64, bool),
    Abort(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let near = || prop_oneof![6 => Just(0i64), 1 => -3i64..3];
    let step = prop_oneof![
        1 => (1u64..4).prop_map(Move::Register),
        1 => near().prop_map(Move::Place),
        4 => (near(), 0u8..40).prop_map(|(epoch, request)| Move::Begin(epoch, request)),
        4 => (near(), near(), prop::bool::weighted(0.9)).prop_map(|(by, to, whole)| Move::Commit(by, to, whole)),
        2 => near().prop_map(Move::Abort),
    ];
    vec(step, 0..120)
}

fn entry(state: &State, step: &Move) -> Entry {
    let near = |number: u64, by: i64| number.saturating_add_signed(by);
    match *step {
        Move::Register(node) => register(node),
        Move::Place(by) => place(near(state.placement().version + 1, by), [1, 2, 2, 1]),
        Move::Begin(by, request) => begin(near(state.epoch().0, by), &request.to_string()),
        Move::Abort(by) => abort(near(state.last_attempt.0, by)),
        Move::Commit(by, to, whole) => {
            let mut entry = commit(state, near(state.last_attempt.0, by), near(state.epoch().0 + 1, to));
            if let (Entry::CommitEpoch { nodes, .. }, false) = (&mut entry, whole) {
                nodes.pop();
            }
            entry
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn one_decision_per_attempt_and_epochs_grow_by_one(moves in moves()) {
        let mut state = ready();
        let mut decided: BTreeMap<Attempt, Applied> = BTreeMap::new();
        for step in &moves {
            let entry = entry(&state, step);
            let before = state.clone();
            let checked = state.check(&entry);
            let applied = apply(&mut state, &entry);
            prop_assert_eq!(applied.clone().map(|_| ()), checked);
            match (&applied, &entry) {
                (Ok(Applied::Committed(epoch)), Entry::CommitEpoch { attempt, .. }) => {
                    prop_assert_eq!(*epoch, before.epoch().next());
                    prop_assert_eq!(decided.insert(*attempt, Applied::Committed(*epoch)), None);
                }
                (Ok(Applied::Aborted(attempt)), _) => {
                    prop_assert_eq!(decided.insert(*attempt, Applied::Aborted(*attempt)), None);
                    prop_assert_eq!(state.epoch(), before.epoch());
                }
                (Ok(Applied::Begun(attempt)), _) => {
                    prop_assert_eq!(attempt.0, state.index());
                    prop_assert_eq!(before.open(), None);
                    prop_assert_eq!(state.outcome(*attempt), Outcome::Open);
                }
                (Err(_), _) => prop_assert_eq!(&State { index: before.index, ..state.clone() }, &before),
                _ => prop_assert_eq!(state.epoch(), before.epoch()),
            }
            for (attempt, decision) in &decided {
                match decision {
                    Applied::Committed(epoch) => prop_assert_eq!(state.outcome(*attempt), Outcome::Committed(*epoch)),
                    _ => prop_assert_eq!(state.outcome(*attempt), Outcome::Aborted),
                }
            }
        }
        let commits = decided.values().filter(|decision| matches!(decision, Applied::Committed(_))).count();
        prop_assert_eq!(state.epoch(), Epoch(commits as u64));
    }
}

#[test]
fn an_epoch_from_begin_to_commit() {
    let mut state = ready();
    assert_eq!(apply(&mut state, &begin(0, "a")), Ok(Applied::Begun(Attempt(5))));
    let entry = commit(&state, 5, 1);
    assert_eq!(apply(&mut state, &entry), Ok(Applied::Committed(Epoch(1))));
    assert_eq!(state.seals().len(), 2);
    let answer = state.answer(&RequestId("a".to_owned())).expect("kept for retries");
    assert_eq!((answer.epoch, &answer.result[..]), (Epoch(1), &[1][..]));
    assert_eq!(
        apply(&mut state, &begin(1, "a")),
        Err(Refused::Answered { request: RequestId("a".to_owned()), epoch: Epoch(1) })
    );
    let (attempt, outcome) = (Attempt(5), Outcome::Committed(Epoch(1)));
    assert_eq!(apply(&mut state, &entry), Err(Refused::NotOpen { attempt, outcome }));
}

#[test]
fn after_an_abort_nothing_commits() {
    let mut state = ready();
    apply(&mut state, &begin(0, "a")).expect("nothing is open");
    let late = commit(&state, 5, 1);
    assert_eq!(apply(&mut state, &abort(5)), Ok(Applied::Aborted(Attempt(5))));
    let refused = Refused::NotOpen { attempt: Attempt(5), outcome: Outcome::Aborted };
    assert_eq!(apply(&mut state, &late), Err(refused));
    assert_eq!(apply(&mut state, &begin(0, "a")), Ok(Applied::Begun(Attempt(8))), "the request may be tried again");
    assert_eq!(state.outcome(Attempt(9)), Outcome::Unknown);
}

#[test]
fn refusals_say_why() {
    let mut state = State::default();
    assert_eq!(state.check(&register(1)), Err(Refused::NoCluster));
    apply(&mut state, &create()).expect("the first entry");
    assert_eq!(state.check(&create()), Err(Refused::ClusterExists { cluster: ClusterId(9) }));
    assert_eq!(state.check(&begin(0, "a")), Err(Refused::NotPlaced));
    assert_eq!(state.check(&place(1, [1; 4])), Err(Refused::UnknownNode { node: NodeId(1) }));

    let state = ready();
    assert_eq!(state.check(&place(1, [1; 4])), Err(Refused::StalePlacement { given: 1, current: 1 }));
    let short = Entry::Place { placement: Placement { version: 2, holders: vec![NodeId(1)] } };
    assert_eq!(state.check(&short), Err(Refused::WrongShards { given: 1, expected: 4 }));
    assert_eq!(state.check(&begin(1, "a")), Err(Refused::WrongEpoch { given: Epoch(1), expected: Epoch(0) }));
    let long = Entry::AbortEpoch { attempt: Attempt(1), reason: "x".repeat(1025) };
    assert_eq!(state.check(&long), Err(Refused::TooLarge { what: "the reason's length", limit: 1024 }));

    let mut open = state.clone();
    apply(&mut open, &begin(0, "a")).expect("nothing is open");
    assert_eq!(open.check(&begin(0, "b")), Err(Refused::AttemptOpen { attempt: Attempt(5) }));
    assert_eq!(open.check(&place(2, [1; 4])), Err(Refused::AttemptOpen { attempt: Attempt(5) }));
    assert_eq!(open.check(&commit(&open, 5, 2)), Err(Refused::WrongEpoch { given: Epoch(2), expected: Epoch(1) }));
}

#[test]
fn every_holder_seals_once_in_its_present_life() {
    let mut state = ready();
    apply(&mut state, &begin(0, "a")).expect("nothing is open");
    let with = |change: fn(&mut Vec<Seal>)| {
        let mut entry = commit(&state, 5, 1);
        if let Entry::CommitEpoch { nodes, .. } = &mut entry {
            change(nodes);
        }
        state.check(&entry)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|seals| seals.truncate(1)), Err(Refused::MissingSeal { node: NodeId(2) }));
    assert_eq!(with(|seals| seals.push(seals[0].clone())), Err(Refused::UnexpectedSeal { node: NodeId(1) }));
    assert_eq!(with(|seals| seals[0].node = NodeId(7)), Err(Refused::UnexpectedSeal { node: NodeId(7) }));

    let early = commit(&state, 5, 1);
    assert_eq!(apply(&mut state, &register(2)), Ok(Applied::Registered(Incarnation(6))));
    let (given, current) = (Incarnation(3), Incarnation(6));
    assert_eq!(state.check(&early), Err(Refused::StaleSeal { node: NodeId(2), given, current }));
}

#[test]
fn a_group_answers_each_of_its_requests_once() {
    let mut state = ready();
    let group = |state: &State, attempt, epoch, requests: &[&str]| {
        let answers = requests.iter().map(|request| (RequestId((*request).to_owned()), vec![7])).collect();
        Entry::CommitGroup { attempt: Attempt(attempt), epoch: Epoch(epoch), nodes: seals(state), answers }
    };
    let answered =
        |request: &str, epoch| Refused::Answered { request: RequestId(request.to_owned()), epoch: Epoch(epoch) };
    apply(&mut state, &begin(0, "a")).expect("nothing is open");
    assert_eq!(state.check(&group(&state, 5, 1, &["a", "b", "a"])), Err(answered("a", 1)));
    let mut unsealed = group(&state, 5, 1, &["a"]);
    if let Entry::CommitGroup { nodes, .. } = &mut unsealed {
        nodes.truncate(1);
    }
    assert_eq!(state.check(&unsealed), Err(Refused::MissingSeal { node: NodeId(2) }));
    let many: Vec<String> = (0..=GROUP_MAX).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(state.check(&group(&state, 5, 1, &many)), Err(Refused::TooLarge { .. })));
    let good = group(&state, 5, 1, &["b", "a"]);
    assert_eq!(apply(&mut state, &good), Ok(Applied::Committed(Epoch(1))));
    let epoch_of = |request: &str| state.answer(&RequestId(request.to_owned())).map(|answer| answer.epoch);
    assert_eq!(["a", "b", "c"].map(epoch_of), [Some(Epoch(1)), Some(Epoch(1)), None]);
    assert_eq!(state.check(&begin(1, "b")), Err(answered("b", 1)));
    apply(&mut state, &begin(1, "c")).expect("nothing is open");
    assert_eq!(state.check(&group(&state, 7, 2, &["c", "b"])), Err(answered("b", 1)));
    assert_eq!(state.check(&group(&state, 7, 2, &["d"])), Ok(()), "a request without effect has no answer");
}

#[test]
fn rules_change_by_compare_and_set() {
    let mut state = ready();
    let begin = |rules, previous| Entry::BeginEpoch {
        previous: Epoch(previous),
        kind: EpochKind::Rules,
        request: RequestId(format!("rules {rules} after {previous}")),
        rules,
    };
    apply(&mut state, &begin(0, 0)).expect("nothing is open");
    let set = |name: &str| RuleSet { name: name.to_owned(), graph: None, source: "RULE".to_owned(), version: 1 };
    let with = |state: &State, version, names: &[&str]| {
        let mut entry = commit(state, 5, 1);
        if let Entry::CommitEpoch { rules, .. } = &mut entry {
            *rules = Some(RuleSets { version, sets: names.iter().map(|name| set(name)).collect() });
        }
        entry
    };
    assert_eq!(state.check(&commit(&state, 5, 1)), Err(Refused::RulesOutOfPlace));
    assert_eq!(state.check(&with(&state, 2, &["a"])), Err(Refused::WrongRules { given: 2, expected: 1 }));
    assert_eq!(state.check(&with(&state, 1, &["a", "a"])), Err(Refused::RulesOutOfPlace));
    let good = with(&state, 1, &["a", "b"]);
    assert_eq!(apply(&mut state, &good), Ok(Applied::Committed(Epoch(1))));
    assert_eq!(state.rules().get("b"), Some(&set("b")));
    assert_eq!(state.check(&begin(0, 1)), Err(Refused::WrongRules { given: 0, expected: 1 }));
    assert_eq!(state.check(&begin(1, 1)), Ok(()));
}

#[test]
fn old_commits_are_forgotten_and_never_called_aborted() {
    let mut state = ready();
    for epoch in 0..COMMITS_MAX as u64 + 2 {
        apply(&mut state, &begin(epoch, &epoch.to_string())).expect("nothing is open");
        let entry = commit(&state, state.last_attempt.0, epoch + 1);
        apply(&mut state, &entry).expect("the attempt is open");
    }
    assert_eq!(state.commits.len(), COMMITS_MAX);
    assert_eq!(
        [5, 7, 9].map(|attempt| state.outcome(Attempt(attempt))),
        [Outcome::Forgotten, Outcome::Forgotten, Outcome::Committed(Epoch(3))]
    );
    let decisions = |attempt| state.decisions(&[Attempt(attempt)]).map_err(|fault| fault.reason);
    assert_eq!(decisions(9), Ok(vec![(Attempt(9), Some(Epoch(3)))]));
    assert_eq!(decisions(7), Err(Reason::Corrupt), "it may have been committed");
}

#[test]
fn nodes_are_told_what_the_log_knows() {
    let mut state = ready();
    for entry in [begin(0, "one"), abort(5), begin(0, "two")] {
        apply(&mut state, &entry).expect("each fits the one before");
    }
    assert_eq!(state.decisions(&[Attempt(5), Attempt(7)]), Ok(vec![(Attempt(5), None)]), "7 is open");
    let entry = commit(&state, 7, 1);
    apply(&mut state, &entry).expect("the attempt is open");
    assert_eq!(state.decisions(&[Attempt(5), Attempt(7)]), Ok(vec![(Attempt(5), None), (Attempt(7), Some(Epoch(1)))]));
    assert_eq!(state.decisions(&[Attempt(8)]).map_err(|fault| fault.reason), Err(Reason::Corrupt), "it never began");
}

#[test]
#[should_panic(expected = "entry 4 after entry 4")]
fn indexes_only_grow() {
    let _ = ready().apply(4, &register(1));
}
