//! The encoding of chunks: sorted pairs in a few bytes each.
//!
//! ```text
//! magic "EC" | version u8 | 0 | count u32 | blocks of 256 pairs | padding | crc32c u32 of everything before
//!
//! block   mode u8 | groups varint | keys | group lengths | values
//! ```
//!
//! A block stores each key once with the length of its group. Keys are stored as differences or, where two shards make
//! the differences wide, in full; values as the first of each group and the differences within groups, or in full. Each
//! block has the smaller form. All are lists as in `bits`. A dense column takes three to four bytes per pair.
//!
//! Invariant: for any bytes, [`decode`] gives sorted distinct pairs or `Corrupt`, and allocates at most a chunk.

use super::bits::{self, PADDING, Reader, Shape};
use entail_logic::columns::Pair;
use entail_logic::columns::run::CHUNK_PAIRS;
use entail_model::{Fault, TermId};

const MAGIC: [u8; 4] = [b'E', b'C', 1, 0];
const HEADER: usize = 8;
const BLOCK_PAIRS: usize = 256;

/// Mode bits of a block, for the numbers that are stored as differences.
const KEYS_DIFFER: u8 = 1;
const VALUES_DIFFER: u8 = 2;

/// The bytes of a chunk.
///
/// # Panics
/// If there are no pairs or more than [`CHUNK_PAIRS`].
pub fn encode(pairs: &[Pair]) -> Vec<u8> {
    assert!((1..=CHUNK_PAIRS).contains(&pairs.len()), "a chunk of {} pairs", pairs.len());
    debug_assert!(pairs.is_sorted_by(|a, b| a < b), "a chunk is sorted and distinct");
    let mut out = Vec::with_capacity(HEADER + pairs.len() * 4 + PADDING);
    out.extend(MAGIC);
    out.extend((pairs.len() as u32).to_le_bytes());
    let mut columns = Columns::default();
    for block in pairs.chunks(BLOCK_PAIRS) {
        columns.fill(block);
        columns.put(&mut out);
    }
    out.extend([0; PADDING]);
    let sum = crc32c::crc32c(&out);
    out.extend(sum.to_le_bytes());
    out
}

/// The pairs of a chunk that [`encode`] made.
///
/// # Errors
/// `Corrupt` for any other bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Pair>, Fault> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| Fault::corrupt("a chunk that is cut off"))?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(Fault::corrupt("a chunk that does not match its checksum"));
    }
    decode_body(body)
}

fn decode_body(body: &[u8]) -> Result<Vec<Pair>, Fault> {
    let mut reader = Reader(body);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Fault::corrupt("a chunk of unknown format"));
    }
    let count = u32::from_le_bytes(reader.take(4)?.try_into().expect("four bytes")) as usize;
    if !(1..=CHUNK_PAIRS).contains(&count) {
        return Err(Fault::corrupt(format!("a chunk of {count} pairs")));
    }
    let mut pairs = Vec::with_capacity(count);
    let mut columns = Columns::default();
    while pairs.len() < count {
        columns.take((count - pairs.len()).min(BLOCK_PAIRS), &mut reader)?;
        columns.append_to(&mut pairs);
    }
    if reader.0 != [0; PADDING] || !pairs.is_sorted_by(|a, b| a < b) {
        return Err(Fault::corrupt("a chunk that no writer makes"));
    }
    Ok(pairs)
}

/// The columns of one block; reused between blocks for their allocations.
#[derive(Default)]
struct Columns {
    /// Distinct keys; `lengths` has for each the length of its group less one.
    keys: Vec<u64>,
    lengths: Vec<u64>,
    /// All values in order.
    values: Vec<u64>,
    /// Working space: differences, first values of groups.
    differences: Vec<u64>,
    firsts: Vec<u64>,
}

