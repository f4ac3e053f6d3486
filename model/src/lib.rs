//! The nouns of Entail. Pure: no sockets, no disk, no clock, and nothing of ours below; what looks random is computed from a seed.
//!
//! ```text
//! id ──► term ──► fact          fault: what can go wrong, one closed list
//!  └───► placement (ring)      cancellation: how work is told to end
//! ```

pub mod cancellation;
pub mod fact;
pub mod fault;
pub mod id;
pub mod placement;
pub mod random;
pub mod term;

pub use cancellation::{CancelOnDrop, Cancellation};
pub use fact::{Direction, Fact, Mark, Relation};
pub use fault::{Fault, Reason};
pub use id::{Attempt, ClusterId, Epoch, NodeId, Round, ShardCount, ShardId, TermId, TermKind};
pub use placement::Placement;
