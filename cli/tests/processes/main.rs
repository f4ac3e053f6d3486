//! End-to-end tests of the program: real processes that are killed, stopped, interrupted, run out of space and get
//! invalid input.
//!
//! Tests check contents: the facts of the cluster afterwards against a closure computed here.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod convert;
mod damage;
mod dashboard;
mod directories;
mod disk;
mod dump;
mod epochs;
mod graph;
mod handover;
mod harness;
mod interrupt;
mod kill;
mod load;
mod lost_node;
mod memory;
mod metrics;
mod network;
mod partition;
mod receiver;
mod rolling;
mod rules;
mod shutdown;
mod startup;
mod stranger;
mod tracing;
mod tracing_cost;
mod unread;
mod usage;
mod watch;
