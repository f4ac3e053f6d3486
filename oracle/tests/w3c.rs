//! The oracle on the W3C's evaluation tests of SPARQL 1.0 and 1.1: those whose queries it can express, and whose answers
//! the standard determines.
//!
//! The suites are found through `ENTAIL_W3C_SPARQL`, or beside the repository; without them the test prints a note.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod reading;

use entail_oracle::compare::{by_value, difference, is_in_order};
use entail_oracle::{Answer, Dataset, Fail, evaluate};
use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedNode, NamedOrBlankNode, Term, TermRef, Triple};
use oxrdfio::{RdfFormat, RdfParser};
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MF: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
const RS: &str = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#";

/// Tests that the oracle answers in another way, each with the sentence of the standard.
const DISPUTED: [(&str, &str); 0] = [];

fn suites() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let path = std::env::var_os("ENTAIL_W3C_SPARQL").map_or(beside, PathBuf::from);
    if path.is_dir() {
        return Some(path.canonicalize().unwrap_or(path));
    }
    eprintln!("skipped: no W3C suites; set ENTAIL_W3C_SPARQL to the folder that holds sparql10 and sparql11");
    None
}

fn triples(path: &Path, base: &str) -> Vec<Triple> {
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("rdf") => RdfFormat::RdfXml,
        Some("nt") => RdfFormat::NTriples,
        _ => RdfFormat::Turtle,
    };
    let text = fs::read(path).unwrap();
    let parser = RdfParser::from_format(format).with_base_iri(base).unwrap().rename_blank_nodes();
    parser.for_slice(&text).map(|quad| quad.unwrap().into()).collect()
}

struct Manifest {
    graph: Graph,
    folder: PathBuf,
    base: String,
}

fn as_subject(term: TermRef<'_>) -> Option<NamedOrBlankNode> {
    match term {
        TermRef::NamedNode(node) => Some(node.into_owned().into()),
        TermRef::BlankNode(node) => Some(node.into_owned().into()),
        TermRef::Literal(_) | TermRef::Triple(_) => None,
    }
}

impl Manifest {
    fn read(folder: &Path) -> Self {
        let base = "http://w3c.example/".to_owned();
        let graph = triples(&folder.join("manifest.ttl"), &format!("{base}manifest.ttl")).into_iter().collect();
        Self { graph, folder: folder.to_owned(), base }
    }

    fn objects(&self, subject: &NamedOrBlankNode, namespace: &str, name: &str) -> Vec<Term> {
        let predicate = NamedNode::new_unchecked(format!("{namespace}{name}"));
        let found = self.graph.objects_for_subject_predicate(subject, &predicate);
        found.map(TermRef::into_owned).collect()
    }

    fn path(&self, iri: &str) -> PathBuf {
        self.folder.join(iri.strip_prefix(&self.base).unwrap())
    }

    /// The evaluation tests.
    fn tests(&self) -> Vec<NamedNode> {
        let kind = NamedNode::new_unchecked(format!("{MF}QueryEvaluationTest"));
        let tests = self.graph.subjects_for_predicate_object(rdf::TYPE, &kind);
        let tests = tests.filter_map(|test| {
            if let oxrdf::NamedOrBlankNodeRef::NamedNode(node) = test { Some(node.into_owned()) } else { None }
        });
        tests.collect()
    }

    fn dataset(&self, action: &NamedOrBlankNode, query: &entail_oracle::query::Query) -> Dataset {
        let mut data = Dataset::default();
        let file = |term: &Term| {
            let Term::NamedNode(node) = term else { panic!("data that is no file") };
            triples(&self.path(node.as_str()), node.as_str())
        };
        for term in self.objects(action, QT, "data") {
            data.default.extend(file(&term));
        }
        for term in self.objects(action, QT, "graphData") {
            match &term {
                Term::NamedNode(name) => _ = data.named.insert(name.clone(), file(&term)),
                other => {
                    let node = as_subject(other.as_ref()).unwrap();
                    let graph = self.objects(&node, QT, "graph").remove(0);
                    let label = self.objects(&node, "http://www.w3.org/2000/01/rdf-schema#", "label").remove(0);
                    let Term::Literal(label) = label else { panic!("a label that is no literal") };
                    data.named.insert(NamedNode::new_unchecked(label.value()), file(&graph));
                }
            }
        }
        for name in query.from.iter().chain(&query.from_named) {
            data.named.entry(name.clone()).or_insert_with(|| file(&name.clone().into()));
        }
        for graph in std::iter::once(&mut data.default).chain(data.named.values_mut()) {
            let unique: Graph = graph.drain(..).collect();
            graph.extend(unique.iter().map(|triple| triple.into_owned()));
        }
        data
    }

