//! Integers of 128 bits that need no more room than they have bits.
//!
//! An `i128` is aligned to 16 bytes, so that a value with a tag beside it takes 48. Aligned to 8 it takes 40.

use std::fmt;

/// An `i128`, aligned to eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(8))]
pub struct Wide(i128);

impl Wide {
    #[inline]
    pub const fn new(number: i128) -> Self {
        Self(number)
    }

    #[inline]
    pub const fn get(self) -> i128 {
        self.0
    }
}

impl fmt::Debug for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}
