//! Requests: a query or update text runs to its answer.
//!
//! ```text
//! run ──► plan cache, parse ──► prepare ──► write ──► parts
//! update ──► parse ──► prepare (WHERE) ──► quads
//! ```

pub(crate) mod prepare;
pub(crate) mod run;
#[cfg(test)]
pub(crate) mod tests;
pub mod update;
mod write;
