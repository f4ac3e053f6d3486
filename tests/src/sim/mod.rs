//! Deterministic simulation: a small cluster in one thread, from one seed.
//!
//! ```text
//!  clients (real retry machine) ──┐                         ┌── node (real reasoner and state, simulated disk)
//!  reader ────────────────────────┤── simulated network ────┼── node
//!  coordinator (real epoch machine, real log in memory) ────┘── …
//!                      the judge checks the state after each event
//! ```
//!
//! A seed determines the cluster, the rules, the clients' requests, and the faults: messages are lost, delayed,
//! duplicated and reordered, processes crash before any of their actions, disks lose unsynced data, logs fail, and a
//! stranger sends nodes messages of attempts that it makes up. After
//! some time the faults stop; then all remaining requests must complete within a bounded number of ticks.
//!
//! Nothing depends on a clock, a thread or a hash order: the same seed gives the same history, message by message.

pub mod client;
pub mod coordinator;
pub mod judge;
pub mod network;
pub mod node;
pub mod program;
pub mod reader;
pub mod store;
pub mod stranger;
pub mod wire;
mod world;

use crate::oracle::Vocabulary;
use entail_logic::plan::compile::RuleBody;
use entail_model::NodeId;

/// The constants of one simulation.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<NodeId>,
    pub vocabulary: Vocabulary,
    /// The rules that changes refer to, by number.
    pub rules: Vec<RuleBody>,
}

/// The simulation to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    /// Record a line for each event.
    pub trace: bool,
}

/// The result of a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub epochs: u64,
    pub aborts: u64,
    pub crashes: u64,
    pub reads: u64,
    pub messages: u64,
    /// The number of ticks until all requests were done.
    pub ticks: u64,
    /// Empty unless requested.
    pub trace: Vec<String>,
    /// The violated property, if any.
    pub violation: Option<String>,
}

/// Simulates a cluster from its creation until all requests are done, or until a property is violated.
///
/// Runs in the calling thread, and in its `rayon` pool if it has one: for a reproducible history, call it in a pool of
/// one thread.
pub fn simulate(options: Options) -> Summary {
    world::World::new(options).run()
}
