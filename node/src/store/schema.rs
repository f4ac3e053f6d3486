//! The schema of everything on disk: each key, its value, and its lifetime.
//!
//! Numbers in keys are big-endian, so the order of keys is the order of their numbers. Values of the manifest are
//! postcard; chunks and term blocks carry checksums of their own.

use super::digest::{CountChange, Digest};
use entail_logic::columns::{ChunkKey, Pair};
use entail_model::{Attempt, Direction, Epoch, Fault, Mark, Relation, ShardId, TermId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Version of the directory, kept in its identity.
///
/// | format | what is new | read by this version |
/// |---|---|---|
/// | 1 | | yes: checked as far as it says what it holds, and converted when it is opened |
/// | 2 | the inventory | yes: converted when it is opened, for which all facts are read once |
/// | 3 | deletion vectors; a digest over everything; the format in the manifest | yes |
pub const FORMAT: u32 = 3;

/// The first format with an inventory.
pub const FORMAT_WITH_INVENTORY: u32 = 2;

/// The first format whose manifest says its format.
pub const FORMAT_IN_MANIFEST: u32 = 3;

/// The column families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Chunks of runs: large values, packed already.
    Chunks,
    /// The texts of terms.
    Terms,
    /// The manifest: small, read whole when the store opens.
    Manifest,
}

impl Family {
    pub const ALL: [Self; 3] = [Self::Chunks, Self::Terms, Self::Manifest];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Terms => "terms",
            Self::Manifest => "manifest",
        }
    }
}

/// Identifies a run in the manifest. An id is not reused while anything of its run is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// Every kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `chunks: key u64` → a chunk as in [`codec`](super::codec).
    ///
    /// Written once. Lives while a `Run` refers to it, then while a snapshot reads it; a chunk that no `Run` ever refers
    /// to is deleted when its writer drops it, or when the store opens.
    Chunk(ChunkKey),
    /// `terms: 'B' shard u16 first u64` → the texts of consecutive terms of a shard, `first` being the first's local
    /// index, as in [`text`](super::text). Written once, never across a multiple of 128.
    ///
    /// Lives for ever once its attempt is committed; deleted when the attempt is dropped.
    TermBlock { shard: ShardId, first: u64 },
    /// `terms: 'L' shard u16 local u64` → the text of a term too large for a block. Lives as long as its block.
    LargeTerm { shard: ShardId, local: u64 },
    /// `manifest: 'A'` → `u32`: the [`FORMAT`] of the other records, before them in order. Written when the store opens;
    /// formats 1 and 2 lack it.
    Format,
    /// `manifest: 'C'` → [`Committed`]: the last decision. Replaced by each decision.
    Committed,
    /// `manifest: 'D' run u64 chunk u64 attempt u64` → [`DeletedRecord`]: which pairs of a run's chunk are gone, all of
    /// them, not only those that the attempt removes. Takes effect unless its attempt is `Sealed`. Written by a seal;
    /// deleted by an abort, by the commit of another one for the chunk, and with its `Run`.
    Deleted { run: RunId, chunk: ChunkKey, attempt: Attempt },
    /// `manifest: 'S' attempt u64` → [`SealRecord`]: an attempt that is sealed at this node and not decided. Deleted by
    /// the decision, which alone makes the attempt's runs visible and its deletions take effect.
    Sealed(Attempt),
    /// `manifest: 'R' run u64` → [`RunRecord`]: a run as it was stored. Visible unless its attempt is `Sealed`. Written by
    /// a seal or a merge; deleted by an abort, a merge, the commit of a rebuild, or the commit after which it has no facts.
    Run(RunId),
    /// `manifest: 'G' run u64` → `Vec<ChunkKey>`: the chunks of a removed run, until they are deleted.
    Garbage(RunId),
    /// `manifest: 'H' shard u16` → [`ShardRecord`]: the committed counts of a shard. Replaced by commits that change it.
    Shard(ShardId),
}

/// The last decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    pub epoch: Epoch,
    /// The last attempt that was sealed at this node and is decided, committed or aborted.
    pub attempt: Option<Attempt>,
    /// Chunks below this key are referred to by a `Run` or `Garbage`, or deleted: only later ones can be leftovers.
    pub chunk_floor: u64,
    pub rdf_type: Option<TermId>,
    /// Over all facts of the epoch.
    pub digest: Digest,
    /// Does the coordinator have the digest of this epoch? It was told with the seal, unless an earlier version sealed it.
    pub is_digest_told: bool,
}

/// A sealed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRecord {
    /// Over what the attempt adds, less what it removes, but for what a rebuild removes.
    pub digest: Digest,
    /// See [`Committed::is_digest_told`].
    pub is_digest_told: bool,
    /// The facts that the attempt adds and removes, by shard, but for those that a rebuild removes.
    pub facts: Vec<(ShardId, CountChange)>,
    /// The number of terms after the commit, of each shard to which the attempt adds some.
    pub terms: Vec<(ShardId, u64)>,
    /// Does the commit remove all older derived and promoted runs?
    pub is_rebuild: bool,
}

