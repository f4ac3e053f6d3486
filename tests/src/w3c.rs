//! The W3C SPARQL test suites: manifests read, queries run by whoever can, answers compared.
//!
//! A [`Subject`] is what is tested: a cluster that takes the dataset of one test and answers its query. Suites are
//! folders; each has its own `manifest.ttl`, and the manifests that include others may name folders that are not there.
//!
//! Answers are compared as the suites ask: graphs up to the names of blank nodes, tables as bags (as lists where the
//! query orders them), with REDUCED allowed to keep or drop repetitions.

use oxrdf::graph::CanonicalizationAlgorithm;
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{
    BlankNode, Dataset, Graph, GraphName, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef,
    Quad, Term, TermRef, Triple, Variable,
};
use oxrdfio::{RdfFormat, RdfParser};
use sparesults::{QueryResultsFormat, QueryResultsParser, ReaderQueryResultsParserOutput};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What answers queries.
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

/// What came of one test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The test's IRI after the suite's folder.
    pub name: String,
    /// `Err` is why it failed.
    pub result: Result<(), String>,
}

/// Folders of the suites that are about something else: entailment regimes that are not plain SPARQL.
const OTHER_FOLDERS: [&str; 1] = ["entailment"];

/// Runs every evaluation and syntax test of the query suites below `root` (the folder that holds `sparql10` and `sparql11`).
pub fn run_all(root: &Path, subject: &mut dyn Subject) -> Vec<Outcome> {
    let mut folders = Vec::new();
    for suite in ["sparql10", "sparql11"] {
        let entries = fs::read_dir(root.join(suite)).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.join("manifest.ttl").is_file()));
        folders.retain(|path| !OTHER_FOLDERS.iter().any(|other| path.ends_with(other)));
    }
    folders.sort();
    folders.iter().flat_map(|folder| run_folder(root, folder, subject)).collect()
}

/// Tests that fail, and why none of ours can mend them. All else that fails is a defect.
pub const KNOWN_FAILURES: [(&str, &str); 13] = [
    ("sparql10/expr-builtin/dawg-str-1", "the evaluator keeps a number's value, not how it was written"),
    ("sparql10/expr-builtin/dawg-str-2", "the evaluator keeps a number's value, not how it was written"),
    ("sparql10/expr-builtin/case-insensitive-booleans", "the parser knows booleans in lower case only"),
    ("sparql10/open-world/date-2", "the evaluator compares no dates without its extension for them"),
    ("sparql10/open-world/date-3", "the evaluator compares no dates without its extension for them"),
    ("sparql10/syntax-sparql3/syn-bad-26", "the parser accepts it"),
    ("sparql11/functions/bnode01", "the evaluator's BNODE(label) gives the same node in every row"),
    ("sparql11/service/service1", "no other endpoints are asked"),
    ("sparql11/service/service2", "no other endpoints are asked"),
    ("sparql11/service/service3", "no other endpoints are asked"),
    ("sparql11/service/service4a", "no other endpoints are asked"),
    ("sparql11/service/service5", "no other endpoints are asked"),
    ("sparql11/service/service6", "no other endpoints are asked"),
];

/// The failures among `outcomes` that are not known, and the known ones that pass by now.
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

const MF: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
const RS: &str = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#";

fn named(namespace: &str, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{namespace}{name}"))
}

/// One manifest. Its IRIs are resolved against `http://w3c.example/` plus the path of the folder.
struct Manifest {
    graph: Graph,
    folder: PathBuf,
    base: String,
}

impl Manifest {
    fn read(path: &Path) -> Result<Self, String> {
        let folder = path.parent().ok_or("a manifest without a folder")?.to_path_buf();
        let base = format!("http://w3c.example{}/manifest.ttl", folder.display());
        let triples = read_triples(path, &base)?;
        Ok(Self { graph: triples.into_iter().collect(), folder, base })
    }

