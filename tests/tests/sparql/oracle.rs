//! Random queries: the front over a cluster in memory against spareval over the same facts in one dataset.

use crate::ask;
use crate::random_query::{self, Writer};
use entail_coordinator::query::{Request, Tuning};
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::random::Random;
use entail_tests::w3c::Answer;
use oxrdf::{Dataset, Quad};
use spareval::{QueryEvaluator, QueryResults};
use spargebra::SparqlParser;
use std::sync::Arc;

/// What spareval says alone; `None` where it refuses.
fn expected(facts: &[Quad], query: &str) -> Option<Answer> {
    let dataset: Dataset = facts.iter().cloned().collect();
    let query = SparqlParser::new().parse_query(query).ok()?;
    let evaluator = QueryEvaluator::new();
    Some(match evaluator.prepare(&query).execute(&dataset).ok()? {
        QueryResults::Boolean(value) => Answer::Boolean(value),
        QueryResults::Solutions(solutions) => {
            let variables = solutions.variables().iter().map(|variable| variable.as_str().to_owned()).collect();
            let rows = solutions.map(|solution| Ok(solution?.values().to_vec()));
            Answer::Solutions { variables, rows: rows.collect::<Result<_, spareval::QueryEvaluationError>>().ok()? }
        }
        QueryResults::Graph(triples) => Answer::Graph(triples.collect::<Result<_, _>>().ok()?),
    })
}

/// An answer as sorted lines.
fn lines(answer: &Answer) -> Vec<String> {
    let mut lines: Vec<String> = match answer {
        Answer::Boolean(value) => vec![value.to_string()],
        Answer::Graph(triples) => triples.iter().map(ToString::to_string).collect(),
        Answer::Solutions { rows, .. } => {
            let cell = |cell: &Option<oxrdf::Term>| cell.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
        }
    };
    lines.sort();
    if matches!(answer, Answer::Graph(_)) {
        // spareval may give a triple twice.
        lines.dedup();
    }
    lines
}

/// One random case; `false` if it was not a valid query.
fn check(seed: u64) -> bool {
    let mut random = Random::new(seed);
    let facts = random_query::facts(&mut random);
    let text = Writer::new(&mut random).query();
    let Some(expected) = expected(&facts, &text) else { return false };
    let (shards, nodes) = *random.pick(&[(1, 1), (4, 1), (4, 3), (16, 5)]);
    let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), shards, nodes));
    // Half of the cases take the ways that are meant for large graphs.
    let tuning =
        if seed.is_multiple_of(2) { Tuning { reduce_rows_min: 0.0, reduce_factor: 0.0 } } else { Tuning::default() };
    let request = Request { text: text.clone(), ..Request::default() };
    let given = ask::tuned_answer(request, tuning, cluster);
    let given = given.unwrap_or_else(|fault| panic!("seed {seed}, {shards} shards, {nodes} nodes\n{text}\n{fault}"));
    if lines(&expected) != lines(&given) {
        let facts = facts.iter().map(|fact| format!("{fact} .\n")).collect::<String>();
        let (expected, given) = (lines(&expected).join("\n"), lines(&given).join("\n"));
        panic!("seed {seed}, {shards} shards, {nodes} nodes\n{text}\n{facts}expected\n{expected}\ngiven\n{given}");
    }
    true
}

#[test]
fn random_queries_are_answered_as_by_one_evaluator() {
    let first: u64 = std::env::var("ENTAIL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("ENTAIL_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let valid = (first..first + count).filter(|seed| check(*seed)).count() as u64;
    assert!(valid * 3 > count * 2, "only {valid} of {count} queries are valid");
}
