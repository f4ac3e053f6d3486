//! The errors of a load: the error that ends it, and errors that are only counted.
//!
//! Parts of a file are parsed at the same time, so errors are found in any order. Each has the *order* of the part it
//! is in, and parts begin in order, so the earliest error of the file is always among those found: it is the one
//! reported.

use crate::request::OnError;
use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest number of skipped errors in a report.
pub(crate) const REPORTED_MAX: usize = 20;

/// The errors of one file so far.
pub(crate) struct ErrorLog {
    on_error: OnError,
    stopped: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// The error that ends the load even if malformed input is skipped, with the earliest order.
    fatal: Option<(u64, Fault)>,
    /// Malformed places, the earliest first.
    malformed: Vec<(u64, Fault)>,
    count: u64,
}

impl ErrorLog {
    pub(crate) fn new(on_error: OnError) -> Self {
        Self { on_error, stopped: AtomicBool::new(false), found: Mutex::default() }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the first malformed place end the load?
    pub(crate) fn stops_at_first(&self) -> bool {
        matches!(self.on_error, OnError::Stop)
    }

    /// Has the load failed, so that no new part should begin?
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends the load with an error. Order zero is before the whole file.
    pub(crate) fn fail(&self, order: u64, fault: Fault) {
        let mut found = self.found();
        if found.fatal.as_ref().is_none_or(|(earliest, _)| order < *earliest) {
            found.fatal = Some((order, fault));
        }
        self.stopped.store(true, Ordering::Release);
    }

    /// A malformed place within the part of that order; places of one part are reported in order. Returns whether to
    /// continue.
    pub(crate) fn malformed(&self, order: u64, fault: Fault) -> bool {
        let mut found = self.found();
        found.count += 1;
        let at = found.malformed.partition_point(|(known, _)| *known <= order);
        if at < REPORTED_MAX {
            found.malformed.insert(at, (order, fault));
            found.malformed.truncate(REPORTED_MAX);
        }
        let limit = match self.on_error {
            OnError::Stop => 0,
            OnError::Skip { limit } => limit,
        };
        if found.count > limit {
            self.stopped.store(true, Ordering::Release);
            return false;
        }
        true
    }

    /// The number of skipped places and the first of them.
    ///
    /// # Errors
    /// The error that ended the load.
    pub(crate) fn finish(self) -> Result<(u64, Vec<Fault>), Fault> {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut malformed = found.malformed.into_iter().peekable();
        match (self.on_error, found.fatal, malformed.peek()) {
            (OnError::Stop, Some((order, fault)), Some((first, _))) if order < *first => return Err(fault),
            (OnError::Stop, _, Some((_, first))) => return Err(first.clone()),
            (_, Some((_, fault)), _) => return Err(fault),
            (OnError::Skip { limit }, None, Some((_, first))) if found.count > limit => {
                return Err(too_many(limit, first));
            }
            _ => {}
        }
        Ok((found.count, malformed.map(|(_, fault)| fault).collect()))
    }
}

fn too_many(limit: u64, first: &Fault) -> Fault {
    let message = format!("more than {limit} malformed places; the first: {}", first.message);
    let mut fault = Fault::new(Reason::LimitExceeded, message);
    fault.position.clone_from(&first.position);
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: u64) -> Fault {
        Fault::new(Reason::Syntax, format!("line {line}")).at(line, 1)
    }

    #[test]
    fn the_earliest_error_wins_in_whatever_order_they_are_found() {
        let log = ErrorLog::new(OnError::Stop);
        assert!(!log.malformed(7, fault(70)));
        log.fail(9, Fault::corrupt("truncated"));
        assert!(!log.malformed(3, fault(30)));
        assert!(log.is_stopped());
        assert_eq!(log.finish().expect_err("failed"), fault(30));

        let log = ErrorLog::new(OnError::Stop);
        log.malformed(7, fault(70));
        log.fail(2, Fault::corrupt("truncated"));
        assert_eq!(log.finish().expect_err("failed").reason, Reason::Corrupt);
    }

    #[test]
    fn skipped_places_are_counted_and_the_first_ones_kept() {
        let log = ErrorLog::new(OnError::Skip { limit: 100 });
        for order in (0..100).rev() {
            assert!(log.malformed(order, fault(order)));
        }
        let (count, kept) = log.finish().expect("within the limit");
        assert_eq!((count, kept.len()), (100, REPORTED_MAX));
        assert!(kept.iter().enumerate().all(|(line, kept)| *kept == fault(line as u64)));

        let log = ErrorLog::new(OnError::Skip { limit: 1 });
        assert!(log.malformed(5, fault(5)));
        assert!(!log.malformed(4, fault(4)));
        let refused = log.finish().expect_err("past the limit");
        assert_eq!(refused.reason, Reason::LimitExceeded);
        assert_eq!(refused.position, fault(4).position);
    }
}