    fn tests(&self) -> Vec<String> {
        let entries = self.graph.triples_for_predicate(&named(MF, "entries")).next();
        let items = entries.map(|triple| self.list(triple.object)).unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| if let Term::NamedNode(node) = item { Some(node.into_string()) } else { None })
            .collect()
    }

    fn list(&self, head: TermRef<'_>) -> Vec<Term> {
        let mut items = Vec::new();
        let mut next = as_subject(head);
        while let Some(node) = next.filter(|node| *node != NamedOrBlankNode::from(rdf::NIL.into_owned())) {
            items.extend(self.graph.object_for_subject_predicate(&node, rdf::FIRST).map(TermRef::into_owned));
            next = self.graph.object_for_subject_predicate(&node, rdf::REST).and_then(as_subject);
        }
        items
    }

    fn object(&self, subject: NamedOrBlankNodeRef<'_>, predicate: &NamedNode) -> Option<Term> {
        self.graph.object_for_subject_predicate(subject, predicate).map(TermRef::into_owned)
    }

    /// Runs a test; `None` for kinds of test that are not about queries.
    fn run(&self, test: &str, subject: &mut dyn Subject) -> Option<Result<(), String>> {
        let test = NamedNode::new_unchecked(test);
        let kinds: Vec<String> =
            self.graph.objects_for_subject_predicate(&test, rdf::TYPE).map(|kind| kind.to_string()).collect();
        let is = |kind: &str| kinds.iter().any(|own| own.ends_with(&format!("{kind}>")));
        let action = self.object((&test).into(), &named(MF, "action"))?;
        if is("#QueryEvaluationTest") || is("#CSVResultFormatTest") {
            return Some(self.evaluate(&test, &action, subject));
        }
        let is_positive = is("#PositiveSyntaxTest") || is("#PositiveSyntaxTest11");
        if is_positive || is("#NegativeSyntaxTest") || is("#NegativeSyntaxTest11") {
            return Some(self.check_syntax(&action, is_positive));
        }
        None
    }

    fn check_syntax(&self, action: &Term, is_positive: bool) -> Result<(), String> {
        let Term::NamedNode(file) = action else { return Err("no query".into()) };
        let text = self.text(file.as_str())?;
        let parser = spargebra::SparqlParser::new().with_base_iri(file.as_str()).map_err(|error| error.to_string())?;
        match (parser.parse_query(&text), is_positive) {
            (Ok(_), true) | (Err(_), false) => Ok(()),
            (Ok(_), false) => Err("accepted".into()),
            (Err(error), true) => Err(error.to_string()),
        }
    }

    fn evaluate(&self, test: &NamedNode, action: &Term, subject: &mut dyn Subject) -> Result<(), String> {
        let action = as_subject(action.as_ref()).ok_or("no action")?;
        let action = action.as_ref();
        let Some(Term::NamedNode(query)) = self.object(action, &named(QT, "query")) else {
            return Err("no query".into());
        };
        let text = self.text(query.as_str())?;
        let mut facts = Vec::new();
        for data in self.graph.objects_for_subject_predicate(action, &named(QT, "data")) {
            facts.extend(self.facts(data, &GraphName::DefaultGraph)?);
        }
        for data in self.graph.objects_for_subject_predicate(action, &named(QT, "graphData")) {
            facts.extend(self.graph_data(data)?);
        }
        facts.extend(self.facts_of_from(&text, query.as_str(), &facts)?);
        let given = subject.answer(&facts, &text, query.as_str())?;
        let Some(Term::NamedNode(result)) = self.object(test.into(), &named(MF, "result")) else { return Ok(()) };
        let expected = self.expected(result.as_str())?;
        let options =
            Options::of(&text, self.object(test.into(), &named(MF, "resultCardinality")).is_some(), result.as_str());
        compare(&expected, &given, options)
    }

    /// Queries with FROM and no data of their own name the files to read.
    fn facts_of_from(&self, text: &str, base: &str, given: &[Quad]) -> Result<Vec<Quad>, String> {
        let parser = spargebra::SparqlParser::new().with_base_iri(base).map_err(|error| error.to_string())?;
        let Ok(query) = parser.parse_query(text) else { return Ok(Vec::new()) };
        let Some(dataset) = query.dataset() else { return Ok(Vec::new()) };
        let named = dataset.named.iter().flatten();
        let mut facts = Vec::new();
        for graph in dataset.default.iter().chain(named) {
            let name = GraphName::from(graph.clone());
            if given.iter().chain(&facts).all(|fact| fact.graph_name != name) {
                facts.extend(self.facts(graph.as_ref().into(), &name)?);
            }
        }
        Ok(facts)
    }

    fn graph_data(&self, data: TermRef<'_>) -> Result<Vec<Quad>, String> {
        if let TermRef::NamedNode(node) = data {
            return self.facts(data, &node.into_owned().into());
        }
        let node = as_subject(data).ok_or("graph data that is a literal")?;
        let file = self.object(node.as_ref(), &named(QT, "graph")).ok_or("graph data without a file")?;
        let label = self.object(node.as_ref(), &NamedNode::new_unchecked("http://www.w3.org/2000/01/rdf-schema#label"));
        let Some(Term::Literal(label)) = label else { return Err("graph data without a label".into()) };
        self.facts(file.as_ref(), &NamedNode::new_unchecked(label.value()).into())
    }

    fn facts(&self, file: TermRef<'_>, graph: &GraphName) -> Result<Vec<Quad>, String> {
        let TermRef::NamedNode(file) = file else { return Err("data that is not a file".into()) };
        let triples = read_triples(&self.path(file.as_str())?, file.as_str())?;
        Ok(triples.into_iter().map(|triple| triple.in_graph(graph.clone())).collect())
    }

    fn path(&self, iri: &str) -> Result<PathBuf, String> {
        let path =
            iri.strip_prefix("http://w3c.example").ok_or_else(|| format!("{iri} is not a file of {}", self.base))?;
        let path = PathBuf::from(path);
        if path.is_file() { Ok(path) } else { Ok(self.folder.join(path.file_name().unwrap_or_default())) }
    }

    fn text(&self, iri: &str) -> Result<String, String> {
        let path = self.path(iri)?;
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn expected(&self, iri: &str) -> Result<Answer, String> {
        let path = self.path(iri)?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = match extension {
            "srx" => QueryResultsFormat::Xml,
            "srj" => QueryResultsFormat::Json,
            "tsv" => QueryResultsFormat::Tsv,
            "csv" => return read_csv(&path),
            _ => return self.expected_graph(&path, iri),
        };
        let file = fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parsed = QueryResultsParser::from_format(format)
            .for_reader(std::io::BufReader::new(file))
            .map_err(|error| error.to_string())?;
        match parsed {
            ReaderQueryResultsParserOutput::Boolean(value) => Ok(Answer::Boolean(value)),
            ReaderQueryResultsParserOutput::Solutions(solutions) => {
                let variables: Vec<Variable> = solutions.variables().to_vec();
                let rows = solutions.map(|solution| solution.map(|solution| solution.values().to_vec()));
                let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
                Ok(Answer::Solutions { variables: names(&variables), rows })
            }
        }
    }

    /// A graph, or a table written as a graph.
    fn expected_graph(&self, path: &Path, iri: &str) -> Result<Answer, String> {
        let triples = read_triples(path, iri)?;
        let graph: Graph = triples.iter().collect();
        let Some(table) = graph.subject_for_predicate_object(rdf::TYPE, &named(RS, "ResultSet")) else {
            return Ok(Answer::Graph(triples));
        };
        if let Some(TermRef::Literal(value)) = graph.object_for_subject_predicate(table, &named(RS, "boolean")) {
            return Ok(Answer::Boolean(value.value() == "true"));
        }
        let variables: Vec<String> = graph
            .objects_for_subject_predicate(table, &named(RS, "resultVariable"))
            .filter_map(
                |variable| if let TermRef::Literal(name) = variable { Some(name.value().to_owned()) } else { None },
            )
            .collect();
        let mut rows = Vec::new();
        for solution in graph.objects_for_subject_predicate(table, &named(RS, "solution")).filter_map(as_subject) {
            rows.push(solution_row(&graph, solution.as_ref(), &variables));
        }
        rows.sort_by_key(|(index, _)| *index);
        Ok(Answer::Solutions { variables, rows: rows.into_iter().map(|(_, row)| row).collect() })
    }
}

