//! Answers by the letter of the standard: data, a query and its rows, for what SPARQL engines often have wrong.
//!
//! Section numbers are those of SPARQL 1.1 Query Language unless said otherwise.

use crate::ask;
use entail_sparql::Request;
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::Answer;
use oxrdf::{Quad, Term};
use oxttl::TriGParser;
use std::sync::Arc;

const PREFIXES: &str = "PREFIX : <http://e/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> \
                        PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> ";

/// The shapes of clusters: shards and nodes.
const SHAPES: [(u32, u64); 3] = [(1, 1), (4, 1), (16, 4)];

fn facts(trig: &str) -> Vec<Quad> {
    let text = format!("{PREFIXES}{trig}");
    TriGParser::new().for_slice(&text).collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{trig}: {error}"))
}

/// A term as the tables write it: names of `http://e/` with a colon, plain integers as digits.
fn shown(term: &Option<Term>) -> String {
    match term {
        None => "-".to_owned(),
        Some(Term::BlankNode(_)) => "_".to_owned(),
        Some(term) => {
            let text = term.to_string();
            let text = text.replace("^^<http://www.w3.org/2001/XMLSchema#", "^^<xsd:").replace("<http://e/", "<:");
            match text.strip_suffix("^^<xsd:integer>").map(|digits| digits.trim_matches('"')) {
                Some(digits) if digits.parse::<i64>().is_ok_and(|n| n.to_string() == digits) => digits.to_owned(),
                _ => text.replace(['<', '>'], ""),
            }
        }
    }
}

/// The rows, each with its cells in the order of the variables' names, sorted.
fn rows(answer: Answer) -> Vec<String> {
    let mut lines: Vec<String> = match answer {
        Answer::Boolean(value) => vec![value.to_string()],
        Answer::Graph(triples) => triples.iter().map(ToString::to_string).collect(),
        Answer::Solutions { variables, rows } => {
            let mut columns: Vec<usize> = (0..variables.len()).collect();
            columns.sort_by_key(|column| &variables[*column]);
            let line = |row: &Vec<Option<Term>>| {
                columns.iter().map(|column| shown(&row[*column])).collect::<Vec<_>>().join(" ")
            };
            rows.iter().map(line).collect()
        }
    };
    lines.sort();
    lines
}

