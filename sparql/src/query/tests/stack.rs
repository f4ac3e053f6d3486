//! No text within the limits overflows the stack of a thread with the usual 2 MiB, on which tests run too.

use super::{NoRows, request};
use crate::query::run::{Mode, run};
use crate::rewrite::PATTERNS_MAX;
use crate::text::parse;
use crate::text::stack::stack_bytes;
use entail_syntax::limits::{OPERATORS_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use std::sync::Arc;

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// The deepest and longest texts of each kind that the limits allow.
fn hostile() -> Vec<String> {
    let clauses = OPERATORS_MAX / 8 - 2;
    let operators = OPERATORS_MAX - 10;
    vec![
        format!("SELECT * {{ ?s ?p ?o FILTER {} }}", nested("(", "1 < 2", ")", 197)),
        format!("SELECT * {{ ?s ?p ?o FILTER ({}) }}", nested("ABS(", "?o", ")", 196)),
        format!("SELECT * {{ ?s ?p ?o FILTER ({}) }}", nested("!(", "?o", ")", 196)),
        format!("SELECT * {}", nested("{ ?s ?p ?o ", "", "}", 199)),
        format!("SELECT * {}", nested("{ OPTIONAL ", "{ ?s ?p ?o }", "}", 199)),
        format!("SELECT * {}", nested("{ ?s ?p ?o MINUS ", "{ ?s ?p ?o }", "}", 199)),
        format!("SELECT * {}", nested("{ ?s ?p ?o FILTER NOT EXISTS ", "{ ?s ?p ?o }", "}", 199)),
        format!("SELECT * {}", nested("{ SELECT * ", "{ ?s ?p ?o }", "}", 199)),
        format!("SELECT * {}", nested("{ GRAPH ?g ", "{ ?s ?p ?o }", "}", 199)),
        format!("SELECT * {{ ?s {} ?o }}", nested("(", "<http://e/p>", ")*", 197)),
        format!("SELECT * {{ ?s ?p {} }}", nested("[ ?p ", "1", "]", 197)),
        format!("SELECT * {{ ?s ?p {} }}", nested("(", "1", ")", 197)),
        format!("SELECT * {{ ?s ?p {} }}", nested("<<( <http://e/s> <http://e/p> ", "1", ")>>", 197)),
        format!("ASK {{ FILTER(1 {} > 0) }}", "+ 1 ".repeat(operators / 2)),
        format!("ASK {{ ?s ?p ?o FILTER(?o = 1 {}) }}", "|| ?o = 2 ".repeat(operators / 2 - 10)),
        format!("SELECT * {{ {{ ?s ?p 1 }} {} }}", "UNION { ?s ?p 2 }".repeat(clauses)),
        format!("SELECT * {{ ?s ?p 1 {} }}", "OPTIONAL { ?s <http://e/value> ?v }".repeat(clauses / 2)),
        format!("SELECT * {{ ?s ?p 1 {} }}", "MINUS { ?s <http://e/value> ?v }".repeat(clauses)),
        format!("SELECT * {{ {} }}", (0..clauses).map(|n| format!("BIND(1 AS ?x{n}) ")).collect::<String>()),
        format!("SELECT * {{ ?s <http://e/next>{} ?o }}", "/<http://e/next>".repeat(300)),
        // Fewer than the limits allow: each alternative is a body, and the time to plan grows faster than their number.
        format!("SELECT * {{ ?s <http://e/next>{} ?o }}", "|<http://e/next>".repeat(300)),
        format!("SELECT * {{ ?s <http://e/next>{} ?o }}", "/<http://e/next>*".repeat(300)),
        format!("SELECT * {{ ?s ?p ?o {} }}", "FILTER(?o != 5) ".repeat(390)),
    ]
}

/// Chains with links that are not operators, as long as the limit on tokens allows.
fn chains() -> Vec<String> {
    let fit = |tokens: usize, bytes: usize| (TOKENS_MAX / tokens).min(TEXT_BYTES_MAX / bytes) - 20;
    // These are lists, not nested, and the time to plan grows faster than their number.
    let lists = 500;
    let numbered = |count: usize, link: &dyn Fn(usize) -> String| (0..count).map(link).collect::<String>();
    vec![
        format!("SELECT * {{ {} }}", "{}".repeat(fit(2, 2))),
        format!("SELECT * {{ {} }}", "VALUES ?x { 1 }".repeat(fit(4, 15))),
        // Fewer than the limits allow: the time to join that many paths grows faster than their number.
        format!("SELECT * {{ {} }}", "?s <a:p>? ?o .".repeat(300)),
        // For each filter, the joins are walked once.
        format!("ASK {{ {} {} }}", "VALUES ?x { UNDEF }".repeat(2_000), "FILTER(?x != 5)".repeat(300)),
        format!("SELECT {} {{ ?s ?p ?o }}", numbered(fit(5, 15), &|n| format!("(1 AS ?x{n})"))),
        format!("SELECT * {{ ?s ?p ?o }} ORDER BY {}", "?s".repeat(lists)),
        format!("SELECT ?s {{ ?s ?p ?o }} GROUP BY {}", "?s".repeat(lists)),
        format!("SELECT * {{ ?s ?p ?o }} HAVING {}", "(1)".repeat(lists)),
    ]
}

fn answer(text: &str) -> Option<String> {
    let cluster = Arc::new(NoRows::default());
    let plans = Arc::default();
    // The second time from the cache, if it is there.
    let answer = || run(request(text, Some(&plans), Mode::Run), cluster.clone(), &mut |_| Ok(())).err();
    answer().or_else(answer).map(|fault| fault.to_string())
}

fn list(numbers: usize) -> String {
    (0..numbers).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
}

/// What a thread with little stack answers.
fn answer_on_a_small_stack(text: String) -> Option<String> {
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(move || answer(&text));
    thread.expect("a thread").join().expect("no panic")
}

/// Lists have no token between two triples that counts as a link of a chain.
#[test]
fn lists_of_triples_are_limited_where_they_nest() {
    let most = list(PATTERNS_MAX);
    let half = list(PATTERNS_MAX / 2);
    for text in [
        format!("SELECT * {{ ?s ?p ?o BIND(EXISTS {{ <a:a> <a:b> {most} }} AS ?e) }}"),
        format!("SELECT * {{ BIND(EXISTS {{ <a:a> <a:b> {half} OPTIONAL {{ <a:a> <a:b> {half} }} }} AS ?e) }}"),
        format!("SELECT * {{ <a:a> <a:b> {most} }}"),
    ] {
        assert_eq!(answer_on_a_small_stack(text), None);
    }
    let numbers = list(20_000);
    let elements = numbers.replace(',', " ");
    let more = list(PATTERNS_MAX + 1);
    for text in [
        format!("SELECT * {{ ?s ?p ?o FILTER EXISTS {{ <a:a> <a:b> {numbers} }} }}"),
        format!("SELECT * {{ ?s ?p ?o FILTER EXISTS {{ <a:a> <a:b> ({elements}) }} }}"),
        format!("SELECT * {{ ?s ?p ?o BIND(EXISTS {{ <a:a> <a:b> {numbers} }} AS ?e) }}"),
        format!("SELECT * {{ BIND(EXISTS {{ <a:a> <a:b> {most} {{ SELECT * {{ <a:a> <a:b> 1 }} }} }} AS ?e) }}"),
        format!("SELECT * {{ <a:a> <a:b> {more} }}"),
    ] {
        let error = answer_on_a_small_stack(text).unwrap_or_default();
        assert!(error.contains("more than 512 triple patterns"), "{error}");
    }
}

#[test]
fn no_text_within_the_limits_overflows_a_stack() {
    for text in hostile().iter().chain(&chains()) {
        let need = parse::query(text, None).map(|parsed| stack_bytes(parsed.nesting) >> 10);
        let started = std::time::Instant::now();
        let error = answer(text);
        println!("{:?} {need:?} KiB {error:?} {text:.60}", started.elapsed());
        assert!(need.is_ok(), "within the limits: {text:.60}");
        assert!(!error.is_some_and(|error| error.contains("panicked")), "{text:.60}");
    }
}