fn solution_row(graph: &Graph, solution: NamedOrBlankNodeRef<'_>, variables: &[String]) -> (u64, Vec<Option<Term>>) {
    let mut row = vec![None; variables.len()];
    for binding in graph.objects_for_subject_predicate(solution, &named(RS, "binding")).filter_map(as_subject) {
        let variable = graph.object_for_subject_predicate(&binding, &named(RS, "variable"));
        let value = graph.object_for_subject_predicate(&binding, &named(RS, "value"));
        if let (Some(TermRef::Literal(name)), Some(value)) = (variable, value)
            && let Some(column) = variables.iter().position(|variable| variable == name.value())
        {
            row[column] = Some(value.into_owned());
        }
    }
    let index = graph.object_for_subject_predicate(solution, &named(RS, "index"));
    let index =
        index.and_then(|index| if let TermRef::Literal(index) = index { index.value().parse().ok() } else { None });
    (index.unwrap_or(0), row)
}

/// CSV keeps only the texts of terms: they are compared as strings.
fn read_csv(path: &Path) -> Result<Answer, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut lines = text.lines().map(csv_cells);
    let variables = lines.next().ok_or("an empty table")?;
    let cell = |cell: String| (!cell.is_empty()).then(|| Literal::from(cell).into());
    Ok(Answer::Solutions { variables, rows: lines.map(|line| line.into_iter().map(cell).collect()).collect() })
}

