//! What is printed is in the language again, and prints the same.

use crate::{parse_query, parse_update};
use oxiri::Iri;

const QUERIES: [&str; 12] = [
    "PREFIX : <http://e/> SELECT * { ?s :p/^:q*|!(:r|^a) ?o ; a 1 , 'x'@en--ltr . FILTER(?o > -1 + 2*?y -3 || !?x && ?z) }",
    "PREFIX : <http://e/> SELECT DISTINCT ?x (COUNT(DISTINCT *) AS ?n) FROM :g FROM NAMED :h { ?x :p [ :q (1 2) ] } GROUP BY ?x (1 AS ?y) HAVING(SUM(?z) > 1)(2) ORDER BY DESC(?n) ?x LIMIT 3 OFFSET 1 VALUES (?x ?w) { (:a UNDEF) (<<( :a :p 1 )>> 'b') }",
    "SELECT (GROUP_CONCAT(?x; SEPARATOR = '\\n\"') AS ?n) { { SELECT REDUCED ?x { ?x ?p ?o } LIMIT 1 } UNION { } MINUS { ?x ?y ?z } }",
    "PREFIX : <http://e/> CONSTRUCT { ?s :p _:fresh1 , [] } WHERE { GRAPH ?g { ?s :p ?o OPTIONAL { ?o :q _:fresh1 } } SERVICE SILENT :e { ?a ?b ?c } }",
    "PREFIX : <http://e/> CONSTRUCT WHERE { ?s :p [] }",
    "BASE <http://e/> DESCRIBE <a> ?x { ?x <p> <b> }",
    "DESCRIBE *  { ?x ?p ?o FILTER NOT EXISTS { ?o ?p ?x BIND(IF(?x, 1, 2) AS ?q) } FILTER(?x NOT IN (1, ?p)) FILTER(?x IN ()) }",
    "ASK { ?s ?p ?o {| ?q 1 ; ?r 2 |} . << ?a ?b ?c ~ ?d >> ?e ?f FILTER(<<( ?a ?b 1 )>> = TRIPLE(?a, ?b, 1) && !!?x) }",
    "PREFIX : <http://e/> ASK { FILTER(:f(DISTINCT ?x, 1) = :g() && BOUND(?x) && COALESCE() = CONCAT(?x, -?y, +?z)) }",
    "PREFIX : <http://e/> ASK { ?s (:p? )+ ?o ; :q? ?o ; !() ?o ; !:z ?o ; (:a|:b/:c) ?o }",
    "SELECT * { VALUES ?x { 1 2.0 3e0 true } }",
    "ASK {}",
];

const UPDATES: [&str; 4] = [
    "PREFIX : <http://e/> INSERT DATA { :a :b _:c , [] . GRAPH :g { :a :b 1 } } ; DELETE DATA { :a :b 'x' } ; DELETE WHERE { ?s :p ?o . GRAPH ?g { ?s :p 1 } }",
    "PREFIX : <http://e/> WITH :g DELETE { ?s :p ?o } INSERT { ?s :q [ :r ?o ] } USING :u USING NAMED :h WHERE { ?s :p ?o }",
    "PREFIX : <http://e/> COPY DEFAULT TO :g ; MOVE SILENT :g TO GRAPH :h ; ADD :g TO DEFAULT ; LOAD SILENT :f INTO GRAPH :g ; LOAD :f",
    "PREFIX : <http://e/> CLEAR ALL ; DROP SILENT NAMED ; CLEAR DEFAULT ; DROP GRAPH :g ; CREATE SILENT GRAPH :g ; INSERT {} WHERE {}",
];

/// Without the mark of labels that look like those of blank nodes without a name.
fn unlabelled(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("_:freshl") {
        text = text.replace("_:freshl", "_:");
    }
    text
}

#[test]
fn queries_come_back() {
    for text in QUERIES {
        let printed = |text: &str| parse_query(text, None).map(|parsed| parsed.tree.to_string());
        let once = printed(text).expect(text);
        assert_eq!(printed(&once).map(|again| unlabelled(&again)), Ok(unlabelled(&once)), "{text}");
    }
}

#[test]
fn updates_come_back() {
    for text in UPDATES {
        let base = || Iri::parse("http://b/".to_owned()).ok();
        let printed = |text: &str| parse_update(text, base()).map(|parsed| parsed.tree.to_string());
        let once = printed(text).expect(text);
        assert_eq!(printed(&once).map(|again| unlabelled(&again)), Ok(unlabelled(&once)), "{text}");
    }
}
