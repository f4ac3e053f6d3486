//! Corner cases of the standard, where evaluators have gone wrong: what the oracle answers, by the letter.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod reading;

use entail_oracle::{Answer, Dataset, Fail, evaluate};
use oxrdf::{GraphName, Triple};
use oxrdfio::{RdfFormat, RdfParser};

const PREFIXES: &str = "PREFIX : <http://example.org/> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

/// The dataset of a TriG document.
fn data(document: &str) -> Dataset {
    let text = format!("{PREFIXES}{document}");
    let mut data = Dataset::default();
    for quad in RdfParser::from_format(RdfFormat::TriG).for_slice(text.as_bytes()) {
        let quad = quad.unwrap();
        let graph = match &quad.graph_name {
            GraphName::NamedNode(name) => data.named.entry(name.clone()).or_default(),
            _ => &mut data.default,
        };
        graph.push(Triple::from(quad));
    }
    data
}

fn try_answer(document: &str, query: &str) -> Result<Answer, Fail> {
    let query = reading::query(&format!("{PREFIXES}{query}"), None).unwrap();
    evaluate(&query, &data(document))
}

/// The rows of an answer as sorted text, with short names; a boolean as one row.
#[track_caller]
fn rows(document: &str, query: &str) -> Vec<String> {
    let short = |term: &oxrdf::Term| {
        let text = term.to_string().replace("http://www.w3.org/2001/XMLSchema#", "xsd:");
        text.replace("http://example.org/", ":").replace(['<', '>'], "")
    };
    match try_answer(document, query).unwrap() {
        Answer::Boolean(value) => vec![value.to_string()],
        Answer::Graph(triples) => triples.iter().map(|triple| triple.to_string()).collect(),
        Answer::Solutions { rows, .. } => {
            let cell = |cell: &Option<oxrdf::Term>| cell.as_ref().map_or_else(|| "-".to_owned(), short);
            let mut lines: Vec<String> =
                rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect();
            lines.sort();
            lines
        }
    }
}

#[track_caller]
fn check(document: &str, query: &str, expected: &[&str]) {
    assert_eq!(rows(document, query), expected, "{query}");
}

/// The value of an expression over no data.
#[track_caller]
fn value(expression: &str, expected: &str) {
    check("", &format!("SELECT ({expression} AS ?x) {{}}"), &[expected]);
}

#[test]
fn terms_are_seen_as_stored() {
    let document = ":a :p :x .";
    check(document, "SELECT * { ?c :p :x . ?a :p :x FILTER(STR(?c) != \"z\") FILTER(sameTerm(?c, ?a)) }", &[":a :a"]);
    check(document, "SELECT * { ?c :p :x . ?a :p :x FILTER(STR(?c) != \"z\") FILTER(!sameTerm(?c, ?a)) }", &[]);
    value("STR(\"007\"^^xsd:integer)", "\"007\"");
    value("DATATYPE(\"7\"^^xsd:int)", "xsd:int");
    value("COALESCE(\"007\"^^xsd:integer)", "\"007\"^^xsd:integer");
    value("\"007\"^^xsd:integer + 0", "\"7\"^^xsd:integer");
    value("\"007\"^^xsd:integer = 7", "\"true\"^^xsd:boolean");
    value("sameTerm(\"007\"^^xsd:integer, 7)", "\"false\"^^xsd:boolean");
}

#[test]
fn graphs_are_joined_after_they_are_matched() {
    let document = ":g { :a :g :b . :a :p :g . } :h { :a :h :c . :b :p :h . }";
    check(document, "SELECT ?g ?o { GRAPH ?g { ?s ?g ?o } }", &[":g :b", ":h :c"]);
    check(document, "SELECT ?g ?s { GRAPH ?g { VALUES ?x {1} OPTIONAL { ?s :p :g } } }", &[":g :a", ":h -"]);
    check(
        document,
        "SELECT ?g ?x { GRAPH ?g { { VALUES ?x {1} } UNION { :a :h ?x } } }",
        &[":g \"1\"^^xsd:integer", ":h \"1\"^^xsd:integer", ":h :c"],
    );
    check(document, "SELECT * { GRAPH :none { VALUES ?x {1} } }", &[]);
    check(document, "SELECT DISTINCT ?c { GRAPH ?c { GRAPH ?g { ?d :p ?c } } }", &[":g", ":h"]);
    check("GRAPH :g { :a :p 1 }", "SELECT * { GRAPH ?c { GRAPH ?g { ?d :p ?c } } }", &[]);
    // The name of the graph is not known inside.
    check(document, "SELECT ?g { GRAPH ?g { :a :p ?x FILTER(?g = :g) } }", &[]);
    check(document, "ASK { GRAPH :g {} }", &["true"]);
    check(document, "ASK { GRAPH :none {} }", &["false"]);
}

