//! Queries that read many large literals: batches are cut by the bytes of their texts.

use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Fault, Reason, TermId};
use entail_sparql::{Cluster, Format, Interrupt, Part, Request, Rows, Texts, Wanted, run};
use entail_tests::memory_cluster::MemoryCluster;
use oxrdf::{GraphName, Literal, NamedNode, Quad};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LITERALS: usize = 1_000;
/// Bytes of each literal.
const LARGE: usize = 64 << 10;
/// What the queries may hold: a sixteenth of it is for texts, four literals.
const HELD_MAX: u64 = 4 << 20;

/// A cluster whose literals are large, made when they are read.
struct Padded {
    inner: MemoryCluster,
    /// The largest answer with texts.
    most: AtomicU64,
}

impl Cluster for Padded {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        self.inner.context()
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        self.inner.lookup(terms)
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        let (short, mut texts) = (self.inner.texts(ids, u64::MAX)?, Texts::new());
        for number in 0..short.len() {
            let mut text = short.get(number).to_vec();
            if text.starts_with(b"S") {
                text.resize(LARGE + 1, b'x');
            }
            texts.push(&text);
            if texts.bytes() as u64 > bytes_max {
                break;
            }
        }
        self.most.fetch_max(texts.bytes() as u64, Ordering::Relaxed);
        Ok(texts)
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        self.inner.execute(plan, wanted)
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        self.inner.graphs()
    }
}

fn cluster() -> Arc<Padded> {
    let node = |text: String| NamedNode::new(text).expect("an IRI");
    let facts = (0..LITERALS).map(|number| {
        let text = Literal::new_simple_literal(format!("{number:04}"));
        Quad::new(node(format!("urn:s:{number}")), node("urn:p".to_owned()), text, GraphName::DefaultGraph)
    });
    Arc::new(Padded { inner: MemoryCluster::new(facts, 4, 2), most: AtomicU64::new(0) })
}

/// The rows and bytes of an answer, which the test does not hold either.
fn sizes(text: &str) -> Result<(u64, usize), Fault> {
    let cluster = cluster();
    let request = Request { text: text.to_owned(), held_bytes_max: HELD_MAX, ..Request::default() };
    let request = if text.contains("CONSTRUCT") { Request { format: Format::NTriples, ..request } } else { request };
    let mut bytes = 0;
    let summary = run(request, Arc::clone(&cluster) as _, &mut |part| {
        if let Part::Data(data) = part {
            bytes += data.len();
        }
        Ok(())
    })?;
    let most = cluster.most.load(Ordering::Relaxed);
    assert!(most <= HELD_MAX / 16 + 2 * LARGE as u64, "{text}: {most} bytes of texts at once");
    Ok((summary.rows, bytes))
}

const ALL: usize = LITERALS * LARGE;

#[test]
fn expressions_read_large_literals_some_at_a_time() {
    let (rows, _) = sizes("SELECT (STRLEN(?t) AS ?n) { ?s <urn:p> ?t }").expect("an answer");
    assert_eq!(rows, LITERALS as u64);
    let (rows, _) =
        sizes("SELECT ?s { ?s <urn:p> ?t OPTIONAL { ?s <urn:q> ?u } FILTER(BOUND(?u) || STRENDS(?t, \"xx\")) }")
            .expect("an answer");
    assert_eq!(rows, LITERALS as u64);
    let (rows, _) = sizes("SELECT ?s { ?s <urn:p> ?t } ORDER BY STRLEN(?t) STR(?s)").expect("an answer");
    assert_eq!(rows, LITERALS as u64);
}

#[test]
fn large_computed_terms_are_passed_on_some_at_a_time() {
    let (rows, bytes) = sizes("SELECT (CONCAT(?t, \"!\") AS ?n) { ?s <urn:p> ?t }").expect("an answer");
    assert!(rows == LITERALS as u64 && bytes > ALL, "{bytes} bytes");
    let (rows, _) = sizes("SELECT (SUM(STRLEN(CONCAT(?t, \"!\"))) AS ?n) { ?s <urn:p> ?t }").expect("an answer");
    assert_eq!(rows, 1);
}

#[test]
fn large_literals_are_written_some_at_a_time() {
    let (rows, bytes) = sizes("SELECT ?s ?t { ?s <urn:p> ?t }").expect("an answer");
    assert!(rows == LITERALS as u64 && bytes > ALL, "{bytes} bytes");
    let (rows, bytes) = sizes("CONSTRUCT { ?s <urn:q> ?t } WHERE { ?s <urn:p> ?t }").expect("an answer");
    assert!(rows == LITERALS as u64 && bytes > ALL, "{bytes} bytes");
}

#[test]
fn folds_read_large_literals_some_at_a_time() {
    let (rows, bytes) = sizes("SELECT (MAX(?t) AS ?most) { ?s <urn:p> ?t }").expect("an answer");
    assert!(rows == 1 && bytes > LARGE, "{bytes} bytes");
    assert_eq!(sizes("SELECT ?s { ?s <urn:p> ?t } ORDER BY DESC(?t) LIMIT 3").expect("an answer").0, 3);
    assert_eq!(sizes("SELECT (COUNT(DISTINCT ?t) AS ?n) { ?s <urn:p> ?t }").expect("an answer").0, 1);
}

#[test]
fn what_a_query_keeps_of_large_literals_is_limited() {
    for text in [
        "SELECT (GROUP_CONCAT(?t) AS ?all) { ?s <urn:p> ?t }",
        "SELECT ?s { ?s <urn:p> ?t } ORDER BY CONCAT(?t, \"!\")",
        "SELECT DISTINCT (CONCAT(?t, \"!\") AS ?n) { ?s <urn:p> ?t }",
    ] {
        assert_eq!(sizes(text).expect_err("too much").reason, Reason::LimitExceeded, "{text}");
    }
}

/// Texts of several nodes, each of which ends its answer at the limit.
#[test]
fn nodes_send_large_literals_some_at_a_time() {
    let cluster = entail_tests::cluster::Cluster::start(3, 4);
    let line = |number: usize| format!("<urn:s:{number}> <urn:p> \"{number}{}\" .\n", "x".repeat(1 << 20));
    cluster.load("large.nt", (0..40).map(line).collect::<String>());
    assert_eq!(cluster.rows("SELECT ?t { ?s <urn:p> ?t }").len(), 40);
    let long = cluster
        .rows("SELECT ?s { ?s <urn:p> ?t OPTIONAL { ?s <urn:q> ?u } FILTER(BOUND(?u) || STRLEN(?t) > 1048576) }");
    assert_eq!(long.len(), 40);
}
