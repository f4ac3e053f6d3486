//! Who uses the nodes: queries and changes that have begun and not ended. A node that leaves waits for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How often whoever waits looks.
const LOOK: Duration = Duration::from_millis(10);

/// A use, for as long as a clone of this lives.
pub type Use = Arc<()>;

/// All uses that have begun.
#[derive(Debug, Default)]
pub struct Uses(Mutex<Vec<Weak<()>>>);

impl Uses {
    /// A use begins.
    pub fn begin(&self) -> Use {
        let one = Arc::new(());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&one));
        one
    }

    /// Completes when all that have begun by now are over.
    pub async fn over(&self) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        loop {
            begun.retain(|one| one.strong_count() > 0);
            if begun.is_empty() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_began_before_is_waited_for() {
        let uses = Uses::default();
        let (one, other) = (uses.begin(), uses.begin());
        let copy = Arc::clone(&one);
        drop((one, other));
        let over = uses.over();
        tokio::pin!(over);
        assert!(tokio::time::timeout(LOOK * 3, &mut over).await.is_err(), "a clone is still there");
        let _later = uses.begin();
        drop(copy);
        over.await;
    }
}
