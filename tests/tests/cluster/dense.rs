//! Recursion that fills a relation: kept as matrices during reasoning; the resulting facts equal those of a graph
//! search.

use entail_proto::v1::UpdateRequest;
use entail_tests::cluster::{Cluster, Setting};
use std::collections::{BTreeSet, HashMap};

const VERTICES: u64 = 400;
const EDGES: u64 = 1_000;
const PATHS: &str = "PREFIX : <urn:d:>
RULE { ?x :path ?y } WHERE { ?x :edge ?y }
RULE { ?x :path ?z } WHERE { ?x :path ?y . ?y :edge ?z }
";
/// A rule that reads paths by their ends; without it no rule reads that direction during the attempt.
const FROM: &str = "RULE { ?y :from ?x } WHERE { ?x :path ?y . ?y :marked ?any }";

type Edge = (u64, u64);

/// A random graph: most of its vertices reach most others.
fn edges(seed: u64) -> BTreeSet<Edge> {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % VERTICES
    };
    (0..EDGES).map(|_| (random(), random())).collect()
}

/// Every path, by a search from each vertex.
fn paths(edges: &BTreeSet<Edge>) -> BTreeSet<Edge> {
    let mut after: HashMap<u64, Vec<u64>> = HashMap::new();
    edges.iter().for_each(|(from, to)| after.entry(*from).or_default().push(*to));
    let mut all = BTreeSet::new();
    for start in 0..VERTICES {
        let mut waiting: Vec<u64> = after.get(&start).cloned().unwrap_or_default();
        while let Some(vertex) = waiting.pop() {
            if all.insert((start, vertex)) {
                waiting.extend(after.get(&vertex).into_iter().flatten());
            }
        }
    }
    all
}

fn vertex(number: u64) -> String {
    // Every ninth vertex is a blank node, so that pages of ids are mixed.
    if number.is_multiple_of(9) { format!("_:b{number}") } else { format!("<urn:d:n{number}>") }
}

fn lines(predicate: &str, pairs: &BTreeSet<Edge>) -> String {
    pairs.iter().map(|(from, to)| format!("{} <urn:d:{predicate}> {} .\n", vertex(*from), vertex(*to))).collect()
}

/// Checks the number of pairs of a predicate, and the number for each of some vertices, at either end.
fn check(cluster: &Cluster, step: &str, predicate: &str, pairs: &BTreeSet<Edge>) {
    let count = |pattern: &str| -> u64 {
        let query = format!("SELECT (COUNT(*) AS ?n) {{ {pattern} }}");
        let rows = cluster.rows(&query);
        rows.iter().find_map(|row| row.trim_matches('"').split('"').next()?.parse().ok()).unwrap()
    };
    assert_eq!(count(&format!("?x <urn:d:{predicate}> ?y")), pairs.len() as u64, "{step}: {predicate}");
    for number in [1, 7, 100, 200, 399] {
        let from = pairs.iter().filter(|(from, _)| *from == number).count() as u64;
        let to = pairs.iter().filter(|(_, to)| *to == number).count() as u64;
        let it = vertex(number);
        assert_eq!(count(&format!("{it} <urn:d:{predicate}> ?y")), from, "{step}: {predicate} from {it}");
        assert_eq!(count(&format!("?x <urn:d:{predicate}> {it}")), to, "{step}: {predicate} to {it}");
    }
}

#[test]
fn what_recursion_fills_is_what_a_search_finds() {
    let (first, more) = (edges(1), edges(2).into_iter().take(40).collect::<BTreeSet<Edge>>());
    for (nodes, is_near, more_rules) in
        [(1, true, FROM), (3, false, FROM), (3, false, ""), (3, true, FROM), (3, true, "")]
    {
        let cluster = Cluster::start_as(&Setting { is_near, ..Setting::new(nodes, 8) });
        let shape = format!("{nodes} nodes, near: {is_near}, {more_rules}");
        let rules = format!("{PATHS}{more_rules}");
        let from = |paths: &BTreeSet<Edge>| {
            let ends = if more_rules.is_empty() { BTreeSet::new() } else { BTreeSet::from([1, 200]) };
            paths.iter().filter(|(_, to)| ends.contains(to)).map(|(x, y)| (*y, *x)).collect::<BTreeSet<Edge>>()
        };
        // One document, so that its blank nodes are shared.
        let marked: BTreeSet<Edge> = [(1, 1), (200, 1)].into();
        cluster.load("first.nt", lines("edge", &first) + &lines("marked", &marked));
        let reached = paths(&first);
        assert!(reached.len() > 100_000, "{} paths are few", reached.len());
        cluster.apply("paths", &rules).unwrap();
        check(&cluster, &format!("rules, {shape}"), "path", &reached);
        check(&cluster, &format!("rules, {shape}"), "from", &from(&reached));
        // More edges between named vertices, added to the existing ones.
        let named: BTreeSet<Edge> = more.iter().copied().filter(|(x, y)| x % 9 != 0 && y % 9 != 0).collect();
        let update = format!("INSERT DATA {{ {} }}", lines("edge", &named));
        cluster.with_client(|client| async move {
            client.update(UpdateRequest { update, ..UpdateRequest::default() }).await.unwrap();
        });
        let reached = paths(&first.union(&named).copied().collect());
        check(&cluster, &format!("more edges, {shape}"), "path", &reached);
        check(&cluster, &format!("more edges, {shape}"), "from", &from(&reached));
        cluster.drop_rules("paths").unwrap();
        check(&cluster, &format!("no rules, {shape}"), "path", &BTreeSet::new());
        cluster.apply("paths", &rules).unwrap();
        check(&cluster, &format!("rules again, {shape}"), "path", &reached);
    }
}
