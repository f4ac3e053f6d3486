//! A query is parsed once, and each of its basic graph patterns is rewritten once.

use super::{NoRows, explained};
use crate::plan::cache::PlanCache;
use crate::rewrite::REWRITTEN;
use crate::text::parse::PARSED;
use std::sync::Arc;

/// The parses and the rewritten basic graph patterns of `work`.
fn counted(work: impl FnOnce()) -> (usize, usize) {
    let before = (PARSED.get(), REWRITTEN.get());
    work();
    (PARSED.get() - before.0, REWRITTEN.get() - before.1)
}

/// Texts, how many basic graph patterns they have, and whether they are prepared.
const TEXTS: [(&str, usize, bool); 12] = [
    ("SELECT * { ?s ?p ?o }", 1, true),
    ("SELECT ?o { <http://e/a> <http://e/p> ?o } LIMIT 3", 1, true),
    ("SELECT DISTINCT ?o { { <http://e/a> <http://e/p> ?o } UNION { ?o a <http://e/C> } }", 2, true),
    ("ASK { <http://e/a> <http://e/p>/<http://e/q> <http://e/b> }", 1, true),
    ("SELECT ?o { <http://e/a> <http://e/p> ?o FILTER(?o > 3) }", 1, false),
    ("SELECT (COUNT(*) AS ?n) { <http://e/a> <http://e/p> ?o }", 1, false),
    ("SELECT (COUNT(DISTINCT ?o) AS ?n) { <http://e/a> <http://e/p> ?o }", 1, false),
    ("SELECT ?o (COUNT(*) AS ?n) { ?s <http://e/p> ?o } GROUP BY ?o ORDER BY ?n LIMIT 2", 1, false),
    ("SELECT ?s { ?s <http://e/p> ?o OPTIONAL { ?s <http://e/q> ?r } } ORDER BY ?r LIMIT 5", 2, false),
    ("SELECT DISTINCT ?s { ?s <http://e/p> ?o MINUS { ?s <http://e/q> ?r } }", 2, false),
    ("CONSTRUCT { ?s <http://e/r> ?o } WHERE { ?s <http://e/p> ?o }", 1, false),
    ("DESCRIBE ?s { ?s <http://e/p> <http://e/a> }", 1, false),
];

#[test]
fn a_new_query_is_parsed_and_rewritten_once() {
    let cluster = Arc::new(NoRows::default());
    for (text, patterns, _) in TEXTS {
        let plans = Arc::default();
        let work = counted(|| _ = explained(text, Some(&plans), &cluster).expect(text));
        assert_eq!(work, (1, patterns), "with a cache: {text}");
        let work = counted(|| _ = explained(text, None, &cluster).expect(text));
        assert_eq!(work, (1, patterns), "without a cache: {text}");
    }
}

#[test]
fn a_cached_query_is_not_parsed_and_a_prepared_one_not_rewritten() {
    let cluster = Arc::new(NoRows::default());
    let plans: Arc<PlanCache> = Arc::default();
    for (text, patterns, is_prepared) in TEXTS {
        explained(text, Some(&plans), &cluster).expect(text);
        let again = counted(|| _ = explained(text, Some(&plans), &cluster).expect(text));
        assert_eq!(again, (0, if is_prepared { 0 } else { patterns }), "{text}");
        let other = text.replace("http://e/", "http://f/");
        let of_others = counted(|| _ = explained(&other, Some(&plans), &cluster).expect(&other));
        assert_eq!(of_others, if is_prepared { (0, 0) } else { (1, patterns) }, "{other}");
    }
}

#[test]
fn a_union_that_is_too_large_to_prepare_is_cached_with_its_parameters() {
    let cluster = Arc::new(NoRows::default());
    let plans: Arc<PlanCache> = Arc::default();
    let text = format!("SELECT * {{ {{ ?s <http://e/p> ?o }} {} }}", "UNION { ?s <http://e/q> ?o }".repeat(80));
    assert_eq!(counted(|| _ = explained(&text, Some(&plans), &cluster).expect("a plan")), (1, 81));
    let other = text.replace("http://e/", "http://f/");
    assert_eq!(counted(|| _ = explained(&other, Some(&plans), &cluster).expect("a plan")), (0, 81));
    let fresh = explained(&other, None, &cluster).expect("a plan");
    assert_eq!(explained(&other, Some(&plans), &cluster).expect("a plan"), fresh);
}
