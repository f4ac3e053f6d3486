//! The rows that small work may take in and give: larger work ends early, and the caller evaluates it in another way.

use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The rows that some work has left. When they do not suffice, its operators end with a fault, and
/// [`is_exceeded`](Self::is_exceeded) shows the reason.
#[derive(Debug)]
pub struct RowBudget {
    /// Rows that all operators together may still take in, if that is bounded.
    taken: Option<AtomicU64>,
    /// Rows of the answer that may still be given.
    given: AtomicU64,
    is_exceeded: AtomicBool,
}

impl RowBudget {
    /// An unused budget.
    pub fn new(taken_max: Option<u64>, given_max: u64) -> Self {
        let (taken, given) = (taken_max.map(AtomicU64::new), AtomicU64::new(given_max));
        Self { taken, given, is_exceeded: AtomicBool::new(false) }
    }

    /// Counts rows that an operator takes in.
    ///
    /// # Errors
    /// When fewer rows are left.
    pub fn take(&self, rows: u64) -> Result<(), Fault> {
        self.taken.as_ref().map_or(Ok(()), |left| self.spend(left, rows))
    }

    /// Counts rows of the answer.
    ///
    /// # Errors
    /// When fewer rows are left.
    pub fn give(&self, rows: u64) -> Result<(), Fault> {
        self.spend(&self.given, rows)
    }

    /// Was the budget insufficient?
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn spend(&self, left: &AtomicU64, rows: u64) -> Result<(), Fault> {
        let less = |left: u64| left.checked_sub(rows);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(drop).map_err(|_| {
            self.is_exceeded.store(true, Ordering::Relaxed);
            Fault::new(Reason::LimitExceeded, "more rows than expected")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_tells_whether_it_was_exceeded() {
        let budget = RowBudget::new(Some(10), 2);
        assert!(budget.take(10).is_ok() && budget.give(2).is_ok() && !budget.is_exceeded());
        assert!(budget.take(1).is_err() && budget.is_exceeded());
        let budget = RowBudget::new(None, 2);
        assert!(budget.take(u64::MAX).is_ok() && !budget.is_exceeded(), "taken rows are not bounded");
        assert!(budget.give(3).is_err() && budget.is_exceeded());
    }
}
