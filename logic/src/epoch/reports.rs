//! The reports of one round: which nodes have reported, and whether their counts agree.

use crate::failpoints::is_broken;
use crate::fixpoint::Report;
use entail_model::{Fault, NodeId, Round};
use std::collections::{BTreeMap, BTreeSet};

/// The reports of one round.
#[derive(Clone, Debug)]
pub struct RoundReports {
    pub round: Round,
    reports: BTreeMap<NodeId, Report>,
}

impl RoundReports {
    /// No reports yet.
    pub fn new(round: Round) -> Self {
        Self { round, reports: BTreeMap::new() }
    }

    /// Keeps the first report of a node of this round.
    pub fn add(&mut self, node: NodeId, report: Report) {
        if report.round == self.round {
            self.reports.entry(node).or_insert(report);
        }
    }

    /// The nodes that have not reported.
    pub fn missing<'a>(&'a self, nodes: &'a BTreeSet<NodeId>) -> impl Iterator<Item = NodeId> + 'a {
        nodes.iter().copied().filter(|node| !self.reports.contains_key(node))
    }

    /// Has every node reported?
    pub fn is_complete(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.missing(nodes).next().is_none() || (is_broken("await-all-nodes") && !self.reports.is_empty())
    }

    /// Was every sent message received?
    ///
    /// # Errors
    /// `Internal`, naming the first pair whose counts differ.
    pub fn check_counts(&self) -> Result<(), Fault> {
        for (sender, sent) in &self.reports {
            for (receiver, received) in self.reports.iter().filter(|(receiver, _)| *receiver != sender) {
                let sent = sent.sent.get(receiver).copied().unwrap_or(0);
                let received = received.received.get(sender).copied().unwrap_or(0);
                if sent != received {
                    let round = self.round;
                    let message = format!(
                        "in round {round} node {sender} sent {sent} messages to node {receiver}, which received {received}"
                    );
                    return Err(Fault::internal(message));
                }
            }
        }
        Ok(())
    }

    /// Has any node work for another round?
    pub fn is_active(&self) -> bool {
        self.reports.values().any(|report| report.active)
    }

    /// Has any node spent the effort that the change may cost?
    pub fn gave_up(&self) -> bool {
        self.reports.values().any(|report| report.gave_up)
    }

    /// The number of facts that the round found, over all nodes and rules.
    pub fn facts(&self) -> u64 {
        self.reports.values().flat_map(|report| &report.derived).sum()
    }

    /// Adds the numbers of facts that the round derived, by rule.
    pub fn add_derived_to(&self, totals: &mut Vec<u64>) {
        for report in self.reports.values() {
            if totals.len() < report.derived.len() {
                totals.resize(report.derived.len(), 0);
            }
            for (total, derived) in totals.iter_mut().zip(&report.derived) {
                *total += derived;
            }
        }
    }
}
