//! Snapshots, which readers hold: the runs of one committed epoch; and the history of the last few epochs.
//!
//! Invariant: a snapshot never changes. A reader that holds one can read it to the end, during any commits and merges.

use entail_logic::columns::Run;
use entail_logic::fixpoint::Base;
use entail_model::{Direction, Epoch, Relation, TermId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The facts of one epoch at this node.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub epoch: Epoch,
    pub relations: Base,
    /// The id of `rdf:type`, if it has one.
    pub rdf_type: Option<TermId>,
}

impl Snapshot {
    /// The runs of one copy, of all marks.
    pub fn runs(&self, relation: Relation, copy: Direction) -> &[Arc<Run>] {
        self.relations.get(relation).map_or(&[], |copies| &copies[copy as usize])
    }
}

/// How many epochs are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The most epochs.
    pub epochs_max: usize,
    /// How long an epoch is kept after a newer one was committed.
    pub age_max: Duration,
}

/// The last epochs, newest last. Never empty.
#[derive(Debug)]
pub struct History {
    latest: Arc<Snapshot>,
    /// Earlier epochs, each with the time at which it was replaced.
    earlier: VecDeque<(Instant, Arc<Snapshot>)>,
    retention: Retention,
}

impl History {
    /// A history that begins with this snapshot.
    pub fn new(latest: Snapshot, retention: Retention) -> Self {
        Self { latest: Arc::new(latest), earlier: VecDeque::new(), retention }
    }

    /// The newest epoch.
    pub fn latest(&self) -> &Arc<Snapshot> {
        &self.latest
    }

    /// The epoch, while it is kept.
    pub fn get(&self, epoch: Epoch) -> Option<Arc<Snapshot>> {
        let all = self.earlier.iter().map(|(_, snapshot)| snapshot).chain([&self.latest]);
        all.rev().find(|snapshot| snapshot.epoch == epoch).cloned()
    }

    /// The oldest epoch that is kept; epochs between it and the newest are kept, too.
    pub fn oldest(&self) -> Epoch {
        self.earlier.front().map_or(self.latest.epoch, |(_, snapshot)| snapshot.epoch)
    }

    /// Adds the newest state: a new epoch, or the newest one in other runs.
    pub fn push(&mut self, snapshot: Snapshot, now: Instant) {
        let before = std::mem::replace(&mut self.latest, Arc::new(snapshot));
        if before.epoch != self.latest.epoch {
            self.earlier.push_back((now, before));
        }
        self.trim(now);
    }

    /// Drops epochs that are too old.
    pub fn trim(&mut self, now: Instant) {
        while let Some((replaced, _)) = self.earlier.front()
            && (self.earlier.len() >= self.retention.epochs_max.max(1)
                || now.duration_since(*replaced) > self.retention.age_max)
        {
            self.earlier.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_epochs_go_by_number_and_by_age() {
        let at = |epoch| Snapshot { epoch: Epoch(epoch), ..Snapshot::default() };
        let retention = Retention { epochs_max: 3, age_max: Duration::from_secs(60) };
        let mut history = History::new(at(0), retention);
        let start = Instant::now();
        (1..=5).for_each(|epoch| history.push(at(epoch), start + Duration::from_secs(epoch)));
        let kept = |history: &History| (0..=6).filter(|n| history.get(Epoch(*n)).is_some()).collect::<Vec<_>>();
        assert_eq!(kept(&history), [3, 4, 5]);
        assert_eq!(history.oldest(), Epoch(3));
        history.push(at(5), start + Duration::from_secs(10));
        assert_eq!(kept(&history), [3, 4, 5], "the same epoch in other runs");
        history.trim(start + Duration::from_secs(65));
        assert_eq!(kept(&history), [4, 5]);
        history.trim(start + Duration::from_secs(6400));
        assert_eq!(kept(&history), [5]);
        assert_eq!(history.oldest(), Epoch(5));
    }
}
