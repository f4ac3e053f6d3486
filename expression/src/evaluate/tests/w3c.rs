//! The W3C suites' tests of expressions: queries of triples with filters, assignments and selected expressions, whose triples
//! are matched naively. Queries of other forms are left to the suites of the whole engine.

use super::spareval::is_same_value;
use super::*;
use entail_syntax::algebra::{GraphPattern, NamedNodePattern, TermPattern, TriplePattern};
use oxiri::Iri;
use oxrdf::{NamedNode, Triple};
use oxttl::TurtleParser;
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
use spargebra::SparqlParser;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "queries only")]
#[path = "../../../../sparql/src/text/translate/tests/foreign.rs"]
mod foreign;

const FOLDERS: [&str; 14] = [
    "sparql10/boolean-effective-value",
    "sparql10/bound",
    "sparql10/cast",
    "sparql10/expr-builtin",
    "sparql10/expr-equals",
    "sparql10/expr-ops",
    "sparql10/i18n",
    "sparql10/open-world",
    "sparql10/regex",
    "sparql10/type-promotion",
    "sparql11/bind",
    "sparql11/cast",
    "sparql11/functions",
    "sparql11/project-expression",
];

const MANIFEST: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QUERY: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
const RESULT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#";

type Row = BTreeMap<String, Term>;