/// Data, query, and the rows separated by `|`, sorted; none is an empty text.
type Case = (&'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (trig, query, right) in cases {
        for (shards, nodes) in SHAPES {
            let cluster = Arc::new(MemoryCluster::new(facts(trig), shards, nodes));
            let request = Request { text: format!("{PREFIXES}{query}"), ..Request::default() };
            let given = match ask::answer(request, cluster) {
                Ok(answer) => rows(answer).join("|"),
                Err(fault) => format!("{}: {}", fault.reason.name(), fault.message),
            };
            if given != *right {
                wrong.push(format!(
                    "{trig}\n  {query}\n  {shards} shards, {nodes} nodes\n  right {right}\n  given {given}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// 17.4.1.7, 17.4.2: filters on two variables of which one is compared as a term and the other by its text.
#[test]
fn terms_are_compared_as_terms_beside_other_filters() {
    let data = ":a :p :x .";
    check(&[
        (data, "SELECT * { ?c :p :x . ?a :p :x FILTER(STR(?c) != \"z\") FILTER(sameTerm(?c, ?a)) }", ":a :a"),
        (data, "SELECT * { ?c :p :x . ?a :p :x FILTER(STR(?c) != \"z\") FILTER(!sameTerm(?c, ?a)) }", ""),
        (data, "SELECT * { ?c :p :x . ?a :p :x FILTER(STRLEN(STR(?c)) > 1 && ?c = ?a) }", ":a :a"),
        (data, "SELECT * { ?c :p :x . ?a :p :x FILTER(STR(?c) = STR(?a) && ?a IN (?c)) }", ":a :a"),
    ]);
}

/// 17.4.2.5, 17.4.2.7: functions see the lexical form and the datatype that are stored.
#[test]
fn terms_are_seen_as_stored() {
    let data = ":a :p \"007\"^^xsd:integer . :b :p \"7\"^^xsd:int . :c :p \"7.00\"^^xsd:decimal . :d :p \"7E0\"^^xsd:double . \
                :e :p \"1\"^^xsd:boolean . :f :p \"2020-01-01T00:00:00.000Z\"^^xsd:dateTime . :g :p \"P0Y12M\"^^xsd:yearMonthDuration .";
    let texts = "\"007\" :a|\"1\" :e|\"2020-01-01T00:00:00.000Z\" :f|\"7\" :b|\"7.00\" :c|\"7E0\" :d|\"P0Y12M\" :g";
    let types = "xsd:boolean :e|xsd:dateTime :f|xsd:decimal :c|xsd:double :d|xsd:int :b|xsd:integer :a|\
                 xsd:yearMonthDuration :g";
    let types = types.replace("xsd:", "http://www.w3.org/2001/XMLSchema#");
    let types: &'static str = Box::leak(types.into_boxed_str());
    check(&[
        (data, "SELECT ?a_text ?s { ?s :p ?v BIND(STR(?v) AS ?a_text) }", texts),
        (data, "SELECT (STR(?v) AS ?a_text) ?s { ?s :p ?v }", texts),
        (data, "SELECT ?a_type ?s { ?s :p ?v BIND(DATATYPE(?v) AS ?a_type) }", types),
        (data, "SELECT ?s { ?s :p ?v FILTER(STR(?v) = \"007\") }", ":a"),
        (data, "SELECT ?s { ?s :p ?v FILTER(DATATYPE(?v) = xsd:int) }", ":b"),
        (data, "SELECT ?s { ?s :p ?v OPTIONAL { ?s :q ?w } FILTER(STR(?v) = \"7.00\") }", ":c"),
        (data, "SELECT ?s { ?s :p ?v FILTER(?v = 7) }", ":a|:b|:c|:d"),
        (data, "SELECT (MIN(?v) AS ?m) { ?s :p ?v FILTER(?s = :a) }", "\"007\"^^xsd:integer"),
        (data, "SELECT (SAMPLE(?v) AS ?m) { ?s :p ?v FILTER(?s = :b) }", "\"7\"^^xsd:int"),
        (data, "SELECT (GROUP_CONCAT(?v) AS ?m) { ?s :p ?v FILTER(?s = :a) }", "\"007\""),
        (data, "SELECT (COUNT(DISTINCT ?v) AS ?n) { ?s :p ?v FILTER(?v = 7) }", "4"),
    ]);
}

/// 13.3, 18.6: the variable of GRAPH is bound for every row, and joined with what is inside.
#[test]
fn graphs_are_named_for_every_row() {
    let data = ":g { :s :g :o } :h { :s :g :o . :x :p :h . :y :p :g . :z :p \"h\" }";
    check(&[
        (data, "SELECT * { GRAPH ?g { ?s ?g ?o } }", ":g :o :s"),
        (data, "SELECT * { GRAPH ?g { ?s ?p ?g } }", ":h :p :x"),
        (data, "SELECT * { GRAPH ?g { VALUES ?x {1} OPTIONAL { ?s :p \"h\" } } }", ":g - 1|:h :z 1"),
        (data, "SELECT * { GRAPH ?g { { VALUES ?x {1} } UNION { ?s :p \"h\" } } }", ":g - 1|:h - 1|:h :z -"),
        (data, "SELECT * { GRAPH ?g { { ?s :p \"h\" } UNION { VALUES ?x {1} } } }", ":g - 1|:h - 1|:h :z -"),
        (data, "SELECT * { GRAPH :none { VALUES ?x {1} } }", ""),
        (data, "SELECT * { GRAPH :g { VALUES ?x {1} } }", "1"),
        (data, "SELECT * { GRAPH :none { OPTIONAL { ?s ?p ?o } } }", ""),
        (data, "SELECT * { GRAPH ?c { GRAPH ?g { ?d :p ?c } } }", ":g :y :h|:h :x :h"),
        (data, "SELECT * { GRAPH ?g { GRAPH :h { ?d :p \"h\" } } }", ":z :g|:z :h"),
        (data, "SELECT * { GRAPH ?g { BIND(1 AS ?x) } }", ":g 1|:h 1"),
        (data, "SELECT * { GRAPH ?g { { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } } }", ":g 1|:h 4"),
        (data, "SELECT ?g { GRAPH ?g { ?s :g ?o MINUS { ?s :p ?o } } }", ":g|:h"),
        (data, "SELECT ?g { GRAPH ?g { ?s :g ?o FILTER NOT EXISTS { ?z :p \"h\" } } }", ":g"),
    ]);
}

/// RDF 1.2: triple terms with variables inside.
#[test]
fn parts_of_triple_terms_are_bound() {
    let data = ":alice :knows :bob {| :since 2018 |} . :alice :knows :carol .";
    check(&[
        (data, "SELECT ?p ?k ?s { ?p :knows ?k {| :since ?s |} }", ":bob :alice 2018"),
        (data, "SELECT ?k { ?r rdf:reifies <<( :alice :knows ?k )>> }", ":bob"),
        (data, "SELECT ?k { ?a :knows ?k FILTER EXISTS { ?r rdf:reifies <<( ?a :knows ?k )>> } }", ":bob"),
        (data, "SELECT ?k { ?a :knows ?k FILTER NOT EXISTS { ?r rdf:reifies <<( ?a :knows ?k )>> } }", ":carol"),
        (data, "SELECT ?k ?o { ?r rdf:reifies ?t BIND(SUBJECT(?t) AS ?k) BIND(OBJECT(?t) AS ?o) }", ":alice :bob"),
        (data, "SELECT ?s { ?k :knows ?o . ?r rdf:reifies <<( ?k :knows ?o )>> ; :since ?s }", "2018"),
    ]);
}

/// 18.4: a path of length zero joins each term with itself, also a written term that no triple has.
#[test]
fn paths_of_length_zero_hold_for_written_terms() {
    let data = ":a :p :b . :b :p :c . :c :q 25 .";
    check(&[
        (data, "ASK { :dog :sub* :dog }", "true"),
        (data, "ASK { :dog :sub? :cat }", "false"),
        (data, "SELECT * { :dog :sub? ?c }", ":dog"),
        (data, "SELECT * { :dog :sub* ?c }", ":dog"),
        (data, "SELECT * { ?x :p* :p }", ":p"),
        (data, "SELECT * { ?x :p* 77 }", "77"),
        (data, "SELECT * { \"lit\"@en :p* ?x }", "\"lit\"@en"),
        (data, "SELECT * { :a :p* ?x }", ":a|:b|:c"),
        (data, "SELECT * { ?x :p+ ?y }", ":a :b|:a :c|:b :c"),
        (data, "SELECT * { ?x (:p|:q)* ?y FILTER(?x = :c) }", ":c 25|:c :c"),
        (data, "SELECT * { ?x :p* ?y FILTER(?x = 25.0) }", "25 25"),
        // A path between two variables starts at terms of the graph, with what it is joined does not matter.
        (data, "SELECT * { VALUES ?x { :new } ?x :p* ?y }", ""),
        (data, "SELECT * { ?x :p* ?y VALUES ?x { :new :c } }", ":c :c"),
        (data, "SELECT * { :dog :p*/:q* ?y }", ""),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x :p* ?y } }", "true"),
        (":a :p :b . :a :q :b .", "SELECT (COUNT(*) AS ?n) { :a !:z :b }", "2"),
        (":a :p :b . :a :q :b .", "SELECT (COUNT(*) AS ?n) { ?a !:z ?b }", "2"),
        (":a :p :b . :b :q :a .", "SELECT (COUNT(*) AS ?n) { :a !(:z|^:z) :b }", "2"),
        (":a :p :b . :a :q :b .", "SELECT (COUNT(*) AS ?n) { :a (:p|:q) :b }", "2"),
        (":a :p :b . :a :q :b .", "SELECT (COUNT(*) AS ?n) { :a (:p|:q)+ :b }", "1"),
    ]);
}

/// 18.4, 18.6: within EXISTS too, a path starts at a term of the row as at a written one, and at a variable only at nodes.
#[test]
fn paths_within_exists_start_at_terms_of_the_row() {
    let data = ":a :p :b . :b :q :c .";
    check(&[
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x :p* ?y . ?y :q* ?z } }", "false"),
        (data, "ASK { VALUES ?x { :a } FILTER EXISTS { ?x :p* ?y . ?y :q* ?z } }", "true"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x :p* ?y . ?x :q* ?z } }", "true"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?y :p* ?x . ?z :q* ?y } }", "false"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x (:p*/:q*|:r) ?x } }", "true"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x (:p*/:q*/:p*|:r) ?x } }", "false"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x (:p*/:q*|:r) ?y } }", "false"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x (:p*/:q*)+ ?x } }", "false"),
        (data, "ASK { VALUES ?x { :new } FILTER EXISTS { ?x (:p*/:q*)* ?x } }", "true"),
        (data, "ASK { VALUES ?x { :a } FILTER EXISTS { ?x (:p*/:q*|:r) :c } }", "true"),
        (data, "ASK { VALUES ?x { :a } FILTER EXISTS { ?x (:p*/:q*|:r) :d } }", "false"),
    ]);
}

