//! Groups, aggregates, and the first rows in an order, which are folded as rows arrive: compared with spareval, and
//! with the whole order, in memory and on real clusters.

use crate::ask;
use crate::oracle::{Comparisons, expected, listed};
use entail_model::random::Random;
use entail_model::{Fault, Reason};
use entail_proto::v1::QueryRequest;
use entail_sparql::Request;
use entail_tests::cluster::Cluster;
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::Answer;
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{GraphName, Literal, NamedNode, Quad, Term};
use std::sync::Arc;

const CASES: u64 = 400;
const SHAPES: [(u32, u64); 4] = [(1, 1), (4, 2), (4, 3), (16, 4)];

fn named(name: impl std::fmt::Display) -> NamedNode {
    NamedNode::new_unchecked(format!("http://e/{name}"))
}

/// A number; numbers of different types differ in value, and all sums are exact.
fn number(random: &mut Random) -> Term {
    let whole = random.below(12) as i64 - 4;
    match random.below(4) {
        0 => Literal::new_typed_literal(format!("{whole}.5"), xsd::DECIMAL).into(),
        1 => Literal::new_typed_literal(format!("{whole}.25"), xsd::DOUBLE).into(),
        _ => Literal::from(whole).into(),
    }
}

fn string(random: &mut Random) -> Term {
    let text = *random.pick(&["a", "bb", "ccc", ""]);
    match random.below(3) {
        0 => Literal::new_language_tagged_literal_unchecked(text, *random.pick(&["en", "de"])).into(),
        _ => Literal::new_simple_literal(text).into(),
    }
}

fn facts(random: &mut Random) -> Vec<Quad> {
    let count = random.among(0..=60);
    let fact = |_| {
        let subject = named(format_args!("n{}", random.below(7)));
        let node = Term::from(named(format_args!("n{}", random.below(7))));
        let (predicate, object) = match random.below(6) {
            0 | 1 => (named("knows"), node),
            2 => (named("number"), number(random)),
            3 => (named("text"), string(random)),
            4 => (rdf::TYPE.into_owned(), named(format_args!("c{}", random.below(2))).into()),
            _ => {
                let mixed = [number(random), string(random), node];
                (named("mixed"), random.pick(&mixed).clone())
            }
        };
        let graph = if random.below(4) == 0 { named("g").into() } else { GraphName::DefaultGraph };
        Quad::new(subject, predicate, object, graph)
    };
    (0..count).map(fact).collect()
}

/// The kind of value of ?c in a body's solutions.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Text,
    Any,
}

/// A body over ?a, ?b and ?c.
fn body(random: &mut Random) -> (String, Kind) {
    let (text, kind) = match random.below(11) {
        0 | 1 => ("?a :knows ?b . ?a :number ?c", Kind::Number),
        2 => ("?b :knows ?a . ?a :text ?c", Kind::Text),
        3 => ("?a :mixed ?c . ?a a ?b", Kind::Any),
        4 => ("{ ?a :number ?c } UNION { ?a :knows ?b }", Kind::Any),
        5 => ("?a :number ?c . VALUES ?b { :n1 :unknown \"x\" 4711.5 }", Kind::Number),
        6 => ("GRAPH ?b { ?a :number ?c }", Kind::Number),
        7 => ("?a :number ?c OPTIONAL { ?a :knows ?b }", Kind::Number),
        8 => ("?a :knows ?b . ?b :number ?c FILTER(?c > 1)", Kind::Number),
        9 => ("?a ?b ?c", Kind::Any),
        _ => ("{ ?a :number ?c } UNION { ?a :knows ?b . ?b :number ?c } UNION { ?a :mixed ?c }", Kind::Any),
    };
    (format!("{{ {text} }}"), kind)
}

fn aggregate(random: &mut Random, kind: Kind) -> &'static str {
    let any = [
        "COUNT(*)",
        "COUNT(?c)",
        "COUNT(?b)",
        "COUNT(DISTINCT ?c)",
        "COUNT(DISTINCT ?b)",
        "COUNT(DISTINCT *)",
        "SUM(?c)",
        "AVG(?c)",
        "SUM(DISTINCT ?c)",
        "COUNT(*) + COUNT(?b)",
        // An error within COUNT is not counted (18.5.1.2); spareval fails.
        "COUNT(COALESCE(?c + 1, 0))",
        "BOUND(SAMPLE(?c))",
    ];
    let numbers = [
        "SUM(?c)",
        "AVG(?c)",
        "SUM(DISTINCT ?c)",
        "AVG(DISTINCT ?c)",
        "MIN(?c)",
        "MAX(?c)",
        "MAX(?c) - MIN(?c)",
        "SUM(?c * 2)",
        "SUM(?c) / COUNT(*)",
        "isNumeric(SAMPLE(?c))",
        // The order is open; and spareval joins strings only, with the forms of its own.
        "STRLEN(GROUP_CONCAT(STR(isNumeric(?c))))",
        "SUM(?b)",
    ];
    let texts = [
        "MIN(STR(?c))",
        "STRLEN(GROUP_CONCAT(?c))",
        "STRLEN(GROUP_CONCAT(DISTINCT ?c; separator=\", \"))",
        "SUM(?c)",
        "COUNT(DISTINCT ?c)",
    ];
    let list = match kind {
        Kind::Any => &any[..],
        Kind::Number if random.below(3) > 0 => &numbers,
        Kind::Text if random.below(3) > 0 => &texts,
        Kind::Number | Kind::Text => &any,
    };
    list[random.below(list.len() as u64) as usize]
}

