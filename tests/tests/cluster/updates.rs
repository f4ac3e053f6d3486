//! Updates against a set of asserted quads: random requests of several operations, each applied to whole clusters and to the
//! set; afterwards the graphs are the closures of the set's.
//!
//! `ENTAIL_UPDATE_CASES=N` runs N random sequences; `ENTAIL_UPDATE_SEED=X` only that one.

use super::number;
use entail_model::Reason;
use entail_model::random::Random;
use entail_proto::v1::{ChangeSummary, FileHeader, LoadMode, UpdateRequest};
use entail_tests::cluster::Cluster;
use std::collections::BTreeSet;

/// The number of random sequences that run on every shape, and of requests in each.
const CASES: u64 = 40;
const REQUESTS: u64 = 8;

/// The shapes, nodes and shards, that must agree.
const SHAPES: [(usize, u32); 3] = [(1, 1), (2, 4), (4, 16)];

/// Terms, predicates and graphs of a case; graph 0 is the default graph.
const TERMS: u64 = 5;
const PREDICATES: u64 = 4;
const GRAPHS: u64 = 3;

/// Graph, subject, predicate, object.
type Quad = (u64, u64, u64, u64);

/// A rule of the default graph: a link makes a path, and so does a link before a path. Deleting a link leaves paths that
/// other links make.
const LINK: u64 = 0;
const PATH: u64 = 1;
const RULES: &str = "RULE { ?x <urn:p:1> ?y } WHERE { ?x <urn:p:0> ?y }\n\
                     RULE { ?x <urn:p:1> ?z } WHERE { ?x <urn:p:0> ?y . ?y <urn:p:1> ?z }";

/// The default graph's closure under the rules; other graphs have none.
fn closure(asserted: &BTreeSet<Quad>) -> BTreeSet<Quad> {
    let mut all = asserted.clone();
    loop {
        let of = |predicate: u64, all: &BTreeSet<Quad>| -> Vec<(u64, u64)> {
            let quads = all.iter().filter(|quad| quad.0 == 0 && quad.2 == predicate);
            quads.map(|quad| (quad.1, quad.3)).collect()
        };
        let (links, paths) = (of(LINK, &all), of(PATH, &all));
        let before = all.len();
        all.extend(links.iter().map(|(x, y)| (0, *x, PATH, *y)));
        for (x, y) in &links {
            all.extend(paths.iter().filter(|(from, _)| from == y).map(|(_, z)| (0, *x, PATH, *z)));
        }
        if all.len() == before {
            return all;
        }
    }
}

fn text_of((graph, subject, predicate, object): Quad) -> String {
    let triple = format!("<urn:n:{subject}> <urn:p:{predicate}> <urn:n:{object}>");
    if graph == 0 { format!("{triple} .") } else { format!("GRAPH <urn:g:{graph}> {{ {triple} }}") }
}

fn name(graph: u64) -> String {
    if graph == 0 { "DEFAULT".to_owned() } else { format!("GRAPH <urn:g:{graph}>") }
}

fn quad(random: &mut Random) -> Quad {
    (random.below(GRAPHS), random.below(TERMS), random.below(PREDICATES), random.below(TERMS))
}