/// Where the suites are: `ENTAIL_W3C_SPARQL`, or beside the repository.
fn suites() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let path = std::env::var_os("ENTAIL_W3C_SPARQL").map_or(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

#[test]
fn the_suites_tests_of_expressions_pass() {
    let Some(suites) = suites() else {
        eprintln!("skipped: no W3C suites; set ENTAIL_W3C_SPARQL to the folder that holds sparql10 and sparql11");
        return;
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for folder in FOLDERS {
        let folder = suites.join(folder);
        let manifest = read(&folder.join("manifest.ttl"));
        for test in manifest.iter().filter(|triple| triple.predicate.as_str() == format!("{MANIFEST}action")) {
            let subject = Term::from(test.subject.clone());
            let files = (
                object(&manifest, &test.object, &format!("{QUERY}query")),
                object(&manifest, &test.object, &format!("{QUERY}data")),
                object(&manifest, &subject, &format!("{MANIFEST}result")),
            );
            let (Some(query), data, Some(result)) = files else { continue };
            let facts = data.map_or_else(Vec::new, |data| read(&path(&data)));
            match run(&path(&query), &facts, &path(&result)) {
                None => {}
                Some(Ok(())) => passed += 1,
                Some(Err(difference)) => failed.push(format!("{subject}: {difference}")),
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), failed.len() + passed, failed.join("\n"));
    assert!(passed > 100, "{passed} tests ran");
}

/// The triples of a Turtle file; its own address is its base.
fn read(path: &Path) -> Vec<Triple> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parser = TurtleParser::new().with_base_iri(format!("file://{}", path.display())).unwrap();
    parser.for_slice(&text).collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn path(file: &Term) -> PathBuf {
    match file {
        Term::NamedNode(iri) => iri.as_str().strip_prefix("file://").expect("a file").into(),
        other => panic!("{other} is no file"),
    }
}

fn object(graph: &[Triple], subject: &Term, predicate: &str) -> Option<Term> {
    let is =
        |triple: &&Triple| Term::from(triple.subject.clone()) == *subject && triple.predicate.as_str() == predicate;
    graph.iter().find(is).map(|triple| triple.object.clone())
}

/// `None` if the query has another form.
fn run(query: &Path, facts: &[Triple], result: &Path) -> Option<Result<(), String>> {
    let text = std::fs::read_to_string(query).ok()?;
    let parser = SparqlParser::new().with_base_iri(format!("file://{}", query.display())).ok()?;
    let spargebra::Query::Select { pattern, base_iri, .. } = parser.parse_query(&text).ok()? else { return None };
    let found = match &foreign::pattern(pattern) {
        GraphPattern::Project { inner, variables } => {
            let mut rows = solve(inner, facts, base_iri.as_ref())?;
            let is_kept = |name: &String| variables.iter().any(|variable| variable.as_str() == name);
            rows.iter_mut().for_each(|row| row.retain(|name, _| is_kept(name)));
            rows
        }
        _ => return None,
    };
    Some(same(found, expected(result)?))
}

fn solve(pattern: &GraphPattern, facts: &[Triple], base: Option<&Iri<String>>) -> Option<Vec<Row>> {
    match pattern {
        GraphPattern::Bgp { patterns } => {
            let start = vec![Row::new()];
            Some(patterns.iter().fold(start, |rows, pattern| {
                rows.iter().flat_map(|row| facts.iter().filter_map(|fact| extended(row, pattern, fact))).collect()
            }))
        }
        GraphPattern::Join { left, right } => {
            let (left, right) = (solve(left, facts, base)?, solve(right, facts, base)?);
            let join = |one: &Row, other: &Row| {
                let agrees = other.iter().all(|(name, term)| one.get(name).is_none_or(|own| own == term));
                agrees.then(|| one.iter().chain(other).map(|(name, term)| (name.clone(), term.clone())).collect())
            };
            Some(left.iter().flat_map(|one| right.iter().filter_map(move |other| join(one, other))).collect())
        }
        GraphPattern::Filter { expr, inner } => {
            let rows = solve(inner, facts, base)?;
            let kept = with_columns(expr, &rows, |evaluator, columns| {
                let mut budget = Budget::new(u64::MAX, &|| Ok(()));
                evaluator.keep(columns, &Context { base, ..context() }, &mut budget).unwrap()
            })?;
            Some(kept.into_iter().map(|row| rows[row as usize].clone()).collect())
        }
        GraphPattern::Extend { inner, variable, expression } => {
            let mut rows = solve(inner, facts, base)?;
            let values = with_columns(expression, &rows, |evaluator, columns| {
                let mut budget = Budget::new(u64::MAX, &|| Ok(()));
                let column = evaluator.evaluate(columns, &Context { base, ..context() }, &mut budget).unwrap();
                (0..column.len()).map(|row| column.view(row).term().unwrap()).collect::<Vec<_>>()
            })?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.extend(value.map(|value| (variable.as_str().to_owned(), value)));
            }
            Some(rows)
        }
        _ => None,
    }
}

fn extended(row: &Row, pattern: &TriplePattern, fact: &Triple) -> Option<Row> {
    let mut row = row.clone();
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(iri) => TermPattern::from(iri.clone()),
        NamedNodePattern::Variable(variable) => variable.clone().into(),
    };
    let terms: [Term; 3] = [fact.subject.clone().into(), fact.predicate.clone().into(), fact.object.clone()];
    for (position, term) in [&pattern.subject, &predicate, &pattern.object].into_iter().zip(terms) {
        let name = match position {
            TermPattern::Variable(variable) => variable.as_str().to_owned(),
            TermPattern::BlankNode(node) => format!("_:{}", node.as_str()),
            TermPattern::NamedNode(iri) if Term::from(iri.clone()) == term => continue,
            TermPattern::Literal(literal) if Term::from(literal.clone()) == term => continue,
            _ => return None,
        };
        if *row.entry(name).or_insert_with(|| term.clone()) != term {
            return None;
        }
    }
    Some(row)
}

/// Runs an expression over rows; `None` if it has a part that is no expression alone.
fn with_columns<T>(
    expression: &Expression,
    rows: &[Row],
    run: impl FnOnce(&Evaluator, &Columns<'_>) -> T,
) -> Option<T> {
    let mut names: Vec<String> = Vec::new();
    let mut slot = |variable: &Variable| {
        let place = names.iter().position(|name| name == variable.as_str());
        Some(place.unwrap_or_else(|| {
            names.push(variable.as_str().to_owned());
            names.len() - 1
        }) as u32)
    };
    let program = Program::of_algebra(expression, &mut slot).ok()?;
    let rows: Vec<Vec<Option<Term>>> =
        rows.iter().map(|row| names.iter().map(|name| row.get(name).cloned()).collect()).collect();
    let data = Data::of(&rows);
    Some(run(&Evaluator::new(program).unwrap(), &data.columns()))
}

/// The rows of a result file; `None` for a form that is not read.
fn expected(path: &Path) -> Option<Vec<Row>> {
    if path.extension()? == "ttl" {
        return Some(expected_graph(&read(path)));
    }
    let text = std::fs::read(path).ok()?;
    let parser = QueryResultsParser::from_format(QueryResultsFormat::Xml);
    let SliceQueryResultsParserOutput::Solutions(solutions) = parser.for_slice(&text).ok()? else { return None };
    let row = |solution: sparesults::QuerySolution| {
        solution.iter().map(|(name, term)| (name.as_str().to_owned(), term.clone())).collect()
    };
    Some(solutions.map(|solution| row(solution.unwrap())).collect())
}

fn expected_graph(graph: &[Triple]) -> Vec<Row> {
    let of = |subject: &Term, name: &str| -> Vec<Term> {
        let predicate = NamedNode::new_unchecked(format!("{RESULT}{name}"));
        let is = |triple: &&Triple| Term::from(triple.subject.clone()) == *subject && triple.predicate == predicate;
        graph.iter().filter(is).map(|triple| triple.object.clone()).collect()
    };
    let solutions = graph.iter().filter(|triple| triple.predicate.as_str() == format!("{RESULT}solution"));
    let binding = |binding: &Term| match &of(binding, "variable")[..] {
        [Term::Literal(name)] => (name.value().to_owned(), of(binding, "value").remove(0)),
        other => panic!("{other:?} is no variable"),
    };
    solutions.map(|solution| of(&solution.object, "binding").iter().map(binding).collect()).collect()
}

/// Are both the same rows? Labels of blank nodes do not matter, nor how a computed number is written.
fn same(found: Vec<Row>, expected: Vec<Row>) -> Result<(), String> {
    let is_same = |one: &Row, other: &Row| {
        one.len() == other.len()
            && one.iter().zip(other).all(|((name, term), (other_name, other))| {
                let are_blank = matches!((term, other), (Term::BlankNode(_), Term::BlankNode(_)));
                name == other_name && (are_blank || is_same_value(Some(term), Some(other)))
            })
    };
    let mut left = found;
    for row in &expected {
        match left.iter().position(|other| is_same(other, row)) {
            Some(place) => drop(left.swap_remove(place)),
            None => return Err(format!("{row:?} is missing among {left:?}")),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} is too much")) }
}
