//! How many rows small work may take in and give: what turns out to be larger ends early, and is asked for in another way.

use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The rows that are left to some work. When they are not enough its operators end with a fault, and the budget says why.
#[derive(Debug)]
pub struct RowBudget {
    /// Rows that operators may still take in, all together, if that is bounded.
    taken: Option<AtomicU64>,
    /// Rows of the answer that may still be given.
    given: AtomicU64,
    is_exceeded: AtomicBool,
}

impl RowBudget {
    /// A budget of which nothing is used.
    pub fn new(taken_max: Option<u64>, given_max: u64) -> Self {
        let (taken, given) = (taken_max.map(AtomicU64::new), AtomicU64::new(given_max));
        Self { taken, given, is_exceeded: AtomicBool::new(false) }
    }

    /// An operator takes in rows.
    ///
    /// # Errors
    /// When there are not so many left.
    pub fn take(&self, rows: u64) -> Result<(), Fault> {
        self.taken.as_ref().map_or(Ok(()), |left| self.spend(left, rows))
    }

    /// Rows are given as part of the answer.
    ///
    /// # Errors
    /// When there are not so many left.
    pub fn give(&self, rows: u64) -> Result<(), Fault> {
        self.spend(&self.given, rows)
    }

    /// Was more needed than there was?
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn spend(&self, left: &AtomicU64, rows: u64) -> Result<(), Fault> {
        let less = |left: u64| left.checked_sub(rows);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(drop).map_err(|_| {
            self.is_exceeded.store(true, Ordering::Relaxed);
            Fault::new(Reason::LimitExceeded, "more rows than were expected")
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
        assert!(budget.take(u64::MAX).is_ok() && !budget.is_exceeded(), "what is taken is not bounded");
        assert!(budget.give(3).is_err() && budget.is_exceeded());
    }
}
