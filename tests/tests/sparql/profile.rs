//! The figures of `--profile` must add up, in memory and on real clusters.

use crate::ask;
use entail_proto::v1::{QueryMode, QueryRequest};
use entail_sparql::{Mode, Request, Tuning};
use entail_tests::cluster::{Cluster, fault};
use entail_tests::memory_cluster::MemoryCluster;
use oxttl::NQuadsParser;
use serde_json::Value;
use std::sync::Arc;

const SHARDS: u32 = 4;
const PEOPLE: u64 = 600;

/// People of classes in a ring, each with a name and a number.
fn document() -> String {
    let person = |n: u64| format!("<http://e/person/{n}>");
    let lines = (0..PEOPLE).map(|n| {
        let (one, next) = (person(n), person((n + 1) % PEOPLE));
        format!(
            "{one} <http://e/knows> {next} .\n{one} <http://e/name> \"name {n}\" .\n{one} <http://e/age> {} .\n\
             {one} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/Class{}> .\n",
            format_args!("\"{}\"^^<http://www.w3.org/2001/XMLSchema#integer>", n % 90),
            n % 3,
        )
    });
    lines.collect()
}

/// A join that moves rows, one that reads a class, a filter that needs texts, and one over values.
const QUERIES: [&str; 4] = [
    "SELECT ?a ?c { ?a <http://e/knows> ?b . ?b <http://e/knows> ?c }",
    "SELECT ?a ?b { ?a a <http://e/Class1> ; <http://e/knows> ?b . ?b a <http://e/Class2> }",
    "SELECT ?a { ?a <http://e/name> ?name FILTER(CONTAINS(?name, \"7\")) ?a <http://e/knows> ?b }",
    "SELECT ?a ?age { ?a <http://e/age> ?age FILTER(?age > 80) }",
];

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

/// Checks one measurement against its own shards; returns its rows.
fn check_measured(measured: &Value, place: &str) -> u64 {
    for field in ["rows", "bytes", "messages"] {
        let sum: u64 = items(&measured["shards"]).map(|work| number(&work[field])).sum();
        assert_eq!(number(&measured[field]), sum, "{field} of {place}");
    }
    let seconds: f64 = items(&measured["shards"]).map(|work| work["seconds"].as_f64().expect("a time")).sum();
    assert!((measured["seconds"].as_f64().expect("a time") - seconds).abs() < 1e-6, "the time of {place}");
    number(&measured["rows"])
}

/// Checks a plan of one leaf and one branch that returned this many rows, on this many nodes.
fn check_plan(plan: &Value, rows: u64, nodes: usize, place: &str) {
    assert_eq!(items(&plan["shards"]).count(), SHARDS as usize, "{place}");
    let branch = &plan["leaves"][0]["branches"][0];
    assert_eq!(items(&branch["nodes"]).count(), nodes, "{place}");
    let given: u64 = items(&branch["nodes"]).map(|node| number(&node["rows"])).sum();
    assert_eq!(given, rows, "{place}");
    let stages: Vec<&Value> = items(&branch["stages"]).collect();
    for (index, stage) in stages.iter().enumerate() {
        let place = format!("stage {index} of {place}");
        let mut out = None;
        for op in items(&stage["ops"]) {
            out = Some(check_measured(&op["measured"], &place));
            // Facts are in shards, and so are the rows that were matched with them.
            assert!(
                items(&op["measured"]["shards"]).all(|work| number(&work["rows"]) == 0 || work["shard"].is_u64()),
                "{place}"
            );
        }
        let handed_on = check_measured(&stage["handed_on"], &place);
        // Rows that are sent to several nodes are counted several times.
        assert!(out.is_none_or(|rows| handed_on >= rows), "{place}: {handed_on} of {out:?} rows");
        if index + 1 == stages.len() {
            assert_eq!(handed_on, rows, "{place}");
            assert!(rows == 0 || number(&stage["handed_on"]["bytes"]) >= rows * 8, "{place}");
        }
    }
    // Values are available everywhere: rows move to terms only.
    let moves = nodes > 1 && stages.len() > 1 && !place.contains("?age");
    let before = &stages[..stages.len() - 1];
    for field in ["bytes", "messages"] {
        let moved: u64 = before.iter().map(|stage| number(&stage["handed_on"][field])).sum();
        assert_eq!(moved > 0, moves, "{field} between nodes: {place}");
    }
}

#[test]
fn profiles_add_up_in_memory() {
    let facts: Vec<_> =
        NQuadsParser::new().for_slice(document().as_bytes()).collect::<Result<_, _>>().expect("N-Quads");
    for nodes in [1, 3] {
        for text in QUERIES {
            let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), SHARDS, nodes));
            let request = Request { text: text.to_owned(), mode: Mode::Profile, ..Request::default() };
            let (_, _, summary) = ask::bytes(request, Tuning::default(), cluster).expect("an answer");
            assert!(summary.rows > 0, "{text}");
            let plan = summary.plan.expect("a plan");
            check_plan(&plan, summary.rows, nodes as usize, text);
            let branch = &plan["leaves"][0]["branches"][0];
            assert!(items(&branch["nodes"]).all(|node| node["seconds_at_work"].as_f64() > Some(0.0)), "{branch}");
        }
    }
}

