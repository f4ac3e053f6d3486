//! Triangles, 4-cycles, 4-cliques and random patterns of few variables over random graphs, on one to four nodes,
//! compared with spareval on the same facts.

use crate::ask;
use crate::oracle::{difference, expected, listed};
use entail_model::random::Random;
use entail_sparql::{Mode, Request, Tuning};
use entail_tests::memory_cluster::MemoryCluster;
use oxrdf::vocab::rdf;
use oxrdf::{GraphName, NamedNode, Quad};
use std::sync::Arc;

const SEEDS: u64 = 300;

/// Patterns that have cycles, of the predicates `p` and `q` and a class.
const KNOWN: [&str; 7] = [
    "?x e:p ?y . ?y e:p ?z . ?x e:p ?z",
    "?x e:p ?y . ?y e:q ?z . ?z e:p ?x . ?z a e:C",
    "?x e:p ?y . ?y e:p ?z . ?z e:p ?w . ?w e:p ?x",
    "?x e:p ?y . ?x e:q ?z . ?y e:p ?z . ?x e:p ?w . ?y e:q ?w . ?z e:p ?w",
    "?x e:p ?y . ?y e:p ?z . ?y e:q ?z",
    "?x e:p ?y . ?z e:p ?x . ?z e:q ?x . ?z e:p ?y . FILTER(?z != ?y)",
    "?x a e:C . ?x e:p ?y . ?y e:p ?x . ?x e:q ?z . ?y e:q ?z . ?z e:q ?y",
];

fn node(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.org/{name}"))
}

/// A graph in which some vertices have far more neighbours than others.
fn graph(random: &mut Random) -> Vec<Quad> {
    let vertices = random.among(4..=24);
    let vertex = |random: &mut Random| {
        let below = random.among(1..=vertices);
        node(&format!("v{}", random.below(below)))
    };
    let mut facts = Vec::new();
    for _ in 0..random.among(10..=160) {
        let (from, to, predicate) = (vertex(random), vertex(random), *random.pick(&["p", "p", "q"]));
        facts.push(Quad::new(from, node(predicate), to, GraphName::DefaultGraph));
        if random.below(8) == 0 {
            facts.push(Quad::new(vertex(random), rdf::TYPE.into_owned(), node("C"), GraphName::DefaultGraph));
        }
    }
    facts
}

fn pattern(random: &mut Random) -> String {
    if random.below(2) == 0 {
        return (*random.pick(&KNOWN)).to_owned();
    }
    let variable = |random: &mut Random| *random.pick(&["?x", "?y", "?z", "?w"]);
    let edge =
        |random: &mut Random| format!("{} {} {}", variable(random), random.pick(&["e:p", "e:q"]), variable(random));
    (0..random.among(3..=6)).map(|_| edge(random)).collect::<Vec<_>>().join(" . ")
}

/// A query of the pattern: all rows, some columns, or their number.
fn query(random: &mut Random) -> String {
    let pattern = pattern(random);
    let head = *random.pick(&["SELECT *", "SELECT ?x", "SELECT DISTINCT ?x ?y", "SELECT (COUNT(*) AS ?n)"]);
    format!("PREFIX e: <http://example.org/> {head} {{ {pattern} }}")
}

/// One random case; returns whether its plan intersects.
fn check(seed: u64, nodes: u64) -> bool {
    let mut random = Random::new(seed);
    let (facts, text) = (graph(&mut random), query(&mut random));
    let cluster = Arc::new(MemoryCluster::new(facts.iter().cloned(), 8, nodes));
    let expected = expected(&facts, &text).expect("a query that spareval knows");
    for mode in [Mode::Run, Mode::Profile] {
        let request = Request { text: text.clone(), mode, ..Request::default() };
        let given = ask::answer(request, cluster.clone());
        let place = || format!("seed {seed}, {nodes} nodes\n{text}\n{}", listed(&facts));
        let given = given.unwrap_or_else(|fault| panic!("{}{fault}", place()));
        if let Some(difference) = difference(&expected, &given) {
            panic!("{}{difference}", place());
        }
    }
    let request = Request { text, mode: Mode::Explain, ..Request::default() };
    let (_, _, summary) = ask::bytes(request, Tuning::default(), cluster).expect("it was answered");
    summary.plan.expect("a plan").to_string().contains("intersect for")
}

#[test]
fn cycles_are_found_as_by_one_evaluator() {
    for nodes in 1..=4 {
        let intersecting = (0..SEEDS).filter(|seed| check(*seed, nodes)).count() as u64;
        // Several nodes intersect only lists of one key, whose home is one node.
        let least = if nodes == 1 { SEEDS / 2 } else { SEEDS / 20 };
        assert!(intersecting > least, "only {intersecting} of {SEEDS} plans intersect on {nodes} nodes");
    }
}
