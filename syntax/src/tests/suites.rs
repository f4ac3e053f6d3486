//! The W3C SPARQL suites: every query and update of them is accepted or refused as the manifests say.
//!
//! The folder is `ENTAIL_W3C_SPARQL`, or where the project's developers keep it; without it the test says so and passes.

use crate::{parse_query, parse_update};
use oxiri::Iri;
use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedNode, NamedOrBlankNode, TermRef};
use oxttl::TurtleParser;
use std::path::{Path, PathBuf};

const MF: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
const UT: &str = "http://www.w3.org/2009/sparql/tests/test-update#";
const BASE: &str = "http://w3c.example/";

/// Tests that fail, and the sentence of the standard that makes them disputable.
const EXCEPTIONS: [(&str, &str); 0] = [];

#[derive(Clone, Copy)]
enum Kind {
    Query,
    Update,
}

/// A file of a suite, and whether the grammar and the rules of scope accept it.
struct Case {
    name: String,
    file: PathBuf,
    kind: Kind,
    is_good: bool,
}

#[test]
fn every_query_and_update_is_judged_as_the_suites_say() {
    let Some(root) = suite() else {
        println!("skipped: the W3C suites are not here; ENTAIL_W3C_SPARQL names their folder");
        return;
    };
    let cases: Vec<Case> = folders(&root).iter().flat_map(|folder| cases(&root, folder)).collect();
    assert!(cases.len() > 850, "only {} tests", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let Ok(text) = std::fs::read_to_string(&case.file) else { continue };
        let base = Iri::parse(format!("{BASE}{}", case.name)).ok();
        let outcome = match case.kind {
            Kind::Query => parse_query(&text, base).map(drop),
            Kind::Update => parse_update(&text, base).map(drop),
        };
        let passes = outcome.is_ok() == case.is_good;
        if passes == EXCEPTIONS.iter().any(|(name, _)| *name == case.name) {
            let shown = outcome.map_or_else(|fault| fault.to_string(), |()| "accepted".to_owned());
            failures.push(format!("{} ({}): {shown}", case.name, case.file.display()));
        }
    }
    println!("{} tests, {} failed", cases.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn suite() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let folder = std::env::var_os("ENTAIL_W3C_SPARQL").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for suite in ["sparql10", "sparql11"] {
        let entries = std::fs::read_dir(root.join(suite)).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.join("manifest.ttl").is_file()));
    }
    folders.sort();
    folders
}

/// The tests that the manifest of a folder lists.
fn cases(root: &Path, folder: &Path) -> Vec<Case> {
    let manifest = std::fs::read(folder.join("manifest.ttl")).expect("a manifest");
    let parser = TurtleParser::new().with_base_iri(BASE).expect("a valid IRI");
    let graph: Graph = parser.for_slice(&manifest).collect::<Result<_, _>>().expect("the manifest is Turtle");
    let short = folder.strip_prefix(root).unwrap_or(folder).display().to_string();
    let mut found = Vec::new();
    for triple in graph.triples_for_predicate(&named(MF, "action")) {
        let test = triple.subject;
        let types: Vec<String> =
            graph.objects_for_subject_predicate(test, rdf::TYPE).map(|kind| kind.to_string()).collect();
        let is = |kind: &str| types.iter().any(|own| own.ends_with(&format!("#{kind}>")));
        let (kind, is_good) = match () {
            () if is("QueryEvaluationTest") || is("CSVResultFormatTest") => (Kind::Query, true),
            () if is("PositiveSyntaxTest") || is("PositiveSyntaxTest11") => (Kind::Query, true),
            () if is("NegativeSyntaxTest") || is("NegativeSyntaxTest11") => (Kind::Query, false),
            () if is("UpdateEvaluationTest") || is("PositiveUpdateSyntaxTest11") => (Kind::Update, true),
            () if is("NegativeUpdateSyntaxTest11") => (Kind::Update, false),
            () => continue,
        };
        let Some(file) = file(&graph, triple.object) else { continue };
        let name = test.to_string();
        let name = name.trim_end_matches('>').rsplit(['#', '/']).next().unwrap_or_default().to_owned();
        found.push(Case { name: format!("{short}/{name}"), file: folder.join(file), kind, is_good });
    }
    found
}

/// The file that an action names: itself, or the query or request of it.
fn file(graph: &Graph, action: TermRef<'_>) -> Option<String> {
    let iri = match action {
        TermRef::NamedNode(file) => file.as_str().to_owned(),
        TermRef::BlankNode(node) => {
            let node = NamedOrBlankNode::from(node.into_owned());
            let part = |name: &NamedNode| graph.object_for_subject_predicate(&node, name);
            match part(&named(QT, "query")).or_else(|| part(&named(UT, "request")))? {
                TermRef::NamedNode(file) => file.as_str().to_owned(),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(iri.trim_start_matches(BASE).to_owned())
}

fn named(namespace: &str, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{namespace}{name}"))
}
