//! Numbers that one process tells another, so that later messages prove that they come from a process that was told.
//!
//! A node's registration has one, and so has an attempt. Ids, addresses and the numbers of attempts can be guessed or are
//! told to any process, and prove nothing.

use std::fmt;

/// A secret. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub u64);

impl Secret {
    /// In the place of a secret where none was told: by a process of an earlier version, or for a message that needs none.
    pub const NONE: Self = Self(0);

    /// Was a secret told?
    pub fn is_told(self) -> bool {
        self != Self::NONE
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_told() { "Secret" } else { "Secret::NONE" })
    }
}