/// The text of a random operation; applies it to the set, and to the graphs that exist. The first one may have a WHERE:
/// nothing was changed before.
fn operation(random: &mut Random, asserted: &mut BTreeSet<Quad>, exist: &mut BTreeSet<u64>, is_first: bool) -> String {
    let kinds = if is_first { 9 } else { 6 };
    match random.below(kinds) {
        0 | 1 => {
            let quads: Vec<Quad> = (0..random.among(1..=4)).map(|_| quad(random)).collect();
            asserted.extend(&quads);
            exist.extend(quads.iter().map(|quad| quad.0));
            format!("INSERT DATA {{ {} }}", quads.into_iter().map(text_of).collect::<String>())
        }
        2 => {
            let mut quads: Vec<Quad> = (0..random.among(1..=3)).map(|_| quad(random)).collect();
            quads.extend(asserted.iter().nth(random.below(8) as usize));
            quads.iter().for_each(|quad| _ = asserted.remove(quad));
            format!("DELETE DATA {{ {} }}", quads.into_iter().map(text_of).collect::<String>())
        }
        3 if random.chance(2_000) => {
            asserted.clear();
            exist.clear();
            "CLEAR ALL".to_owned()
        }
        3 if random.chance(3_000) => {
            asserted.retain(|quad| quad.0 == 0);
            exist.clear();
            "DROP NAMED".to_owned()
        }
        3 => {
            let graph = random.below(GRAPHS);
            asserted.retain(|quad| quad.0 != graph);
            exist.remove(&graph);
            format!("CLEAR {}", name(graph))
        }
        4 | 5 => {
            let (from, to) = (random.below(GRAPHS), random.below(GRAPHS));
            let exists = from == 0 || exist.contains(&from);
            let verb = *random.pick(&["ADD", "COPY", "MOVE"]);
            if from != to && exists {
                let moved: Vec<Quad> = asserted.iter().filter(|quad| quad.0 == from).copied().collect();
                if verb != "ADD" {
                    asserted.retain(|quad| quad.0 != to);
                }
                asserted.extend(moved.iter().map(|(_, s, p, o)| (to, *s, *p, *o)));
                exist.insert(to);
                if verb == "MOVE" {
                    asserted.retain(|quad| quad.0 != from);
                    exist.remove(&from);
                }
            }
            format!("{verb} SILENT {} TO {}", name(from), name(to))
        }
        _ => {
            let text = modification(random, asserted);
            exist.extend(asserted.iter().map(|quad| quad.0));
            text
        }
    }
}

/// A random operation with WHERE over the closure.
fn modification(random: &mut Random, asserted: &mut BTreeSet<Quad>) -> String {
    let all = closure(asserted);
    let (read, to) = (random.below(PREDICATES), random.below(PREDICATES));
    let matched: Vec<Quad> = all.iter().filter(|quad| quad.0 == 0 && quad.2 == read).copied().collect();
    match random.below(3) {
        0 => {
            matched.iter().for_each(|quad| _ = asserted.remove(quad));
            format!("DELETE WHERE {{ ?s <urn:p:{read}> ?o }}")
        }
        1 => {
            matched.iter().for_each(|quad| _ = asserted.remove(quad));
            asserted.extend(matched.iter().map(|(_, s, _, o)| (1, *o, to, *s)));
            format!(
                "DELETE {{ ?s <urn:p:{read}> ?o }} INSERT {{ GRAPH <urn:g:1> {{ ?o <urn:p:{to}> ?s }} }} \
                 WHERE {{ ?s <urn:p:{read}> ?o }}"
            )
        }
        _ => {
            let in_graph: Vec<Quad> = asserted.iter().filter(|quad| quad.0 == 2 && quad.2 == read).copied().collect();
            asserted.extend(in_graph.iter().map(|(_, s, _, o)| (2, *s, to, *o)));
            format!("WITH <urn:g:2> INSERT {{ ?s <urn:p:{to}> ?o }} WHERE {{ ?s <urn:p:{read}> ?o }}")
        }
    }
}

fn facts(cluster: &Cluster) -> BTreeSet<String> {
    let default = cluster.rows("SELECT ?s ?p ?o { ?s ?p ?o }").into_iter().map(|row| format!("0\t{row}"));
    let named = cluster.rows("SELECT ?g ?s ?p ?o { GRAPH ?g { ?s ?p ?o } }");
    default.chain(named).collect()
}

fn expected(asserted: &BTreeSet<Quad>) -> BTreeSet<String> {
    let row = |(graph, s, p, o): Quad| {
        let graph = if graph == 0 { "0".to_owned() } else { format!("<urn:g:{graph}>") };
        format!("{graph}\t<urn:n:{s}>\t<urn:p:{p}>\t<urn:n:{o}>")
    };
    closure(asserted).into_iter().map(row).collect()
}

