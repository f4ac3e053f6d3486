//! Cluster-level test suites, with their shared oracle and a simulator of whole clusters.

pub mod cluster;
pub mod door;
pub mod memory_cluster;
pub mod oracle;
pub mod sim;
pub mod w3c;
