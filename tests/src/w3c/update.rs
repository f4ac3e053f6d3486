//! The update evaluation tests of the suites: the graphs after a request are those that the manifest names, up to the names of
//! blank nodes.

use super::manifest::Manifest;
use super::{Outcome, folders};
use oxrdf::dataset::CanonicalizationAlgorithm;
use oxrdf::{Dataset, Quad};
use std::path::Path;

/// A system that applies updates.
pub trait UpdateSubject {
    /// Applies `update` to exactly these facts; returns all facts afterwards.
    ///
    /// `Err` is the message of a refusal or failure.
    fn update(&mut self, facts: &[Quad], update: &str, base: &str) -> Result<Vec<Quad>, String>;
}

/// One test: the facts before, the request with its base, and the facts after.
pub struct UpdateTest {
    pub before: Vec<Quad>,
    pub request: String,
    pub base: String,
    pub after: Vec<Quad>,
}

/// Tests that are expected to fail, and the reason why.
pub const KNOWN_UPDATE_FAILURES: [(&str, &str); 6] = [
    ("sparql11/basic-update/insert-05a", EARLIER),
    ("sparql11/basic-update/insert-data-same-bnode", EARLIER),
    ("sparql11/basic-update/insert-where-same-bnode", EARLIER),
    ("sparql11/basic-update/insert-where-same-bnode2", EARLIER),
    ("sparql11/update-silent/load-silent", "nothing is fetched from other servers"),
    ("sparql11/update-silent/load-into-silent", "nothing is fetched from other servers"),
];

const EARLIER: &str = "a WHERE that reads what earlier operations of its request change is refused";

/// Runs every update evaluation test of the suites below `root`.
pub fn run_updates(root: &Path, subject: &mut dyn UpdateSubject) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for folder in folders(root) {
        let short = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
        let manifest = match Manifest::read(&folder.join("manifest.ttl")) {
            Ok(manifest) => manifest,
            Err(error) => {
                outcomes.push(Outcome { name: short, result: Err(error) });
                continue;
            }
        };
        for test in manifest.tests() {
            let Some(read) = manifest.update_test(&test) else { continue };
            let name = format!("{short}/{}", test.rsplit('#').next().unwrap_or(&test));
            outcomes.push(Outcome { name, result: read.and_then(|test| run(&test, subject)) });
        }
    }
    outcomes
}

fn run(test: &UpdateTest, subject: &mut dyn UpdateSubject) -> Result<(), String> {
    let after = subject.update(&test.before, &test.request, &test.base)?;
    let canonical = |quads: &[Quad]| {
        let mut dataset: Dataset = quads.iter().cloned().collect();
        dataset.canonicalize(CanonicalizationAlgorithm::Unstable);
        dataset
    };
    let (expected, found) = (canonical(&test.after), canonical(&after));
    if expected == found { Ok(()) } else { Err(format!("expected\n{expected}given\n{found}")) }
}

/// The unexpected failures among `outcomes`, and the expected ones that pass.
pub fn surprises(outcomes: &[Outcome]) -> Vec<String> {
    let is_known = |name: &str| KNOWN_UPDATE_FAILURES.iter().any(|(known, _)| *known == name);
    let surprise = |outcome: &Outcome| match (&outcome.result, is_known(&outcome.name)) {
        (Err(error), false) => Some(format!("{}: {error}", outcome.name)),
        (Ok(()), true) => Some(format!("{} passes by now", outcome.name)),
        _ => None,
    };
    outcomes.iter().filter_map(surprise).collect()
}