#[test]
fn random_updates_leave_what_they_leave_of_a_set() {
    let seeds = match number("ENTAIL_UPDATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ENTAIL_UPDATE_CASES").unwrap_or(CASES),
    };
    for (nodes, shards) in SHAPES {
        let cluster = Cluster::start(nodes, shards);
        cluster.apply("paths", RULES).unwrap();
        for seed in seeds.clone() {
            let random = &mut Random::new(seed);
            let mut asserted: BTreeSet<Quad> = BTreeSet::new();
            cluster.update("CLEAR ALL").unwrap();
            for request in 0..REQUESTS {
                let before = asserted.clone();
                // A graph without facts does not exist, but one that loses them within a request does.
                let mut exist: BTreeSet<u64> = asserted.iter().map(|quad| quad.0).collect();
                let operations = random.among(1..=4);
                let texts: Vec<String> =
                    (0..operations).map(|index| operation(random, &mut asserted, &mut exist, index == 0)).collect();
                let text = texts.join(" ;\n");
                let place = format!(
                    "ENTAIL_UPDATE_SEED={seed}, request {request}, {nodes} nodes, {shards} shards:\n{text}\nafter {before:?}"
                );
                let change = cluster.update(&text).unwrap_or_else(|fault| panic!("{fault}\n{place}"));
                assert_eq!(facts(&cluster), expected(&asserted), "{place}");
                let counts = (asserted.difference(&before).count(), before.difference(&asserted).count());
                assert_eq!((change.asserted as usize, change.removed as usize), counts, "{place}");
            }
        }
    }
}

/// One line for each quad, in N-Quads.
fn document(quads: impl IntoIterator<Item = (u64, u64, u64)>) -> String {
    quads.into_iter().map(|(s, p, o)| format!("<urn:n:{s}> <urn:p:{p}> <urn:n:{o}> .\n")).collect()
}

fn header(mode: LoadMode, graph: &str) -> FileHeader {
    let (name, graph) = ("facts.nt".to_owned(), graph.to_owned());
    FileHeader { name, graph, mode: mode.into(), ..FileHeader::default() }
}

#[test]
fn files_are_removed_and_replace_graphs() {
    let cluster = Cluster::start(2, 4);
    let graph = "urn:g:1";
    let chain = |range: std::ops::Range<u64>| document(range.map(|n| (n, 0, n + 1)));
    cluster.load_as(header(LoadMode::Add, graph), chain(0..100)).unwrap();
    cluster.load("other.nt", chain(0..10));
    let change_of = |summary: entail_proto::v1::LoadSummary| summary.change.unwrap_or_default();
    let replace = |range| change_of(cluster.load_as(header(LoadMode::Replace, graph), chain(range)).unwrap());
    let counts = |change: &ChangeSummary| (change.asserted, change.removed);
    assert_eq!(counts(&replace(0..100)), (0, 0), "an unchanged file changes nothing");
    assert_eq!(counts(&replace(1..101)), (1, 1), "the difference");
    assert_eq!(cluster.rows("SELECT ?s ?o { GRAPH <urn:g:1> { ?s <urn:p:0> ?o } }").len(), 100);
    assert_eq!(cluster.rows("SELECT ?s ?o { ?s <urn:p:0> ?o }").len(), 10, "other graphs stay");
    let removed = cluster.load_as(header(LoadMode::Delete, graph), chain(50..200)).unwrap();
    assert_eq!((removed.triples, counts(&change_of(removed))), (150, (0, 51)));
    assert_eq!(cluster.rows("SELECT ?s ?o { GRAPH <urn:g:1> { ?s <urn:p:0> ?o } }").len(), 49);
    let blank = cluster.load_as(header(LoadMode::Replace, graph), "_:a <urn:p> <urn:b> .").unwrap_err();
    assert_eq!(blank.reason, Reason::Unsupported, "{blank}");
    let elsewhere = FileHeader { name: "facts.nq".to_owned(), ..header(LoadMode::Replace, graph) };
    let elsewhere = cluster.load_as(elsewhere, "<urn:a> <urn:p> <urn:b> <urn:g:2> .").unwrap_err();
    assert_eq!(elsewhere.reason, Reason::InvalidRequest, "{elsewhere}");
    assert_eq!(cluster.rows("SELECT ?s ?o { GRAPH <urn:g:1> { ?s <urn:p:0> ?o } }").len(), 49);
    assert_eq!(counts(&replace(0..0)), (0, 49), "an empty file leaves an empty graph");
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let cluster = Cluster::start(2, 4);
    cluster.apply("paths", RULES).unwrap();
    cluster.load("facts.nt", document([(0, 0, 1), (1, 0, 2), (7, 3, 7)]));
    let before = facts(&cluster);
    let dry = |update: &str| {
        let request = UpdateRequest { update: update.to_owned(), dry_run: true, ..UpdateRequest::default() };
        cluster.update_as(request).unwrap()
    };
    let text = "INSERT DATA { <urn:n:2> <urn:p:0> <urn:n:3> . <urn:n:2> <urn:new> 1 } ; \
                DELETE DATA { <urn:n:7> <urn:p:3> <urn:n:7> }";
    let change = dry(text);
    assert!(change.dry_run);
    assert_eq!((change.epoch, change.asserted, change.removed), (cluster.status().epoch, 2, 1));
    let of = |name: &str| change.predicates.iter().find(|of| of.predicate == name).cloned().unwrap_or_default();
    assert_eq!(of("urn:p:0").asserted, 1);
    assert_eq!(of("urn:new").asserted, 1, "a name that no epoch has");
    assert_eq!(of("urn:p:3").removed, 1);
    assert_eq!(of("urn:p:1").derived, 3, "paths to the new end");
    assert_eq!((facts(&cluster), cluster.status().epoch), (before.clone(), change.epoch));
    // The same change, committed.
    let committed = cluster.update(text).unwrap();
    assert_eq!((committed.asserted, committed.removed, committed.derived), (2, 1, change.derived));
    assert_ne!(facts(&cluster), before);
    let load = FileHeader { dry_run: true, ..header(LoadMode::Delete, "") };
    let summary = cluster.load_as(load, document([(0, 0, 1), (5, 5, 5)])).unwrap();
    let change = summary.change.unwrap_or_default();
    assert_eq!((change.removed, change.dry_run), (1, true));
    assert!(change.predicates.iter().any(|of| of.predicate == "urn:p:1" && of.derived_removed > 0));
}

