//! The W3C SPARQL test suites: reads the manifests, runs the queries on a subject, compares the answers.
//!
//! A [`Subject`] is the system under test: a cluster that takes the dataset of one test and answers its query. Suites
//! are folders; each has its own `manifest.ttl`, and manifests that include others may name folders that do not exist.
//!
//! Answers are compared as the suites require: graphs up to the names of blank nodes, tables as bags (as lists where
//! the query orders them), with REDUCED allowed to keep or drop duplicates.

mod compare;
mod manifest;
pub mod update;

use manifest::Manifest;
use oxrdf::{Quad, Term, Triple};
use oxttl::NTriplesParser;
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A system that answers queries.
pub trait Subject {
    /// Answers `query` over exactly these facts.
    ///
    /// `Err` is the message of a refusal or failure.
    fn answer(&mut self, facts: &[Quad], query: &str, base: &str) -> Result<Answer, String>;
}

/// The answer of a query.
#[derive(Clone, Debug)]
pub enum Answer {
    Solutions { variables: Vec<String>, rows: Vec<Vec<Option<Term>>> },
    Boolean(bool),
    Graph(Vec<Triple>),
}

impl Answer {
    /// Decodes an answer of a cluster: N-Triples or JSON.
    ///
    /// # Panics
    /// If the bytes are no such answer.
    pub fn read(media_type: &str, bytes: &[u8]) -> Self {
        if media_type == "application/n-triples" {
            let triples = NTriplesParser::new().for_slice(bytes).collect::<Result<Vec<_>, _>>();
            return Self::Graph(triples.expect("our own N-Triples"));
        }
        match QueryResultsParser::from_format(QueryResultsFormat::Json).for_slice(bytes).expect("our own JSON") {
            SliceQueryResultsParserOutput::Boolean(value) => Self::Boolean(value),
            SliceQueryResultsParserOutput::Solutions(solutions) => {
                let variables = solutions.variables().iter().map(|variable| variable.as_str().to_owned()).collect();
                let rows = solutions.map(|solution| solution.expect("our own JSON").values().to_vec()).collect();
                Self::Solutions { variables, rows }
            }
        }
    }
}

/// The outcome of one test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The test's IRI, relative to the suite's folder.
    pub name: String,
    /// `Err` is the reason of the failure.
    pub result: Result<(), String>,
}

/// Folders of the suites that are out of scope: entailment regimes that are not plain SPARQL.
const OTHER_FOLDERS: [&str; 1] = ["entailment"];

/// Runs every evaluation and syntax test of the query suites below `root` (the folder that holds `sparql10` and
/// `sparql11`), on `threads` threads, each with a subject of its own.
pub fn run_all<S: Subject>(root: &Path, threads: usize, subject: impl Fn() -> S + Sync) -> Vec<Outcome> {
    let folders = folders(root);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut subject = subject();
        let mut outcomes = Vec::new();
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.extend(run_folder(root, folder, &mut subject));
        }
        outcomes
    };
    let mut outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a subject does not panic")).collect()
    });
    outcomes.sort_by(|one, other| one.name.cmp(&other.name));
    outcomes
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for suite in ["sparql10", "sparql11"] {
        let entries = fs::read_dir(root.join(suite)).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.join("manifest.ttl").is_file()));
        folders.retain(|path| !OTHER_FOLDERS.iter().any(|other| path.ends_with(other)));
    }
    folders.sort();
    folders
}

/// Tests that are expected to fail, and the reason why Entail cannot fix them. Every other failure is a defect.
pub const KNOWN_FAILURES: [(&str, &str); 6] = [
    ("sparql11/service/service1", "no other endpoints are asked"),
    ("sparql11/service/service2", "no other endpoints are asked"),
    ("sparql11/service/service3", "no other endpoints are asked"),
    ("sparql11/service/service4a", "no other endpoints are asked"),
    ("sparql11/service/service5", "no other endpoints are asked"),
    ("sparql11/service/service6", "no other endpoints are asked"),
];

/// The unexpected failures among `outcomes`, and the expected ones that pass.
pub fn surprises(outcomes: &[Outcome]) -> Vec<String> {
    let is_known = |name: &str| KNOWN_FAILURES.iter().any(|(known, _)| *known == name);
    let surprise = |outcome: &Outcome| match (&outcome.result, is_known(&outcome.name)) {
        (Err(error), false) => Some(format!("{}: {error}", outcome.name)),
        (Ok(()), true) => Some(format!("{} passes by now", outcome.name)),
        _ => None,
    };
    outcomes.iter().filter_map(surprise).collect()
}

/// Runs the tests of one folder's manifest.
pub fn run_folder(root: &Path, folder: &Path, subject: &mut dyn Subject) -> Vec<Outcome> {
    let manifest = match Manifest::read(&folder.join("manifest.ttl")) {
        Ok(manifest) => manifest,
        Err(error) => return vec![Outcome { name: folder.display().to_string(), result: Err(error) }],
    };
    let short = folder.strip_prefix(root).unwrap_or(folder).display().to_string();
    let tests = manifest.tests().into_iter().filter_map(|test| {
        let name = test.rsplit('#').next().unwrap_or(&test).to_owned();
        let result = manifest.run(&test, subject)?;
        Some(Outcome { name: format!("{short}/{name}"), result })
    });
    tests.collect()
}
