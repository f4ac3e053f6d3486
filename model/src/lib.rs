//! The basic types of Entail. Pure: no sockets, disk or clock, and no other crate of Entail below; random-looking numbers
//! are computed from a seed.
//!
//! ```text
//! id ──► term ──► fact          fault: the closed list of failures
//!  └───► placement (ring)      cancellation: ends the work of a request
//! ```

pub mod cancellation;
pub mod fact;
pub mod fault;
pub mod id;
pub mod placement;
pub mod random;
pub mod secret;
pub mod term;
pub mod xml;

pub use cancellation::{CancelOnDrop, Cancellation};
pub use fact::{Direction, Fact, Mark, Relation};
pub use fault::{Fault, Reason};
pub use id::{Attempt, ClusterId, Epoch, NodeId, Round, ShardCount, ShardId, TermId, TermKind};
pub use placement::Placement;
pub use secret::Secret;
