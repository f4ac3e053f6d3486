//! The measured work of a query's plans, added up over all runs of a leaf.

use crate::cluster::Work;
use crate::plan::union::Measured;
use entail_model::NodeId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A plan of the query: the leaf and the branch.
type PlanNumber = (usize, usize);

/// The work of every operator, by plan, place and shard, and the total of every node.
#[derive(Debug, Default)]
pub struct Profiles {
    operators: BTreeMap<(PlanNumber, OperatorPosition), BTreeMap<Option<u16>, Work>>,
    nodes: BTreeMap<(PlanNumber, NodeId), Node>,
    /// Plans that were stopped at least once. A stopped node does not report its work.
    stopped: BTreeSet<PlanNumber>,
    /// The coordinator's own operators, if there were any.
    pub coordinator: Option<Value>,
}

/// The stage and the operator in it; one past the last operator stands for sending the rows on.
type OperatorPosition = (usize, usize);

#[derive(Debug, Default)]
struct Node {
    name: String,
    rows: u64,
    seconds: f64,
    nanoseconds_at_work: u64,
}

impl Profiles {
    /// Adds the work of the branches of a leaf in one run.
    pub fn add(&mut self, leaf: usize, measured: Measured) {
        self.stopped.extend(measured.stopped.map(|branch| (leaf, branch)));
        for (branch, profiles) in measured.branches {
            for profile in profiles {
                let plan = (leaf, branch);
                for one in &profile.work {
                    let shards = self.operators.entry((plan, (one.stage, one.operator))).or_default();
                    add(shards.entry(one.shard).or_default(), &one.work);
                }
                let node = self.nodes.entry((plan, profile.node)).or_default();
                node.name = profile.name;
                node.rows += profile.rows;
                node.seconds += profile.seconds;
                node.nanoseconds_at_work += profile.work.iter().map(|one| one.work.nanoseconds).sum::<u64>();
            }
        }
    }

    /// The work of an operator, in total and for each shard.
    pub fn of_operator(&self, plan: PlanNumber, position: OperatorPosition) -> Value {
        let none = BTreeMap::new();
        let shards = self.operators.get(&(plan, position)).unwrap_or(&none);
        let mut sum = Work::default();
        shards.values().for_each(|work| add(&mut sum, work));
        let shards = shards.iter().map(|(shard, work)| {
            let mut value = of_work(work);
            value["shard"] = json!(shard);
            value
        });
        let mut value = of_work(&sum);
        value["shards"] = shards.collect();
        value
    }

    /// Was the work on a plan stopped, at least once, before all nodes had finished?
    pub fn is_stopped(&self, plan: PlanNumber) -> bool {
        self.stopped.contains(&plan)
    }

    /// The output rows of a leaf.
    pub fn rows_of(&self, leaf: usize) -> u64 {
        let of_leaf = self.nodes.iter().filter(|(((of, _), _), _)| *of == leaf);
        of_leaf.map(|(_, node)| node.rows).sum()
    }

    /// The work of each node for a plan.
    pub fn of_nodes(&self, plan: PlanNumber) -> Value {
        let nodes = self.nodes.range((plan, NodeId(u64::MIN))..=(plan, NodeId(u64::MAX)));
        let node = |((_, id), node): (&(PlanNumber, NodeId), &Node)| {
            json!({
                "node_id": format!("{:016x}", id.0), "name": node.name, "rows": node.rows,
                "seconds": node.seconds, "seconds_at_work": seconds(node.nanoseconds_at_work),
            })
        };
        nodes.map(node).collect()
    }
}

fn add(sum: &mut Work, more: &Work) {
    sum.rows += more.rows;
    sum.bytes += more.bytes;
    sum.messages += more.messages;
    sum.nanoseconds += more.nanoseconds;
}

fn of_work(work: &Work) -> Value {
    json!({ "rows": work.rows, "seconds": seconds(work.nanoseconds), "bytes": work.bytes, "messages": work.messages })
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