/// The cells of a line; the suites have no line breaks in cells.
fn csv_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => cells.last_mut().expect("there is a first cell").push(other),
        }
    }
    cells
}

fn names(variables: &[Variable]) -> Vec<String> {
    variables.iter().map(|variable| variable.as_str().to_owned()).collect()
}

fn as_subject(term: TermRef<'_>) -> Option<NamedOrBlankNode> {
    match term {
        TermRef::NamedNode(node) => Some(node.into_owned().into()),
        TermRef::BlankNode(node) => Some(node.into_owned().into()),
        TermRef::Literal(_) | TermRef::Triple(_) => None,
    }
}

fn read_triples(path: &Path, base: &str) -> Result<Vec<Triple>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("ttl");
    let format = match extension {
        "rdf" => RdfFormat::RdfXml,
        "nt" => RdfFormat::NTriples,
        _ => RdfFormat::Turtle,
    };
    let file = fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parser =
        RdfParser::from_format(format).with_base_iri(base).map_err(|error| error.to_string())?.rename_blank_nodes();
    let quads = parser.for_reader(std::io::BufReader::new(file)).collect::<Result<Vec<_>, _>>();
    Ok(quads.map_err(|error| format!("{}: {error}", path.display()))?.into_iter().map(Triple::from).collect())
}

/// How answers are compared.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    /// Is the order of rows told?
    is_ordered: bool,
    /// May repeated rows be dropped?
    is_lax: bool,
    /// Are only the texts of terms known?
    is_text: bool,
}

impl Options {
    fn of(query: &str, is_lax: bool, result: &str) -> Self {
        let upper = query.to_uppercase();
        Self { is_ordered: upper.contains("ORDER BY"), is_lax, is_text: result.ends_with(".csv") }
    }
}

fn compare(expected: &Answer, given: &Answer, options: Options) -> Result<(), String> {
    match (expected, given) {
        (Answer::Boolean(expected), Answer::Boolean(given)) if expected == given => Ok(()),
        (Answer::Graph(expected), Answer::Graph(given)) => compare_graphs(expected, given),
        (Answer::Solutions { .. }, Answer::Solutions { .. }) => compare_tables(expected, given, options),
        _ => Err(format!("expected {expected:?}, given {given:?}")),
    }
}

fn compare_graphs(expected: &[Triple], given: &[Triple]) -> Result<(), String> {
    let canonical = |triples: &[Triple]| {
        let mut graph: Graph = triples
            .iter()
            .map(|triple| Triple::new(triple.subject.clone(), triple.predicate.clone(), normal(&triple.object)))
            .collect();
        graph.canonicalize(CanonicalizationAlgorithm::Unstable);
        graph
    };
    let (expected, given) = (canonical(expected), canonical(given));
    if expected == given { Ok(()) } else { Err(format!("expected\n{expected}given\n{given}")) }
}

