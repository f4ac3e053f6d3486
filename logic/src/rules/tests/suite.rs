//! The public SPARQL-RL suite: syntax, well-formedness and stratification (evaluation runs through a cluster).
//!
//! The folder is `ENTAIL_SPARQL_RL_SUITE`, or the default path of the project's developers; without it the tests print
//! that they are skipped, and pass.

use super::super::{check_stratified, check_wellformed, parse, parse_syntax};
use entail_model::{Fault, Reason};
use oxrdf::{Graph, NamedNodeRef, TermRef, TripleRef};
use oxttl::TurtleParser;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const RL: &str = "http://www.w3.org/ns/sparql-rl-tests#";

/// Expected failures, with reasons: none.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Entries of the manifests whose files are missing in the project's copy.
const MISSING: [&str; 1] = ["syntax-ruleset-structure-08.srl"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Accepted,
    Refused,
}

#[test]
fn syntax() {
    run("syntax", "Syntax", |text| parse_syntax(text).map(drop));
}

#[test]
fn wellformed() {
    run("wellformed", "WellFormedness", |text| check_wellformed(&parse_syntax(text)?));
}

#[test]
fn stratification() {
    run("stratification", "Stratification", |text| check_stratified(&parse_syntax(text)?));
}

/// The rule texts of the evaluation tests are accepted, or refused for a feature that this version does not evaluate.
#[test]
fn evaluation_texts() {
    const REFUSED: [(&str, &str); 4] = [
        ("eval-assign-error-1.srl", "SET"),
        ("eval-bnodes-01.srl", "a blank node in a rule head"),
        ("eval-bnodes-02.srl", "a blank node in a rule head"),
        ("eval-bnodes-03.srl", "a blank node in a rule head"),
    ];
    for folder in ["eval", "examples"] {
        let Some(folder) = suite().map(|suite| suite.join(folder)).filter(|folder| folder.is_dir()) else {
            println!("skipped: the SPARQL-RL suite is not here; ENTAIL_SPARQL_RL_SUITE names its folder");
            return;
        };
        for (file, _) in unlisted(&folder) {
            let found = parse(&std::fs::read_to_string(folder.join(&file)).expect("the suite is readable"));
            match REFUSED.iter().find(|(name, _)| *name == file) {
                None => assert!(found.is_ok(), "{file}: {found:?}"),
                Some((_, feature)) => {
                    let fault = found.expect_err("a feature out of scope");
                    assert!(
                        fault.reason == Reason::Unsupported && fault.message.starts_with(feature),
                        "{file}: {fault}"
                    );
                }
            }
        }
    }
}

fn run(folder: &str, kind: &str, act: fn(&str) -> Result<(), Fault>) {
    let Some(folder) = suite().map(|suite| suite.join(folder)).filter(|folder| folder.is_dir()) else {
        println!("skipped: the SPARQL-RL suite is not here; ENTAIL_SPARQL_RL_SUITE names its folder");
        return;
    };
    let mut listed = BTreeSet::new();
    let mut failures = Vec::new();
    for (file, expected) in entries(&folder, kind).into_iter().chain(unlisted(&folder)) {
        let skipped = MISSING.contains(&file.as_str()) && !folder.join(&file).exists();
        if skipped || !listed.insert(file.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(&file)).expect("the suite is readable");
        let outcome = act(&text);
        let passes = outcome.is_ok() == (expected == Expected::Accepted);
        if passes == EXCEPTIONS.iter().any(|(name, _)| *name == file) {
            failures.push(format!("{file}: expected {expected:?}, found {outcome:?}"));
        }
    }
    println!("{}: {} tests, {} failed", folder.display(), listed.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(!listed.is_empty(), "no tests in {}", folder.display());
}

fn suite() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/sparql-rl");
    let folder = std::env::var_os("ENTAIL_SPARQL_RL_SUITE").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The tests that the manifest lists.
fn entries(folder: &Path, kind: &str) -> Vec<(String, Expected)> {
    const BASE: &str = "http://suite/";
    let manifest = std::fs::read(folder.join("manifest.ttl")).expect("a manifest");
    let parser = TurtleParser::new().with_base_iri(BASE).expect("a valid IRI");
    let graph: Graph = parser.for_slice(&manifest).collect::<Result<_, _>>().expect("the manifest is Turtle");
    let action = format!("{MANIFEST}action");
    let action = NamedNodeRef::new(&action).expect("a valid IRI");
    let mut found = Vec::new();
    for (class, expected) in [("Positive", Expected::Accepted), ("Negative", Expected::Refused)] {
        let class = format!("{RL}Rules{class}{kind}Test");
        let class = NamedNodeRef::new(&class).expect("a valid IRI");
        for test in graph.subjects_for_predicate_object(oxrdf::vocab::rdf::TYPE, class) {
            let Some(TermRef::NamedNode(file)) = graph.object_for_subject_predicate(test, action) else {
                panic!("{test} has no action");
            };
            let listed =
                graph.triples_for_object(test).any(|TripleRef { predicate, .. }| predicate == oxrdf::vocab::rdf::FIRST);
            assert!(listed, "{test} is not among the entries of its manifest");
            found.push((file.as_str().trim_start_matches(BASE).to_owned(), expected));
        }
    }
    found
}

/// Files beside the manifest that it does not list: their names say whether they are valid.
fn unlisted(folder: &Path) -> Vec<(String, Expected)> {
    let files = std::fs::read_dir(folder).expect("the suite is readable");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let expected = |name: &str| if name.contains("-bad-") { Expected::Refused } else { Expected::Accepted };
    names.filter(|name| name.ends_with(".srl")).map(|name| (name.clone(), expected(&name))).collect()
}
