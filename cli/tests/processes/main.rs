//! The program as users run it: real processes, killed, stopped, interrupted, out of room and fed with nonsense.
//!
//! Everything is checked by content: what the cluster says afterwards against a closure computed here.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod directories;
mod disk;
mod dump;
mod graph;
mod harness;
mod interrupt;
mod kill;
mod load;
mod lost_node;
mod memory;
mod receiver;
mod rules;
mod tracing;
mod tracing_cost;
mod usage;
