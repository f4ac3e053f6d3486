//! Whole clusters over loopback: answers must not depend on the numbers of nodes and shards.
//!
//! `ENTAIL_CLUSTER_CASES=N` runs N random programs; `ENTAIL_CLUSTER_SEED=X` only that one.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod data;
mod dense;
mod health;
mod programs;
mod trouble;
mod updates;

use entail_model::Reason;
use entail_proto::v1::{ResultFormat, UpdateRequest};
use entail_tests::cluster::Cluster;
use programs::{Case, Rule, Triple, closure, solutions};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

/// The number of random programs that run on every shape.
const CASES: u64 = 1_000;
/// The number of programs that share a cluster.
const CASES_TOGETHER: u64 = 250;
/// For one in this many programs the solutions of its rules' bodies are counted too.
const COUNTED_EVERY: usize = 10;

/// The shapes, nodes and shards, whose results must agree; with five nodes and four shards one node has no shard.
const SHAPES: [(usize, u32); 7] = [(1, 1), (1, 4), (1, 16), (3, 4), (3, 16), (5, 4), (5, 16)];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// The seeds of the cases, in groups that share a cluster.
fn groups() -> Vec<Vec<Case>> {
    let seeds = match number("ENTAIL_CLUSTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ENTAIL_CLUSTER_CASES").unwrap_or(CASES),
    };
    let starts = seeds.clone().step_by(CASES_TOGETHER as usize);
    starts.map(|start| (start..seeds.end.min(start + CASES_TOGETHER)).map(Case::new).collect()).collect()
}

/// A cluster that many cases share, with the description of a failure.
struct Shared<'a> {
    cluster: Cluster,
    cases: &'a [Case],
    place: String,
}

impl Shared<'_> {
    /// The concatenated texts of all cases.
    fn join(&self, text: impl Fn(&Case) -> String) -> String {
        self.cases.iter().map(text).collect()
    }

    fn apply(&self, name: &str, rules: impl Fn(&Case) -> &[Rule]) {
        let text = self.join(|case| rules(case).iter().map(|rule| case.rule_text(rule)).collect());
        self.cluster.apply(name, &text).unwrap();
    }

    /// Checks that the cluster contains these facts, case by case, and no others.
    fn check(&self, step: &str, facts: impl Fn(&Case) -> BTreeSet<Triple>) {
        let all = |case| facts(case).into_iter().map(|fact| Case::line(case, fact, "\t")).collect::<Vec<_>>();
        let expected: BTreeSet<String> = self.cases.iter().flat_map(all).collect();
        let found = self.cluster.facts();
        let mut difference: Vec<String> = found.iter().filter(|line| !expected.contains(*line)).cloned().collect();
        difference.iter_mut().for_each(|line| line.insert_str(0, "too much: "));
        let found: BTreeSet<String> = found.into_iter().collect();
        difference.extend(expected.difference(&found).map(|line| format!("missing: {line}")));
        self.succeed(step, difference.is_empty(), &difference.join("\n"));
    }

    fn succeed(&self, step: &str, well: bool, why: &str) {
        assert!(
            well,
            "{step}, {}; a term's name holds its seed, replay that with: ENTAIL_CLUSTER_SEED=X cargo test -p entail-tests \
             --test cluster -- shape\n{why}",
            self.place
        );
    }

    /// Checks the number of solutions of the rules' bodies over these facts, for some cases.
    fn count(&self, facts: impl Fn(&Case) -> BTreeSet<Triple>) {
        for case in self.cases.iter().step_by(COUNTED_EVERY) {
            let facts = facts(case);
            for rule in &case.rules {
                let query = format!("SELECT (COUNT(*) AS ?n) {{ {} }}", case.body_text(rule));
                let expected = solutions(rule, &facts).len().to_string();
                let found = self.cluster.rows(&query);
                self.succeed("counted", found == [expected.clone()], &format!("{query}: {found:?}, not {expected}"));
            }
        }
    }
}

/// Facts, then rules, then more facts, then one rule set dropped: after each step every shape contains exactly the
/// closure.
#[test]
fn every_shape_has_the_same_closure() {
    let groups = groups();
    let work = groups.iter().flat_map(|cases| SHAPES.map(|shape| (cases.as_slice(), shape)));
    let work = Mutex::new(work);
    let next = || work.lock().expect("a failure ends the test").next();
    // Clusters mostly wait for network and disk: two at a time.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((cases, (nodes, shards))) = next() {
                    check_shape(cases, nodes, shards);
                }
            });
        }
    });
}

