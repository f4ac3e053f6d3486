//! What an evaluation may use: bytes of strings that it builds, and time, which its caller may end.
//!
//! Work is counted in bytes that are read or written. The caller's check runs each time that [`WORK_BETWEEN_CHECKS`] bytes
//! have been worked on, which takes far less than a millisecond, and at least once for each piece of rows.

use entail_model::{Fault, Reason};

/// Bytes of a literal that a function may build.
pub const LITERAL_BYTES_MAX: usize = 16 << 20;

/// Work between two calls of the check, in bytes.
const WORK_BETWEEN_CHECKS: usize = 128 << 10;

/// The budget of one evaluation, or of several in turn.
pub struct Budget<'b> {
    /// Bytes of the strings that were built and are still there.
    pub bytes_built: u64,
    pub bytes_built_max: u64,
    pub literal_bytes_max: usize,
    check: &'b dyn Fn() -> Result<(), Fault>,
    unchecked: usize,
}

impl<'b> Budget<'b> {
    /// A budget of `bytes_built_max` bytes. `check` fails when the work must end, with the reason.
    pub fn new(bytes_built_max: u64, check: &'b dyn Fn() -> Result<(), Fault>) -> Self {
        Self { bytes_built: 0, bytes_built_max, literal_bytes_max: LITERAL_BYTES_MAX, check, unchecked: 0 }
    }

    /// Counts work on `bytes` bytes.
    ///
    /// # Errors
    /// What the caller's check says.
    #[inline]
    pub fn work(&mut self, bytes: usize) -> Result<(), Fault> {
        self.unchecked += bytes;
        if self.unchecked < WORK_BETWEEN_CHECKS { Ok(()) } else { self.look() }
    }

    /// Counts `bytes` bytes of work that cost as much as a whole interval between checks for every `stride` of them.
    ///
    /// # Errors
    /// What the caller's check says.
    pub fn look_after(&mut self, bytes: usize, stride: usize) -> Result<(), Fault> {
        self.work(bytes.saturating_mul(WORK_BETWEEN_CHECKS / stride.max(1)))
    }

    /// Runs the caller's check now.
    ///
    /// # Errors
    /// What the caller's check says.
    pub fn look(&mut self) -> Result<(), Fault> {
        self.unchecked = 0;
        (self.check)()
    }

    /// Counts a literal of `bytes` bytes, before it is built.
    ///
    /// # Errors
    /// `LimitExceeded` when the literal or the sum is too large; what the caller's check says.
    pub fn build(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.literal_bytes_max {
            let most = self.literal_bytes_max;
            return Err(limit(format!("an expression builds a literal of {bytes} bytes; {most} are allowed")));
        }
        self.bytes_built += bytes as u64;
        if self.bytes_built > self.bytes_built_max {
            let most = self.bytes_built_max;
            return Err(limit(format!("expressions build more than {most} bytes of literals at a time")));
        }
        self.work(bytes)
    }
}

fn limit(message: String) -> Fault {
    Fault::new(Reason::LimitExceeded, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn work_is_checked_and_literals_are_limited() {
        let calls = Cell::new(0);
        let check = || {
            calls.set(calls.get() + 1);
            if calls.get() > 2 { Err(Fault::new(Reason::Cancelled, "enough")) } else { Ok(()) }
        };
        let mut budget = Budget::new(1 << 30, &check);
        assert_eq!(budget.work(WORK_BETWEEN_CHECKS - 1), Ok(()));
        assert_eq!(calls.get(), 0);
        assert_eq!(budget.work(1), Ok(()));
        assert_eq!(calls.get(), 1);
        assert_eq!(budget.build(LITERAL_BYTES_MAX), Ok(()));
        assert_eq!(budget.build(LITERAL_BYTES_MAX + 1).unwrap_err().reason, Reason::LimitExceeded);
        assert_eq!(budget.build(WORK_BETWEEN_CHECKS).unwrap_err().reason, Reason::Cancelled);
        let mut small = Budget::new(10, &|| Ok(()));
        assert_eq!(small.build(10), Ok(()));
        assert_eq!(small.build(1).unwrap_err().reason, Reason::LimitExceeded);
    }
}
