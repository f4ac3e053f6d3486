//! Steps: an attempt goes through the strata of its rules, and through phases for each.
//!
//! ```text
//! Delete ──► Insert                      facts or rules go: over-delete, then prove again and add
//!            Insert                      nothing goes
//! any ─────► Recompute                   all derived facts are dropped and derived again, stratum by stratum
//! ```
//! A stratum is complete when its last phase ends. The facts that lower strata have deleted and added are new to it.

use serde::{Deserialize, Serialize};

/// What happens to the facts of a stratum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Phase {
    /// Facts that are no longer asserted go, and every derived fact with an instance of a rule that has lost a fact or
    /// its rule.
    Delete = 0,
    /// Over-deleted facts that still have an instance come back, and new facts and rules are evaluated.
    #[default]
    Insert = 1,
    /// The state begins again from the asserted facts.
    Recompute = 2,
}

/// A phase of a stratum. It lasts until no node has work in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step {
    /// The number of the stratum.
    pub stratum: u32,
    pub phase: Phase,
}

impl Step {
    /// The steps that derive everything again in so many strata.
    pub fn recompute(strata: u32) -> impl Iterator<Item = Self> {
        (0..strata).map(|stratum| Self { stratum, phase: Phase::Recompute })
    }
}