#[test]
fn triple_terms_are_matched_by_their_parts() {
    let document = ":alice :knows :bob {| :since 2018 |} . :x rdf:reifies <<( :y :p \"07\"^^xsd:int )>> .";
    check(document, "SELECT ?p ?k ?s { ?p :knows ?k {| :since ?s |} }", &[":alice :bob \"2018\"^^xsd:integer"]);
    check(document, "SELECT ?k { ?r rdf:reifies <<( :alice :knows ?k )>> }", &[":bob"]);
    check(document, "SELECT ?p { ?p :knows ?k FILTER EXISTS { ?r rdf:reifies <<( ?p :knows ?k )>> } }", &[":alice"]);
    check(document, "SELECT (OBJECT(?t) AS ?o) { :x rdf:reifies ?t }", &["\"07\"^^xsd:int"]);
    value("TRIPLE(:a, :b, 1) = TRIPLE(:a, :b, 1.0)", "\"true\"^^xsd:boolean");
    value("sameTerm(TRIPLE(:a, :b, 1), TRIPLE(:a, :b, 1.0))", "\"false\"^^xsd:boolean");
    value("TRIPLE(1, :b, 1)", "-");
}

#[test]
fn paths_of_no_steps_begin_at_any_written_term() {
    let document = ":a :p :b . :b :p :c .";
    check(document, "ASK { :dog :sub* :dog }", &["true"]);
    check(document, "SELECT * { :dog :sub? ?c }", &[":dog"]);
    check(document, "SELECT * { ?x :p* :c }", &[":a", ":b", ":c"]);
    check(document, "SELECT * { ?x :p* :p }", &[":p"]);
    check(document, "SELECT * { ?x :p* 7 }", &["\"7\"^^xsd:integer"]);
    check(document, "SELECT * { :none :p+ ?x }", &[]);
    check(":a :p 25 .", "SELECT ?x ?y { ?x :p* ?y FILTER(?x = 25.0) }", &["\"25\"^^xsd:integer \"25\"^^xsd:integer"]);
    // By the definitions, the middle of a sequence is a variable, and so a node of the graph.
    check(document, "SELECT * { :dog :p*/:q* ?x }", &[]);
}

#[test]
fn paths_keep_and_drop_duplicates() {
    let document = ":a :p :b ; :q :b . :b :p :a .";
    check(document, "SELECT ?x { :a (:p|:q) ?x }", &[":b", ":b"]);
    check(document, "SELECT ?x { :a (:p|:q)? ?x }", &[":a", ":b"]);
    check(document, "SELECT ?x { :a (:p|:q)+ ?x }", &[":a", ":b"]);
    check(document, "SELECT (COUNT(*) AS ?n) { :a !:z :b }", &["\"2\"^^xsd:integer"]);
    check(document, "SELECT ?x { ?x !(:z|^:q) :a }", &[":b", ":b"]);
    check(document, "SELECT ?x { ?x :p/:p ?x }", &[":a", ":b"]);
}

#[test]
fn blank_nodes_of_functions_are_new_for_each_solution() {
    let document = ":a :p 1, 2 .";
    check(document, "SELECT (COUNT(DISTINCT ?b) AS ?n) { :a :p ?x BIND(BNODE() AS ?b) }", &["\"2\"^^xsd:integer"]);
    check(document, "SELECT (COUNT(DISTINCT ?b) AS ?n) { :a :p ?x BIND(BNODE(\"k\") AS ?b) }", &["\"2\"^^xsd:integer"]);
}

