//! The W3C suites, on the SPARQL engine over a cluster in memory and on whole clusters over loopback.

use crate::ask;
use entail_proto::v1::{QueryRequest, UpdateRequest};
use entail_sparql::Request;
use entail_tests::cluster::Cluster;
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::update::{self, KNOWN_UPDATE_FAILURES, UpdateSubject, run_updates};
use entail_tests::w3c::{Answer, KNOWN_FAILURES, Outcome, Subject, run_all, surprises};
use oxrdf::{BlankNode, GraphName, NamedOrBlankNode, Quad, Term};
use oxttl::NQuadsParser;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// The shape of all clusters here.
const NODES: usize = 3;
const SHARDS: u32 = 4;

/// The number of clusters that a thread keeps: the tests of a folder use few datasets, in turns.
const CLUSTERS_KEPT: usize = 3;

struct Memory;

impl Subject for Memory {
    fn answer(&mut self, facts: &[Quad], query: &str, base: &str) -> Result<Answer, String> {
        let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), SHARDS, NODES as u64));
        let request = Request { text: query.to_owned(), base: Some(base.to_owned()), ..Request::default() };
        ask::answer(request, cluster).map_err(|fault| fault.to_string())
    }
}

/// Real clusters, one for each dataset.
#[derive(Default)]
struct Loopback {
    /// The datasets as N-Quads, in the order of their last use.
    kept: VecDeque<(String, Rc<Cluster>)>,
}

impl Loopback {
    fn cluster(&mut self, facts: &[Quad]) -> Rc<Cluster> {
        let document = document(facts);
        let found = self.kept.iter().position(|(other, _)| *other == document);
        let (document, cluster) = found.and_then(|index| self.kept.remove(index)).unwrap_or_else(|| {
            let cluster = Cluster::start(NODES, SHARDS);
            if !document.is_empty() {
                cluster.load("data.nq", document.clone());
            }
            (document, Rc::new(cluster))
        });
        if self.kept.len() >= CLUSTERS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((document, Rc::clone(&cluster)));
        cluster
    }
}

impl Subject for Loopback {
    fn answer(&mut self, facts: &[Quad], query: &str, base: &str) -> Result<Answer, String> {
        let request = QueryRequest { query: query.to_owned(), base_iri: base.to_owned(), ..QueryRequest::default() };
        self.cluster(facts).answer(request).map_err(|fault| fault.to_string())
    }
}

/// Facts as N-Quads. Blank nodes are numbered in order, so that a file that is read twice gives the same document.
fn document(facts: &[Quad]) -> String {
    let mut numbers = HashMap::new();
    let mut numbered = |node: &BlankNode| {
        let next = numbers.len();
        BlankNode::new_unchecked(format!("b{}", numbers.entry(node.clone()).or_insert(next)))
    };
    let lines = facts.iter().map(|fact| {
        let subject = match &fact.subject {
            NamedOrBlankNode::BlankNode(node) => numbered(node).into(),
            other => other.clone(),
        };
        let object = match &fact.object {
            Term::BlankNode(node) => numbered(node).into(),
            other => other.clone(),
        };
        let graph_name = match &fact.graph_name {
            GraphName::BlankNode(node) => numbered(node).into(),
            other => other.clone(),
        };
        let fact = Quad { subject, predicate: fact.predicate.clone(), object, graph_name };
        format!("{fact} .\n")
    });
    lines.collect()
}

/// Where the suites are: `ENTAIL_W3C_SPARQL`, or beside the repository.
fn suites() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let path = std::env::var_os("ENTAIL_W3C_SPARQL").map_or(beside, PathBuf::from);
    if path.is_dir() {
        return Some(path.canonicalize().unwrap_or(path));
    }
    eprintln!("skipped: no W3C suites; set ENTAIL_W3C_SPARQL to the folder that holds sparql10 and sparql11");
    None
}

fn judge(outcomes: &[Outcome]) {
    for (name, reason) in KNOWN_FAILURES {
        println!("known to fail: {name}: {reason}");
    }
    let passed = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    println!("{passed} of {} pass", outcomes.len());
    let surprises = surprises(outcomes);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn the_suites_pass_in_memory() {
    if let Some(suites) = suites() {
        judge(&run_all(&suites, 1, || Memory));
    }
}

#[test]
fn the_suites_pass_on_real_clusters() {
    if let Some(suites) = suites() {
        let started = Instant::now();
        let outcomes = run_all(&suites, 4, Loopback::default);
        println!("{:.1} s with {SHARDS} shards on {NODES} nodes", started.elapsed().as_secs_f64());
        judge(&outcomes);
    }
}

/// A cluster that is cleared for each test.
struct Updated(Cluster);

impl UpdateSubject for Updated {
    fn update(&mut self, facts: &[Quad], update: &str, base: &str) -> Result<Vec<Quad>, String> {
        self.0.update("CLEAR ALL").map_err(|fault| format!("cleared: {fault}"))?;
        if !facts.is_empty() {
            self.0.load("data.nq", document(facts));
        }
        let request =
            UpdateRequest { update: update.to_owned(), base_iri: base.to_owned(), ..UpdateRequest::default() };
        self.0.update_as(request).map_err(|fault| fault.to_string())?;
        let dump = self.0.dump();
        NQuadsParser::new().for_slice(&dump).collect::<Result<_, _>>().map_err(|error| error.to_string())
    }
}

#[test]
fn the_update_suites_pass_on_a_real_cluster() {
    let Some(suites) = suites() else { return };
    let outcomes = run_updates(&suites, &mut Updated(Cluster::start(NODES, SHARDS)));
    for (name, reason) in KNOWN_UPDATE_FAILURES {
        println!("known to fail: {name}: {reason}");
    }
    let passed = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    println!("{passed} of {} updates pass", outcomes.len());
    assert!(outcomes.len() > 80, "the suites have more tests than {}", outcomes.len());
    let surprises = update::surprises(&outcomes);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
