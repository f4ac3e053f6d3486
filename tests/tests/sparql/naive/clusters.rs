//! Random queries and rules on whole clusters over loopback: what the engine derives and answers, judged by the oracle.

use super::{Fault, Judgement, judge, listed, number, with_numbers};
use entail_model::random::Random;
use entail_oracle::query::{Element, Form, Group, Node, Projection, Query, Select, TriplePattern};
use entail_oracle::random::{dataset, named_facts, query, rules};
use entail_oracle::rules::Rule;
use entail_proto::v1::QueryRequest;
use entail_tests::cluster::Cluster;
use oxrdf::Quad;

/// Nodes and shards.
const SHAPES: [(usize, u32); 3] = [(1, 1), (3, 4), (4, 16)];

/// Rule sets in the life of one cluster, with queries under each.
const RULE_SETS: u64 = 20;
const QUERIES: u64 = 3;

/// Every fact of the default graph.
fn everything() -> Query {
    let place = |name: &str| Node::Variable(name.to_owned());
    let triple = TriplePattern { subject: place("s"), predicate: place("p"), object: place("o") };
    let select = Select::all(Group(vec![Element::Triple(triple)]));
    Query::new(Form::Select(Select { projection: Projection::Star, ..select }))
}

/// The outcome of one query.
fn check(cluster: &Cluster, facts: &[Quad], rules: &[Rule], query: &Query) -> Judgement {
    let Ok(data) = dataset(facts, rules) else { return Judgement::Open };
    let request = QueryRequest { query: query.to_string(), ..QueryRequest::default() };
    judge(query, &data, cluster.answer(request).map_err(|fault| fault.to_string()))
}

/// The life of one cluster: facts are loaded, and rule sets come and go. Returns the number of judged answers.
fn live(seed: u64, (nodes, shards): (usize, u32), wrong: &mut Vec<String>) -> u64 {
    let mut random = Random::new(seed);
    let cluster = Cluster::start(nodes, shards);
    let facts = with_numbers(&mut random, named_facts);
    cluster.load("facts.nq", listed(&facts));
    let mut judged = 0;
    for set in 0..RULE_SETS {
        let rules = with_numbers(&mut random, |random| rules(random, 1..=4));
        let queries: Vec<Query> =
            (0..QUERIES).map(|_| with_numbers(&mut random, |random| query(random, &facts))).collect();
        if dataset(&facts, &rules).is_err() {
            continue;
        }
        let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
        let place = format!(
            "{shards} shards, {nodes} nodes, rule set {set}\nagain: ENTAIL_SEED={seed} ENTAIL_CLUSTERS=1 cargo test -p \
             entail-tests --test sparql naive::clusters\n{text}"
        );
        if let Err(fault) = cluster.apply("random", &text) {
            wrong.push(format!("{place}{fault}"));
            continue;
        }
        for query in std::iter::once(everything()).chain(queries) {
            match check(&cluster, &facts, &rules, &query) {
                Judgement::Open => {}
                Judgement::Right => judged += 1,
                Judgement::Wrong(Fault::Refused(what) | Fault::Different(what)) => {
                    judged += 1;
                    wrong.push(format!("{place}{query}\n{}{what}", listed(&facts)));
                }
            }
        }
    }
    judged
}

#[test]
fn rules_and_queries_on_real_clusters_are_answered_as_the_standard_says() {
    let first = number("ENTAIL_SEED").unwrap_or(0);
    let clusters = number("ENTAIL_CLUSTERS").unwrap_or(1);
    let mut wrong = Vec::new();
    let mut judged = 0;
    for shape in SHAPES {
        for seed in first..first + clusters {
            judged += live(seed, shape, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} of {judged} answers are wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged * 2 > clusters * RULE_SETS * QUERIES * SHAPES.len() as u64, "only {judged} answers are judged");
}
