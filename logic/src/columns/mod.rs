//! Sorted columns: the form in which facts are stored and evaluated.
//!
//! ```text
//! pairs   sorted slices of (TermId, TermId): gallop, merge, subtract
//! radix   many pairs in order, by their bits
//! packed  pairs in half of the memory, until they are sorted
//! run     an immutable sorted set of pairs, in memory or as stored chunks
//! deleted the positions of a stored chunk whose pairs are gone
//! cursor  a position in a run that moves forward
//! index   a small run by key, for lookups in any order
//! matrix  a set of pairs as bits, where keys and values are few
//! blocks  pieces of a matrix, on their way between nodes
//! buffer  all blocks that have arrived
//! spine   runs of geometric sizes that together are one set
//! ```
//!
//! Invariant: the pairs of a run are sorted and distinct, and the runs of one spine are pairwise disjoint, so scans
//! need no deduplication and counts are sums.

pub mod block_buffer;
pub mod blocks;
mod cursor;
pub mod deleted;
pub mod hash_index;
pub mod matrix;
mod packed;
pub mod pairs;
mod radix;
pub mod run;
pub mod spine;

pub use cursor::Cursor;
pub use deleted::Deleted;
pub use packed::PackedPairs;
pub use pairs::Pair;
pub use run::{Chunk, ChunkKey, ChunkStore, Run, Without};
pub use spine::Spine;
