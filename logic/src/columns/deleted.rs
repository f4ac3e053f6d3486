//! Deletion vectors: the positions of a stored chunk whose pairs are gone.
//!
//! A stored chunk never changes. To delete some of its pairs, a chunk with the same key and a deletion vector takes its place
//! in a new run; readers of the old run still see the old chunk. Table formats do the same (Iceberg's and Delta Lake's
//! deletion vectors). The alternative is *signed runs*: deletions are runs of their own that cancel when they meet what they
//! delete in a merge. They are cheaper to write, but then no run can be read or counted without all others of its column:
//! a scan would have to merge, a lookup to search twice, and an index on one run would be wrong. Facts are read far more
//! often than deleted, so deletions pay at the time of the deletion: finding the positions reads the chunks that contain
//! them.
//!
//! The vector is a roaring bitmap (<https://roaringbitmap.org>), at most 8 KiB for a chunk, and
//! a few bytes for a few positions or ranges.

use super::pairs::Pair;
use super::run::CHUNK_PAIRS;
use entail_model::Fault;
use roaring::RoaringBitmap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The positions that are gone.
#[derive(Clone, Debug)]
pub struct Deleted {
    positions: RoaringBitmap,
    version: u64,
}

/// Two vectors of the same positions are equal.
impl PartialEq for Deleted {
    fn eq(&self, other: &Self) -> bool {
        self.positions == other.positions
    }
}

impl Eq for Deleted {}

impl Deleted {
    /// A vector of these positions of a stored chunk.
    ///
    /// # Errors
    /// `Corrupt` for a position that no stored chunk has.
    pub fn new(positions: impl IntoIterator<Item = u32>) -> Result<Self, Fault> {
        Self::of(positions.into_iter().collect())
    }

    fn of(mut positions: RoaringBitmap) -> Result<Self, Fault> {
        positions.optimize();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match positions.max() {
            Some(last) if last as usize >= CHUNK_PAIRS => {
                Err(Fault::corrupt(format!("a deletion at position {last} of a chunk")))
            }
            _ => Ok(Self { positions, version: NEXT.fetch_add(1, Ordering::Relaxed) }),
        }
    }

    /// A number that no other vector of this process has, for caches. It is at least 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of positions.
    pub fn len(&self) -> u64 {
        self.positions.len()
    }

    /// Is nothing deleted?
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The last position.
    pub fn last(&self) -> Option<u32> {
        self.positions.max()
    }

    /// Is the pair at this position gone?
    pub fn contains(&self, position: usize) -> bool {
        self.positions.contains(position as u32)
    }

    /// The vector in the portable format of roaring bitmaps.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.positions.serialized_size());
        self.positions.serialize_into(&mut bytes).expect("a vector takes all bytes");
        bytes
    }

    /// The vector in bytes that [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// `Corrupt` for other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = bytes;
        match RoaringBitmap::deserialize_from(&mut rest) {
            Ok(positions) if rest.is_empty() => Self::of(positions),
            _ => Err(Fault::corrupt("a deletion vector that cannot be read")),
        }
    }

    /// The pairs of a stored chunk that are not gone.
    pub fn rest(&self, stored: &[Pair]) -> Vec<Pair> {
        let mut rest = Vec::with_capacity(stored.len() - (self.positions.len() as usize).min(stored.len()));
        let mut from = 0;
        for position in &self.positions {
            rest.extend_from_slice(&stored[from..(position as usize).min(stored.len())]);
            from = (position as usize + 1).min(stored.len());
        }
        rest.extend_from_slice(&stored[from..]);
        rest
    }
}

/// The result of deleting pairs from a stored chunk.
pub struct Deletion {
    pub deleted: Arc<Deleted>,
    /// The first and the last pair that are left, unless none is.
    pub fences: Option<(Pair, Pair)>,
}

/// Deletes sorted `pairs` from a stored chunk, of which `before` are gone already, and appends those that were there to
/// `removed`. `None` if there were none.
pub fn delete(
    stored: &[Pair],
    before: Option<&Deleted>,
    pairs: &[Pair],
    removed: &mut Vec<Pair>,
) -> Result<Option<Deletion>, Fault> {
    let mut positions = before.map(|before| before.positions.clone()).unwrap_or_default();
    let count = removed.len();
    let mut from = 0;
    for pair in pairs {
        from += super::pairs::gallop(&stored[from..], |other| other < pair);
        if stored.get(from) == Some(pair) && positions.insert(from as u32) {
            removed.push(*pair);
        }
    }
    if removed.len() == count {
        return Ok(None);
    }
    let deleted = Arc::new(Deleted::of(positions)?);
    let is_left = |position: &usize| !deleted.contains(*position);
    let first = (0..stored.len()).find(is_left);
    let last = (0..stored.len()).rev().find(is_left);
    let fences = first.zip(last).map(|(first, last)| (stored[first], stored[last]));
    Ok(Some(Deletion { deleted, fences }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{Reason, TermId};

    #[test]
    fn vectors_come_back_and_others_are_refused() {
        for positions in [vec![], vec![0], vec![1, 5, 16_383], (0..16_384).collect()] {
            let deleted = Deleted::new(positions.iter().copied()).expect("within a chunk");
            let bytes = deleted.encode();
            assert!(bytes.len() < 8300, "{} bytes", bytes.len());
            let decoded = Deleted::decode(&bytes).expect("our own bytes");
            assert_eq!(decoded, deleted);
            assert_ne!(decoded.version(), deleted.version());
            assert_eq!(decoded.len(), positions.len() as u64);
            for cut in 0..bytes.len().min(40) {
                assert_eq!(
                    Deleted::decode(&bytes[..cut]).map(|_| ()).map_err(|fault| fault.reason),
                    Err(Reason::Corrupt)
                );
            }
        }
        assert_eq!(Deleted::new([16_384]).expect_err("beyond a chunk").reason, Reason::Corrupt);
    }

    #[test]
    fn deletions_add_up() {
        let pair = |n: u64| (TermId(n / 3), TermId(n));
        let stored: Vec<Pair> = (0..30).map(|n| pair(2 * n)).collect();
        let mut removed = Vec::new();
        let absent: Vec<Pair> = (0..30).map(|n| pair(2 * n + 1)).collect();
        assert!(delete(&stored, None, &absent, &mut removed).expect("in memory").is_none());
        let ends = [stored[0], stored[1], stored[29]];
        let first = delete(&stored, None, &ends, &mut removed).expect("in memory").expect("they were there");
        assert_eq!((first.fences, &removed[..]), (Some((stored[2], stored[28])), &ends[..]));
        assert_eq!(first.deleted.rest(&stored), stored[2..29]);
        let again = delete(&stored, Some(&first.deleted), &ends, &mut removed).expect("in memory");
        assert!(again.is_none() && removed.len() == 3);
        let all = delete(&stored, Some(&first.deleted), &stored, &mut removed).expect("in memory").expect("the others");
        assert_eq!((all.fences, removed.len()), (None, 30));
        assert!(all.deleted.rest(&stored).is_empty());
    }
}