/// 18.6: the variable of GRAPH has one value, also at an end of a path.
#[test]
fn a_path_may_end_at_its_graph() {
    let data = ":g { :a :p :b } :h { :h :p :b . :b :p :c . :a :p :b } :i { :a :p :b . :b :p :i }";
    check(&[
        (data, "SELECT * { GRAPH ?g { ?g :p+ ?x } }", ":h :b|:h :c"),
        (data, "SELECT * { GRAPH ?g { ?x :p+ ?g } }", ":i :a|:i :b"),
        (data, "SELECT * { GRAPH ?g { ?g :p* ?x } }", ":h :b|:h :c|:h :h|:i :i"),
        (data, "SELECT * { GRAPH ?g { ?g :p* ?g } }", ":h|:i"),
        (data, "SELECT * { GRAPH ?g { :a :p+ ?g } }", ":i"),
        (data, "SELECT * { VALUES ?g { :g :h } GRAPH ?g { ?g :p+ ?x } }", ":h :b|:h :c"),
        (data, "SELECT * { GRAPH ?g { ?g !:q ?x } }", ":h :b"),
    ]);
}

/// 18.4: an alternative counts each way, `*`, `+` and `?` count each end once, whatever they repeat.
#[test]
fn repeated_paths_count_ends_once() {
    let data = ":a :p :b , :c . :b :p :d . :c :p :d . :d :p :a .";
    check(&[
        (data, "SELECT (COUNT(*) AS ?n) { :a (:p/:p|:q*/:r) ?y }", "2"),
        (data, "SELECT * { :a (:p/:p)+ ?y }", ":a|:b|:c|:d"),
        (data, "SELECT * { :a (:p/:p)? ?y }", ":a|:d"),
        (data, "SELECT * { :d (:p/:p)+ ?y }", ":a|:b|:c|:d"),
        (data, "SELECT * { ?x (:p/:p/:p)+ ?y }", ":a :a|:b :b|:b :c|:c :b|:c :c|:d :d"),
        (data, "SELECT * { :b (:p?/^:p)+ ?y FILTER(?y != :a) }", ":b|:c|:d"),
        (data, "SELECT (COUNT(*) AS ?n) { ?x ((:p+)/(:p*))+ ?y }", "16"),
        (data, "ASK { :a (:p/(:p|:q)*)* :d }", "true"),
        (data, "ASK { :a (:p/(:q|:p/:q)+)+ :d }", "false"),
    ]);
}

