//! Manifests of the suites, and the running of their tests.

use super::compare::{Options, compare};
use super::update::UpdateTest;
use super::{Answer, Subject};
use oxrdf::vocab::rdf;
use oxrdf::{
    Graph, GraphName, Literal, NamedNode, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, Term, TermRef, Triple, Variable,
};
use oxrdfio::{RdfFormat, RdfParser};
use sparesults::{QueryResultsFormat, QueryResultsParser, ReaderQueryResultsParserOutput};
use std::fs;
use std::path::{Path, PathBuf};

const MF: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
const UT: &str = "http://www.w3.org/2009/sparql/tests/test-update#";
const RS: &str = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#";

fn named(namespace: &str, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{namespace}{name}"))
}

/// One manifest. Its IRIs are resolved against `http://w3c.example/` plus the path of the folder.
pub struct Manifest {
    graph: Graph,
    folder: PathBuf,
    base: String,
}

impl Manifest {
    pub fn read(path: &Path) -> Result<Self, String> {
        let folder = path.parent().ok_or("a manifest without a folder")?.to_path_buf();
        let base = format!("http://w3c.example{}/manifest.ttl", folder.display());
        let triples = read_triples(path, &base)?;
        Ok(Self { graph: triples.into_iter().collect(), folder, base })
    }

    pub fn tests(&self) -> Vec<String> {
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
    pub fn run(&self, test: &str, subject: &mut dyn Subject) -> Option<Result<(), String>> {
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

    /// The content of an update evaluation test; `None` for other kinds of test.
    pub fn update_test(&self, test: &str) -> Option<Result<UpdateTest, String>> {
        let test = NamedNode::new_unchecked(test);
        let mut kinds = self.graph.objects_for_subject_predicate(&test, rdf::TYPE);
        let is_update = kinds.any(|kind| kind.to_string().ends_with("#UpdateEvaluationTest>"));
        is_update.then(|| self.read_update_test(&test))
    }

    fn read_update_test(&self, test: &NamedNode) -> Result<UpdateTest, String> {
        let node = |name: &str| {
            let object = self.object(test.into(), &named(MF, name)).ok_or_else(|| format!("no {name}"))?;
            as_subject(object.as_ref()).ok_or_else(|| format!("{name} is a literal"))
        };
        let (action, result) = (node("action")?, node("result")?);
        let Some(Term::NamedNode(request)) = self.object(action.as_ref(), &named(UT, "request")) else {
            return Err("no request".into());
        };
        let facts = |node: NamedOrBlankNodeRef<'_>| {
            let mut facts = Vec::new();
            for data in self.graph.objects_for_subject_predicate(node, &named(UT, "data")) {
                facts.extend(self.facts(data, &GraphName::DefaultGraph)?);
            }
            for data in self.graph.objects_for_subject_predicate(node, &named(UT, "graphData")) {
                facts.extend(self.graph_data(data, UT)?);
            }
            Ok::<_, String>(facts)
        };
        Ok(UpdateTest {
            before: facts(action.as_ref())?,
            request: self.text(request.as_str())?,
            base: request.into_string(),
            after: facts(result.as_ref())?,
        })
    }

    fn check_syntax(&self, action: &Term, is_positive: bool) -> Result<(), String> {
        let Term::NamedNode(file) = action else { return Err("no query".into()) };
        let text = self.text(file.as_str())?;
        let base = oxiri::Iri::parse(file.as_str().to_owned()).map_err(|error| error.to_string())?;
        match (entail_syntax::parse_query(&text, Some(base)), is_positive) {
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
            facts.extend(self.graph_data(data, QT)?);
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

    fn graph_data(&self, data: TermRef<'_>, namespace: &str) -> Result<Vec<Quad>, String> {
        if let TermRef::NamedNode(node) = data {
            return self.facts(data, &node.into_owned().into());
        }
        let node = as_subject(data).ok_or("graph data that is a literal")?;
        let file = self.object(node.as_ref(), &named(namespace, "graph")).ok_or("graph data without a file")?;
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
