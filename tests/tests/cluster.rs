//! Whole clusters over loopback: what they answer must not depend on how many nodes and shards there are.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use entail_model::Reason;
use entail_proto::v1::ResultFormat;
use entail_tests::cluster::Cluster;
use entail_tests::random::Random;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

type Triple = (u64, u64, u64);

/// The shapes that must agree.
const SHAPES: [(usize, u32); 4] = [(1, 1), (1, 16), (3, 4), (3, 16)];

fn rounds() -> u64 {
    std::env::var("ENTAIL_CLUSTER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6)
}

fn facts(random: &mut Random, count: u64) -> BTreeSet<Triple> {
    (0..count).map(|_| (random.below(9), random.below(4), random.below(9))).collect()
}

fn document(facts: &BTreeSet<Triple>) -> String {
    facts.iter().map(|(s, p, o)| format!("<urn:n:{s}> <urn:p:{p}> <urn:n:{o}> .\n")).collect()
}

/// A rule of two or three atoms over variables 0 to 3, whose head uses the first and last variable of the body.
fn rule(random: &mut Random) -> ([(u64, u64, u64); 3], usize, Triple) {
    let mut atoms = [(0, 0, 0); 3];
    for atom in &mut atoms {
        *atom = (random.below(4), random.below(4), random.below(4));
    }
    let count = random.between(1, 3) as usize;
    let head = (atoms[0].0, random.below(4), atoms[count - 1].2);
    (atoms, count, head)
}

fn rule_text((atoms, count, head): &([Triple; 3], usize, Triple)) -> String {
    let body: String = atoms[..*count].iter().map(|(s, p, o)| format!("?v{s} <urn:p:{p}> ?v{o} . ")).collect();
    format!("RULE {{ ?v{} <urn:p:{}> ?v{} }} WHERE {{ {body} }}\n", head.0, head.1, head.2)
}

/// The closure by trying everything.
fn closure(facts: &BTreeSet<Triple>, rules: &[([Triple; 3], usize, Triple)]) -> BTreeSet<Triple> {
    let mut all = facts.clone();
    loop {
        let mut new = Vec::new();
        for (atoms, count, head) in rules {
            let mut rows = vec![[None; 4]];
            for (s, p, o) in &atoms[..*count] {
                let mut next = Vec::new();
                for row in &rows {
                    for fact in all.iter().filter(|fact| fact.1 == *p) {
                        let mut row: [Option<u64>; 4] = *row;
                        let fits = *row[*s as usize].get_or_insert(fact.0) == fact.0
                            && *row[*o as usize].get_or_insert(fact.2) == fact.2;
                        next.extend(fits.then_some(row));
                    }
                }
                rows = next;
            }
            new.extend(rows.iter().map(|row| (row[head.0 as usize].unwrap(), head.1, row[head.2 as usize].unwrap())));
        }
        let before = all.len();
        all.extend(new);
        if all.len() == before {
            return all;
        }
    }
}

fn lines(facts: &BTreeSet<Triple>) -> Vec<String> {
    let mut lines: Vec<String> =
        facts.iter().map(|(s, p, o)| format!("<urn:n:{s}>\t<urn:p:{p}>\t<urn:n:{o}>")).collect();
    lines.sort_unstable();
    lines
}

/// Facts, then rules, then more facts, then a rule set less: after each step every shape has exactly the closure.
#[test]
fn every_shape_has_the_same_closure() {
    for (nodes, shards) in SHAPES {
        for seed in 0..rounds() {
            let mut random = Random::new(seed);
            let (first, second) = (facts(&mut random, 12), facts(&mut random, 6));
            let rules = [rule(&mut random), rule(&mut random), rule(&mut random)];
            let place = format!("{nodes} nodes, {shards} shards, seed {seed}");
            let cluster = Cluster::start(nodes, shards);
            cluster.load("first.nt", document(&first));
            assert_eq!(cluster.facts(), lines(&first), "loaded: {place}");
            cluster.apply("a", &(rule_text(&rules[0]) + &rule_text(&rules[1]))).unwrap();
            assert_eq!(cluster.facts(), lines(&closure(&first, &rules[..2])), "first rules: {place}");
            cluster.apply("b", &rule_text(&rules[2])).unwrap();
            assert_eq!(cluster.facts(), lines(&closure(&first, &rules)), "all rules: {place}");
            cluster.load("second.nt", document(&second));
            let both: BTreeSet<Triple> = first.union(&second).copied().collect();
            assert_eq!(cluster.facts(), lines(&closure(&both, &rules)), "more facts: {place}");
            cluster.drop_rules("a").unwrap();
            assert_eq!(cluster.facts(), lines(&closure(&both, &rules[2..])), "fewer rules: {place}");
        }
    }
}

/// What is wrong is refused with its reason and place, and leaves everything as it was.
#[test]
fn bad_input_leaves_everything_as_it_was() {
    let cluster = Cluster::start(3, 4);
    cluster.load("good.ttl", "<urn:a> <urn:p> <urn:b> .");
    let before = cluster.facts();
    let broken = cluster.try_load("bad.nt", "<urn:c> <urn:p> <urn:d> .\n<urn:c> <urn:p> .\n").unwrap_err();
    assert_eq!(broken.reason, Reason::Syntax);
    assert_eq!(broken.position.as_ref().map(|position| position.line), Some(2), "{broken}");
    let invalid = cluster.try_load("bad.nt", b"<urn:c> <urn:p> \"\xff\" .\n".to_vec()).unwrap_err();
    assert_eq!(invalid.reason, Reason::Syntax, "{invalid}");
    let unknown = cluster.try_load("data.csv", "a,b,c").unwrap_err();
    assert_eq!(unknown.reason, Reason::InvalidRequest, "{unknown}");
    assert_eq!(cluster.load("empty.nt", "").triples, 0);
    let unsafe_rule = cluster.apply("r", "RULE { ?x <urn:q> ?y }\nWHERE { ?x <urn:p> ?z }").unwrap_err();
    assert_eq!(unsafe_rule.reason, Reason::Syntax, "{unsafe_rule}");
    assert!(unsafe_rule.position.is_some(), "{unsafe_rule}");
    let negated = cluster.apply("r", "RULE { ?x <urn:q> ?y } WHERE { ?x <urn:p> ?y NOT { ?y <urn:p> ?x } }").unwrap_err();
    assert_eq!(negated.reason, Reason::Unsupported, "{negated}");
    let deep = format!("SELECT * {{ ?s ?p ?o FILTER({}1{}) }}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(cluster.query(&deep, ResultFormat::Json).unwrap_err().reason, Reason::LimitExceeded);
    let typo = cluster.query("SELECT * {\n ?s ?p }", ResultFormat::Json).unwrap_err();
    assert_eq!(typo.reason, Reason::Syntax, "{typo}");
    assert_eq!(cluster.facts(), before);
}

/// A small answer does not wait for the acknowledgement of the message before it: that alone takes some 40 ms.
#[test]
fn small_answers_are_not_held_back() {
    let cluster = Cluster::start(3, 4);
    cluster.load("one.ttl", "<urn:a> <urn:p> <urn:b> .");
    let ask = || {
        let started = Instant::now();
        assert_eq!(cluster.rows("SELECT ?o { <urn:a> <urn:p> ?o }").len(), 1);
        started.elapsed()
    };
    let mut times: Vec<Duration> = (0..40).map(|_| ask()).collect();
    times.sort_unstable();
    // A quarter of them, because a machine that is busy holds back the others.
    assert!(times[10] < Duration::from_millis(30), "{times:?}");
}

/// A literal of 16 MiB goes in and comes out.
#[test]
fn large_literals_survive() {
    let cluster = Cluster::start(1, 4);
    let value = "x".repeat(16 << 20);
    cluster.load("large.nt", format!("<urn:a> <urn:p> \"{value}\" .\n"));
    let rows = cluster.rows("SELECT (STRLEN(?o) AS ?length) { <urn:a> <urn:p> ?o }");
    assert_eq!(rows, [(16 << 20).to_string()]);
}