#[test]
fn what_only_rules_say_stays_and_is_named() {
    let cluster = Cluster::start(2, 4);
    cluster.apply("paths", RULES).unwrap();
    cluster.load("facts.nt", document([(0, 0, 1), (1, 0, 2)]));
    let before = facts(&cluster);
    let change =
        cluster.update("DELETE DATA { <urn:n:0> <urn:p:1> <urn:n:2> . <urn:n:8> <urn:p:1> <urn:n:9> }").unwrap();
    assert_eq!((change.removed, change.derived_only), (0, 1));
    assert_eq!(change.derived_only_fact, "<urn:n:0> <urn:p:1> <urn:n:2>");
    assert_eq!(change.derived_only_rules.len(), 2);
    assert_eq!(facts(&cluster), before);
    // Asserted as well, and taken back: it stays derived.
    cluster.update("INSERT DATA { <urn:n:0> <urn:p:1> <urn:n:2> }").unwrap();
    let change = cluster.update("DELETE DATA { <urn:n:0> <urn:p:1> <urn:n:2> }").unwrap();
    assert_eq!((change.removed, change.derived_only), (1, 0));
    assert_eq!(facts(&cluster), before);
}

#[test]
fn what_is_not_there_is_a_count_of_zero_and_failures_change_nothing() {
    let cluster = Cluster::start(1, 4);
    cluster.load("facts.nt", document([(0, 0, 1)]));
    for nothing in [
        "DELETE DATA { <urn:a> <urn:b> <urn:c> }",
        "DELETE WHERE { ?s <urn:nowhere> ?o }",
        "CLEAR GRAPH <urn:nowhere>",
        "DROP SILENT GRAPH <urn:nowhere>",
        "INSERT DATA { <urn:n:0> <urn:p:0> <urn:n:1> }",
        "INSERT DATA { <urn:a> <urn:b> <urn:c> } ; DELETE DATA { <urn:a> <urn:b> <urn:c> }",
        "INSERT DATA { <urn:a> <urn:b> <urn:c> } ; CLEAR DEFAULT ; INSERT DATA { <urn:n:0> <urn:p:0> <urn:n:1> }",
        "MOVE DEFAULT TO DEFAULT",
    ] {
        let change = cluster.update(nothing).unwrap_or_else(|fault| panic!("{nothing}: {fault}"));
        assert_eq!((change.asserted, change.removed), (0, 0), "{nothing}");
        assert_eq!(cluster.facts().len(), 1, "{nothing}");
    }
    let epoch = cluster.status().epoch;
    for (failing, reason) in [
        ("DELETE WHERE { ?s ?p ?o } ; LOAD <urn:file>", Reason::Unsupported),
        ("DELETE WHERE { ?s ?p ?o } ; ADD <urn:nowhere> TO <urn:g>", Reason::NotFound),
        ("DELETE WHERE { ?s ?p ?o } ; INSERT { ?s <urn:x> ?o } WHERE { ?s ?p ?o }", Reason::Unsupported),
        ("DELETE DATA { <urn:n:0> <urn:p:0> _:b }", Reason::Syntax),
    ] {
        assert_eq!(cluster.update(failing).unwrap_err().reason, reason, "{failing}");
        assert_eq!((cluster.facts().len(), cluster.status().epoch), (1, epoch), "{failing}");
    }
}