#[test]
fn aggregates_see_errors() {
    let document = ":s :p 1, 2, :c .";
    check(document, "SELECT (COUNT(?o + 1) AS ?n) { ?s :p ?o }", &["\"2\"^^xsd:integer"]);
    check(document, "SELECT ?s { ?s :p ?o } GROUP BY ?s HAVING (COUNT(?o + 1) = 2)", &[":s"]);
    check(document, "SELECT (SUM(?o) AS ?n) { ?s :p ?o }", &["-"]);
    check(document, "SELECT (AVG(?o + 1) AS ?n) { ?s :p ?o }", &["-"]);
    check(
        document,
        "SELECT (SUM(?o) AS ?n) (AVG(?o) AS ?a) (MIN(?o) AS ?m) { ?s :q ?o }",
        &["\"0\"^^xsd:integer \"0\"^^xsd:integer -"],
    );
    check(document, "SELECT (COUNT(*) AS ?n) { ?s :q ?o } GROUP BY ?s", &[]);
    check(document, "SELECT (MIN(?o) AS ?n) { ?s :p ?o }", &[":c"]);
    check(document, "SELECT (MAX(?o) AS ?n) { ?s :p ?o }", &["\"2\"^^xsd:integer"]);
    check(
        ":s :p 1, 01, 1.0 .",
        "SELECT (COUNT(DISTINCT ?o) AS ?n) (SUM(DISTINCT ?o) AS ?t) { ?s :p ?o }",
        &["\"3\"^^xsd:integer \"3\"^^xsd:decimal"],
    );
    check(":a :p :b ; :q :b . :b :p :c .", "SELECT (COUNT(DISTINCT *) AS ?n) { ?x :p|:q [] }", &["\"2\"^^xsd:integer"]);
    check(":s :p :c .", "SELECT (GROUP_CONCAT(?o) AS ?n) { ?s :p ?o }", &["\":c\""]);
    check(":s :p \"x\"@en .", "SELECT (GROUP_CONCAT(?o) AS ?n) { ?s :p ?o }", &["\"x\""]);
}

#[test]
fn comparisons_know_which_terms_they_are_for() {
    let (yes, no) = ("\"true\"^^xsd:boolean", "\"false\"^^xsd:boolean");
    for (expression, expected) in [
        (":a <= :a", "-"),
        ("\"a\"@en <= \"a\"@en", "-"),
        ("\"a\"@en = \"a\"@EN", yes),
        ("\"a\"@en = \"a\"", no),
        ("1 = \"1\"", no),
        ("1 != \"a\"@en", yes),
        ("\"x\"^^:t = \"y\"^^:t", "-"),
        ("\"x\"^^:t = \"x\"^^:t", yes),
        ("\"abc\"^^xsd:integer = 1", "-"),
        ("\"300\"^^xsd:byte = 300", "-"),
        ("\"NaN\"^^xsd:double = \"NaN\"^^xsd:double", no),
        ("\"NaN\"^^xsd:double <= 1", no),
        ("\"2020-01-01T00:00:00Z\"^^xsd:dateTime = \"2020-01-01T02:00:00+02:00\"^^xsd:dateTime", yes),
        ("\"2020-01-01T00:00:00Z\"^^xsd:dateTime = \"2020-01-01T00:00:00\"^^xsd:dateTime", "-"),
        ("\"2020-01-01T00:00:00Z\"^^xsd:dateTime < \"2020-01-02T00:00:00\"^^xsd:dateTime", yes),
        ("\"2020-02-30\"^^xsd:date = \"2020-03-01\"^^xsd:date", "-"),
        ("2 IN (1/0, 2)", yes),
        ("2 IN (3, 1/0)", "-"),
        ("2 NOT IN (2, 1/0)", no),
        ("true || 1/0", yes),
        ("false && 1/0", no),
        ("true && 1/0", "-"),
    ] {
        value(expression, expected);
    }
}

#[test]
fn numbers_are_those_of_xpath() {
    for (expression, expected) in [
        ("1 / 4", "\"0.25\"^^xsd:decimal"),
        ("4 / 2", "\"2\"^^xsd:decimal"),
        ("1 / 0", "-"),
        ("1e0 / 0", "\"INF\"^^xsd:double"),
        ("0.1 + 0.2", "\"0.3\"^^xsd:decimal"),
        ("\"1\"^^xsd:byte + \"1\"^^xsd:byte", "\"2\"^^xsd:integer"),
        ("\"1.5\"^^xsd:float + 1", "\"2.5E0\"^^xsd:float"),
        ("\"1.5\"^^xsd:float + 1e0", "\"2.5E0\"^^xsd:double"),
        ("ROUND(-2.5)", "\"-2\"^^xsd:decimal"),
        ("ROUND(2.5e0)", "\"3.0E0\"^^xsd:double"),
        ("FLOOR(-1.5)", "\"-2\"^^xsd:decimal"),
        ("CEIL(-0.5e0)", "\"-0.0E0\"^^xsd:double"),
        ("ABS(\"-1\"^^xsd:negativeInteger)", "\"1\"^^xsd:integer"),
        ("xsd:integer(-2.7)", "\"-2\"^^xsd:integer"),
        ("xsd:integer(\"x\")", "-"),
        ("xsd:boolean(0)", "\"false\"^^xsd:boolean"),
        ("xsd:string(2.50)", "\"2.5\""),
        ("xsd:double(\"1\")", "\"1.0E0\"^^xsd:double"),
        ("IF(\"\", 1, 2)", "\"2\"^^xsd:integer"),
        ("IF(:a, 1, 2)", "-"),
    ] {
        value(expression, expected);
    }
}

