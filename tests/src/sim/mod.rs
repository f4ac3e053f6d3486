//! Deterministic simulation: a small cluster in one thread, from one seed.
//!
//! ```text
//!  clients (real retry machine) ──┐                         ┌── node (real reasoner and state, simulated disk)
//!  reader ────────────────────────┤── simulated network ────┼── node
//!  coordinator (real epoch machine, real log in memory) ────┘── …
//!                      the judge looks at everything after each event
//! ```
//!
//! A seed chooses the cluster, the rules, what clients ask for, and the weather: messages are lost, late, repeated and
//! out of order, processes crash before any of their actions, disks lose what was not synced, logs fail. After a time the
//! weather calms down; then everything that clients still want must be done within a bounded number of ticks.
//!
//! Nothing here depends on a clock, a thread or a hash order: the same seed is the same history, message by message.

pub mod client;
pub mod coordinator;
pub mod judge;
pub mod network;
pub mod node;
pub mod program;
pub mod reader;
pub mod store;
pub mod wire;
mod world;

use crate::oracle::Vocabulary;
use entail_logic::plan::compile::RuleBody;
use entail_model::NodeId;

/// What never changes in one simulation.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<NodeId>,
    pub vocabulary: Vocabulary,
    /// Every rule that a change may name, by number.
    pub rules: Vec<RuleBody>,
}

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    /// Keep a line for each event.
    pub trace: bool,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub epochs: u64,
    pub aborts: u64,
    pub crashes: u64,
    pub reads: u64,
    pub messages: u64,
    /// Ticks until all was done.
    pub ticks: u64,
    /// Empty unless asked for.
    pub trace: Vec<String>,
    /// What must be true, and was not.
    pub violation: Option<String>,
}

/// Simulates a cluster from its birth until all is done, or until something is wrong.
///
/// Work is done in the calling thread, and in `rayon`'s pool if it is called from one: for the same history every time,
/// call it in a pool of one thread.
pub fn simulate(options: Options) -> Summary {
    world::World::new(options).run()
}
