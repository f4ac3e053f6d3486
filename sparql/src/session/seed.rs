//! The secret of a query, from which new blank nodes, UUIDs and random numbers of expressions are made.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A seed that only this query knows. The hasher's keys come from the system's randomness.
pub fn seed() -> [u64; 2] {
    [RandomState::new().build_hasher().finish(), RandomState::new().build_hasher().finish()]
}