/// A query with groups.
fn grouped(random: &mut Random) -> String {
    let (body, kind) = body(random);
    let by = *random.pick(&["", "?a", "?b", "?a ?b", "?c", "?b ?never", "(STR(?b) AS ?k)"]);
    let shown = by.strip_prefix("(STR(?b) AS ?k)").map_or(by, |_| "?k");
    let count = random.among(1..=3);
    let columns: Vec<String> =
        (0..count).map(|number| format!("({} AS ?x{number})", aggregate(random, kind))).collect();
    let by = if by.is_empty() { String::new() } else { format!(" GROUP BY {by}") };
    let having = match random.below(4) {
        0 => " HAVING (COUNT(*) > 1)",
        1 if kind == Kind::Number => " HAVING (SUM(?c) >= 1 && COUNT(DISTINCT ?a) < 4)",
        _ => "",
    };
    let query = format!("SELECT {shown} {} {body}{by}{having}", columns.join(" "));
    match random.below(5) {
        // As a part of a larger query.
        0 => format!("SELECT * {{ {{ {query} }} OPTIONAL {{ ?a :text ?t }} }}"),
        _ => query,
    }
}

/// A query whose rows are ordered by this many of its columns, without a limit.
fn ordered(random: &mut Random) -> (String, usize) {
    let (body, _) = body(random);
    let distinct = if random.below(3) == 0 { "DISTINCT " } else { "" };
    let shown = *random.pick(&["?a ?b ?c", "?c ?a ?b", "?b ?c", "?b", "?never ?c", "?a"]);
    let columns: Vec<&str> = shown.split(' ').collect();
    // The evaluator sorts only by the requested columns.
    let is_folded = !body.contains("OPTIONAL");
    let by = if is_folded { random.among(1..=columns.len() as u64) as usize } else { columns.len() };
    let order: Vec<String> = columns[..by]
        .iter()
        .map(|column| if random.below(3) == 0 { format!("DESC({column})") } else { (*column).to_owned() })
        .collect();
    (format!("SELECT {distinct}{shown} {body} ORDER BY {}", order.join(" ")), by)
}

fn with_prefix(query: &str) -> String {
    format!("PREFIX : <http://e/> {query}")
}

type Ask<'a> = &'a dyn Fn(&str) -> Result<Answer, Fault>;

/// The rows of an answer, as text.
fn rows(ask: Ask<'_>, query: &str) -> Vec<Vec<String>> {
    let Answer::Solutions { rows, .. } = ask(&with_prefix(query)).unwrap_or_else(|fault| panic!("{query}: {fault}"))
    else {
        panic!("a SELECT")
    };
    let cell = |cell: Option<Term>| cell.map_or_else(String::new, |term| term.to_string());
    rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

/// Consecutive pages of an order form the whole result: their sort keys are in the same order, and no row is duplicated
/// or missing, even if rows have equal keys.
fn check_pages(random: &mut Random, ask: Ask<'_>, place: &str) {
    let (query, by) = ordered(random);
    let whole = rows(ask, &query);
    let length = random.among(1..=7) as usize;
    let mut pages = Vec::new();
    for start in (0..whole.len() + length).step_by(length) {
        let page = rows(ask, &format!("{query} LIMIT {length} OFFSET {start}"));
        assert_eq!(page.len(), whole.len().saturating_sub(start).min(length), "{query} from {start}\n{place}");
        pages.extend(page);
    }
    let keys = |rows: &[Vec<String>]| rows.iter().map(|row| row[..by].to_vec()).collect::<Vec<_>>();
    assert_eq!(keys(&pages), keys(&whole), "{query}\n{place}");
    let sorted = |mut rows: Vec<Vec<String>>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(pages), sorted(whole), "{query}\n{place}");
    assert_eq!(rows(ask, &format!("{query} LIMIT 0")).len(), 0, "{query}\n{place}");
}

/// The minimum and the maximum of values of all kinds are the ends of their order.
fn check_ends(ask: Ask<'_>, place: &str) {
    let body = "{ ?a :mixed ?c }";
    let order = rows(ask, &format!("SELECT ?c {body} ORDER BY ?c"));
    let ends = rows(ask, &format!("SELECT (MIN(?c) AS ?least) (MAX(?c) AS ?most) {body}"));
    let end = |row: Option<&Vec<String>>| row.map_or_else(String::new, |row| row[0].clone());
    assert_eq!(ends, [[end(order.first()), end(order.last())]], "{place}");
}

