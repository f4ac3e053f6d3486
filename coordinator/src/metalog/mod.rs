//! The metadata log: every decision of the cluster, in order, durable before it has an effect.
//!
//! ```text
//! Entry ──► State::check ──► disk (fdatasync) ──► State::apply ──► answer
//!              │ refused: nothing is written            ▲
//!              ▼                                        │ on start: snapshot, then every entry again
//!            Fault                                  metalog file
//! ```
//!
//! Invariants:
//! - decisions are made by [`State::apply`] alone, by compare-and-set against the entries applied before, so that the same
//!   log always means the same state;
//! - what [`MetaLog::append`] returned is durable, and what it refused left no trace;
//! - everything is small and bounded: payload (facts, terms) never goes through the log.
//!
//! [`FileLog`] keeps one coordinator's log in its data directory, [`MemoryLog`] serves tests and the simulator. A
//! replicated log takes the same place behind [`MetaLog`].

mod directory;
mod entry;
mod file;
mod journal;
mod memory;
mod record;
mod state;
mod vouched;

pub use entry::{Cluster, Counts, Entry, EpochKind, Incarnation, RequestId, RuleSet, RuleSets, Seal};
pub use file::FileLog;
pub use memory::{Crash, MemoryLog};
pub use state::{Answer, Applied, GROUP_MAX, Member, OpenAttempt, Outcome, RESULT_BYTES_MAX, Refused, State};

use entail_model::Fault;

/// An ordered, durable log of decisions and the state that results from them.
pub trait MetaLog: Send {
    /// The state after every entry so far.
    fn state(&self) -> &State;

    /// Appends `entry`, makes it durable, applies it, and returns its index and effect. Blocks for an fsync: not for
    /// the threads of an async runtime.
    ///
    /// # Errors
    /// - The fault of a [`Refused`], [`entail_model::Reason::DiskFull`]: nothing was written, the log remains usable.
    ///   [`State::check`] gives the same refusal beforehand, typed.
    /// - [`entail_model::Reason::OutcomeUnknown`]: the entry may or may not be durable. The log is poisoned; the caller
    ///   must end the process, and reopening the log shows whether the entry is in it.
    fn append(&mut self, entry: &Entry) -> Result<(u64, Applied), Fault>;

    /// Has a write failed such that nothing more can be appended and the process must end?
    fn is_poisoned(&self) -> bool;
}
