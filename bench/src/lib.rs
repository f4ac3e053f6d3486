//! Benchmarks of Entail beside other programs, with inputs that anybody can make again.
//!
//! ```text
//!                ┌─► cluster (entail serve, a process) ──► load, rules, queries ─┐
//! workload ──► file                                                             ├─► counts must be equal ──► measurements
//!                └─► peer (a process) ──► read, rules ──────────────────────────┘
//! ```
//! A workload is a generator (`lubm`, `graphs`, `debian`), a rule text and queries (`lubm`, `closure`, `generation`,
//! `debian`); a peer is a module below `peer` that solves
//! it another way. The invariant: whatever is compared is measured around processes of their own, over the same file,
//! and ends with the same facts, or there is an error instead of a result. `ask` measures nothing: it asks clusters that
//! somebody else runs. `program` is the command line of all this, and servers are processes of the program `entail`.

pub mod ask;
pub mod closure;
pub mod cluster;
pub mod debian;
pub mod generation;
pub mod graphs;
pub mod lubm;
pub mod machine;
pub mod measurement;
mod ntriples;
pub mod peer;
pub mod process;
pub mod program;
pub mod run;
pub mod tables;
pub mod workload;

use std::fmt::Display;
use std::io;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something of this machine that cannot be read or written.
    #[error("{name}: {error}")]
    Io { name: String, error: io::Error },
    /// What was asked for, or a file, makes no sense.
    #[error("{0}")]
    Input(String),
    /// The cluster refused something, or cannot be reached.
    #[error("{0}")]
    Client(#[from] entail_client::Error),
    /// A process of ours failed.
    #[error("{name} failed: {why}")]
    Child { name: String, why: String },
    /// Two programs do not agree, so that their times mean nothing.
    #[error("{what}: entail has {entail}, {other} has {expected}")]
    Mismatch { what: String, entail: u64, other: String, expected: u64 },
}

impl Error {
    pub(crate) fn io(name: impl Display, error: impl Into<io::Error>) -> Self {
        Self::Io { name: name.to_string(), error: error.into() }
    }
}