/// Pairs of forward copies, by the mark of their run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub asserted: u64,
    pub derived: u64,
    pub promoted: u64,
}

/// The committed counts of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    pub terms: u64,
    pub facts: Counts,
}

/// The column that a run is a piece of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Column {
    /// One copy of a relation.
    Facts(Relation, Direction),
    /// The dictionary's index of a shard.
    Terms(ShardId),
}

/// A run and its chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub column: Column,
    pub mark: Mark,
    /// The attempt that made the run; none for a merged run.
    pub attempt: Option<Attempt>,
    pub keys: u64,
    pub chunks: Vec<ChunkRecord>,
}

impl RunRecord {
    /// The number of its pairs.
    pub fn pairs(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len).sum()
    }
}

/// A chunk with its fences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    pub key: ChunkKey,
    pub first: Pair,
    pub last: Pair,
    pub len: u64,
}

/// The pairs of a chunk that are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedRecord {
    /// The first and the last pair that are left; `None` if all are gone.
    pub fences: Option<(Pair, Pair)>,
    /// The positions in the chunk as it was stored, as [`Deleted`](entail_logic::columns::Deleted) encodes them; none if
    /// all are gone.
    pub positions: Vec<u8>,
}

/// The bytes of a manifest value.
pub fn encode_value(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data that fits in memory")
}

/// The manifest value in these bytes.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Fault::corrupt("a record of the manifest that cannot be read")),
    }
}

impl Key {
    /// The key's family.
    pub fn family(&self) -> Family {
        match self {
            Self::Chunk(_) => Family::Chunks,
            Self::TermBlock { .. } | Self::LargeTerm { .. } => Family::Terms,
            Self::Format | Self::Committed | Self::Deleted { .. } | Self::Sealed(_) => Family::Manifest,
            Self::Run(_) | Self::Garbage(_) | Self::Shard(_) => Family::Manifest,
        }
    }

    /// The key's bytes within its family.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Chunk(key) => key.0.to_be_bytes().to_vec(),
            Self::TermBlock { shard, first } => term_key(b'B', *shard, *first),
            Self::LargeTerm { shard, local } => term_key(b'L', *shard, *local),
            Self::Format => vec![b'A'],
            Self::Committed => vec![b'C'],
            Self::Deleted { run, chunk, attempt } => {
                [&b"D"[..], &run.0.to_be_bytes(), &chunk.0.to_be_bytes(), &attempt.0.to_be_bytes()].concat()
            }
            Self::Sealed(attempt) => tagged(b'S', &attempt.0.to_be_bytes()),
            Self::Run(run) => tagged(b'R', &run.0.to_be_bytes()),
            Self::Garbage(run) => tagged(b'G', &run.0.to_be_bytes()),
            Self::Shard(shard) => tagged(b'H', &shard.0.to_be_bytes()),
        }
    }

    /// The key in the bytes that [`encode`](Self::encode) made.
    pub fn decode(family: Family, bytes: &[u8]) -> Result<Self, Fault> {
        let key = match (family, bytes) {
            (Family::Chunks, number) => long(number).map(|key| Self::Chunk(ChunkKey(key))),
            (Family::Terms, [b'B', a, b, local @ ..]) => {
                long(local).map(|first| Self::TermBlock { shard: ShardId(u16::from_be_bytes([*a, *b])), first })
            }
            (Family::Terms, [b'L', a, b, local @ ..]) => {
                long(local).map(|local| Self::LargeTerm { shard: ShardId(u16::from_be_bytes([*a, *b])), local })
            }
            (Family::Manifest, [b'A']) => Some(Self::Format),
            (Family::Manifest, [b'C']) => Some(Self::Committed),
            (Family::Manifest, [b'D', numbers @ ..]) => deleted_key(numbers),
            (Family::Manifest, [b'S', number @ ..]) => long(number).map(|attempt| Self::Sealed(Attempt(attempt))),
            (Family::Manifest, [b'R', number @ ..]) => long(number).map(|run| Self::Run(RunId(run))),
            (Family::Manifest, [b'G', number @ ..]) => long(number).map(|run| Self::Garbage(RunId(run))),
            (Family::Manifest, [b'H', a, b]) => Some(Self::Shard(ShardId(u16::from_be_bytes([*a, *b])))),
            _ => None,
        };
        key.ok_or_else(|| Fault::corrupt(format!("an unknown key among the {}: {bytes:02x?}", family.name())))
    }

    /// All possible keys of the manifest.
    pub fn manifest() -> KeyRange {
        KeyRange { family: Family::Manifest, bytes: vec![0]..vec![0xff] }
    }

    /// The blocks of a shard's terms from the local index `first` on.
    pub fn terms_from(shard: ShardId, first: u64) -> KeyRange {
        Self::TermBlock { shard, first }.to(&Self::TermBlock { shard, first: u64::MAX })
    }

    /// The range from this key up to `end`, which is not included. Both are in one family.
    pub fn to(&self, end: &Self) -> KeyRange {
        assert_eq!(self.family(), end.family(), "a range is within one family");
        KeyRange { family: self.family(), bytes: self.encode()..end.encode() }
    }
}

