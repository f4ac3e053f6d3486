//! Memory reservations: the bytes that the operators of one query hold, under a common limit, which computed terms share.

use crate::session::Session;
use entail_model::{Fault, Reason};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The bytes that one operator of the coordinator holds: groups, the rows of a join or a sort. Dropping it releases
/// them.
pub struct Reservation {
    session: Arc<Session>,
    bytes: u64,
}

impl Reservation {
    /// A reservation of no bytes.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, bytes: 0 }
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Sets how many bytes are held.
    ///
    /// # Errors
    /// `LimitExceeded` if all of the query's operators hold too many.
    pub fn set(&mut self, bytes: usize) -> Result<(), Fault> {
        let (before, bytes) = (std::mem::replace(&mut self.bytes, bytes as u64), bytes as u64);
        let (held, max) = (&self.session.held, self.session.held_max);
        // Adds a difference, perhaps a negative one.
        let difference = bytes.wrapping_sub(before);
        if held.fetch_add(difference, Ordering::Relaxed).wrapping_add(difference) <= max || self.session.make_room() {
            return Ok(());
        }
        Err(exceeded(max))
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
        self.session.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tests::session;
    use entail_expression::Value;
    use entail_model::{ShardId, TermId, TermKind};

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
    fn decoded_terms_are_held_until_rows_need_the_room() {
        let session = session(100_000);
        let id = TermId::dictionary(ShardId(0), 1, TermKind::Literal);
        session.keep([(id, vec![b'S'; 50_000].into())].into_iter());
        assert!(session.held.load(Ordering::Relaxed) > 50_000);
        let mut held = session.reservation();
        assert_eq!(held.set(90_000), Ok(()));
        assert_eq!(session.held.load(Ordering::Relaxed), 90_000);
        assert_eq!(held.set(100_001).unwrap_err().reason, Reason::LimitExceeded);
    }
}
