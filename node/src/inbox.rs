//! Inboxes: queues of events for a machine's thread, in order.
//!
//! All inboxes of a node share one memory budget; messages beyond it wait on disk (see [`overflow`]). A push never waits
//! for work, since two nodes that wait for each other's inbox would wait for ever.
//!
//! [`overflow`]: crate::overflow

use crate::overflow::{Kept, MemoryBudget, Overflow};
use entail_logic::exchange::{Message, wire};
use entail_logic::{answer, fixpoint};
use entail_model::{Fault, NodeId};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An event of a machine: a peer's message, or a small event.
pub trait Arrival: Sized {
    /// The event of a peer's message.
    fn received(from: NodeId, message: Message) -> Self;

    /// The message, if it is one.
    fn message(&self) -> Option<(NodeId, &Message)>;
}

impl Arrival for fixpoint::Event {
    fn received(from: NodeId, message: Message) -> Self {
        Self::Received { from, message }
    }

    fn message(&self) -> Option<(NodeId, &Message)> {
        match self {
            Self::Received { from, message } => Some((*from, message)),
            _ => None,
        }
    }
}

impl Arrival for answer::Event {
    fn received(from: NodeId, message: Message) -> Self {
        Self::Received { from, message }
    }

    fn message(&self) -> Option<(NodeId, &Message)> {
        match self {
            Self::Received { from, message } => Some((*from, message)),
            Self::Start => None,
        }
    }
}

/// A queue of events.
#[derive(Debug)]
pub struct Inbox<T> {
    queue: Mutex<Queue<T>>,
    arrived: Condvar,
    room: Arc<MemoryBudget>,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<Waiting<T>>,
    overflow: Option<Overflow>,
    is_closed: bool,
}

#[derive(Debug)]
enum Waiting<T> {
    /// An event in memory, with its bytes of the budget.
    Here(T, u64),
    Stored(NodeId, Kept),
}

impl<T: Arrival> Inbox<T> {
    /// An empty inbox.
    pub fn new(room: Arc<MemoryBudget>) -> Self {
        let queue = Queue { events: VecDeque::new(), overflow: None, is_closed: false };
        Self { queue: Mutex::new(queue), arrived: Condvar::new(), room }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event of `bytes` bytes; a closed inbox drops it.
    ///
    /// # Errors
    /// `DiskFull` when neither memory nor disk has room for it.
    pub fn push(&self, event: T, bytes: u64) -> Result<(), Fault> {
        let mut queue = self.lock();
        if queue.is_closed {
            return Ok(());
        }
        let waiting = match event.message() {
            Some((from, message)) if !self.room.take(bytes) => {
                let overflow = match &mut queue.overflow {
                    Some(overflow) => overflow,
                    none => none.insert(Overflow::new(&self.room)?),
                };
                Waiting::Stored(from, overflow.put(&wire::encode(message), &self.room)?)
            }
            Some(_) => Waiting::Here(event, bytes),
            None => Waiting::Here(event, 0),
        };
        queue.events.push_back(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Adds a message of `bytes` bytes, unless it would have to wait for the lock or the disk: then it is returned.
    pub fn try_push(&self, from: NodeId, message: Message, bytes: u64) -> Option<Message> {
        let Ok(mut queue) = self.queue.try_lock() else { return Some(message) };
        if queue.is_closed {
            return None;
        }
        if !self.room.take(bytes) {
            return Some(message);
        }
        queue.events.push_back(Waiting::Here(T::received(from, message), bytes));
        self.arrived.notify_one();
        None
    }

    /// The next event; `None` after `wait` without one, or when the inbox is closed.
    ///
    /// # Errors
    /// When a stored message cannot be read.
    pub fn pop(&self, wait: Duration) -> Result<Option<T>, Fault> {
        let queue = self.lock();
        let (mut queue, _) = self
            .arrived
            .wait_timeout_while(queue, wait, |queue| queue.events.is_empty() && !queue.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        match queue.events.pop_front() {
            None => Ok(None),
            Some(Waiting::Here(event, bytes)) => {
                self.room.give(bytes);
                Ok(Some(event))
            }
            Some(Waiting::Stored(from, kept)) => {
                let overflow = queue.overflow.as_mut().ok_or_else(|| Fault::internal("a message without its file"))?;
                let message = wire::decode(&overflow.take(kept)?)?;
                Ok(Some(T::received(from, message)))
            }
        }
    }
}

impl<T> Inbox<T> {
    /// Drops queued events, and all later ones.
    pub fn close(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_closed = true;
        for waiting in queue.events.drain(..) {
            if let Waiting::Here(_, bytes) = waiting {
                self.room.give(bytes);
            }
        }
        queue.overflow = None;
        self.arrived.notify_all();
    }
}

/// An inbox that was not closed (of a query that never arrived) frees its part of the budget, too.
impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::exchange::Payload;
    use entail_model::Round;
    use fixpoint::Event;

    fn message(sequence: u64) -> Message {
        Message { round: Round(1), level: 1, sequence, payload: Arc::new(Payload::Close { messages: sequence }) }
    }

    fn sequences(inbox: &Inbox<Event>) -> Vec<u64> {
        let next = || inbox.pop(Duration::ZERO).expect("it can be read");
        let event = |event: Event| event.message().map(|(from, message)| (from, message.sequence));
        let all: Vec<_> = std::iter::from_fn(next).map(|one| event(one).expect("a message")).collect();
        assert!(all.iter().all(|(from, sequence)| from.0 == sequence % 3));
        all.into_iter().map(|(_, sequence)| sequence).collect()
    }

    #[test]
    fn all_inboxes_share_one_room_and_what_it_cannot_hold_comes_back_in_order() {
        let place = tempfile::tempdir().expect("a directory");
        let room = Arc::new(MemoryBudget::new(1000, place.path().to_owned()));
        let (one, other) = (Inbox::new(Arc::clone(&room)), Inbox::new(Arc::clone(&room)));
        let push = |inbox: &Inbox<Event>, n| inbox.push(Event::received(NodeId(n % 3), message(n)), 300);
        for _ in 0..3 {
            for n in 0..20 {
                push(&one, n).expect("the disk has room");
                push(&other, n).expect("the disk has room");
            }
            assert!(!room.take(101), "three are in memory, of both inboxes");
            assert_eq!(sequences(&one), (0..20).collect::<Vec<_>>());
            assert_eq!(sequences(&other), (0..20).collect::<Vec<_>>());
            assert!(room.take(1000), "all of the room is free again");
            room.give(1000);
        }
        assert_eq!(one.try_push(NodeId(0), message(0), 1001), Some(message(0)), "it would wait for the disk");
        assert_eq!(one.try_push(NodeId(0), message(0), 300), None);
        assert_eq!(sequences(&one), [0]);
        push(&one, 0).expect("there is room");
        one.close();
        assert_eq!(one.try_push(NodeId(0), message(0), 300), None, "it is dropped");
        push(&one, 1).expect("it is dropped");
        push(&other, 2).expect("there is room");
        drop(other);
        assert!(room.take(1000), "closed and dropped inboxes take no room");
        assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 0, "the files have no names");
    }
}
