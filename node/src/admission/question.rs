//! A question to which many callers wait for the answer: it is asked once for all of them.
//!
//! ```text
//! caller ─┐
//! caller ─┼──► one at a time ──► was one asked since the call? ── yes ──► its answer
//! caller ─┘                                    └─ no ──► ask, in a task of its own ──► answer
//! ```
//!
//! Invariant: a caller gets the answer, or the fault, of a question that was asked after its call. So it waits for two
//! questions at most, however many callers there are; and as a question does not end with the call that asked it, callers
//! that go away neither take an answer from others nor make them wait longer.

use entail_model::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tracing::Instrument;

/// One question that is asked again and again.
#[derive(Debug, Default)]
pub struct SharedQuestion {
    /// The number of the last question that was asked.
    asked: AtomicU64,
    /// The last answer. Held while a question waits for its own.
    answered: Arc<Mutex<Option<Answered>>>,
}

/// A question that has its answer.
#[derive(Debug)]
struct Answered {
    number: u64,
    answer: Result<(), Fault>,
}

impl SharedQuestion {
    /// Asks the question, unless another caller has asked it since this was called.
    ///
    /// # Errors
    /// The fault of the question.
    pub async fn ask(&self, question: impl Future<Output = Result<(), Fault>> + Send + 'static) -> Result<(), Fault> {
        let before = self.asked.load(Ordering::SeqCst);
        let mut answered = Arc::clone(&self.answered).lock_owned().await;
        if let Some(last) = &*answered
            && last.number > before
        {
            return last.answer.clone();
        }
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let task = async move {
            let answer = question.await;
            *answered = Some(Answered { number, answer: answer.clone() });
            answer
        };
        let task = tokio::spawn(task.in_current_span());
        task.await.unwrap_or_else(|error| Err(Fault::internal(format!("a question's task failed: {error}"))))
    }
}
