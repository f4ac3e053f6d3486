//! Entail's algorithms and protocols. Pure: no sockets, disk, clock or randomness; machines are `step(event) -> effects`,
//! everything else is functions over sorted columns.
//!
//! ```text
//! rules ──► plan ──► eval ──► columns
//!             ▲        ▲
//!           query   fixpoint ◄── epoch
//! ```

pub mod answer;
pub mod columns;
pub mod dependencies;
pub mod epoch;
pub mod eval;
pub mod exchange;
pub mod failpoints;
pub mod fixpoint;
pub mod plan;
pub mod rules;
