//! Evaluation at the coordinator: rows of leaves become solutions, directly or through spareval.
//!
//! ```text
//! answer ──► service (rows of a leaf) ──► blocks of solutions ──► cells (canonical bytes)
//!    └─────► dataset, lookups (single patterns of paths, EXISTS, DESCRIBE)
//! ```

pub(crate) mod answer;
pub(crate) mod cells;
pub(crate) mod counted;
pub(crate) mod dataset;
pub(crate) mod describe;
pub(crate) mod holds;
pub(crate) mod lookups;
pub(crate) mod service;