    fn expected(&self, iri: &str) -> Result<Answer, String> {
        let path = self.path(iri);
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("srx") => QueryResultsFormat::Xml,
            Some("srj") => QueryResultsFormat::Json,
            Some("tsv") => QueryResultsFormat::Tsv,
            Some("csv") => return Err("CSV keeps no terms".to_owned()),
            _ => return Ok(graph_or_table(triples(&path, iri))),
        };
        let text = fs::read(&path).unwrap();
        Ok(match QueryResultsParser::from_format(format).for_slice(&text).unwrap() {
            SliceQueryResultsParserOutput::Boolean(value) => Answer::Boolean(value),
            SliceQueryResultsParserOutput::Solutions(solutions) => {
                let variables = solutions.variables().iter().map(|name| name.as_str().to_owned()).collect();
                Answer::Solutions { variables, rows: solutions.map(|row| row.unwrap().values().to_vec()).collect() }
            }
        })
    }

    /// `None` if the test was judged and passed; `Some(Err)` is a failure, `Some(Ok)` the reason why it is not judged.
    fn run(&self, test: &NamedNode) -> Option<Result<String, String>> {
        let test = NamedOrBlankNode::from(test.clone());
        let action = as_subject(self.objects(&test, MF, "action").first()?.as_ref())?;
        let Some(Term::NamedNode(text)) = self.objects(&action, QT, "query").pop() else {
            return Some(Ok("no query".into()));
        };
        let Some(Term::NamedNode(result)) = self.objects(&test, MF, "result").pop() else {
            return Some(Ok("no result".into()));
        };
        let query = match reading::query(&fs::read_to_string(self.path(text.as_str())).unwrap(), Some(text.as_str())) {
            Ok(query) => query,
            Err(why) => return Some(Ok(why)),
        };
        let expected = match self.expected(result.as_str()) {
            Ok(expected) => expected,
            Err(why) => return Some(Ok(why)),
        };
        let is_lax = !self.objects(&test, MF, "resultCardinality").is_empty();
        match evaluate(&query, &self.dataset(&action, &query)) {
            Err(Fail::Undecided(why)) => Some(Ok(why)),
            Err(Fail::Error) => Some(Err("an error".to_owned())),
            Ok(_) if is_lax => Some(Ok("REDUCED".to_owned())),
            // The variables of the suites' empty tables are not always written.
            Ok(Answer::Solutions { rows, .. }) if rows.is_empty() && is_empty(&expected) => None,
            Ok(given) => match difference(&query, &by_value(&given), &by_value(&expected)) {
                Some(difference) => Some(Err(difference)),
                None if is_in_order(&query, &expected) == Ok(false) => Some(Err("the expected order".to_owned())),
                None => None,
            },
        }
    }
}

fn is_empty(answer: &Answer) -> bool {
    matches!(answer, Answer::Solutions { rows, .. } if rows.is_empty())
}

/// A graph, or a table written as a graph.
fn graph_or_table(triples: Vec<Triple>) -> Answer {
    let graph: Graph = triples.iter().collect();
    let named = |name: &str| NamedNode::new_unchecked(format!("{RS}{name}"));
    let Some(table) = graph.subject_for_predicate_object(rdf::TYPE, &named("ResultSet")) else {
        return Answer::Graph(triples);
    };
    let literal = |term: TermRef<'_>| {
        if let TermRef::Literal(literal) = term { literal.value().to_owned() } else { String::new() }
    };
    if let Some(value) = graph.object_for_subject_predicate(table, &named("boolean")) {
        return Answer::Boolean(literal(value) == "true");
    }
    let variables: Vec<String> =
        graph.objects_for_subject_predicate(table, &named("resultVariable")).map(literal).collect();
    let mut rows = BTreeMap::new();
    for (number, solution) in graph.objects_for_subject_predicate(table, &named("solution")).enumerate() {
        let solution = as_subject(solution).unwrap();
        let mut row = vec![None; variables.len()];
        for binding in graph.objects_for_subject_predicate(&solution, &named("binding")) {
            let binding = as_subject(binding).unwrap();
            let variable = literal(graph.object_for_subject_predicate(&binding, &named("variable")).unwrap());
            let column = variables.iter().position(|own| *own == variable).unwrap();
            row[column] = graph.object_for_subject_predicate(&binding, &named("value")).map(TermRef::into_owned);
        }
        let index = graph.object_for_subject_predicate(&solution, &named("index")).map(literal);
        rows.insert((index.and_then(|index| index.parse::<u64>().ok()).unwrap_or(0), number), row);
    }
    Answer::Solutions { variables, rows: rows.into_values().collect() }
}

#[test]
fn the_oracle_passes_the_suites() {
    let Some(root) = suites() else { return };
    let (mut passed, mut failures, mut skipped) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for suite in ["sparql10", "sparql11"] {
        let folders = fs::read_dir(root.join(suite)).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("manifest.ttl").is_file()).collect();
        folders.sort();
        for folder in folders.into_iter().filter(|folder| !folder.ends_with("entailment")) {
            let manifest = Manifest::read(&folder);
            for test in manifest.tests() {
                let name = format!(
                    "{suite}/{}/{}",
                    folder.file_name().unwrap().display(),
                    test.as_str().rsplit('#').next().unwrap()
                );
                let known = DISPUTED.iter().any(|(disputed, _)| *disputed == name);
                match manifest.run(&test) {
                    None => passed += 1,
                    Some(Err(_)) if known => {}
                    Some(Err(why)) => failures.push(format!("{name}: {why}")),
                    Some(Ok(why)) => *skipped.entry(why).or_default() += 1,
                }
            }
        }
    }
    println!("{passed} tests judged and passed; not judged: {skipped:#?}");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(passed > 300, "only {passed} tests were judged");
}
