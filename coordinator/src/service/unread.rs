//! Answers that their clients do not read: after a while each is given up, so that no other client waits for its
//! reader.
//!
//! ```text
//! work ──► parts of an answer ──► edge ──► client        part not taken for `unread_max` ──► give_up
//! ```
//! An unread answer holds a permit to evaluate, a thread, memory, streams of the nodes and their snapshots, and its
//! client may be stopped, lost or hostile for as long as its deadline allows. When an answer is given up, its work is
//! cancelled, its parts are dropped, and a client that does read again gets [`Reason::AnswerUnread`].
//!
//! While other queries wait for a permit, an answer that holds one is given up earlier, the longest unread first: as
//! many as there are queries that wait.
//!
//! An edge that has taken a part comes back for the next as soon as its connection has room again. So an answer is unread
//! since a part has been there that its edge has not come for, or since the edge has taken the last one without coming
//! back, whether another part is there or not: the client has not read what is on its way to it.
//!
//! Invariant: while the edge waits for a part, nothing counts. Work that takes long is no client's fault.

use entail_model::{Fault, Reason};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The time after which an unread answer is in the way of queries that wait for its permit.
const WAITED_FOR_MAX: Duration = Duration::from_secs(1);

/// How often unread answers are looked for.
pub const LOOK: Duration = Duration::from_millis(250);

/// An answer as it is watched.
pub trait Unread: Send + Sync {
    /// Since when the reader has not come for a part that is there, or not come back for the next; `None` while it waits for
    /// the work.
    fn since(&self) -> Option<Instant>;

    /// Is the work for the answer going on?
    fn is_at_work(&self) -> bool;

    /// Drops what there is of the answer and ends its work. Its reader gets the fault.
    fn give_up(&self, fault: Fault);
}

/// All answers that are watched.
pub struct UnreadAnswers {
    open: Mutex<Vec<Weak<dyn Unread>>>,
    unread_max: Duration,
}

impl UnreadAnswers {
    /// No answers yet; each may be unread for so long.
    pub fn new(unread_max: Duration) -> Self {
        Self { open: Mutex::default(), unread_max }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Unread>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches an answer for as long as it exists.
    pub fn watch(&self, answer: Weak<dyn Unread>) {
        self.lock().push(answer);
    }

    /// Gives up the answers that have been unread for too long, and returns how many. `waiting` queries wait for a permit.
    pub fn give_up(&self, now: Instant, waiting: usize) -> u64 {
        let (mut waiting, mut given_up) = (waiting, 0);
        for (unread, answer) in self.unread(now) {
            let is_at_work = answer.is_at_work();
            let is_in_the_way = is_at_work && waiting > 0 && unread >= WAITED_FOR_MAX;
            if unread < self.unread_max && !is_in_the_way {
                continue;
            }
            tracing::info!(?unread, is_at_work, "a client does not read its answer, which is given up");
            answer.give_up(fault(unread));
            waiting = waiting.saturating_sub(usize::from(is_at_work));
            given_up += 1;
        }
        given_up
    }

    /// The unread answers with the time for which they have been unread, the longest first.
    fn unread(&self, now: Instant) -> Vec<(Duration, Arc<dyn Unread>)> {
        let mut unread = Vec::new();
        self.lock().retain(|answer| {
            let Some(answer) = answer.upgrade() else { return false };
            if let Some(since) = answer.since() {
                unread.push((now.saturating_duration_since(since), answer));
            }
            true
        });
        unread.sort_by_key(|(unread, _)| Reverse(*unread));
        unread
    }
}

fn fault(unread: Duration) -> Fault {
    let text = format!("nothing of the answer was read for {} s, so it was given up", unread.as_secs());
    Fault::new(Reason::AnswerUnread, text)
}

/// Since when an answer has been waiting for its reader: to come for a part, or to come back after one.
#[derive(Debug, Default)]
pub struct Untaken(Mutex<Option<Instant>>);

impl Untaken {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part is about to be there. Said before the part can be taken: said later, it would outlast the taking.
    pub fn arrived(&self) {
        self.lock().get_or_insert_with(Instant::now);
    }

    /// The reader has taken a part, and has to come back for the next: until then its connection has no room.
    pub fn taken(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// The reader looks for a part.
    pub fn looked(&self) {
        *self.lock() = None;
    }

    /// Since when the answer has been waiting; `None` while its reader waits.
    pub fn since(&self) -> Option<Instant> {
        *self.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answer {
        since: Option<Instant>,
        is_at_work: bool,
        given_up: Mutex<Option<Fault>>,
    }

    impl Unread for Answer {
        fn since(&self) -> Option<Instant> {
            self.since
        }

        fn is_at_work(&self) -> bool {
            self.is_at_work
        }

        fn give_up(&self, fault: Fault) {
            *self.given_up.lock().unwrap() = Some(fault);
        }
    }

    /// Answers that have been unread for so many milliseconds, if they are unread, and whether their work goes on.
    fn answers(of: &[(Option<u64>, bool)]) -> (UnreadAnswers, Vec<Arc<Answer>>, Instant) {
        let now = Instant::now() + Duration::from_secs(60);
        let all = UnreadAnswers::new(Duration::from_secs(10));
        let answers: Vec<_> = of
            .iter()
            .map(|(unread, is_at_work)| {
                let since = unread.map(|unread| now - Duration::from_millis(unread));
                Arc::new(Answer { since, is_at_work: *is_at_work, given_up: Mutex::default() })
            })
            .collect();
        for answer in &answers {
            let weak: Weak<Answer> = Arc::downgrade(answer);
            all.watch(weak);
        }
        (all, answers, now)
    }

    fn given_up(answers: &[Arc<Answer>]) -> Vec<bool> {
        answers.iter().map(|answer| answer.given_up.lock().unwrap().is_some()).collect()
    }

    #[test]
    fn an_answer_is_given_up_when_it_has_been_unread_for_too_long() {
        let (all, answers, now) =
            answers(&[(None, true), (Some(9_900), true), (Some(10_000), true), (Some(20_000), false)]);
        assert_eq!(all.give_up(now, 0), 2);
        assert_eq!(given_up(&answers), [false, false, true, true]);
        let fault = answers[2].given_up.lock().unwrap().take().unwrap();
        assert_eq!(fault.reason, Reason::AnswerUnread);
        assert_eq!(fault.message, "nothing of the answer was read for 10 s, so it was given up");
    }

    #[test]
    fn as_many_permits_as_are_waited_for_come_from_those_that_were_unread_the_longest() {
        let (all, answers, now) =
            answers(&[(Some(1_500), true), (Some(3_000), true), (Some(2_000), true), (Some(5_000), false)]);
        all.give_up(now, 2);
        assert_eq!(given_up(&answers), [false, true, true, false]);
        let (all, answers, now) = self::answers(&[(Some(900), true), (None, true)]);
        all.give_up(now, 5);
        assert_eq!(given_up(&answers), [false, false], "a reader may pause, and work may take long");
    }

    #[test]
    fn an_answer_that_is_gone_is_forgotten() {
        let (all, answers, now) = answers(&[(Some(10_000), true)]);
        drop(answers);
        all.give_up(now, 0);
        assert!(all.lock().is_empty());
    }
}