/// 17.4.2.9: a label of BNODE belongs to one solution, and no stored node has it.
#[test]
fn new_blank_nodes_are_new() {
    let data = ":a :p 1 . :b :p 2 . [] :p 3 .";
    check(&[
        (data, "SELECT (COUNT(DISTINCT ?b) AS ?n) { ?s :p ?o BIND(BNODE(\"k\") AS ?b) }", "3"),
        (data, "SELECT (COUNT(DISTINCT ?b) AS ?n) { ?s :p ?o BIND(BNODE() AS ?b) }", "3"),
        (
            data,
            "SELECT ?same { ?s :p 1 BIND(BNODE(\"k\") AS ?b) BIND(BNODE(\"k\") AS ?c) BIND(?b = ?c AS ?same) }",
            "\"true\"^^xsd:boolean",
        ),
        (data, "SELECT ?o { ?s :p 3 BIND(BNODE(STR(1)) AS ?b) ?b :p ?o }", ""),
    ]);
}

/// 17.3, 18.5.1: errors are left out by COUNT, make SUM unbound, and drop a row in FILTER.
#[test]
fn errors_are_treated_as_the_standard_says() {
    let data = ":x :p 1 , 2 , :c .";
    check(&[
        (data, "SELECT (COUNT(?o + 1) AS ?n) { ?s :p ?o }", "2"),
        (data, "SELECT ?s { ?s :p ?o } GROUP BY ?s HAVING(COUNT(?o + 1) = 2)", ":x"),
        (data, "SELECT (SUM(?o) AS ?n) { ?s :p ?o }", "-"),
        (data, "SELECT (COUNT(DISTINCT ?o * 0) AS ?n) { ?s :p ?o }", "1"),
        (data, "SELECT * { FILTER(:a <= :a) }", ""),
        (data, "SELECT * { FILTER(:a = :a) }", ""),
        (data, "SELECT ?o { ?s :p ?o FILTER(?o > 1) }", "2"),
        (data, "SELECT ?o { ?s :p ?o FILTER(!(?o > 1)) }", "1"),
        (data, "SELECT ?o { ?s :p ?o FILTER(?o > 1 || ?o = :c) }", "2|:c"),
        (data, "SELECT ?o { ?s :p ?o FILTER(COALESCE(?o + 1, 9) = 9) }", ":c"),
        (data, "SELECT (COUNT(DISTINCT *) AS ?n) { ?s :p [] }", "1"),
        (":a :p :b . :b :q :c . :b2 :q :c . :a :p :b2 .", "SELECT (COUNT(DISTINCT *) AS ?n) { ?s :p/:q ?o }", "1"),
        (":a :p :b . :b :q :c . :b2 :q :c . :a :p :b2 .", "SELECT (COUNT(*) AS ?n) { ?s :p/:q ?o }", "2"),
        ("", "SELECT (COUNT(*) AS ?n) (SUM(?x) AS ?t) (AVG(?x) AS ?a) { ?s :p ?x }", "0 0 0"),
        ("", "SELECT (MIN(?x) AS ?m) { ?s :p ?x }", "-"),
        ("", "SELECT (COUNT(*) AS ?n) (?n + 1 AS ?m) {}", "2 1"),
    ]);
}