/// Everything goes, by one pattern; and a literal of 16 MiB.
#[test]
fn much_is_removed_at_once() {
    const FACTS: u64 = 200_000;
    let cluster = Cluster::start(2, 8);
    cluster.load("many.nt", document((0..FACTS).map(|n| (n, n % 7, n * 31 % FACTS))));
    let large = format!("\"{}\"", "x".repeat(16 << 20));
    cluster.load("large.nt", format!("<urn:a> <urn:p> {large} .\n"));
    let removed = cluster.load_as(header(LoadMode::Delete, ""), format!("<urn:a> <urn:p> {large} .\n")).unwrap();
    assert_eq!(removed.change.unwrap_or_default().removed, 1);
    let change = cluster.update("DELETE WHERE { ?s ?p ?o }").unwrap();
    assert_eq!((change.removed, cluster.facts().len()), (FACTS, 0));
    assert_eq!(cluster.status().facts_asserted, 0);
}

/// Small requests of many clients share epochs; each has its own counts, and one that is wrong fails alone.
#[test]
fn small_requests_share_epochs() {
    const CLIENTS: u64 = 64;
    let cluster = Cluster::start(2, 4);
    cluster.apply("paths", RULES).unwrap();
    cluster.load("facts.nt", document([(0, 0, 1)]));
    let before = cluster.status().epoch;
    let request = |client: u64| {
        let update = match client % 4 {
            // New, there already, removed by the request before or not there, and derived only.
            0 => format!("INSERT DATA {{ <urn:n:{client}> <urn:p:2> 1 , 2 }}"),
            1 => "INSERT DATA { <urn:n:0> <urn:p:0> <urn:n:1> }".to_owned(),
            2 => format!("DELETE DATA {{ <urn:n:nowhere:{client}> <urn:p:2> 1 }}"),
            _ => "DELETE DATA { <urn:n:0> <urn:p:1> <urn:n:1> }".to_owned(),
        };
        UpdateRequest { update, ..UpdateRequest::default() }
    };
    let answers = cluster.with_client(|client| async move {
        let one = |client: entail_client::Client, request| async move { client.update(request).await };
        let all: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(one(client.clone(), request(number)))).collect();
        let mut answers = Vec::new();
        for update in all {
            answers.push(update.await.unwrap().unwrap().change.unwrap_or_default());
        }
        answers
    });
    for (number, answer) in answers.iter().enumerate() {
        let expected = [(2, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 1)][number % 4];
        assert_eq!((answer.asserted, answer.removed, answer.derived_only), expected, "request {number}");
        assert_eq!(answer.derived_only_fact.is_empty(), answer.derived_only == 0, "request {number}");
    }
    assert_eq!(cluster.rows("SELECT ?s ?o { ?s <urn:p:2> ?o }").len() as u64, CLIENTS / 4 * 2);
    let epochs = cluster.status().epoch - before;
    assert!((1..CLIENTS).contains(&epochs), "{epochs} epochs");
    // An id is answered once, in whatever group it came.
    let again = UpdateRequest { request_id: "once".to_owned(), ..request(0) };
    let again = UpdateRequest { update: again.update.replace("urn:n:0", "urn:n:once"), ..again };
    let first = cluster.update_as(again.clone()).unwrap();
    let repeated = cluster.update_as(again.clone()).unwrap();
    assert_eq!((repeated.epoch, repeated.asserted), (first.epoch, 2));
    let other = UpdateRequest { update: "DELETE DATA { <urn:a> <urn:b> <urn:c> }".to_owned(), ..again };
    assert_eq!(cluster.update_as(other).unwrap_err().reason, Reason::AlreadyExists);
}
