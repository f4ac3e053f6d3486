//! The nodes' reports of rounds, each counted once: a call that is repeated may be answered twice.

use entail_logic::fixpoint::{OperationCounts, RemovalCounts};
use entail_model::{NodeId, Round};
use entail_node_api::RoundAnswer;
use std::collections::{BTreeMap, BTreeSet};

/// Sums over the answers of all nodes in all rounds.
#[derive(Debug, Default)]
pub struct RoundStats {
    answers: BTreeSet<(NodeId, Round)>,
    /// New asserted facts, and bytes sent to other nodes.
    pub asserted: u64,
    pub bytes: u64,
    /// Facts that the first round found in relations to be broadcast in the second.
    pub to_broadcast: u64,
    /// What the removals found.
    pub removal: RemovalCounts,
    /// New facts of each rule.
    pub derived: Vec<u64>,
    /// What each operation changes, if the nodes have counted them.
    operations: BTreeMap<u32, OperationCounts>,
    /// Derived facts that have come and gone, by the node that has sealed.
    pub derived_net: BTreeMap<NodeId, [u64; 2]>,
}

impl RoundStats {
    /// The number of rounds that a node has closed.
    pub fn rounds(&self) -> u32 {
        self.answers.iter().map(|(_, round)| round.0).max().unwrap_or(0)
    }

    /// What each operation changes.
    pub fn operations(&self) -> Vec<OperationCounts> {
        self.operations.values().copied().collect()
    }

    /// Derived facts that have come and gone. If some node has derived everything anew, only their difference is known.
    pub fn derived_net(&self, net: i64) -> [u64; 2] {
        let sum = |which: usize| self.derived_net.values().map(|counts| counts[which]).sum::<u64>();
        let (came, went) = (sum(0), sum(1));
        match came.cast_signed() - went.cast_signed() == net {
            true => [came, went],
            false => [net.max(0).cast_unsigned(), net.min(0).unsigned_abs()],
        }
    }

    /// Adds a node's answer; returns whether it is the node's first one for the round.
    pub fn add(&mut self, node: NodeId, answer: &RoundAnswer) -> bool {
        let round = answer.report.round;
        let is_first = self.answers.insert((node, round));
        if is_first {
            self.bytes += answer.bytes_sent;
            self.derived.resize(self.derived.len().max(answer.report.derived.len()), 0);
            self.derived.iter_mut().zip(&answer.report.derived).for_each(|(sum, derived)| *sum += derived);
        }
        if is_first && round == Round(1) {
            // All facts are staged before the first round.
            self.asserted += answer.asserted;
            self.to_broadcast += answer.report.to_broadcast;
            add(&mut self.removal, &answer.staged.removal);
            for counts in &answer.staged.operations {
                let sum = self.operations.entry(counts.operation).or_default();
                sum.operation = counts.operation;
                sum.added += counts.added;
                add(&mut sum.removal, &counts.removal);
            }
        }
        is_first
    }
}

fn add(sum: &mut RemovalCounts, counts: &RemovalCounts) {
    sum.removed += counts.removed;
    sum.derived_only += counts.derived_only;
    sum.example = sum.example.or(counts.example);
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::fixpoint::{FoldCounts, Report};

    #[test]
    fn an_answer_that_comes_twice_counts_once() {
        let mut stats = RoundStats::default();
        let answer = |round| {
            let report = Report { round: Round(round), to_broadcast: 5, derived: vec![7, 1], ..Report::default() };
            let removal = RemovalCounts { removed: 2, derived_only: 3, example: None };
            let operations = vec![OperationCounts { operation: 3, added: 1, removal }];
            RoundAnswer { report, asserted: 1, staged: FoldCounts { removal, operations }, bytes_sent: 10 }
        };
        let answers = [(1, 1, true), (1, 1, false), (2, 1, true), (1, 2, true), (1, 2, false)];
        for (node, round, is_first) in answers {
            assert_eq!(stats.add(NodeId(node), &answer(round)), is_first);
        }
        assert_eq!((stats.asserted, stats.bytes, stats.to_broadcast), (2, 30, 10));
        assert_eq!((stats.removal.removed, stats.removal.derived_only), (4, 6));
        assert_eq!(stats.derived, [21, 3]);
        let [counts] = stats.operations()[..] else { panic!("one operation") };
        assert_eq!((counts.operation, counts.added, counts.removal.removed), (3, 2, 4));
        assert_eq!((stats.derived_net(0), stats.derived_net(-3)), ([0, 0], [0, 3]));
    }
}
