//! Cursors: reading a run in order, with searches that only go forward.

use super::pairs::{Pair, gallop, interpolate};
use super::run::{Piece, Run};
use entail_model::{Fault, TermId};

/// A position in a run that only moves forward.
#[derive(Clone)]
pub struct Cursor<'a> {
    run: &'a Run,
    chunk: usize,
    offset: usize,
    loaded: Option<Piece>,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first pair.
    pub fn new(run: &'a Run) -> Self {
        Self { run, chunk: 0, offset: 0, loaded: None }
    }

    /// The cursor's position, without its decoded chunk.
    pub(crate) fn position(&self) -> Self {
        Self { run: self.run, chunk: self.chunk, offset: self.offset, loaded: None }
    }

    /// Moves to the first pair at or after `target` and returns the rest of its chunk: empty at the end of the run.
    pub fn seek(&mut self, target: Pair) -> Result<&[Pair], Fault> {
        self.enter_chunk_of(target)?;
        let rest = self.rest();
        // In a chunk that has not been searched yet, the target may be at any position.
        let passed = match self.offset {
            0 => rest.partition_point(|pair| *pair < target),
            _ => gallop(rest, |pair| *pair < target),
        };
        self.offset += passed;
        Ok(self.rest())
    }

    /// Like [`seek`](Self::seek), for a run whose keys are spread evenly, as hashes are.
    pub fn seek_hash(&mut self, target: Pair) -> Result<&[Pair], Fault> {
        self.enter_chunk_of(target)?;
        self.offset += interpolate(self.rest(), target);
        Ok(self.rest())
    }

    /// Moves to the chunk that has the target, if any has.
    fn enter_chunk_of(&mut self, target: Pair) -> Result<(), Fault> {
        let ahead = &self.run.chunks[self.chunk.min(self.run.chunks.len())..];
        let skipped = gallop(ahead, |chunk| chunk.last < target);
        if skipped > 0 {
            self.chunk += skipped;
            self.offset = 0;
            self.loaded = None;
        }
        self.load()
    }

    fn load(&mut self) -> Result<(), Fault> {
        if self.loaded.is_none()
            && let Some(chunk) = self.run.chunks.get(self.chunk)
        {
            self.loaded = Some(chunk.pairs()?);
        }
        Ok(())
    }

    fn rest(&self) -> &[Pair] {
        self.loaded.as_ref().map_or(&[], |pairs| &pairs[self.offset..])
    }

    pub(super) fn next_chunk_starts_with(&self, key: TermId) -> bool {
        self.run.chunks.get(self.chunk + 1).is_some_and(|chunk| chunk.first.0 == key)
    }

    pub(super) fn enter_next_chunk(&mut self) -> Result<&[Pair], Fault> {
        self.chunk += 1;
        self.offset = 0;
        self.loaded = None;
        self.load()?;
        Ok(self.rest())
    }

    /// An upper bound of the key's pairs in later chunks: all pairs of the chunks that begin with the key.
    pub(crate) fn later_chunks_with(&self, key: TermId) -> u64 {
        let later = self.run.chunks.iter().skip(self.chunk + 1);
        later.take_while(|chunk| chunk.first.0 == key).map(|chunk| chunk.len).sum()
    }

    /// The pair under the cursor, after a [`seek`](Self::seek) or [`advance`](Self::advance).
    pub fn head(&mut self) -> Result<Option<Pair>, Fault> {
        self.load()?;
        Ok(self.rest().first().copied())
    }

    /// The rest of the current chunk.
    pub fn piece(&mut self) -> Result<&[Pair], Fault> {
        self.load()?;
        Ok(self.rest())
    }

    /// Passes over `count` pairs of the current chunk.
    pub fn advance(&mut self, count: usize) {
        self.offset += count;
        if self.loaded.as_ref().is_some_and(|pairs| self.offset >= pairs.len()) {
            self.chunk += 1;
            self.offset = 0;
            self.loaded = None;
        }
    }
}