impl Columns {
    fn fill(&mut self, block: &[Pair]) {
        self.keys.clear();
        self.lengths.clear();
        self.values.clear();
        self.values.extend(block.iter().map(|pair| pair.1.0));
        let mut at = 0;
        for end in 1..=block.len() {
            if end == block.len() || block[end].0 != block[at].0 {
                self.keys.push(block[at].0.0);
                self.lengths.push((end - at) as u64 - 1);
                at = end;
            }
        }
    }

    fn put(&mut self, out: &mut Vec<u8>) {
        let mode_at = out.len();
        out.push(0);
        bits::put_varint(out, self.keys.len() as u64);
        let keys_differ = self.put_keys(out);
        if (2..self.values.len()).contains(&self.keys.len()) {
            bits::put_list(out, &Shape::of(&self.lengths), &self.lengths);
        }
        out[mode_at] = keys_differ | self.put_values(out);
    }

    fn put_keys(&mut self, out: &mut Vec<u8>) -> u8 {
        self.differences.clear();
        self.differences.extend(self.keys.windows(2).map(|two| two[1] - two[0]));
        let (plain, differences) = (Shape::of(&self.keys), Shape::of(&self.differences));
        if plain.bytes() <= differences.bytes() + 8 {
            bits::put_list(out, &plain, &self.keys);
            return 0;
        }
        bits::put_varint(out, self.keys[0]);
        bits::put_list(out, &differences, &self.differences);
        KEYS_DIFFER
    }

    fn put_values(&mut self, out: &mut Vec<u8>) -> u8 {
        self.differences.clear();
        self.firsts.clear();
        let mut values = self.values.iter();
        for length in &self.lengths {
            let mut last = *values.next().expect("every group has a first value");
            self.firsts.push(last);
            for value in values.by_ref().take(*length as usize) {
                self.differences.push(value - last);
                last = *value;
            }
        }
        let plain = Shape::of(&self.values);
        let (firsts, differences) = (Shape::of(&self.firsts), Shape::of(&self.differences));
        if plain.bytes() <= firsts.bytes() + differences.bytes() {
            bits::put_list(out, &plain, &self.values);
            return 0;
        }
        bits::put_list(out, &firsts, &self.firsts);
        bits::put_list(out, &differences, &self.differences);
        VALUES_DIFFER
    }

    fn take(&mut self, count: usize, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let mode = reader.byte()?;
        let groups = reader.varint()?;
        if mode > (KEYS_DIFFER | VALUES_DIFFER) || groups == 0 || groups > count as u64 {
            return Err(Fault::corrupt("a chunk with a block of unknown form"));
        }
        let groups = groups as usize;
        self.take_keys(mode, groups, reader)?;
        self.take_lengths(count, groups, reader)?;
        self.take_values(mode, count, reader)
    }

    fn take_keys(&mut self, mode: u8, groups: usize, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if mode & KEYS_DIFFER == 0 {
            return reader.list(groups, &mut self.keys);
        }
        let mut key = reader.varint()?;
        reader.list(groups - 1, &mut self.differences)?;
        self.keys.clear();
        self.keys.push(key);
        for difference in &self.differences {
            key = key.wrapping_add(*difference);
            self.keys.push(key);
        }
        Ok(())
    }

    fn take_lengths(&mut self, count: usize, groups: usize, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if (2..count).contains(&groups) {
            reader.list(groups, &mut self.lengths)?;
        } else {
            self.lengths.clear();
            self.lengths.resize(groups, (count / groups) as u64 - 1);
        }
        let total = self.lengths.iter().try_fold(0u64, |sum, length| sum.checked_add(length.checked_add(1)?));
        if total == Some(count as u64) { Ok(()) } else { Err(Fault::corrupt("a chunk whose groups do not add up")) }
    }

    fn take_values(&mut self, mode: u8, count: usize, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if mode & VALUES_DIFFER == 0 {
            return reader.list(count, &mut self.values);
        }
        reader.list(self.lengths.len(), &mut self.firsts)?;
        reader.list(count - self.lengths.len(), &mut self.differences)?;
        self.values.clear();
        let mut differences = self.differences.iter();
        for (first, length) in self.firsts.iter().zip(&self.lengths) {
            let mut value = *first;
            self.values.push(value);
            for difference in differences.by_ref().take(*length as usize) {
                value = value.wrapping_add(*difference);
                self.values.push(value);
            }
        }
        Ok(())
    }

