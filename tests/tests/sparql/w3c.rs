//! The W3C suites through the front over a cluster in memory.

use crate::ask;
use entail_coordinator::query::Request;
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::{Answer, KNOWN_FAILURES, Subject, run_all, surprises};
use oxrdf::Quad;
use std::path::PathBuf;
use std::sync::Arc;

struct Memory;

impl Subject for Memory {
    fn answer(&mut self, facts: &[Quad], query: &str, base: &str) -> Result<Answer, String> {
        let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), 4, 3));
        let request = Request { text: query.to_owned(), base: Some(base.to_owned()), ..Request::default() };
        ask::answer(request, cluster).map_err(|fault| fault.to_string())
    }
}

/// Where the suites are: `ENTAIL_W3C_SPARQL`, or beside the repository.
fn suites() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let path = std::env::var_os("ENTAIL_W3C_SPARQL").map_or(beside, PathBuf::from);
    path.is_dir().then(|| path.canonicalize().unwrap_or(path))
}

#[test]
fn the_suites_pass() {
    let Some(suites) = suites() else {
        eprintln!("skipped: no W3C suites; set ENTAIL_W3C_SPARQL to the folder that holds sparql10 and sparql11");
        return;
    };
    let outcomes = run_all(&suites, &mut Memory);
    for (name, reason) in KNOWN_FAILURES {
        println!("known to fail: {name}: {reason}");
    }
    let passed = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    println!("{passed} of {} pass", outcomes.len());
    let surprises = surprises(&outcomes);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