/// 18.5.1.7: GROUP_CONCAT gives a plain text.
#[test]
fn concatenations_are_plain_texts() {
    check(&[
        (":x :p \"a\"@en .", "SELECT (GROUP_CONCAT(?o) AS ?t) { ?s :p ?o }", "\"a\""),
        (":x :p :a .", "SELECT (GROUP_CONCAT(?o) AS ?t) { ?s :p ?o }", "\"http://e/a\""),
        (":x :p 1 .", "SELECT (GROUP_CONCAT(?o ; SEPARATOR = \"-\") AS ?t) { ?s :p ?o }", "\"1\""),
        ("", "SELECT (GROUP_CONCAT(?o) AS ?t) { ?s :p ?o }", "\"\""),
    ]);
}

/// XPath and XQuery Functions and Operators, 5.6: regular expressions and replacements.
#[test]
fn regular_expressions_are_those_of_xpath() {
    check(&[
        ("", "SELECT (REPLACE(\"abc\", \"(b)\", \"[$1a]\") AS ?t) {}", "\"a[ba]c\""),
        ("", "SELECT (REPLACE(\"abc\", \"(b)\", \"$12\") AS ?t) {}", "\"ab2c\""),
        ("", "SELECT (REPLACE(\"abc\", \"b\", \"\\\\$9\") AS ?t) {}", "\"a$9c\""),
        ("", "SELECT (REPLACE(\"abc\", \"x*\", \"-\") AS ?t) {}", "-"),
        ("", "SELECT (REPLACE(\"abcde\", \"[a-z-[aeiou]]\", \"-\") AS ?t) {}", "\"a---e\""),
        ("", "ASK { FILTER(REGEX(\"é1\", \"^\\\\i\\\\c$\")) }", "true"),
        ("", "ASK { FILTER(REGEX(\"a.b\", \".\", \"q\")) }", "true"),
        ("", "ASK { FILTER(REGEX(\"axb\", \"a.b\", \"q\")) }", "false"),
        ("", "ASK { FILTER(REGEX(\"AB\", \"a b\", \"ix\")) }", "true"),
        (":x :p \"abc\" .", "SELECT ?o { ?s :p ?o FILTER(REGEX(?o, \"[a-z-[abc]]\")) }", ""),
        (":x :p \"abd\" .", "SELECT ?o { ?s :p ?o FILTER(REGEX(?o, \"[a-z-[abc]]\")) }", "\"abd\""),
    ]);
}

