//! Which messages of an attempt are taken, depending on the attempts that the store knows.

use super::*;
use crate::staged;
use entail_logic::fixpoint::StagedEffect;
use entail_model::term::HashKey;
use entail_model::{Direction, Relation, ShardCount, TermId};
use entail_proto::convert;
use entail_proto::internal::{StageRequest, StagedBlock};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A node that has joined a cluster and holds nothing.
struct Node {
    context: Arc<Context>,
    attempts: Attempts,
    _runtime: Runtime,
    _data: TempDir,
}

impl Node {
    fn new() -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let runtime = Runtime::new().expect("a runtime");
        let context = Context::of_directory(data.path(), runtime.handle().clone());
        let shards = ShardCount::new(1).expect("a power of two");
        context.store.bind_cluster(ClusterId(1), HashKey([7; 16]), shards).expect("a new store");
        Self { context: Arc::new(context), attempts: Attempts::default(), _runtime: runtime, _data: data }
    }

    fn open(&self, attempt: u64) -> Result<Arc<Open>, Reason> {
        self.attempts
            .open(&self.context, Begun { attempt: Attempt(attempt), secret: Secret(1) })
            .map_err(|fault| fault.reason)
    }

    fn stage(&self, attempt: u64, previous: u64) -> Result<(), Reason> {
        let staged = self.open(attempt)?.stage(&self.context, Epoch(previous), 0, |_| Ok(()));
        staged.map_err(|fault| fault.reason)
    }

    fn is_idle(&self) -> bool {
        lock(&self.attempts.open).is_none()
    }
}

#[test]
fn a_late_message_does_not_open_what_is_decided() {
    let node = Node::new();
    node.stage(3, 0).expect("the first attempt");
    node.attempts.decide(&node.context, Attempt(3), None).expect("nothing is sealed");
    assert_eq!(node.stage(3, 0), Err(Reason::Fenced));
    assert_eq!(node.stage(2, 0), Err(Reason::Fenced), "an older one is over too");
    assert!(node.is_idle(), "nothing is held for an attempt that is over");
    node.stage(4, 0).expect("a new attempt");
    node.attempts.decide(&node.context, Attempt(5), None).expect("nothing is sealed");
    assert!(node.is_idle(), "a later outcome ends an earlier attempt");
}

#[test]
fn facts_are_staged_only_on_the_epoch_that_the_attempt_builds_on() {
    let node = Node::new();
    assert_eq!(node.stage(3, 1), Err(Reason::EpochUnavailable));
    node.context.store.seal(Attempt(3), entail_logic::fixpoint::Changes::default()).expect("room");
    assert_eq!(node.open(4).err(), Some(Reason::Fenced), "the outcome of 3 is not known");
    node.attempts.decide(&node.context, Attempt(3), Some(Epoch(1))).expect("it is sealed");
    assert_eq!(node.stage(4, 0), Err(Reason::EpochUnavailable));
    assert_eq!(node.stage(4, 1), Ok(()));
}

#[test]
fn a_message_that_was_not_taken_whole_is_never_taken() {
    let node = Node::new();
    let open = node.open(3).expect("the first attempt");
    let stage = |sequence, outcome: Result<(), Fault>| {
        open.stage(&node.context, Epoch(0), sequence, |_| outcome).map_err(|fault| fault.reason)
    };
    assert_eq!(stage(0, Ok(())), Ok(()));
    assert_eq!(stage(0, Err(Fault::corrupt("not asked"))), Ok(()), "it is here");
    assert_eq!(stage(1, Err(Fault::corrupt("half of it"))), Err(Reason::Corrupt));
    assert_eq!(stage(1, Ok(())), Err(Reason::Corrupt), "a repeat, as the answer was lost");
    assert_eq!(stage(2, Ok(())), Err(Reason::Corrupt));
}

#[test]
fn a_message_that_ends_in_a_panic_is_never_taken() {
    let node = Node::new();
    let open = node.open(3).expect("the first attempt");
    let stage = || open.stage(&node.context, Epoch(0), 0, |_| panic!("as a defect would"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(stage)).is_err());
    let again = open.stage(&node.context, Epoch(0), 0, |_| Ok(()));
    assert_eq!(again.map_err(|fault| fault.reason), Err(Reason::Internal));
}

#[test]
fn what_was_staged_is_handed_on_once() {
    let node = Node::new();
    let open = node.open(3).expect("the first attempt");
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
    let facts = [(TermId(8), TermId(12))];
    let add = |intake: &mut Intake<'_>| {
        intake.facts((None, StagedEffect::Added), (relation, &Direction::BOTH), facts.into_iter())
    };
    open.stage(&node.context, Epoch(0), 0, add).expect("it fits");
    let base = node.context.store.latest();
    let finish =
        |rebuild| lock(&open.staging).finish(&node.context, &base, 1, rebuild).map(drop).map_err(|fault| fault.reason);
    assert_eq!(finish(true).err(), Some(Reason::Internal), "facts were staged for a rebuild");
    assert_eq!(finish(false).err(), Some(Reason::Internal), "they are not here any more");
}

#[test]
fn a_round_that_is_asked_for_again_does_not_begin_again() {
    let node = Node::new();
    let open = node.open(1).expect("the first attempt");
    let ask = |round: u32| {
        open.start_round(&node.context, (Round(round), Step::default()), None).expect("there is room");
        lock(&open.underway).as_ref().map(|underway| (underway.round, underway.began))
    };
    let first = ask(1).expect("it begins");
    assert_eq!(ask(1), Some(first), "it goes on");
    _ = lock(&open.underway).take();
    lock(&open.progress).closed = Some(Report { round: Round(1), ..Report::default() });
    assert_eq!(ask(1), None, "the answer was lost, not the round");
    let (round, began) = ask(2).expect("it begins");
    assert!(round == Round(2) && began > first.1);
}

#[test]
fn a_message_that_is_damaged_is_refused() {
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
    let whole = convert::staged_block(relation, &[Direction::Forward], &[(TermId(8), TermId(12))]);
    let cut = StagedBlock { pairs: whole.pairs.slice(..15), ..whole.clone() };
    let added = |block: &StagedBlock| StageRequest { blocks: vec![block.clone()], ..StageRequest::default() };
    let unnumbered = StageRequest { removed: vec![whole.clone()], ..StageRequest::default() };
    let numbered = StageRequest { operation: Some(0), ..unnumbered.clone() };
    let no_copy = StagedBlock { copies: 0, ..whole.clone() };
    let unknown_copy = StagedBlock { copies: 4, ..whole.clone() };
    let cases = [
        (added(&whole), true),
        (added(&cut), false),
        (added(&no_copy), false),
        (added(&unknown_copy), false),
        (numbered, true),
        (unnumbered, false),
    ];
    for (number, (request, is_taken)) in cases.into_iter().enumerate() {
        let node = Node::new();
        let open = node.open(3).expect("the first attempt");
        let taken = open.stage(&node.context, Epoch(0), 0, |intake| staged::request(intake, &request));
        assert_eq!(taken.is_ok(), is_taken, "case {number}: {taken:?}");
    }
}
