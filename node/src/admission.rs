//! Which messages of attempts a node takes: those of an attempt that the coordinator, on the node's own connection to
//! it, says has begun.
//!
//! ```text
//! peer port: attempt n ──► known? ── yes ──► the attempt's work
//!                            └─ no ──► OpenAttempt ──► coordinator: n has begun ──► the attempt's work
//!                                                      another has, or none      ──► FENCED, and nothing has changed
//! ```
//! Invariant: nothing else makes an attempt known. So a message of an attempt that never began (one past the open one, or
//! 2^63) closes no door to the attempts that follow. `entail-logic` has the judgement ([`BegunAttempts`]); this shell asks,
//! one question at a time, and messages that wait for the same question share its answer.
//!
//! Calls within the process are the coordinator's own, or those of nodes that work for it, and are believed.

use crate::coordinator::Coordinator;
use entail_logic::epoch::{Begun, BegunAttempts, Verdict};
use entail_model::{Epoch, Fault, Reason};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The attempts that the node has been told of.
#[derive(Debug)]
pub struct Admission {
    coordinator: Arc<Coordinator>,
    begun: Mutex<BegunAttempts>,
    /// Held while the coordinator is asked.
    asking: tokio::sync::Mutex<()>,
    /// Questions that were asked.
    questions: AtomicU64,
}

impl Admission {
    /// Nothing has been told yet.
    pub fn new(coordinator: Arc<Coordinator>) -> Self {
        let (begun, asking, questions) = (Mutex::default(), tokio::sync::Mutex::default(), AtomicU64::new(0));
        Self { coordinator, begun, asking, questions }
    }

    fn lock(&self) -> MutexGuard<'_, BegunAttempts> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// `Fenced` if the attempt is not known and not decided, `NotReady` if the coordinator cannot be asked.
    pub async fn outcome(&self, claimed: Begun, epoch: Option<Epoch>) -> Result<Option<Epoch>, Fault> {
        if self.judge(claimed) == Verdict::Admit {
            return Ok(epoch);
        }
        let _one = self.asking.lock().await;
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

    /// Learns which attempt has begun. A question that was asked since the call has the answer.
    async fn ask(&self) -> Result<(), Fault> {
        let before = self.questions.load(Ordering::SeqCst);
        let _one = self.asking.lock().await;
        if self.questions.load(Ordering::SeqCst) > before {
            return Ok(());
        }
        self.questions.fetch_add(1, Ordering::SeqCst);
        let told = self.coordinator.open_attempt(None).await?;
        self.lock().learn(told.open);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
