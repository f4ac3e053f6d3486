//! What waits for a machine's thread: events in order, bounded by their bytes.
//!
//! A full inbox is an error of the attempt or query, never a wait: two nodes that wait for each other's inbox would wait
//! for ever.

use entail_model::{Fault, Reason};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue of events with their sizes in bytes.
#[derive(Debug)]
pub struct Inbox<T> {
    queue: Mutex<Queue<T>>,
    arrived: Condvar,
    bytes_max: u64,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<(T, u64)>,
    bytes: u64,
    is_closed: bool,
}

impl<T> Inbox<T> {
    /// An empty inbox that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        let queue = Queue { events: VecDeque::new(), bytes: 0, is_closed: false };
        Self { queue: Mutex::new(queue), arrived: Condvar::new(), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    ///
    /// # Errors
    /// `LimitExceeded` when there is no room.
    pub fn push(&self, event: T, bytes: u64) -> Result<(), Fault> {
        let mut queue = self.lock();
        if queue.bytes + bytes > self.bytes_max {
            let max = self.bytes_max;
            return Err(Fault::new(Reason::LimitExceeded, format!("more than {max} bytes wait to be worked on")));
        }
        if !queue.is_closed {
            queue.bytes += bytes;
            queue.events.push_back((event, bytes));
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// The next event; `None` after `wait` without one, or when the inbox is closed.
    pub fn pop(&self, wait: Duration) -> Option<T> {
        let queue = self.lock();
        let (mut queue, _) = self
            .arrived
            .wait_timeout_while(queue, wait, |queue| queue.events.is_empty() && !queue.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let (event, bytes) = queue.events.pop_front()?;
        queue.bytes -= bytes;
        Some(event)
    }

    /// Drops what waits and what is still to come.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.is_closed = true;
        queue.events.clear();
        queue.bytes = 0;
        self.arrived.notify_all();
    }
}
