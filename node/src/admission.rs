//! Which messages of attempts a node takes: those of an attempt that the coordinator, on the node's own connection to
//! it, says has begun.
//!
//! ```text
//! peer port: attempt n ──► known? ── yes ──► the attempt's work
//!                            └─ no ──► OpenAttempt ──► coordinator: n has begun ──► the attempt's work
//!                                                      another has, or none      ──► FENCED, and nothing has changed
//! ```
//! Invariant: nothing else makes an attempt known. So a message of an attempt that never began (one past the open one, or
//! 2^63) closes no door to the attempts that follow. `entail-logic` has the judgement ([`BegunAttempts`]); this shell asks.
//! Messages that wait to learn which attempt has begun share a [question](SharedQuestion). Questions for outcomes, of which
//! each is about an attempt of its own, are limited in number, and no other message waits for them.
//!
//! Calls within the process are the coordinator's own, or those of nodes that work for it, and are believed.

mod question;

use crate::coordinator::Coordinator;
use entail_logic::epoch::{Begun, BegunAttempts, Verdict};
use entail_model::{Epoch, Fault, Reason};
use question::SharedQuestion;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Outcomes that are asked for at once. A coordinator sends one for each attempt, and a node knows most of these attempts;
/// so more are made up.
const OUTCOMES_ASKED_MAX: usize = 16;

/// The attempts that the node has been told of.
#[derive(Debug)]
pub struct Admission {
    coordinator: Arc<Coordinator>,
    begun: Arc<Mutex<BegunAttempts>>,
    /// Which attempt has begun?
    which: SharedQuestion,
    /// Places for questions for outcomes.
    outcomes: Semaphore,
}

impl Admission {
    /// Nothing has been told yet.
    pub fn new(coordinator: Arc<Coordinator>) -> Self {
        let (which, outcomes) = (SharedQuestion::default(), Semaphore::new(OUTCOMES_ASKED_MAX));
        Self { coordinator, begun: Arc::default(), which, outcomes }
    }

    fn lock(&self) -> MutexGuard<'_, BegunAttempts> {
        lock(&self.begun)
    }

    /// May a message that claims to belong to an attempt be taken?
    ///
    /// # Errors
    /// `Fenced` if the coordinator has not begun this attempt, `NotReady` if it cannot be asked.
    pub async fn admit(&self, claimed: Begun) -> Result<(), Fault> {
        match self.judge(claimed) {
            Verdict::Admit => return Ok(()),
            Verdict::Refuse(fault) => return Err(fault),
            Verdict::Ask => {}
        }
        self.ask().await?;
        match self.lock().judge_told(claimed) {
            Verdict::Refuse(fault) => Err(fault),
            Verdict::Admit | Verdict::Ask => Ok(()),
        }
    }

    /// The outcome of an attempt that a message tells: what it says, if the attempt is known; else what the coordinator
    /// says.
    ///
    /// # Errors
    /// `Fenced` if the attempt is not known and not decided, `NotReady` if the coordinator cannot be asked, `Overloaded` while
    /// it is asked for many outcomes.
    pub async fn outcome(&self, claimed: Begun, epoch: Option<Epoch>) -> Result<Option<Epoch>, Fault> {
        if self.judge(claimed) == Verdict::Admit {
            return Ok(epoch);
        }
        let busy = |_| Fault::new(Reason::Overloaded, format!("{OUTCOMES_ASKED_MAX} outcomes are being asked for"));
        let _place = self.outcomes.try_acquire().map_err(busy)?;
        let told = self.coordinator.open_attempt(Some(claimed.attempt)).await?;
        self.lock().learn(told.open);
        let undecided = || format!("the coordinator has not decided attempt {}", claimed.attempt);
        told.outcome.ok_or_else(|| Fault::new(Reason::Fenced, undecided()))
    }

    /// Believes a call within the process.
    pub fn believe(&self, begun: Begun) {
        self.lock().learn(Some(begun));
    }

    fn judge(&self, claimed: Begun) -> Verdict {
        match self.coordinator.tells_secrets() {
            true => self.lock().judge(claimed),
            // An earlier version, which cannot be asked: the node's fence is all there is.
            false => Verdict::Admit,
        }
    }

    /// Learns which attempt has begun.
    async fn ask(&self) -> Result<(), Fault> {
        let (coordinator, begun) = (Arc::clone(&self.coordinator), Arc::clone(&self.begun));
        let question = async move { coordinator.open_attempt(None).await.map(|told| lock(&begun).learn(told.open)) };
        self.which.ask(question).await
    }
}

fn lock(begun: &Mutex<BegunAttempts>) -> MutexGuard<'_, BegunAttempts> {
    begun.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
