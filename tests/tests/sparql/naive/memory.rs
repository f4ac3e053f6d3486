//! Random queries over clusters in memory of one to four nodes; about half of the facts are derived by rules.

use super::{Fault, Judgement, judge, number, report, with_numbers};
use crate::ask;
use entail_model::random::Random;
use entail_oracle::random::{Case, quads};
use entail_sparql::Request;
use entail_tests::memory_cluster::MemoryCluster;
use std::sync::Arc;

/// Shards and nodes.
const SHAPES: [(u32, u64); 4] = [(1, 1), (4, 2), (4, 3), (16, 4)];

/// The outcome of a case on a cluster of this shape; the oracle derives what the rules say.
fn run(case: &Case, (shards, nodes): (u32, u64)) -> Judgement {
    let Ok(data) = case.dataset() else { return Judgement::Open };
    let cluster = Arc::new(MemoryCluster::new(quads(&data), shards, nodes));
    let request = Request { text: case.query.to_string(), ..Request::default() };
    judge(&case.query, &data, ask::answer(request, cluster).map_err(|fault| fault.to_string()))
}

fn fault(case: &Case, shape: (u32, u64)) -> Option<Fault> {
    if let Judgement::Wrong(fault) = run(case, shape) { Some(fault) } else { None }
}

#[test]
fn queries_in_memory_are_answered_as_the_standard_says() {
    let first = number("ENTAIL_SEED").unwrap_or(0);
    let count = number("ENTAIL_CASES").unwrap_or(1_840);
    let (mut judged, mut wrong) = (0, Vec::new());
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let case = with_numbers(&mut random, Case::new);
        let shape = *random.pick(&SHAPES);
        match run(&case, shape) {
            Judgement::Open => {}
            Judgement::Right => judged += 1,
            Judgement::Wrong(what) => {
                judged += 1;
                let (shards, nodes) = shape;
                let again = "cargo test -p entail-tests --test sparql naive::memory";
                let small = report(&case, &what, &|case| fault(case, shape));
                wrong.push(format!(
                    "{shards} shards, {nodes} nodes\nagain: ENTAIL_SEED={seed} ENTAIL_CASES=1 {again}\n{small}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {judged} answers are wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(count == 1 || judged * 4 > count * 3, "only {judged} of {count} queries are judged");
}