/// 8.3, 18.6: EXISTS is evaluated with the values of the row.
#[test]
fn exists_sees_the_row() {
    let data = ":a :p 1 . :b :p 2 . :a :q 2 .";
    check(&[
        (data, "SELECT ?s { ?s :p ?x FILTER EXISTS { ?s :q ?y FILTER(?y > ?x) } }", ":a"),
        (data, "SELECT ?s { ?s :p ?x FILTER NOT EXISTS { ?s :q ?y FILTER(?y > ?x) } }", ":b"),
        (data, "SELECT ?s { ?s :p ?x FILTER NOT EXISTS { ?z :q ?x } }", ":a"),
        (data, "SELECT ?s { ?s :p ?x MINUS { ?z :q ?x } }", ":a"),
        (
            data,
            "SELECT ?s ?e { ?s :p ?x BIND(EXISTS { ?s :q ?y } AS ?e) }",
            "\"false\"^^xsd:boolean :b|\"true\"^^xsd:boolean :a",
        ),
        (data, "SELECT ?s { ?s :p ?x MINUS { ?u :nothing ?w } }", ":a|:b"),
        (data, "SELECT ?s { ?s :p ?x OPTIONAL { ?s :q ?y FILTER(?y = ?x + 1) } FILTER(BOUND(?y)) }", ":a"),
    ]);
}

/// `subjects` subjects of `:p`, each with `objects` numbers.
fn many(subjects: u32, objects: u32) -> &'static str {
    let facts = (0..subjects).flat_map(|subject| (0..objects).map(move |object| format!(":s{subject} :p {object} . ")));
    Box::leak(facts.collect::<String>().into_boxed_str())
}

