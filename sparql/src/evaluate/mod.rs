//! Evaluation at the coordinator: runs a prepared query, and evaluates the algebra that stays outside of the cluster.
//!
//! ```text
//! run ──► prepare ──► answer ──► service (rows of a leaf) ──► solutions
//!              session: epoch, limits, deadline        lookups, texts: ids to terms and back
//! ```

pub(crate) mod answer;
pub(crate) mod dataset;
pub(crate) mod describe;
pub(crate) mod holding;
pub(crate) mod lookups;
pub(crate) mod order;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod term;
pub(crate) mod texts;
pub mod update;
