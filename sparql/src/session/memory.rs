//! The memory of one query at the coordinator: rows, groups, computed terms, texts that are being read, and caches, under one
//! limit.
//!
//! Caches hold what can be looked up again. They are emptied when the rest needs their room.

use super::lock;
use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The bytes that a query holds, and their limit.
pub struct Memory {
    held: AtomicU64,
    max: u64,
    caches: Mutex<Vec<Weak<dyn Cache>>>,
}

/// What a query can look up again.
pub trait Cache: Send + Sync {
    /// Forgets everything, and counts it no longer.
    fn clear(&self);
}

impl Memory {
    /// Memory of at most `max` bytes.
    pub fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), max, caches: Mutex::default() })
    }

    /// The limit.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Bytes that are held.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Lets the memory empty a cache.
    pub fn add_cache(&self, cache: Weak<dyn Cache>) {
        lock(&self.caches).push(cache);
    }

    /// Counts `after` bytes in place of `before`; returns whether the sum is within the limit.
    pub fn count(&self, before: u64, after: u64) -> bool {
        // Adds a difference, perhaps a negative one.
        let difference = after.wrapping_sub(before);
        self.held.fetch_add(difference, Ordering::Relaxed).wrapping_add(difference) <= self.max
    }

    /// Empties the caches if too much is held. No lock of a cache may be held.
    ///
    /// # Errors
    /// `LimitExceeded` if the rest is too much.
    pub fn fit(&self) -> Result<(), Fault> {
        if self.held() <= self.max {
            return Ok(());
        }
        let caches: Vec<Arc<dyn Cache>> = lock(&self.caches).iter().filter_map(Weak::upgrade).collect();
        caches.iter().for_each(|cache| cache.clear());
        if self.held() <= self.max { Ok(()) } else { Err(exceeded(self.max)) }
    }
}

/// The bytes that a part of a query holds: groups, the rows of a join or a sort, the texts of a batch. Dropping it releases
/// them.
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Reservation {
    /// A reservation of no bytes.
    pub fn new(memory: Arc<Memory>) -> Self {
        Self { memory, bytes: 0 }
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Sets how many bytes are held. No lock of a [`Cache`] may be held.
    ///
    /// # Errors
    /// `LimitExceeded` if the query holds too many.
    pub fn set(&mut self, bytes: usize) -> Result<(), Fault> {
        let (before, after) = (std::mem::replace(&mut self.bytes, bytes as u64), bytes as u64);
        if self.memory.count(before, after) { Ok(()) } else { self.memory.fit() }
    }
}

/// The fault of a query that holds more than `max` bytes.
pub fn exceeded(max: u64) -> Fault {
    let message = format!(
        "more than {} MiB of intermediate rows, groups or computed terms; make the query more selective",
        max >> 20
    );
    Fault::new(Reason::LimitExceeded, message)
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.count(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tests::session;
    use entail_expression::Value;

    #[test]
    fn rows_and_computed_terms_share_one_limit() {
        let session = session(100_000);
        session.codes(&[Value::string(&"a".repeat(60_000))]).expect("within the limit");
        let mut held = session.reservation();
        assert_eq!(held.set(50_000).unwrap_err().reason, Reason::LimitExceeded);
        assert_eq!(held.set(30_000), Ok(()));
        let more = session.codes(&[Value::string(&"b".repeat(20_000))]);
        assert_eq!(more.unwrap_err().reason, Reason::LimitExceeded);
        session.release();
        assert_eq!(held.set(99_000), Ok(()), "forgotten terms are not held");
    }

    #[test]
    fn dropped_reservations_hold_nothing() {
        let memory = Memory::new(1_000);
        let mut held = Reservation::new(Arc::clone(&memory));
        assert_eq!(held.set(2_000).unwrap_err().reason, Reason::LimitExceeded);
        assert_eq!(memory.held(), 2_000, "until it is set again or dropped");
        drop(held);
        assert_eq!(memory.held(), 0);
    }
}
