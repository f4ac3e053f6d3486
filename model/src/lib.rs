//! The nouns of Entail. Pure: no sockets, no disk, no clock, no randomness, and nothing of ours below.
//!
//! ```text
//! id ──► term ──► fact          fault: what can go wrong, one closed list
//!  └───► placement (ring)
//! ```

pub mod fact;
pub mod fault;
pub mod id;
pub mod placement;
pub mod term;

pub use fact::{Copy, Fact, Mark, Relation};
pub use fault::{Fault, Reason};
pub use id::{Attempt, ClusterId, Epoch, NodeId, Round, ShardCount, ShardId, TermId, TermKind};
pub use placement::Placement;