fn check_shape(cases: &[Case], nodes: usize, shards: u32) {
    let place = format!("{nodes} nodes, {shards} shards");
    let shared = Shared { cluster: Cluster::start(nodes, shards), cases, place };
    shared.cluster.load("first.ttl", shared.join(|case| case.document(&case.first)));
    shared.check("loaded", |case| case.first.clone());
    shared.apply("a", |case| &case.rules[..2]);
    shared.check("first rules", |case| closure(&case.first, &case.rules[..2]));
    shared.apply("b", |case| &case.rules[2..]);
    shared.check("all rules", |case| closure(&case.first, &case.rules));
    shared.cluster.load("second.ttl", shared.join(|case| case.document(&case.second)));
    let both = |case: &Case| case.first.union(&case.second).copied().collect();
    shared.check("more facts", |case| closure(&both(case), &case.rules));
    shared.count(|case| closure(&both(case), &case.rules));
    shared.cluster.drop_rules("a").unwrap();
    shared.check("fewer rules", |case| closure(&both(case), &case.rules[2..]));
}

/// Invalid input is refused with its reason and position, and has no effect.
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
    let negated =
        cluster.apply("r", "RULE { ?x <urn:q> ?y } WHERE { ?x <urn:p> ?y NOT DATA { ?y <urn:p> ?x } }").unwrap_err();
    assert_eq!(negated.reason, Reason::Unsupported, "{negated}");
    let cyclic =
        cluster.apply("r", "RULE { ?x <urn:q> ?y } WHERE { ?x <urn:p> ?y NOT { ?y <urn:q> ?x } }").unwrap_err();
    assert_eq!((cyclic.reason, cyclic.position.is_some()), (Reason::Syntax, true), "{cyclic}");
    let deep = format!("SELECT * {{ ?s ?p ?o FILTER({}1{}) }}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(cluster.query(&deep, ResultFormat::Json).unwrap_err().reason, Reason::LimitExceeded);
    let typo = cluster.query("SELECT * {\n ?s ?p }", ResultFormat::Json).unwrap_err();
    assert_eq!(typo.reason, Reason::Syntax, "{typo}");
    assert_eq!(cluster.facts(), before);
}

/// A literal of 16 MiB can be loaded and queried.
#[test]
fn large_literals_survive() {
    let cluster = Cluster::start(1, 4);
    let value = "x".repeat(16 << 20);
    cluster.load("large.nt", format!("<urn:a> <urn:p> \"{value}\" .\n"));
    let rows = cluster.rows("SELECT (STRLEN(?o) AS ?length) { <urn:a> <urn:p> ?o }");
    assert_eq!(rows, [(16 << 20).to_string()]);
}

/// Concurrent updates have the same result as some sequential order.
#[test]
fn updates_see_the_epoch_that_they_build_on() {
    const UPDATES: usize = 12;
    let cluster = Cluster::start(2, 4);
    let update = "INSERT { <urn:counter> <urn:value> ?next } \
                  WHERE { SELECT (COUNT(?value) AS ?next) { <urn:counter> <urn:value> ?value } }";
    cluster.with_client(|client| async move {
        let one = |client: entail_client::Client| async move {
            let request = UpdateRequest { update: update.to_owned(), ..UpdateRequest::default() };
            client.update(request).await.map(drop)
        };
        let all: Vec<_> = (0..UPDATES).map(|_| tokio::spawn(one(client.clone()))).collect();
        for update in all {
            update.await.unwrap().unwrap();
        }
    });
    let mut expected: Vec<String> = (0..UPDATES).map(|value| value.to_string()).collect();
    expected.sort_unstable();
    assert_eq!(cluster.rows("SELECT ?value { <urn:counter> <urn:value> ?value }"), expected);
}

/// A query right after a change sees it.
#[test]
fn status_knows_the_last_change() {
    let cluster = Cluster::start(3, 4);
    for count in 1..6 {
        cluster.load("one.ttl", format!("<urn:a:{count}> <urn:p> <urn:b> ."));
        let status = cluster.status();
        assert_eq!((status.epoch, status.facts_asserted), (count, count));
    }
}