/// 17.4.4.1: a random number is drawn for each solution and each call, where the call is written. A wrong plan makes the
/// counts 0 or all; by chance that is less likely than one in 10^10.
#[test]
fn random_numbers_are_drawn_for_each_solution_and_call() {
    let data = many(200, 1);
    check(&[
        (
            many(20, 50),
            "ASK { { SELECT (COUNT(*) AS ?n) { { SELECT DISTINCT ?x { ?x :p ?y } } FILTER(RAND() < 0.3) } } \
             FILTER(?n < 20) }",
            "true",
        ),
        (
            data,
            "ASK { { SELECT (COUNT(*) AS ?n) { ?x :p ?y FILTER(RAND() < 0.5) FILTER(RAND() >= 0.5) } } \
             FILTER(?n > 0 && ?n < 200) }",
            "true",
        ),
        (
            data,
            "ASK { { SELECT (COUNT(?z) AS ?n) { ?x :p ?y \
             OPTIONAL { ?x :p ?z FILTER(RAND() < 0.5) FILTER(RAND() >= 0.5) } } } FILTER(?n > 0 && ?n < 200) }",
            "true",
        ),
        (
            data,
            "ASK { { SELECT (COUNT(*) AS ?n) { ?x :p ?y FILTER EXISTS { FILTER(RAND() < 0.5) } } } \
             FILTER(?n > 0 && ?n < 200) }",
            "true",
        ),
        (
            data,
            "ASK { { SELECT (COUNT(*) AS ?n) { ?x :p ?y FILTER NOT EXISTS { BIND(RAND() AS ?r) FILTER(?r < 0.5) } } } \
             FILTER(?n > 0 && ?n < 200) }",
            "true",
        ),
        (data, "SELECT (COUNT(*) AS ?n) { ?x :p ?y FILTER EXISTS { FILTER(NOW() = NOW()) } }", "200"),
        (
            ":a :p 1 , 2 , 3 .",
            "SELECT ?v { VALUES ?v { 1 2 3 } FILTER EXISTS { ?s :p ?o BIND(BNODE(\"k\") AS ?b) BIND(?o AS ?v) \
             BIND(BNODE(\"k\") AS ?c) FILTER(sameTerm(?b, ?c)) } }",
            "1|2|3",
        ),
    ]);
}

/// 13.3: a graph with a blank name is a blank node for filters.
#[test]
fn names_of_graphs_are_the_terms_that_they_are() {
    let data = "_:g { :a :p _:g . :a :q :h } :h { :b :p :h . :b :q 1 }";
    check(&[
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?o FILTER(!BOUND(?g)) } FILTER(isIRI(?g)) }", ":b"),
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?o FILTER(!BOUND(?g)) } FILTER(isBlank(?g)) }", ":a"),
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?o FILTER(!BOUND(?g)) } FILTER(?g = ?o) }", ":a|:b"),
        (data, "SELECT ?s { GRAPH ?g { ?s :q ?o FILTER(!BOUND(?g)) } FILTER(?g = ?o) }", ""),
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?g FILTER(isIRI(?g)) } }", ":b"),
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?g FILTER(isBlank(?g)) } }", ":a"),
        (data, "SELECT ?s { GRAPH ?g { ?s :p ?o FILTER(!BOUND(?g)) } FILTER(STR(?g) = \"http://e/h\") }", ":b"),
    ]);
}

/// 15.1: the order of ORDER BY, MIN and MAX extends `<` for all values that `<` knows.
#[test]
fn dates_far_away_are_in_order() {
    let data = ":a :p \"999999999-01-01\"^^xsd:date , \"2000-01-01\"^^xsd:date , \"-999999999-01-01\"^^xsd:date .";
    check(&[
        (data, "SELECT (STR(MAX(?d)) AS ?m) { ?s :p ?d }", "\"999999999-01-01\""),
        (data, "SELECT (STR(MIN(?d)) AS ?m) { ?s :p ?d }", "\"-999999999-01-01\""),
        (data, "SELECT (STR(?d) AS ?m) { ?s :p ?d } ORDER BY ?d LIMIT 1", "\"-999999999-01-01\""),
        (data, "SELECT (STR(?d) AS ?m) { ?s :p ?d } ORDER BY DESC(?d) LIMIT 1", "\"999999999-01-01\""),
    ]);
}
