//! Spines: a few runs of geometric sizes that together are one set.
//!
//! A push merges from the young end as long as a run is less than `RATIO` times the one after it, so a pair is copied
//! a logarithmic number of times and a spine of n pairs has a logarithmic number of runs. Runs of different marks are
//! never merged.

use crate::columns::cursor::Cursor;
use crate::columns::pairs::{self, Pair};
use crate::columns::run::{CHUNK_PAIRS, Chunk, ChunkStore, Run};
use entail_model::{Fault, Mark};
use std::sync::Arc;

/// The factor by which an older run must be larger than the run after it, to be kept separate.
const RATIO: u64 = 4;

/// The limit above which runs are stored in chunks, so that memory stays bounded, and the store for them.
#[derive(Clone, Debug, Default)]
pub struct Spill {
    /// The store of the chunks; `None` keeps everything in memory.
    pub store: Option<Arc<dyn ChunkStore>>,
    /// Runs of more pairs than this are stored.
    pub above: u64,
}

impl Spill {
    /// Another limit with the same store.
    pub fn with_above(&self, above: u64) -> Self {
        Self { store: self.store.clone(), above }
    }

    /// Stores the run if it is too large to stay in memory.
    pub fn place(&self, run: Arc<Run>) -> Result<Arc<Run>, Fault> {
        if self.store.is_some() && run.len > self.above && run.resident_bytes() > 0 {
            merge_runs(&[&run], self).map(Arc::new)
        } else {
            Ok(run)
        }
    }
}

/// Runs, oldest and largest first.
#[derive(Clone, Debug, Default)]
pub struct Spine {
    pub runs: Vec<Arc<Run>>,
}

impl Spine {
    /// Adds a run that is disjoint from all others, merges runs of similar sizes, and stores runs that are too large.
    pub fn push(&mut self, run: Arc<Run>, spill: &Spill) -> Result<(), Fault> {
        let mut run = run;
        while let Some(last) = self.runs.last()
            && last.mark == run.mark
            && last.len < RATIO * run.len
        {
            // A run that was stored, because of its size or to free memory, is not read back into memory.
            let is_stored = last.resident_bytes() == 0 || run.resident_bytes() == 0;
            let above = if is_stored { 0 } else { spill.above };
            run = Arc::new(merge_runs(&[last, &run], &spill.with_above(above))?);
            self.runs.pop();
        }
        self.runs.push(spill.place(run)?);
        Ok(())
    }

    /// Stores every run that is in memory, if there is a store. After an error the set is incomplete.
    pub fn store(&mut self, spill: &Spill) -> Result<(), Fault> {
        if spill.store.is_none() || self.resident_pairs() == 0 {
            return Ok(());
        }
        let all = spill.with_above(0);
        let runs = std::mem::take(&mut self.runs);
        let (resident, stored): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.resident_bytes() > 0);
        self.runs = stored;
        for runs in resident.chunk_by(|one, next| one.mark == next.mark) {
            let merged = merge_runs(&runs.iter().collect::<Vec<_>>(), &all)?;
            self.push(Arc::new(merged), &all)?;
        }
        Ok(())
    }

    /// Pairs that are in memory, without those of cached chunks.
    pub fn resident_pairs(&self) -> u64 {
        self.runs.iter().map(|run| run.resident_bytes()).sum::<u64>() / size_of::<Pair>() as u64
    }

    /// Pairs in all runs.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.len).sum()
    }

    /// Are there no pairs?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// Merges disjoint runs into one that carries the first one's mark.
pub fn merge_runs(runs: &[&Arc<Run>], spill: &Spill) -> Result<Run, Fault> {
    let total = runs.iter().map(|run| run.len).sum::<u64>();
    let mut writer = RunWriter::new(runs[0].mark, total, spill);
    if let [left, right] = runs
        && let ([a], [b]) = (&left.chunks[..], &right.chunks[..])
        && writer.store.is_none()
    {
        writer.buffer = pairs::merge(&a.pairs()?, &b.pairs()?);
        return writer.finish().map(|run| run.expect("runs are never empty"));
    }
    merge_cursors(runs, &mut writer)?;
    writer.finish().map(|run| run.expect("runs are never empty"))
}

