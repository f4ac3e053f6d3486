//! The nodes' reports of rounds, each counted once: a call that is repeated may be answered twice.

use entail_model::{NodeId, Round};
use entail_node_api::RoundAnswer;
use std::collections::BTreeSet;

/// Sums over the answers of all nodes in all rounds.
#[derive(Debug, Default)]
pub struct RoundStats {
    answers: BTreeSet<(NodeId, Round)>,
    /// New asserted facts, and bytes sent to other nodes.
    pub asserted: u64,
    pub bytes: u64,
    /// Facts that the first round found in relations to be broadcast in the second.
    pub to_broadcast: u64,
}

impl RoundStats {
    /// Adds a node's answer; returns whether it is the node's first one for the round.
    pub fn add(&mut self, node: NodeId, answer: &RoundAnswer) -> bool {
        let round = answer.report.round;
        let is_first = self.answers.insert((node, round));
        if is_first {
            self.bytes += answer.bytes_sent;
        }
        if is_first && round == Round(1) {
            // All facts are staged before the first round.
            self.asserted += answer.asserted;
            self.to_broadcast += answer.report.to_broadcast;
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::fixpoint::Report;

    #[test]
    fn an_answer_that_comes_twice_counts_once() {
        let mut stats = RoundStats::default();
        let answer = |round| {
            let report = Report { round: Round(round), to_broadcast: 5, ..Report::default() };
            RoundAnswer { report, asserted: 1, bytes_sent: 10 }
        };
        let answers = [(1, 1, true), (1, 1, false), (2, 1, true), (1, 2, true), (1, 2, false)];
        for (node, round, is_first) in answers {
            assert_eq!(stats.add(NodeId(node), &answer(round)), is_first);
        }
        assert_eq!((stats.asserted, stats.bytes, stats.to_broadcast), (2, 30, 10));
    }
}