    fn append_to(&self, pairs: &mut Vec<Pair>) {
        let mut values = self.values.iter();
        for (key, length) in self.keys.iter().zip(&self.lengths) {
            let group = values.by_ref().take(*length as usize + 1);
            pairs.extend(group.map(|value| (TermId(*key), TermId(*value))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{ShardId, TermKind};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn id() -> impl Strategy<Value = u64> {
        let dense = (0u16..16, 0u64..500).prop_map(|(shard, local)| iri(shard, local).0);
        prop_oneof![4 => dense, 1 => 0u64..50, 1 => any::<u64>()]
    }

    fn iri(shard: u16, local: u64) -> TermId {
        TermId::dictionary(ShardId(shard), local, TermKind::Iri)
    }

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        let keys = prop_oneof![id(), prop::sample::select(vec![4u64, 8, 1 << 48])];
        prop::collection::btree_set((keys, id()), 1..1200)
            .prop_map(|set| set.into_iter().map(|(a, b)| (TermId(a), TermId(b))).collect())
    }

    /// Bytes with a valid checksum, so that the decoder itself is tested.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &crc32c::crc32c(body).to_le_bytes()].concat()
    }

    proptest! {
        #[test]
        fn chunks_come_back(pairs in pairs()) {
            prop_assert_eq!(decode(&encode(&pairs)).expect("our own bytes"), pairs);
        }

        #[test]
        fn a_flipped_bit_is_corrupt(pairs in pairs(), bit in any::<prop::sample::Index>()) {
            let mut bytes = encode(&pairs);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn changed_bytes_with_a_good_checksum_never_panic(
            pairs in pairs(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let bytes = encode(&pairs);
            let mut body = bytes[..bytes.len() - 4].to_vec();
            changes.iter().for_each(|(place, byte)| *place.get_mut(&mut body) = *byte);
            body.truncate(cut.map_or(body.len(), |cut| cut.index(body.len())));
            if let Ok(found) = decode(&sealed(&body)) {
                prop_assert!(found.is_sorted_by(|a, b| a < b) && found.len() <= CHUNK_PAIRS);
            }
        }

        #[test]
        fn junk_never_panics(junk in prop::collection::vec(any::<u8>(), 0..400), count in 1u32..20_000) {
            _ = decode(&junk);
            let header = [&MAGIC[..], &count.to_le_bytes()].concat();
            _ = decode(&sealed(&[&header[..], &junk].concat()));
        }
    }

    /// The bytes per pair of a chunk, for shapes of real graphs.
    #[test]
    fn typical_columns_are_small() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut column = |keys: u64, values: u64| -> Vec<Pair> {
            let mut set = BTreeSet::new();
            while set.len() < CHUNK_PAIRS {
                let key = random(keys);
                set.insert((iri(3, key), iri(random(16) as u16, random(values))));
            }
            set.into_iter().collect()
        };
        let names: Vec<Pair> = (0..CHUNK_PAIRS as u64).map(|n| (iri(1, n), iri(2, n + 5))).collect();
        let class: Vec<Pair> = (0..CHUNK_PAIRS as u64).map(|n| (iri(1, 9), iri((n / 1024) as u16, n * 3))).collect();
        let shapes = [
            ("one random value per key", column(1 << 14, 1 << 20), 4.0),
            ("a few values per key", column(1 << 10, 1 << 16), 4.0),
            ("sparse keys", column(1 << 30, 1 << 20), 7.0),
            ("names", names, 1.5),
            ("a class", class, 1.5),
        ];
        for (name, pairs, most) in shapes {
            let each = encode(&pairs).len() as f64 / pairs.len() as f64;
            assert!(each <= most, "{name}: {each:.2} bytes per pair");
        }
    }
}