#[test]
fn profiles_add_up_on_real_clusters() {
    let cluster = Cluster::start(3, SHARDS);
    cluster.load("people.nt", document());
    for text in QUERIES {
        let mut request = QueryRequest { query: text.to_owned(), ..QueryRequest::default() };
        request.set_mode(QueryMode::Profile);
        let answer =
            cluster.with_client(|client| async move { client.query_all(request, 64 << 20).await.map_err(fault) });
        let summary = answer.expect("an answer").summary;
        assert!(summary.rows > 0, "{text}");
        let plan: Value = serde_json::from_str(&summary.plan_json).expect("JSON");
        check_plan(&plan, summary.rows, 3, text);
        for node in items(&plan["leaves"][0]["branches"][0]["nodes"]) {
            let (at_work, all) = (node["seconds_at_work"].as_f64(), node["seconds"].as_f64());
            assert!(at_work > Some(0.0) && at_work <= all, "{node}");
        }
    }
}

/// The work of a shard that has all facts is the whole work.
#[test]
fn work_is_told_where_it_is_done() {
    let facts = (0..500).map(|n| format!("<http://e/hub> <http://e/p> <http://e/leaf/{n}> .\n")).collect::<String>();
    let facts: Vec<_> = NQuadsParser::new().for_slice(facts.as_bytes()).collect::<Result<_, _>>().expect("N-Quads");
    let cluster = Arc::new(MemoryCluster::new(facts, 16, 5));
    let text = "SELECT ?o { <http://e/hub> <http://e/p> ?o }".to_owned();
    let request = Request { text, mode: Mode::Profile, ..Request::default() };
    let plan = ask::bytes(request, Tuning::default(), cluster).expect("an answer").2.plan.expect("a plan");
    let stage = &plan["leaves"][0]["branches"][0]["stages"][0];
    let shards: Vec<&Value> =
        items(&stage["ops"][0]["measured"]["shards"]).filter(|work| number(&work["rows"]) > 0).collect();
    assert_eq!(shards.len(), 1, "{stage}");
    assert_eq!(number(&shards[0]["rows"]), 500);
}

/// The coordinator's own evaluation is measured as well.
#[test]
fn the_coordinators_operators_are_measured() {
    let facts: Vec<_> =
        NQuadsParser::new().for_slice(document().as_bytes()).collect::<Result<_, _>>().expect("N-Quads");
    let cluster = Arc::new(MemoryCluster::new(facts, SHARDS, 3));
    let text = "SELECT ?age (COUNT(*) AS ?n) { ?a <http://e/age> ?age } GROUP BY ?age".to_owned();
    let request = Request { text, mode: Mode::Profile, ..Request::default() };
    let plan = ask::bytes(request, Tuning::default(), cluster).expect("an answer").2.plan.expect("a plan");
    let mut operator = &plan["coordinator"];
    assert_eq!(number(&operator["rows"]), 90, "{operator}");
    while operator["leaf"].is_null() {
        assert!(operator["seconds"].is_number() && operator["op"].is_string(), "{operator}");
        operator = &operator["inputs"][0];
    }
    assert_eq!((number(&operator["leaf"]), number(&operator["rows"])), (0, PEOPLE), "{operator}");
}

/// Queries with every operator of the coordinator.
const OPERATORS: [&str; 9] = [
    "SELECT * FROM <http://e/g> FROM NAMED <http://e/g> { ?a <http://e/age> ?age OPTIONAL { GRAPH ?g { ?a ?p ?o } } }",
    "SELECT ?a { { SELECT ?a { ?a <http://e/age> ?age } OFFSET 1 LIMIT 2 } OPTIONAL { ?a <http://e/none> ?b } }",
    "SELECT ?a { { SELECT ?a { ?a <http://e/age> ?age } OFFSET 3 } UNION { VALUES (?a ?b) { (UNDEF 1) } } }",
    "SELECT * { ?a <http://e/age> ?age MINUS { ?a <http://e/none> ?b FILTER(?b > 1) } FILTER(?age > 3 || BOUND(?x)) }",
    "SELECT (MAX(?age + 1) AS ?m) { ?a <http://e/age> ?age . ?a <http://e/knows>* ?b } GROUP BY ?b ORDER BY DESC(?m)",
    "SELECT DISTINCT (STR(?a) AS ?b) { ?a <http://e/age> ?age } ORDER BY ?b LIMIT 3",
    "SELECT * { GRAPH <http://e/g> { ?a ?b ?c OPTIONAL { ?a <http://e/p>? ?d } } }",
    "SELECT (COUNT(*) AS ?n) { ?a <http://e/age> ?age }",
    "ASK { ?a <http://e/age> ?age FILTER EXISTS { ?a (<http://e/p>|<http://e/q>)+ ?b } }",
];

/// The words of a plan: what it says beside numbers and measurements.
fn words(plan: &Value, found: &mut Vec<String>) {
    match plan {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| words(item, found)),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "nodes").for_each(|(_, value)| words(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn explained_and_profiled_plans_have_the_same_words() {
    let facts: Vec<_> =
        NQuadsParser::new().for_slice(document().as_bytes()).collect::<Result<_, _>>().expect("N-Quads");
    for text in OPERATORS {
        let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), SHARDS, 3));
        let said = |mode| {
            let request = Request { text: text.to_owned(), mode, ..Request::default() };
            let plan = ask::bytes(request, Tuning::default(), cluster.clone()).expect("a plan").2.plan.expect("a plan");
            let mut said = Vec::new();
            ["coordinator", "leaves"].into_iter().for_each(|part| words(&plan[part], &mut said));
            said
        };
        let explained = said(Mode::Explain);
        assert_eq!(explained, said(Mode::Profile), "{text}");
        let names_of_code = ["Some(", "None", "TermId", "Code(", "::", "{ ", "[\""];
        for word in &explained {
            let is_of_code = names_of_code.iter().any(|name| word.contains(name) && !text.contains(name));
            assert!(!is_of_code, "{text}: {word}");
        }
    }
}
