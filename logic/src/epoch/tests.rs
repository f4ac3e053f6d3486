//! Tables of whole attempts, and a property: no order of events makes two decisions.

use super::*;
use crate::fixpoint::Phase;
use entail_model::Reason;
use proptest::prelude::*;
use std::collections::BTreeSet;

const ATTEMPT: Attempt = Attempt(7);

fn machine(rounds_max: u32) -> EpochMachine {
    EpochMachine::new(EpochSetup { nodes: vec![NodeId(1), NodeId(2)], previous: Epoch(4), rounds_max })
}

fn fault(reason: Reason) -> Fault {
    Fault::new(reason, "on purpose")
}

fn sent(to: u64, messages: u64) -> BTreeMap<NodeId, u64> {
    BTreeMap::from([(NodeId(to), messages)])
}

/// Three messages for the second node.
fn staged(phases: &[Phase]) -> Staged {
    let steps = phases.iter().map(|phase| Step { stratum: 0, phase: *phase });
    Staged { messages: sent(2, 3), steps: steps.collect() }
}

/// A report of one of two nodes that exchanged `messages` each way and derived one fact by rule 1.
fn closed(node: u64, round: u32, messages: u64, active: bool) -> Event {
    let peer = 3 - node;
    let (sent, received) = (sent(peer, messages), sent(peer, messages));
    let report = Report { round: Round(round), active, derived: vec![0, 1], sent, received, ..Report::default() };
    Event::RoundClosed { node: NodeId(node), attempt: ATTEMPT, report }
}

fn sealed(node: u64) -> Event {
    let seal = NodeSeal { incarnation: node, digest: node, asserted: 10, derived: 1 };
    Event::Sealed { node: NodeId(node), attempt: ATTEMPT, seal }
}

fn decided(node: u64) -> Event {
    Event::Decided { node: NodeId(node), attempt: ATTEMPT }
}

fn failed(node: Option<u64>, reason: Reason) -> Event {
    Event::Failed { node: node.map(NodeId), fault: fault(reason) }
}

/// A short description of an effect.
fn word(effect: &Effect) -> String {
    match effect {
        Effect::LogBegin => "begin".into(),
        Effect::Stage { attempt, previous } => format!("stage {attempt} after {previous}"),
        Effect::OpenRound { node, round, first, staged, .. } => {
            format!("{}round {round} at {node}, {staged} staged", if *first { "first " } else { "" })
        }
        Effect::Seal { node, .. } => format!("seal {node}"),
        Effect::LogCommit { epoch, seals, .. } => format!("commit {epoch} with {} seals", seals.len()),
        Effect::LogAbort { fault, .. } => format!("abort {}", fault.reason.name()),
        Effect::Decide { node, epoch, .. } => match epoch {
            Some(epoch) => format!("decide {node}: {epoch}"),
            None => format!("decide {node}: nothing"),
        },
        Effect::Answer(Ok(outcome)) => {
            let Outcome { epoch, rounds, derived, asserted, .. } = outcome;
            format!("answer {epoch} in {rounds} rounds, derived {derived:?}, {asserted} asserted")
        }
        Effect::Answer(Err(fault)) => format!("answer {}", fault.reason.name()),
    }
}

/// Steps through a table of events and the effects expected of each.
fn check(machine: &mut EpochMachine, table: Vec<(Event, &[&str])>) {
    for (event, expected) in table {
        let name = format!("{event:?}");
        let words: Vec<String> = machine.step(event).iter().map(word).collect();
        assert_eq!(words, expected, "after {name}");
    }
}

fn until_round_1() -> Vec<(Event, &'static [&'static str])> {
    vec![
        (Event::Start, &["begin"]),
        (Event::Begun(Ok(ATTEMPT)), &["stage 7 after 4"]),
        (
            Event::Staged(Ok(staged(&[Phase::Insert]))),
            &["first round 1 at 1, 0 staged", "first round 1 at 2, 3 staged"],
        ),
    ]
}

fn until_seal() -> Vec<(Event, &'static [&'static str])> {
    let mut table = until_round_1();
    table.extend([
        (closed(1, 1, 5, true), &[][..]),
        (closed(2, 1, 5, false), &["round 2 at 1, 0 staged", "round 2 at 2, 3 staged"]),
        (closed(1, 2, 0, false), &[]),
        (closed(2, 2, 0, false), &["seal 1", "seal 2"]),
    ]);
    table
}

fn until_commit() -> Vec<(Event, &'static [&'static str])> {
    let mut table = until_seal();
    table.extend([(sealed(2), &[][..]), (sealed(1), &["commit 5 with 2 seals"])]);
    table
}

