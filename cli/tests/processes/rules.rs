//! Rule sets that are applied at the same time.

use crate::graph::{RULE_SETS, State, document, facts, lines};
use crate::harness::{Cluster, Random};

/// Each change of the rules builds on the one before it: none is lost, whoever comes first.
#[test]
fn rule_sets_that_come_together_are_all_kept() {
    let cluster = Cluster::start(2);
    let mut state = State { asserted: facts(&Random::new(3), 600), ..State::default() };
    cluster.load("first.nt", &document(&state.asserted));
    let together: Vec<_> = RULE_SETS
        .iter()
        .map(|set| cluster.begin(&["rules", "apply", &cluster.file(&format!("{}.srl", set.name), set.text())]))
        .collect();
    for running in together {
        let done = running.done();
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    state.rules.extend(0..RULE_SETS.len());
    assert_eq!(cluster.dump("derived"), lines(&state.derived()));
    let listed = cluster.must(&["rules", "list"]);
    assert!(RULE_SETS.iter().all(|set| listed.contains(set.name)), "{listed}");
}