/// Checks one query with groups; returns whether it was valid.
fn check_groups(random: &mut Random, facts: &[Quad], ask: Ask<'_>, place: &str, comparisons: &mut Comparisons) -> bool {
    let query = with_prefix(&grouped(random));
    let Some(expected) = expected(facts, &query) else { return false };
    let given = ask(&query).unwrap_or_else(|fault| panic!("{query}\n{place}{fault}"));
    comparisons.check(&query, facts, &expected, &given, place);
    true
}

#[test]
fn folds_in_memory_give_what_all_rows_would() {
    let number = |variable: &str| std::env::var(variable).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("ENTAIL_SEED").unwrap_or(0);
    let count = number("ENTAIL_CASES").unwrap_or(CASES);
    let (mut valid, mut comparisons) = (0, Comparisons::default());
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let facts = facts(&mut random);
        let (shards, nodes) = *random.pick(&SHAPES);
        let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), shards, nodes));
        let ask = |text: &str| ask::answer(Request { text: text.to_owned(), ..Request::default() }, cluster.clone());
        let replay =
            format!("ENTAIL_SEED={seed} ENTAIL_CASES=1 cargo test -p entail-tests --test sparql folds_in_memory");
        let place = format!("{shards} shards, {nodes} nodes\nagain: {replay}\n{}", listed(&facts));
        for _ in 0..3 {
            valid += u64::from(check_groups(&mut random, &facts, &ask, &place, &mut comparisons));
        }
        check_pages(&mut random, &ask, &place);
        check_ends(&ask, &place);
    }
    comparisons.check_excuses();
    assert!(valid > count * 2, "only {valid} of {} queries are valid", count * 3);
}

#[test]
fn folds_on_real_clusters_give_what_all_rows_would() {
    let mut comparisons = Comparisons::default();
    for (nodes, shards) in [(1, 4), (4, 16)] {
        let mut random = Random::new(nodes as u64);
        let cluster = Cluster::start(nodes, shards);
        let facts: Vec<Quad> = (0..4).flat_map(|_| facts(&mut random)).collect();
        cluster.load("facts.nq", listed(&facts));
        let ask = |text: &str| cluster.answer(QueryRequest { query: text.to_owned(), ..QueryRequest::default() });
        let place = format!("{shards} shards, {nodes} nodes\n{}", listed(&facts));
        let valid = (0..60).filter(|_| check_groups(&mut random, &facts, &ask, &place, &mut comparisons)).count();
        assert!(valid > 40, "only {valid} queries are valid");
        (0..20).for_each(|_| check_pages(&mut random, &ask, &place));
        check_ends(&ask, &place);
    }
    comparisons.check_excuses();
}

/// Memory is counted for retained groups, not for incoming rows: few groups of many rows need little, many groups too
/// much.
#[test]
fn only_what_is_held_is_limited() {
    let fact = |number: u64| {
        let predicate = named("p");
        let subject = named(format_args!("s{number}"));
        Quad::new(subject, predicate, Literal::from(number % 3), GraphName::DefaultGraph)
    };
    // Ascending values: each is greater than all previous ones.
    let value = |number: u64| {
        let (subject, value) = (named(format_args!("s{number}")), Literal::from(number));
        Quad::new(subject, named("t"), value, GraphName::DefaultGraph)
    };
    let facts = (0..20_000).map(fact).chain((0..20_000).map(value));
    let cluster = Arc::new(MemoryCluster::new(facts, 4, 3));
    let ask = |text: &str| {
        let request = Request { text: with_prefix(text), held_bytes_max: 64 << 10, ..Request::default() };
        ask::answer(request, cluster.clone())
    };
    for few in [
        "SELECT ?o (COUNT(*) AS ?n) { ?s :p ?o } GROUP BY ?o",
        "SELECT (COUNT(DISTINCT ?o) AS ?n) (MAX(?s) AS ?m) (SUM(?o) AS ?x) { ?s :p ?o }",
        "SELECT DISTINCT ?o { ?s :p ?o }",
        "SELECT (MAX(?t) AS ?m) { ?s :t ?t }",
        "SELECT (COUNT(*) + 0 AS ?n) { ?a :p ?b . ?c :p ?d }",
        "SELECT ?k (COUNT(*) AS ?n) { VALUES ?k { :a } ?a :p ?b . ?c :p ?d } GROUP BY ?k",
        "SELECT * { ?s :p ?o } ORDER BY DESC(?s) LIMIT 10 OFFSET 20",
        "SELECT DISTINCT ?o { ?s :p ?o } ORDER BY ?o LIMIT 2",
    ] {
        ask(few).unwrap_or_else(|fault| panic!("{few}: {fault}"));
    }
    for many in [
        "SELECT ?s (COUNT(*) AS ?n) { ?s :p ?o } GROUP BY ?s",
        "SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s :p ?o }",
        "SELECT DISTINCT ?s { ?s :p ?o }",
        "SELECT * { ?s :p ?o } ORDER BY ?s LIMIT 10000",
        "SELECT (GROUP_CONCAT(STR(?s)) AS ?n) { ?s :p ?o }",
    ] {
        let fault = ask(many).err().unwrap_or_else(|| panic!("{many} is answered"));
        assert_eq!(fault.reason, Reason::LimitExceeded, "{many}: {fault}");
    }
}
