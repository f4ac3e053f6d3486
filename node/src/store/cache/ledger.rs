//! The ledger of a cache: chunks that are not, or no longer, part of a run in the manifest, and with which deletion vectors
//! chunks are in the cache.

use crate::store::schema::RunId;
use entail_logic::columns::ChunkKey;
use std::collections::BTreeMap;
use std::mem;

/// The most deletion vectors of a chunk for which what is left of it is cached: that of the newest epoch, and another one.
const VECTORS_MAX: usize = 2;

/// A chunk without the pairs of a deletion vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    pub chunk: ChunkKey,
    /// The number of the vector; 0 for the chunk as it is stored.
    pub vector: u64,
}

impl Piece {
    /// The chunk as it is stored.
    pub fn stored(chunk: ChunkKey) -> Self {
        Self { chunk, vector: 0 }
    }
}

/// The chunks that are not, or no longer, part of a run in the manifest.
#[derive(Debug, Default)]
pub struct Ledger {
    pub next_key: u64,
    pub next_scratch: u64,
    /// Chunks that no run has adopted, by the scratch that wrote them.
    pub unadopted: BTreeMap<ChunkKey, u64>,
    /// Scratches that were dropped.
    pub dropped: Vec<u64>,
    /// Deleted runs without readers.
    pub deleted: Vec<DeletedRun>,
    /// Deleted pairs in chunks that were deleted since [`take_gone`](super::ChunkCache::take_gone).
    pub gone: u64,
    /// The deletion vectors with which chunks may be in the cache, latest last.
    vectors: BTreeMap<ChunkKey, Vec<u64>>,
}

/// A run that the manifest no longer has.
#[derive(Debug)]
pub struct DeletedRun {
    pub id: RunId,
    pub chunks: Vec<ChunkKey>,
    /// The number of deleted pairs in the chunks.
    pub lost: u64,
}

impl Ledger {
    /// A ledger of a store whose next chunk has this key.
    pub fn new(next_key: u64) -> Self {
        Self { next_key, ..Self::default() }
    }

    /// The key of a new chunk of a scratch.
    pub fn next(&mut self, scratch: u64) -> ChunkKey {
        let key = ChunkKey(self.next_key);
        self.next_key += 1;
        self.unadopted.insert(key, scratch);
        key
    }

    /// Records that a piece is cached; returns one that gives way to it.
    pub fn remember_vector(&mut self, piece: Piece) -> Option<Piece> {
        let vectors = self.vectors.entry(piece.chunk).or_default();
        if !vectors.contains(&piece.vector) {
            vectors.push(piece.vector);
        }
        (vectors.len() > VECTORS_MAX).then(|| Piece { vector: vectors.remove(0), ..piece })
    }

    /// The pieces of these chunks that may be cached, which are forgotten.
    pub fn forget_vectors(&mut self, chunks: &[ChunkKey]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for chunk in chunks {
            let vectors = self.vectors.remove(chunk).unwrap_or_default();
            pieces.extend(vectors.into_iter().map(|vector| Piece { chunk: *chunk, vector }));
        }
        pieces
    }

    /// Takes the chunks of dropped scratches, and deleted runs.
    pub fn garbage(&mut self) -> (Vec<ChunkKey>, Vec<DeletedRun>) {
        let dropped = mem::take(&mut self.dropped);
        let abandoned = if dropped.is_empty() {
            Vec::new()
        } else {
            self.unadopted.iter().filter(|(_, owner)| dropped.contains(owner)).map(|(key, _)| *key).collect()
        };
        (abandoned, mem::take(&mut self.deleted))
    }
}
