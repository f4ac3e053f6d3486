//! What the stages of a query's plans really did, added up over all runs of a leaf.

use super::cluster::StageProfile;
use entail_model::NodeId;
use std::collections::BTreeMap;

/// What every stage did, by leaf, branch, stage and node.
#[derive(Debug, Default)]
pub struct Profiles {
    stages: BTreeMap<(usize, usize, usize, NodeId), StageProfile>,
}

impl Profiles {
    /// Adds what the branches of a leaf did in one run.
    pub fn add(&mut self, leaf: usize, branches: Vec<(usize, Vec<StageProfile>)>) {
        for (branch, stages) in branches {
            for stage in stages {
                let sum = self.stages.entry((leaf, branch, stage.stage, stage.node)).or_default();
                sum.rows_in += stage.rows_in;
                sum.rows_out += stage.rows_out;
                sum.bytes_sent += stage.bytes_sent;
                sum.messages_sent += stage.messages_sent;
                sum.seconds += stage.seconds;
                (sum.node, sum.stage, sum.shards) = (stage.node, stage.stage, stage.shards);
            }
        }
    }

    /// What a stage did at each node.
    pub fn of_stage(&self, leaf: usize, branch: usize, stage: usize) -> Vec<&StageProfile> {
        let first = (leaf, branch, stage, NodeId(u64::MIN));
        let last = (leaf, branch, stage, NodeId(u64::MAX));
        self.stages.range(first..=last).map(|(_, profile)| profile).collect()
    }
}
