//! The nouns of Entail. Pure: no sockets, no disk, no clock, and nothing of ours below; what looks random is computed from a seed.
//!
//! ```text
//! id ──► term ──► fact          fault: what can go wrong, one closed list
//!  └───► placement (ring)
//! ```

pub mod fact;
pub mod fault;
pub mod id;
pub mod placement;
pub mod random;
pub mod term;

pub use fact::{Direction, Fact, Mark, Relation};
pub use fault::{Fault, Reason};
pub use id::{Attempt, ClusterId, Epoch, NodeId, Round, ShardCount, ShardId, TermId, TermKind};
pub use placement::Placement;
