//! The metadata log as all parts of the coordinator read it and the one writer appends to it.

use crate::metalog::{Entry, FileLog, MetaLog, State};
use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How often a waiting task checks for a failed write.
const LOOK: Duration = Duration::from_millis(200);

/// The metadata log, shared between threads. Appends block, reads never wait for a disk: they look at a copy of the
/// state that applies every entry as soon as it is durable.
#[derive(Clone)]
pub struct Log(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) file: Mutex<FileLog>,
    state: RwLock<State>,
    is_poisoned: AtomicBool,
}

impl Log {
    /// Wraps a log for shared use.
    pub fn new(log: FileLog) -> Self {
        let (state, is_poisoned) = (RwLock::new(log.state().clone()), AtomicBool::new(log.is_poisoned()));
        Self(Arc::new(Shared { file: Mutex::new(log), state, is_poisoned }))
    }

    /// Reads the state.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Appends an entry, off the async threads.
    pub async fn append(&self, entry: Entry) -> Result<u64, Fault> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || shared.append(&entry))
            .await
            .unwrap_or_else(|error| Err(Fault::internal(format!("the log's task failed: {error}"))))
    }

    /// Has a write failed, so that the process must end?
    pub fn is_poisoned(&self) -> bool {
        self.0.is_poisoned.load(Ordering::Relaxed)
    }

    /// Completes when a write has failed: nothing more can be decided, so the process must end.
    pub async fn poisoned(&self) -> Fault {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.is_poisoned() {
                return Fault::new(Reason::DiskFull, "the metadata log cannot be written");
            }
        }
    }
}

impl Shared {
    fn append(&self, entry: &Entry) -> Result<u64, Fault> {
        // Held until the copy has the entry too, so that entries come to it in order.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let result = file.append(entry);
        self.is_poisoned.store(file.is_poisoned(), Ordering::Relaxed);
        let (index, _) = result?;
        self.state.write().unwrap_or_else(PoisonError::into_inner).apply(index, entry)?;
        Ok(index)
    }
}