/// Takes from the cursor with the least head up to the second least, so that long stretches are copied at once.
fn merge_cursors(runs: &[&Arc<Run>], writer: &mut RunWriter) -> Result<(), Fault> {
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|run| Cursor::new(run)).collect();
    loop {
        let mut heads = Vec::with_capacity(cursors.len());
        for (index, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(cursor.head()?.map(|head| (head, index)));
        }
        heads.sort_unstable();
        let Some(&(_, least)) = heads.first() else { return Ok(()) };
        let piece = cursors[least].piece()?;
        let count = match heads.get(1) {
            Some(&(next, _)) => pairs::gallop(piece, |pair| *pair < next),
            None => piece.len(),
        };
        writer.extend(&piece[..count])?;
        cursors[least].advance(count);
    }
}

/// Writes sorted distinct pairs as one run, in memory or in stored chunks.
pub struct RunWriter {
    mark: Mark,
    store: Option<Arc<dyn ChunkStore>>,
    buffer: Vec<Pair>,
    chunks: Vec<Chunk>,
    len: u64,
    keys: u64,
}

impl RunWriter {
    /// A writer for about `expected` pairs.
    pub fn new(mark: Mark, expected: u64, spill: &Spill) -> Self {
        let store = spill.store.clone().filter(|_| expected > spill.above);
        let capacity = if store.is_some() { CHUNK_PAIRS } else { expected as usize };
        Self { mark, store, buffer: Vec::with_capacity(capacity), chunks: Vec::new(), len: 0, keys: 0 }
    }

    /// Appends pairs that are greater than all before.
    pub fn extend(&mut self, pairs: &[Pair]) -> Result<(), Fault> {
        let mut rest = pairs;
        while !rest.is_empty() {
            let room = if self.store.is_some() { CHUNK_PAIRS - self.buffer.len() } else { rest.len() };
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.store.is_some() && self.buffer.len() == CHUNK_PAIRS {
                self.cut()?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let pairs = std::mem::take(&mut self.buffer);
        self.len += pairs.len() as u64;
        self.keys += pairs::distinct_keys(&pairs);
        self.chunks.push(match &self.store {
            None => Chunk::resident(pairs),
            Some(store) => Chunk::save(pairs, store)?,
        });
        Ok(())
    }

    /// The run; `None` when nothing was written.
    pub fn finish(mut self) -> Result<Option<Run>, Fault> {
        self.cut()?;
        let Self { mark, chunks, len, keys, .. } = self;
        Ok((len > 0).then(|| Run::new(mark, chunks, len, keys)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::run::tests::VecStore;
    use entail_model::TermId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn pushes_keep_the_set(sets in prop::collection::vec(prop::collection::vec(0u64..100_000, 1..400), 1..30),
                               above in prop::sample::select(vec![0u64, 50, 1 << 40])) {
            let spill = Spill { store: Some(Arc::new(VecStore::default())), above };
            let mut spine = Spine::default();
            let mut all = BTreeSet::new();
            for set in sets {
                let new: BTreeSet<Pair> = set.into_iter().map(|n| (TermId(n / 7), TermId(n))).collect();
                let new: Vec<Pair> = new.difference(&all).copied().collect();
                all.extend(new.iter().copied());
                if let Some(run) = Run::resident(Mark::Derived, new) {
                    spine.push(run, &spill).expect("in memory");
                }
                prop_assert!(spine.runs.iter().all(|run| run.resident_bytes() <= above.saturating_mul(16)));
            }
            let mut found = Vec::new();
            for run in &spine.runs {
                found.extend(run.to_vec().expect("in memory"));
            }
            found.sort_unstable();
            prop_assert_eq!(found, all.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(spine.len(), all.len() as u64);
            prop_assert!(spine.runs.len() <= 12);
        }
    }
}
