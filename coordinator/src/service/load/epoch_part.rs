//! One epoch of a load: takes batches from the parser and brings them to the nodes, in the writer's turn.

use crate::writer::Stage;
use entail_model::Fault;
use entail_rdf::Batch;
use entail_telemetry::metrics::Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument;

/// Batches that are being staged.
const BATCHES_AT_WORK: usize = 3;

/// What the parser gives, with a look at what comes next.
pub struct Batches {
    pub waiting: mpsc::Receiver<Result<Batch, Fault>>,
    pub first: Option<Batch>,
}

impl Batches {
    /// Completes when there is a batch, or when no more come, and returns whether there is one.
    pub async fn ready(&mut self) -> Result<bool, Fault> {
        if self.first.is_none() {
            self.first = self.waiting.recv().await.transpose()?;
        }
        Ok(self.first.is_some())
    }

    /// Takes as many facts as an earlier send of the load has committed.
    pub async fn skip(&mut self, mut facts: u64) -> Result<(), Fault> {
        while facts > 0 {
            let Some(batch) = self.next().await else { break };
            let mut batch = batch?;
            let skipped = facts.min(batch.facts.len() as u64);
            facts -= skipped;
            if skipped < batch.facts.len() as u64 {
                batch.facts.drain(..skipped as usize);
                self.first = Some(batch);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Batch, Fault>> {
        match self.first.take() {
            Some(batch) => Some(Ok(batch)),
            None => self.waiting.recv().await,
        }
    }
}

pub type Source = Arc<Mutex<Batches>>;

/// One epoch of a load.
pub struct EpochPart {
    /// Facts after which the epoch is closed; 0 takes everything.
    pub every: u64,
    pub staged: Arc<AtomicU64>,
    /// Set when the load has no more facts.
    pub is_over: Arc<AtomicBool>,
    /// Set while this takes facts.
    pub has_turn: Arc<AtomicBool>,
    /// Of all loads.
    pub triples_total: Counter,
    /// Of this one, for the list of running calls.
    pub triples_of_call: Arc<AtomicU64>,
}

/// Stages batches until there are no more, or the part is full.
pub fn stage(source: Source, part: EpochPart) -> Stage {
    Box::new(move |loader| {
        Box::pin(async move {
            let _turn = Turn::begin(part.has_turn);
            let mut source = source.lock().await;
            let mut at_work = JoinSet::new();
            while part.every == 0 || part.staged.load(Ordering::Relaxed) < part.every {
                let Some(batch) = source.next().await else {
                    part.is_over.store(true, Ordering::Relaxed);
                    break;
                };
                let batch = batch?;
                part.staged.fetch_add(batch.facts.len() as u64, Ordering::Relaxed);
                part.triples_total.inc_by(batch.facts.len() as u64);
                part.triples_of_call.fetch_add(batch.facts.len() as u64, Ordering::Relaxed);
                if at_work.len() >= BATCHES_AT_WORK {
                    next_staged(&mut at_work).await.expect("some are at work")?;
                }
                at_work.spawn(Arc::clone(&loader).stage_batch(batch).in_current_span());
            }
            while let Some(result) = next_staged(&mut at_work).await {
                result?;
            }
            Ok(())
        })
    })
}

/// Says that facts are taken in the writer's turn, until this is dropped.
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn begin(is_taken: Arc<AtomicBool>) -> Self {
        is_taken.store(true, Ordering::Relaxed);
        Self(is_taken)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

async fn next_staged(at_work: &mut JoinSet<Result<(), Fault>>) -> Option<Result<(), Fault>> {
    let ended = at_work.join_next().await?;
    Some(ended.unwrap_or_else(|error| Err(Fault::internal(format!("staging failed: {error}")))))
}