#[test]
fn an_epoch_commits() {
    let mut machine = machine(9);
    check(&mut machine, until_commit());
    check(
        &mut machine,
        vec![
            (Event::Committed(Ok(Epoch(5))), &["decide 1: 5", "decide 2: 5"]),
            (decided(1), &[]),
            (decided(2), &["answer 5 in 2 rounds, derived [0, 4], 20 asserted"]),
            (Event::Tick, &[]),
        ],
    );
    assert!(machine.is_over());
}

#[test]
fn phases_follow_each_other_and_a_node_that_gives_up_ends_them() {
    use Phase::{Delete, Insert};
    for gives_up in [false, true] {
        let mut machine = machine(9);
        let mut phases = Vec::new();
        let mut step = |machine: &mut EpochMachine, event: Event| -> Vec<Effect> {
            let effects = machine.step(event);
            phases.extend(effects.iter().filter_map(|effect| match effect {
                Effect::OpenRound { node: NodeId(1), round, step, .. } => Some((round.0, step.phase)),
                _ => None,
            }));
            effects
        };
        step(&mut machine, Event::Start);
        step(&mut machine, Event::Begun(Ok(ATTEMPT)));
        step(&mut machine, Event::Staged(Ok(staged(&[Delete, Insert]))));
        for (round, active) in [(1, true), (2, false), (3, true)] {
            step(&mut machine, closed(1, round, 0, active));
            let Event::RoundClosed { node, attempt, mut report } = closed(2, round, 0, false) else { unreachable!() };
            report.gave_up = gives_up && round == 3;
            step(&mut machine, Event::RoundClosed { node, attempt, report });
        }
        step(&mut machine, closed(1, 4, 0, false));
        step(&mut machine, closed(2, 4, 0, false));
        step(&mut machine, sealed(1));
        let effects = step(&mut machine, sealed(2));
        let [Effect::LogCommit { outcome, .. }] = &effects[..] else { panic!("{effects:?}") };
        let last = if gives_up { Phase::Recompute } else { Insert };
        assert_eq!(phases, [(1, Delete), (2, Delete), (3, Insert), (4, last)]);
        let (over_deleted, derived) = if gives_up { (0, 2) } else { (4, 4) };
        assert_eq!((outcome.over_deleted, outcome.is_recomputed), (over_deleted, gives_up));
        assert_eq!(outcome.derived, [0, derived]);
    }
}

#[test]
fn ticks_send_again_what_is_not_answered() {
    let mut machine = machine(9);
    check(&mut machine, until_round_1());
    check(
        &mut machine,
        vec![
            (closed(1, 1, 0, false), &[]),
            (Event::Tick, &["first round 1 at 2, 3 staged"]),
            (closed(2, 1, 0, false), &["seal 1", "seal 2"]),
            (sealed(1), &[]),
            (Event::Tick, &["seal 2"]),
            (sealed(2), &["commit 5 with 2 seals"]),
            (Event::Tick, &[]),
            (Event::Committed(Ok(Epoch(5))), &["decide 1: 5", "decide 2: 5"]),
            (decided(2), &[]),
            (Event::Tick, &["decide 1: 5"]),
        ],
    );
}

#[test]
fn late_and_repeated_messages_change_nothing() {
    let mut machine = machine(9);
    check(&mut machine, until_round_1());
    let foreign = Event::RoundClosed {
        node: NodeId(2),
        attempt: Attempt(6),
        report: Report { round: Round(1), ..Report::default() },
    };
    let stranger = Event::Decided { node: NodeId(9), attempt: ATTEMPT };
    check(
        &mut machine,
        vec![
            (Event::Start, &[]),
            (Event::Begun(Ok(Attempt(8))), &[]),
            (foreign, &[]),
            (stranger, &[]),
            (closed(1, 1, 5, true), &[]),
            (closed(1, 1, 6, false), &[]),
            (closed(2, 2, 5, false), &[]),
            (sealed(2), &[]),
            (decided(1), &[]),
            (Event::Committed(Ok(Epoch(5))), &[]),
            (Event::Aborted(Ok(())), &[]),
            (closed(2, 1, 5, false), &["round 2 at 1, 0 staged", "round 2 at 2, 3 staged"]),
        ],
    );
}

