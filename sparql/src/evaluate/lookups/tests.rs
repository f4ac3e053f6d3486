//! Lookups in a cluster in which each finds as many facts.

use super::*;
use crate::cluster::{Cluster, Interrupt, NodeProfile, Rows, Texts};
use crate::{DatasetClause, DefaultGraph};
use entail_logic::plan::compile::{Context, RelationStats};
use entail_model::Reason;
use entail_model::{ShardId, TermKind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cluster in which each lookup finds as many facts.
struct Same {
    facts: usize,
    context: Arc<Context>,
    executed: AtomicUsize,
}

impl Cluster for Same {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        Ok(Arc::clone(&self.context))
    }

    fn lookup(&self, _: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        Ok(Vec::new())
    }

    fn texts(&self, _: &[TermId], _: u64) -> Result<Texts, Interrupt> {
        Ok(Texts::new())
    }

    fn execute(&self, _: Arc<Plan>, _: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let column: Vec<TermId> = (0..self.facts as u64).map(id).collect();
        Ok(Box::new(Once(Some(Batch { rows: self.facts, columns: vec![column; 3], ..Batch::default() }))))
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(Vec::new())
    }
}

struct Once(Option<Batch>);

impl Rows for Once {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(self.0.take())
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        Vec::new()
    }
}

fn id(number: u64) -> TermId {
    TermId::dictionary(ShardId(0), number, TermKind::Iri)
}

const PREDICATE: u64 = 1 << 20;

/// Facts of a subject.
fn of(subject: u64) -> Lookup {
    Lookup { subject: Some(id(subject)), predicate: Some(id(PREDICATE)), object: None, from: From::Default }
}

fn lookups(facts: usize, held_max: u64) -> (Arc<Same>, Arc<Session>, Lookups) {
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: id(PREDICATE) };
    let stats = RelationStats { facts: facts as u64, ..RelationStats::default() };
    let context = Arc::new(Context { stats: HashMap::from([(relation, stats)]), ..Context::default() });
    let cluster = Arc::new(Same { facts, context, executed: AtomicUsize::new(0) });
    let dataset = DatasetClause { default: DefaultGraph::Own, named: None };
    let session = Session::new(Arc::clone(&cluster) as _, &dataset, Default::default(), held_max).expect("a session");
    let session = Arc::new(session);
    (cluster, Arc::clone(&session), Lookups::new(session))
}

fn count(lookups: &Lookups, lookup: Lookup) -> usize {
    lookups.find(lookup).expect("facts").inspect(|found| assert!(found.is_ok(), "a fact")).count()
}

#[test]
fn kept_answers_are_memory_until_rows_need_the_room() {
    let (cluster, session, lookups) = lookups(5_000, 1 << 20);
    assert_eq!((count(&lookups, of(1)), count(&lookups, of(1))), (5_000, 5_000));
    assert_eq!(cluster.executed.load(Ordering::Relaxed), 1, "the answer was kept");
    let bytes = (5_000 * size_of::<Found>()) as u64;
    assert!(session.memory.held() >= bytes && session.memory.held() < bytes + 1_000, "{}", session.memory.held());
    let mut rows = session.reservation();
    assert_eq!(rows.set(1 << 20), Ok(()));
    assert_eq!(session.memory.held(), 1 << 20);
    rows.set(0).expect("less");
    assert_eq!(count(&lookups, of(1)), 5_000);
    assert_eq!(cluster.executed.load(Ordering::Relaxed), 2, "the answer was forgotten");
}

#[test]
fn an_answer_that_does_not_fit_is_passed_on_only() {
    let (cluster, session, lookups) = lookups(5_000, 100_000);
    assert_eq!((count(&lookups, of(1)), count(&lookups, of(1))), (5_000, 5_000));
    assert_eq!(cluster.executed.load(Ordering::Relaxed), 2);
    assert_eq!(session.memory.held(), 0);
}

#[test]
fn a_relation_in_memory_counts_while_it_is_read() {
    let (cluster, session, lookups) = lookups(1_000, 200_000);
    for subject in 0..FETCH_AFTER as u64 - 1 {
        drop(lookups.find(of(subject)).expect("facts"));
    }
    let mut found = lookups.find(of(3)).expect("the relation");
    assert_eq!(cluster.executed.load(Ordering::Relaxed), FETCH_AFTER as usize);
    assert_eq!(count(&lookups, of(4)), 1);
    assert_eq!(cluster.executed.load(Ordering::Relaxed), FETCH_AFTER as usize, "it is answered from memory");
    let bytes = 1_000 * 2 * size_of::<(TermId, TermId)>();
    assert!(session.memory.held() as usize >= bytes, "{}", session.memory.held());
    let mut rows = session.reservation();
    assert_eq!(rows.set(190_000).unwrap_err().reason, Reason::LimitExceeded);
    assert_eq!(found.next().expect("a fact").expect("a fact").subject, id(3), "forgotten, and still read");
    drop(found);
    assert_eq!(rows.set(190_000), Ok(()));
}

#[test]
fn a_relation_that_does_not_fit_is_looked_up_fact_by_fact() {
    let (cluster, session, lookups) = lookups(1_000, 20_000);
    for subject in 0..40 {
        assert!(lookups.find(of(subject)).expect("facts").next().is_some());
    }
    assert_eq!(cluster.executed.load(Ordering::Relaxed), 40);
    assert_eq!(session.memory.held(), 0);
}
