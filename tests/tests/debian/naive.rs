//! Naive evaluation of rules: every rule as a CONSTRUCT over all facts, until a fixpoint. A rule's head and body have
//! the syntax of SPARQL, so the text of the rules is used unchanged.

use super::answers::Table;
use oxrdf::{Dataset, GraphName, Term};
use oxttl::NTriplesParser;
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
use spareval::{QueryEvaluator, QueryResults};
use spargebra::SparqlParser;

/// The triples as a graph, and all that the rules derive from them.
pub fn closure(triples: &[u8], rules: &[String]) -> Dataset {
    let triples = NTriplesParser::new().for_slice(triples).map(|triple| triple.expect("the converter's triples parse"));
    let mut graph: Dataset = triples.map(|triple| triple.in_graph(GraphName::DefaultGraph)).collect();
    let constructs: Vec<String> = rules.iter().flat_map(|text| constructs(text)).collect();
    loop {
        let before = graph.len();
        for construct in &constructs {
            apply(construct, &mut graph);
        }
        if graph.len() == before {
            return graph;
        }
    }
}

/// The rows of a SELECT query, as text.
pub fn select(query: &str, graph: &Dataset) -> Table {
    let query = SparqlParser::new().parse_query(query).expect("the query parses");
    let Ok(QueryResults::Solutions(solutions)) = QueryEvaluator::new().prepare(&query).execute(graph) else {
        panic!("not a SELECT query");
    };
    let row = |solution: spareval::QuerySolution| solution.values().iter().map(|value| text(value.as_ref())).collect();
    solutions.map(|solution| row(solution.expect("the query can be evaluated"))).collect()
}

/// The rows of an answer in SPARQL's JSON, as text.
pub fn table(json: &[u8]) -> Table {
    let parser = QueryResultsParser::from_format(QueryResultsFormat::Json);
    let Ok(SliceQueryResultsParserOutput::Solutions(solutions)) = parser.for_slice(json) else {
        panic!("not the answer to a SELECT query");
    };
    let variables = solutions.variables().to_vec();
    let rows = solutions.map(|solution| {
        let solution = solution.expect("the answer parses");
        variables.iter().map(|variable| text(solution.get(variable))).collect()
    });
    rows.collect()
}

/// A term as the tables show it.
pub fn text(term: Option<&Term>) -> String {
    match term {
        Some(Term::Literal(literal)) => literal.value().to_owned(),
        Some(term) => term.to_string(),
        None => String::new(),
    }
}

/// Each `RULE {head} WHERE {body}` of the text as a CONSTRUCT query.
fn constructs(rules: &str) -> Vec<String> {
    let uncommented: Vec<&str> = rules.lines().filter(|line| !line.starts_with('#')).collect();
    let text = uncommented.join("\n");
    let mut parts = text.split("RULE");
    let prefixes = parts.next().expect("a split has a first part");
    parts.map(|rule| format!("{prefixes} CONSTRUCT {rule}")).collect()
}

fn apply(construct: &str, graph: &mut Dataset) {
    let query = SparqlParser::new().parse_query(construct).expect("the rule parses");
    let Ok(QueryResults::Graph(triples)) = QueryEvaluator::new().prepare(&query).execute(&*graph) else {
        panic!("not a CONSTRUCT query");
    };
    let derived: Vec<_> = triples.map(|triple| triple.expect("the rule can be evaluated")).collect();
    for triple in derived {
        graph.insert(triple.in_graph(GraphName::DefaultGraph).as_ref());
    }
}