/// Tables are compared as datasets of a graph per row, whose blank nodes are renamed together.
fn compare_tables(expected: &Answer, given: &Answer, options: Options) -> Result<(), String> {
    let (Answer::Solutions { variables, rows }, Answer::Solutions { variables: own, rows: own_rows }) =
        (expected, given)
    else {
        return Err("not tables".into());
    };
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if sorted(variables) != sorted(own) && !rows.is_empty() {
        return Err(format!("expected variables {variables:?}, given {own:?}"));
    }
    let (mut expected, mut given) = (normal_rows(variables, rows, options), normal_rows(own, own_rows, options));
    if options.is_lax {
        expected.dedup_all();
        given.dedup_all();
    }
    let is_ordered = options.is_ordered && expected.is_ground() && given.is_ground();
    let (expected, given) = (expected.canonical(is_ordered), given.canonical(is_ordered));
    if expected == given { Ok(()) } else { Err(format!("expected\n{expected}given\n{given}")) }
}

struct Table {
    rows: Vec<BTreeMap<String, Term>>,
}

fn normal_rows(variables: &[String], rows: &[Vec<Option<Term>>], options: Options) -> Table {
    let term = |term: &Term| if options.is_text { Literal::from(text_of(term)).into() } else { normal(term) };
    let row = |row: &Vec<Option<Term>>| {
        let cells =
            variables.iter().zip(row).filter_map(|(variable, cell)| Some((variable.clone(), term(cell.as_ref()?))));
        cells.collect()
    };
    Table { rows: rows.iter().map(row).collect() }
}

/// The text of a term; the labels of blank nodes mean nothing.
fn text_of(term: &Term) -> String {
    match term {
        Term::Literal(literal) if literal.value().starts_with("_:") => "_:".to_owned(),
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::BlankNode(_) => "_:".to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        Term::Triple(triple) => triple.to_string(),
    }
}

impl Table {
    fn is_ground(&self) -> bool {
        self.rows.iter().flat_map(BTreeMap::values).all(|term| !matches!(term, Term::BlankNode(_)))
    }

    fn dedup_all(&mut self) {
        let mut seen = std::collections::BTreeSet::new();
        self.rows.retain(|row| seen.insert(format!("{row:?}")));
    }

    /// The table's rows, sorted unless their order counts, with blank nodes named alike for tables that are alike.
    fn canonical(&self, is_ordered: bool) -> String {
        let names = canonical_blank_nodes(&self.rows);
        let cell = |(variable, term): (&String, &Term)| match term {
            Term::BlankNode(node) => format!("?{variable}=_:{}", names.get(node).cloned().unwrap_or_default()),
            term => format!("?{variable}={term}"),
        };
        let mut lines: Vec<String> =
            self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect();
        if !is_ordered {
            lines.sort();
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn canonical_blank_nodes(rows: &[BTreeMap<String, Term>]) -> HashMap<BlankNode, String> {
    let mut dataset = Dataset::new();
    for (index, row) in rows.iter().enumerate() {
        let subject = BlankNode::new_unchecked(format!("row{index}"));
        for (variable, term) in row {
            let predicate = NamedNode::new_unchecked(format!("urn:variable:{variable}"));
            dataset.insert(&Quad::new(subject.clone(), predicate, term.clone(), GraphName::DefaultGraph));
        }
    }
    let names = dataset.canonicalize_blank_nodes(oxrdf::dataset::CanonicalizationAlgorithm::Unstable);
    let names = names.into_iter().map(|(node, name)| (node.into_owned(), name.as_str().to_owned()));
    names.collect()
}

/// Numbers are compared by value: the suites leave open how results are written.
fn normal(term: &Term) -> Term {
    let Term::Literal(literal) = term else { return term.clone() };
    let numeric =
        |datatype: NamedNodeRef<'_>| [xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT].contains(&datatype);
    if numeric(literal.datatype())
        && let Ok(value) = literal.value().parse::<f64>()
    {
        return Literal::new_typed_literal(format!("{value:?}"), literal.datatype()).into();
    }
    term.clone()
}