#[test]
fn strings_keep_their_languages() {
    for (expression, expected) in [
        ("SUBSTR(\"foobar\"@en, 4)", "\"bar\"@en"),
        ("SUBSTR(\"motor car\", 0, 3)", "\"mo\""),
        ("SUBSTR(\"12345\", 2, 3)", "\"234\""),
        ("STRBEFORE(\"abc\"@en, \"b\")", "\"a\"@en"),
        ("STRBEFORE(\"abc\"@en, \"z\")", "\"\""),
        ("STRBEFORE(\"abc\"@en, \"\")", "\"\"@en"),
        ("STRBEFORE(\"abc\", \"b\"@en)", "-"),
        ("STRBEFORE(\"abc\"@en, \"b\"@de)", "-"),
        ("STRAFTER(\"abc\"@en, \"\"@en)", "\"abc\"@en"),
        ("CONCAT(\"a\"@en, \"b\"@en)", "\"ab\"@en"),
        ("CONCAT(\"a\"@en, \"b\")", "\"ab\""),
        ("CONCAT(\"a\", 1)", "-"),
        ("UCASE(\"a\"@en)", "\"A\"@en"),
        ("STRLEN(\"été\")", "\"3\"^^xsd:integer"),
        ("REPLACE(\"abcb\"@en, \"b\", \"Z\")", "\"aZcZ\"@en"),
        ("REPLACE(\"a\", \"\", \"Z\")", "-"),
        ("LANG(\"a\")", "\"\""),
        ("LANG(:a)", "-"),
        ("DATATYPE(\"a\"@en)", "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"),
        ("TIMEZONE(\"2011-01-10T14:45:13.815-05:30\"^^xsd:dateTime)", "\"-PT5H30M\"^^xsd:dayTimeDuration"),
        ("TZ(\"2011-01-10T14:45:13.815-05:00\"^^xsd:dateTime)", "\"-05:00\""),
        ("SECONDS(\"2011-01-10T14:45:13.815Z\"^^xsd:dateTime)", "\"13.815\"^^xsd:decimal"),
    ] {
        value(expression, expected);
    }
}

#[test]
fn filters_see_their_group() {
    let document = ":a :p 1 ; :q 5 . :b :p 2 .";
    check(document, "SELECT ?s ?q { ?s :p ?p FILTER(?q = 5) OPTIONAL { ?s :q ?q } }", &[":a \"5\"^^xsd:integer"]);
    check(document, "SELECT ?s ?q { ?s :p ?p OPTIONAL { ?s :q ?q FILTER(?p = 2) } }", &[":a -", ":b -"]);
    check(document, "SELECT ?s ?q { ?s :p ?p OPTIONAL { { ?s :q ?q FILTER(?p = 1) } } }", &[":a -", ":b -"]);
    check(document, "SELECT ?s { ?s :p ?p { FILTER(?p = 1) } }", &[]);
    check(document, "SELECT ?s { ?s :p ?p MINUS { ?x :q ?y } }", &[":a", ":b"]);
    check(document, "SELECT ?s { ?s :p ?p MINUS { ?s :q ?y } }", &[":b"]);
    check(document, "SELECT ?s { ?s :p ?p FILTER NOT EXISTS { ?s :q ?y } }", &[":b"]);
    check(document, "SELECT ?s { ?s :p ?p FILTER EXISTS { FILTER(?p = 2) } }", &[":b"]);
    check(
        document,
        "SELECT ?x ?s { VALUES (?x ?s) { (1 UNDEF) (2 :b) } ?s :p ?x }",
        &["\"1\"^^xsd:integer :a", "\"2\"^^xsd:integer :b"],
    );
}

#[test]
fn what_is_open_is_not_judged() {
    for query in [
        "SELECT ?o { ?s :p ?o } LIMIT 1",
        "SELECT (SAMPLE(?o) AS ?x) { ?s :p ?o }",
        "SELECT (1/3 AS ?x) { }",
        // Substitution takes the variable away, a context solution keeps it.
        "SELECT ?s { ?s :p ?o FILTER EXISTS { ?x :p 1 MINUS { ?s :p ?o } } }",
    ] {
        assert!(matches!(try_answer(":a :p 1, 2 .", query), Err(Fail::Undecided(_))), "{query}");
    }
    check(":a :p 1, 2 .", "SELECT ?o { ?s :p ?o } ORDER BY DESC(?o) LIMIT 1", &["\"2\"^^xsd:integer"]);
}