#[test]
fn failures_before_the_commit_abort() {
    let tables = [until_round_1()[..2].to_vec(), until_round_1(), until_seal()];
    for table in tables {
        let mut machine = machine(9);
        check(&mut machine, table);
        check(
            &mut machine,
            vec![
                (failed(Some(2), Reason::ShardsUnavailable), &["abort SHARDS_UNAVAILABLE"]),
                (failed(None, Reason::Cancelled), &[]),
                (Event::Aborted(Ok(())), &["decide 1: nothing", "decide 2: nothing", "answer SHARDS_UNAVAILABLE"]),
                (decided(1), &[]),
                (Event::Tick, &["decide 2: nothing"]),
                (decided(2), &[]),
            ],
        );
        assert!(machine.is_over());
    }
}

#[test]
fn failures_around_the_beginning() {
    let mut never_started = machine(9);
    check(&mut never_started, vec![(failed(None, Reason::Cancelled), &["answer CANCELLED"]), (Event::Start, &[])]);
    let mut not_begun = machine(9);
    let refused = Event::Begun(Err(fault(Reason::Overloaded)));
    check(&mut not_begun, vec![(Event::Start, &["begin"]), (refused, &["answer OVERLOADED"])]);
    let mut left = machine(9);
    check(
        &mut left,
        vec![
            (Event::Start, &["begin"]),
            (failed(None, Reason::Cancelled), &[]),
            (Event::Begun(Ok(ATTEMPT)), &["abort CANCELLED"]),
            (Event::Aborted(Err(fault(Reason::OutcomeUnknown))), &["answer CANCELLED"]),
        ],
    );
}

#[test]
fn an_abort_is_asked_for_until_the_log_has_it() {
    let mut machine = machine(9);
    check(&mut machine, until_seal());
    check(
        &mut machine,
        vec![
            (failed(Some(2), Reason::ShardsUnavailable), &["abort SHARDS_UNAVAILABLE"]),
            (Event::Tick, &[]),
            (Event::Aborted(Err(fault(Reason::DiskFull))), &[]),
            (Event::Tick, &["abort SHARDS_UNAVAILABLE"]),
            (Event::Tick, &[]),
            (Event::Aborted(Ok(())), &["decide 1: nothing", "decide 2: nothing", "answer SHARDS_UNAVAILABLE"]),
        ],
    );
}