/// Keys of one family in order: the start is included, the end is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub family: Family,
    pub bytes: Range<Vec<u8>>,
}

fn tagged(tag: u8, number: &[u8]) -> Vec<u8> {
    [&[tag], number].concat()
}

fn term_key(tag: u8, shard: ShardId, local: u64) -> Vec<u8> {
    [&[tag], &shard.0.to_be_bytes()[..], &local.to_be_bytes()].concat()
}

fn deleted_key(numbers: &[u8]) -> Option<Key> {
    let (run, rest) = numbers.split_at_checked(8)?;
    let (chunk, attempt) = rest.split_at_checked(8)?;
    let (run, chunk, attempt) = (RunId(long(run)?), ChunkKey(long(chunk)?), Attempt(long(attempt)?));
    Some(Key::Deleted { run, chunk, attempt })
}

fn long(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(number: u64, shard: u16) -> [Key; 10] {
        let shard = ShardId(shard);
        [
            Key::Chunk(ChunkKey(number)),
            Key::TermBlock { shard, first: number },
            Key::LargeTerm { shard, local: number },
            Key::Format,
            Key::Committed,
            Key::Deleted { run: RunId(number), chunk: ChunkKey(number), attempt: Attempt(number) },
            Key::Sealed(Attempt(number)),
            Key::Run(RunId(number)),
            Key::Garbage(RunId(number)),
            Key::Shard(shard),
        ]
    }

    proptest! {
        #[test]
        fn keys_come_back(number in any::<u64>(), shard in any::<u16>()) {
            for key in keys(number, shard) {
                prop_assert_eq!(Key::decode(key.family(), &key.encode()).expect("our own bytes"), key);
                if key.family() == Family::Manifest {
                    prop_assert!(Key::manifest().bytes.contains(&key.encode()));
                }
            }
        }

        #[test]
        fn the_order_of_bytes_is_that_of_numbers(a in any::<(u64, u16)>(), b in any::<(u64, u16)>()) {
            for (left, right) in keys(a.0, a.1).into_iter().zip(keys(b.0, b.1)) {
                prop_assert_eq!(left.cmp(&right), left.encode().cmp(&right.encode()));
            }
        }

        #[test]
        fn junk_is_corrupt_or_a_key(junk in prop::collection::vec(any::<u8>(), 0..28)) {
            for family in Family::ALL {
                if let Ok(key) = Key::decode(family, &junk) {
                    prop_assert_eq!(key.encode(), &junk[..]);
                }
            }
            _ = decode_value::<RunRecord>(&junk);
            _ = decode_value::<SealRecord>(&junk);
            _ = decode_value::<DeletedRecord>(&junk);
        }

        #[test]
        fn records_come_back(numbers in prop::collection::vec(any::<u64>(), 6), shard in any::<u16>()) {
            let [a, b, c, d, e, f] = numbers[..].try_into().expect("six");
            let relation = Relation { graph: TermId(a), predicate: TermId(b) };
            let chunk = ChunkRecord {
                key: ChunkKey(c), first: (TermId(a), TermId(b)), last: (TermId(d), TermId(e)), len: f,
            };
            let run = RunRecord {
                column: Column::Facts(relation, Direction::Inverse),
                mark: Mark::Promoted,
                attempt: Some(Attempt(d)),
                keys: e,
                chunks: vec![chunk; 3],
            };
            prop_assert_eq!(decode_value::<RunRecord>(&encode_value(&run)).expect("our own bytes"), run);
            let counts = Counts { asserted: a, derived: b, promoted: c };
            let change = CountChange { asserted: a as i64, derived: b as i64, promoted: c as i64 };
            let digest = Digest::of(Mark::Derived, d) + Digest::of(Mark::Promoted, e);
            let sealed = SealRecord {
                digest,
                is_digest_told: true,
                facts: vec![(ShardId(shard), change)],
                terms: vec![(ShardId(shard), e)],
                is_rebuild: true,
            };
            prop_assert_eq!(decode_value::<SealRecord>(&encode_value(&sealed)).expect("our own bytes"), sealed);
            let record = ShardRecord { terms: f, facts: counts };
            prop_assert_eq!(decode_value::<ShardRecord>(&encode_value(&record)).expect("our own bytes"), record);
            let committed = Committed {
                epoch: Epoch(a), attempt: Some(Attempt(b)), chunk_floor: c, rdf_type: Some(TermId(d)), digest,
                is_digest_told: false,
            };
            prop_assert_eq!(decode_value::<Committed>(&encode_value(&committed)).expect("our own bytes"), committed);
            let fences = Some(((TermId(a), TermId(b)), (TermId(c), TermId(d))));
            let deleted = DeletedRecord { fences, positions: e.to_be_bytes().to_vec() };
            prop_assert_eq!(decode_value::<DeletedRecord>(&encode_value(&deleted)).expect("our own bytes"), deleted);
        }
    }
}
