//! The public SPARQL-RL evaluation tests, each in a cluster of three nodes.
//!
//! The suite is found through `ENTAIL_SPARQL_RL_SUITE`, or beside the checkout; without it the test prints a note and
//! passes.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use entail_proto::v1::ResultFormat;
use entail_tests::cluster::Cluster;
use oxrdf::{Dataset, Graph, GraphName, NamedNodeRef, Term, TermRef};
use oxttl::{NTriplesParser, TurtleParser};
use std::path::{Path, PathBuf};

/// Features of the rule language that this version does not support, by the rules of the test.
const OUT_OF_SCOPE: &[(&str, &str)] = &[
    ("eval-assign-error-1.srl", "SET"),
    ("eval-bnodes-01.srl", "blank nodes in heads"),
    ("eval-bnodes-02.srl", "blank nodes in heads"),
    ("eval-bnodes-03.srl", "blank nodes in heads"),
];

fn suite() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/sparql-rl");
    let path = std::env::var_os("ENTAIL_SPARQL_RL_SUITE").map_or_else(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

fn turtle(path: &Path) -> Graph {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let base = format!("file://{}", path.display());
    let parser = TurtleParser::new().with_base_iri(base).unwrap();
    parser.for_slice(&text).map(Result::unwrap).collect()
}

/// One test of a manifest: rules, data, expected facts.
struct Case {
    rules: PathBuf,
    data: Option<PathBuf>,
    expected: PathBuf,
}

fn cases(folder: &Path) -> Vec<Case> {
    let manifest = turtle(&folder.join("manifest.ttl"));
    let property = |node: TermRef<'_>, name: &str| -> Option<Term> {
        let subject = match node {
            TermRef::NamedNode(node) => node.into(),
            TermRef::BlankNode(node) => oxrdf::NamedOrBlankNodeRef::from(node),
            _ => return None,
        };
        let found = manifest.triples_for_subject(subject).find(|triple| triple.predicate.as_str().ends_with(name));
        found.map(|triple| triple.object.into_owned())
    };
    let file = |term: Term| -> Option<PathBuf> {
        let Term::NamedNode(node) = term else { return None };
        let name = node.as_str().rsplit('/').next()?.to_owned();
        Some(folder.join(name))
    };
    let action = NamedNodeRef::new_unchecked("http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#action");
    let mut cases = Vec::new();
    for triple in manifest.triples_for_predicate(action) {
        let test = Term::from(triple.subject.into_owned());
        let rules = property(triple.object, "#ruleset").or_else(|| property(triple.object, "#rules"));
        let (Some(rules), Some(expected)) = (rules.and_then(file), property(test.as_ref(), "#result").and_then(file))
        else {
            continue;
        };
        cases.push(Case { rules, data: property(triple.object, "#data").and_then(file), expected });
    }
    cases.sort_by(|a, b| a.rules.cmp(&b.rules));
    cases
}

fn canonical(graph: impl IntoIterator<Item = oxrdf::Triple>) -> Dataset {
    let mut dataset: Dataset = graph.into_iter().map(|triple| triple.in_graph(GraphName::DefaultGraph)).collect();
    dataset.canonicalize(oxrdf::dataset::CanonicalizationAlgorithm::Unstable);
    dataset
}

#[test]
fn public_evaluation_tests_pass() {
    let Some(suite) = suite() else {
        println!("skipped: no SPARQL-RL suite (set ENTAIL_SPARQL_RL_SUITE)");
        return;
    };
    let mut passed = 0;
    for folder in ["eval", "examples"] {
        for case in cases(&suite.join(folder)) {
            let name = case.rules.file_name().unwrap().to_string_lossy().into_owned();
            if OUT_OF_SCOPE.iter().any(|(out, _)| *out == name) {
                continue;
            }
            let data: Vec<oxrdf::Triple> =
                case.data.iter().flat_map(|path| turtle(path).iter().map(Into::into).collect::<Vec<_>>()).collect();
            let cluster = Cluster::start(3, 4);
            let document: String = data.iter().map(|triple| format!("{triple} .\n")).collect();
            cluster.load("data.nt", document);
            cluster.apply("rules", &std::fs::read_to_string(&case.rules).unwrap()).unwrap();
            let answer = cluster.query("CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }", ResultFormat::Ntriples).unwrap();
            let found = canonical(NTriplesParser::new().for_slice(&answer).map(Result::unwrap));
            let expected: Vec<oxrdf::Triple> = turtle(&case.expected).iter().map(Into::into).collect();
            // Some expectations list only the derived facts, others the data as well.
            let alone = canonical(expected.clone());
            let with_data = canonical(expected.into_iter().chain(data));
            assert!(found == alone || found == with_data, "{name}: found {found}, expected {alone}");
            passed += 1;
        }
    }
    println!("{passed} evaluation tests passed, {} are out of scope", OUT_OF_SCOPE.len());
    assert!(passed > 0, "the suite's manifests were not understood");
}
