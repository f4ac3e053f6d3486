//! Benchmarks of Entail in comparison with other programs, on reproducible inputs.
//!
//! ```text
//!                ┌─► cluster (entail serve, a process) ──► load, rules, queries ─┐
//! workload ──► file                                                             ├─► counts must be equal ──► measurements
//!                └─► peer (a process) ──► read, rules ──────────────────────────┘
//! ```
//! A workload is a generator (`lubm`, `graphs`, `debian`), a rule text and queries (`lubm`, `closure`, `generation`,
//! `debian`); a peer is a module below `peer` that solves the workload in another way. Invariant: compared programs run
//! in separate processes, over the same file, and end with the same facts; otherwise the result is an error. `ask`
//! measures nothing: it sends queries to clusters that run already. `program` is the command line; servers are
//! processes of the program `entail`.

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

/// The reason why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A local file cannot be read or written.
    #[error("{name}: {error}")]
    Io { name: String, error: io::Error },
    /// An argument or a file is invalid.
    #[error("{0}")]
    Input(String),
    /// The cluster refused a request, or cannot be reached.
    #[error("{0}")]
    Client(#[from] entail_client::Error),
    /// A child process failed.
    #[error("{name} failed: {why}")]
    Child { name: String, why: String },
    /// Two programs disagree about the result, so that their times cannot be compared.
    #[error("{what}: entail has {entail}, {other} has {expected}")]
    Mismatch { what: String, entail: u64, other: String, expected: u64 },
}

impl Error {
    pub(crate) fn io(name: impl Display, error: impl Into<io::Error>) -> Self {
        Self::Io { name: name.to_string(), error: error.into() }
    }
}
