//! GRAPH with a variable over more graphs than are planned one by one, around patterns that cannot run over all graphs at
//! once.

use crate::ask;
use entail_sparql::Request;
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::Answer;
use oxrdf::{GraphName, NamedNode, Quad};
use std::sync::{Arc, LazyLock};

const GRAPHS: usize = 1_200;

fn node(text: impl Into<String>) -> NamedNode {
    NamedNode::new(text).expect("an IRI")
}

/// In each graph `s p o`, in each second one `s q x` too; all of the same terms. The default graph marks three graphs.
static CLUSTER: LazyLock<Arc<MemoryCluster>> = LazyLock::new(|| {
    let fact = |graph: GraphName, subject: &str, predicate: &str, object: &str| {
        Quad::new(node(subject), node(predicate), node(object), graph)
    };
    let name = |number: usize| format!("urn:g:{number}");
    let plain = (0..GRAPHS).map(|number| fact(node(name(number)).into(), "urn:s", "urn:p", "urn:o"));
    let second = (0..GRAPHS).step_by(2).map(|number| fact(node(name(number)).into(), "urn:s", "urn:q", "urn:x"));
    let marked = [1, 2, 3].map(|number| fact(GraphName::DefaultGraph, &name(number), "urn:marks", "urn:this"));
    Arc::new(MemoryCluster::new(plain.chain(second).chain(marked), 4, 2))
});

fn rows(text: &str) -> Vec<String> {
    let request = Request { text: text.to_owned(), ..Request::default() };
    let answer = ask::answer(request, CLUSTER.clone()).unwrap_or_else(|fault| panic!("{text}\n{fault}"));
    let Answer::Solutions { rows, .. } = answer else { panic!("{text} has solutions") };
    let cell = |cell: &Option<oxrdf::Term>| cell.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

#[track_caller]
fn check(pattern: &str, expected: usize) {
    assert_eq!(rows(&format!("SELECT * {{ {pattern} }}")).len(), expected, "{pattern}");
}

#[test]
fn minus_sees_one_graph() {
    check("GRAPH ?g { ?s <urn:p> ?o MINUS { ?s <urn:q> ?x } }", GRAPHS / 2);
    check("GRAPH ?g { ?s ?p ?o MINUS { ?s <urn:q> ?o } }", GRAPHS);
}

#[test]
fn a_subquery_counts_and_cuts_in_each_graph() {
    let counted = rows("SELECT ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }");
    let of = |number: &str| counted.iter().filter(|row| row.starts_with(&format!("\"{number}\""))).count();
    assert_eq!((of("1"), of("2"), counted.len()), (GRAPHS / 2, GRAPHS / 2, GRAPHS));
    check("GRAPH ?g { SELECT ?s { ?s ?p ?o } LIMIT 1 }", GRAPHS);
    check("GRAPH ?g { SELECT ?s { ?s ?p ?o } GROUP BY ?s HAVING(COUNT(*) = 2) }", GRAPHS / 2);
    check("GRAPH ?g { SELECT ?s { ?s ?p ?g } }", GRAPHS + GRAPHS / 2);
}

#[test]
fn a_filter_inside_does_not_see_the_graphs_variable() {
    check("GRAPH ?g { ?s <urn:p> ?o FILTER(?g = <urn:g:1>) }", 0);
    check("GRAPH ?g { ?s <urn:p> ?o FILTER(!BOUND(?g)) }", GRAPHS);
    check("GRAPH ?g { ?s <urn:p> ?o BIND(?g AS ?h) } FILTER(!BOUND(?h))", GRAPHS);
    check("GRAPH ?g { ?s <urn:p> ?o FILTER(!BOUND(?g)) } FILTER(?g = <urn:g:7>)", 1);
}

#[test]
fn optional_is_of_one_graph() {
    check("GRAPH ?g { OPTIONAL { ?s <urn:q> ?x } }", GRAPHS);
    check("GRAPH ?g { ?s <urn:p> ?o OPTIONAL { ?s <urn:q> ?x MINUS { ?s <urn:p> <urn:none> } } }", GRAPHS);
    check("GRAPH ?g { OPTIONAL { ?s <urn:q> ?x } } FILTER(BOUND(?x))", GRAPHS / 2);
}

#[test]
fn a_path_stays_in_one_graph() {
    // From s to s, o and, in half of the graphs, x; the rows that end at x are removed.
    check("GRAPH ?g { <urn:s> (<urn:p>|<urn:q>)* ?x MINUS { ?s <urn:q> ?x } }", 2 * GRAPHS);
    check("GRAPH ?g { ?a <urn:p>/^<urn:q> ?b MINUS { ?a <urn:p> ?c } }", 0);
    check("GRAPH ?g { ?x (<urn:p>|<urn:q>)+ ?y FILTER NOT EXISTS { ?x <urn:q>+ ?y } }", GRAPHS);
}

#[test]
fn exists_looks_into_the_graph() {
    check("GRAPH ?g { ?s <urn:p> ?o FILTER EXISTS { ?s <urn:q> ?x } }", GRAPHS / 2);
    check("GRAPH ?g { ?s <urn:p> ?o FILTER NOT EXISTS { ?s <urn:q> ?x } }", GRAPHS / 2);
    check(
        "GRAPH ?g { ?s <urn:p> ?o FILTER EXISTS { SELECT (COUNT(*) AS ?n) { ?s ?p ?q } HAVING(COUNT(*) = 2) } }",
        GRAPHS / 2,
    );
}

#[test]
fn graphs_join_with_what_is_around_them() {
    check("?g <urn:marks> ?m GRAPH ?g { ?s <urn:p> ?o MINUS { ?s <urn:q> ?x } }", 2);
    check("?g <urn:marks> ?m FILTER EXISTS { GRAPH ?g { ?s <urn:p> ?o MINUS { ?s <urn:q> ?x } } }", 2);
    check("GRAPH ?g { ?s <urn:p> ?o MINUS { GRAPH ?h { ?s <urn:q> ?x } } }", 0);
    check("GRAPH ?g { ?s <urn:p> ?o MINUS { GRAPH <urn:g:0> { ?s <urn:q> ?o } } }", GRAPHS);
    check("GRAPH ?g { ?s <urn:p> ?o MINUS { ?s <urn:none> ?x } SERVICE SILENT <urn:away> { ?a ?b ?c } }", GRAPHS);
}