#[test]
fn counts_that_disagree_are_a_defect() {
    let mut machine = machine(9);
    check(&mut machine, until_round_1());
    check(&mut machine, vec![(closed(1, 1, 5, false), &[])]);
    let effects = machine.step(closed(2, 1, 4, false));
    let [Effect::LogAbort { fault, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(fault.message, "in round 1 node 1 sent 5 messages to node 2, which received 4");
}

#[test]
fn rounds_are_limited() {
    let mut machine = machine(1);
    check(&mut machine, until_round_1());
    check(&mut machine, vec![(closed(1, 1, 0, false), &[]), (closed(2, 1, 0, true), &["abort LIMIT_EXCEEDED"])]);
}

#[test]
fn after_the_commit_was_asked_for_only_the_log_decides() {
    let after = |event: Event, expected: &'static [&'static str]| {
        let mut machine = machine(9);
        check(&mut machine, until_commit());
        check(&mut machine, vec![(failed(Some(1), Reason::ShardsUnavailable), &[]), (event, expected)]);
        machine
    };
    after(Event::Committed(Err(fault(Reason::OutcomeUnknown))), &["answer OUTCOME_UNKNOWN"]);
    let mut refused = after(Event::Committed(Err(fault(Reason::Fenced))), &["abort FENCED"]);
    let aborted = Event::Aborted(Ok(()));
    check(&mut refused, vec![(aborted, &["decide 1: nothing", "decide 2: nothing", "answer FENCED"])]);
    let answer = "answer 5 in 2 rounds, derived [0, 4], 20 asserted";
    let mut committed = after(Event::Committed(Ok(Epoch(5))), &["decide 1: 5", "decide 2: 5"]);
    check(
        &mut committed,
        vec![
            (failed(Some(1), Reason::ShardsUnavailable), &[]),
            (decided(2), &[answer]),
            (Event::Tick, &["decide 1: 5"]),
            (decided(1), &[]),
        ],
    );
    let mut timed_out = after(Event::Committed(Ok(Epoch(5))), &["decide 1: 5", "decide 2: 5"]);
    check(&mut timed_out, vec![(failed(None, Reason::DeadlineExceeded), &[answer]), (decided(1), &[])]);
}

fn event() -> impl Strategy<Value = Event> {
    let node = 1u64..4;
    let attempt = prop_oneof![9 => Just(ATTEMPT), 1 => Just(Attempt(6))];
    let reasons = [Reason::Fenced, Reason::OutcomeUnknown, Reason::DiskFull, Reason::ShardsUnavailable];
    let reason = prop::sample::select(reasons.to_vec());
    let report = (node.clone(), attempt.clone(), 1u32..4, any::<bool>()).prop_map(|(node, attempt, round, active)| {
        let report = Report { round: Round(round), active, ..Report::default() };
        Event::RoundClosed { node: NodeId(node), attempt, report }
    });
    let seal = (node.clone(), attempt.clone()).prop_map(|(node, attempt)| Event::Sealed {
        node: NodeId(node),
        attempt,
        seal: NodeSeal::default(),
    });
    let result = |good: u32| (prop::bool::weighted(f64::from(good) / 10.0), reason.clone());
    prop_oneof![
        2 => Just(Event::Start),
        4 => result(8).prop_map(|(ok, reason)| Event::Begun(if ok { Ok(ATTEMPT) } else { Err(fault(reason)) })),
        4 => result(8).prop_map(|(ok, reason)| Event::Staged(if ok { Ok(Staged::default()) } else { Err(fault(reason)) })),
        12 => report,
        8 => seal,
        1 => (prop::option::of(node.clone()), reason.clone())
            .prop_map(|(node, reason)| Event::Failed { node: node.map(NodeId), fault: fault(reason) }),
        4 => result(6).prop_map(|(ok, reason)| Event::Committed(if ok { Ok(Epoch(5)) } else { Err(fault(reason)) })),
        4 => result(8).prop_map(|(ok, reason)| Event::Aborted(if ok { Ok(()) } else { Err(fault(reason)) })),
        4 => (node, attempt).prop_map(|(node, attempt)| Event::Decided { node: NodeId(node), attempt }),
        2 => Just(Event::Tick),
    ]
}

/// The requests to the log and to the nodes so far.
#[derive(Default)]
struct Recorded {
    begins: u32,
    commits: u32,
    aborts: u32,
    /// Aborts that the log could not write.
    refused: u32,
    answers: u32,
    /// The outcome that the log has, when it has one.
    logged: Option<Option<Epoch>>,
    asked_to_seal: bool,
    sealed: BTreeSet<NodeId>,
}

impl Recorded {
    fn check(&mut self, effect: &Effect) {
        match effect {
            Effect::LogBegin => self.begins += 1,
            Effect::LogCommit { attempt, epoch, seals, .. } => {
                self.commits += 1;
                assert_eq!((*attempt, *epoch, seals.len()), (ATTEMPT, Epoch(5), 2));
                assert!(seals.keys().eq(&self.sealed), "only nodes that sealed are in the commit");
                assert_eq!(self.aborts, 0);
            }
            Effect::LogAbort { .. } => self.aborts += 1,
            Effect::Decide { epoch, .. } => assert_eq!(self.logged, Some(*epoch), "a decision is logged first"),
            Effect::Answer(result) => {
                self.answers += 1;
                assert_eq!(result.is_ok(), matches!(self.logged, Some(Some(_))), "only commits are successes");
            }
            Effect::Stage { .. } | Effect::OpenRound { .. } | Effect::Seal { .. } => {
                self.asked_to_seal |= matches!(effect, Effect::Seal { .. });
                assert_eq!((self.commits, self.aborts, self.logged), (0, 0, None), "no work after the end");
            }
        }
        assert!(self.begins <= 1 && self.commits <= 1 && self.aborts <= 1 + self.refused && self.answers <= 1);
    }

    /// Records the event, if the machine waits for it.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Committed(Ok(epoch)) if self.commits > self.aborts => _ = self.logged.get_or_insert(Some(*epoch)),
            Event::Aborted(Ok(())) if self.aborts > 0 => _ = self.logged.get_or_insert(None),
            Event::Aborted(Err(fault)) if self.aborts > self.refused && fault.reason != Reason::Fenced => {
                self.refused += 1
            }
            Event::Sealed { node, attempt: ATTEMPT, .. } if self.asked_to_seal && node.0 < 3 => {
                _ = self.sealed.insert(*node)
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_order_of_events_makes_one_decision(events in prop::collection::vec(event(), 0..120)) {
        let mut machine = machine(2);
        let mut recorded = Recorded::default();
        for event in events {
            // After a failure of the log the machine is over, and ignores its events.
            if !machine.is_over() {
                recorded.note(&event);
            }
            for effect in machine.step(event) {
                recorded.check(&effect);
            }
            prop_assert_eq!(machine.is_answered(), recorded.answers > 0);
        }
    }
}
