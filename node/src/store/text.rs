//! The encoding of the texts of consecutive terms: each text without the prefix that it shares with the one before.
//!
//! ```text
//! version u8 | count u8 | { shared varint | length varint, 0 for a large term | rest of the text }… | crc32c u32
//! ```
//!
//! Terms of a batch get their ids by kind and in the order of the batch, so neighbours often share long prefixes. A large
//! term is only marked in the block: its text has its own key, so that no block is large.
//!
//! Invariant: for any bytes, [`decode`] gives the texts that were given to [`encode`] or `Corrupt`, and allocates at most
//! [`BLOCK_TERMS`] × [`TEXT_MAX`] bytes.

use super::bits::{self, Reader};
use entail_model::Fault;

/// Terms in a block, and local indexes that share a slot.
pub const BLOCK_TERMS: usize = 128;
/// The most bytes of all texts in a block, unless there is only one.
pub const BLOCK_BYTES: usize = 32 << 10;
/// The largest text in a block; larger ones have their own key.
pub const TEXT_MAX: usize = BLOCK_BYTES;

const VERSION: u8 = 1;

/// Concatenated texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    /// The number of terms.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text at `index`: empty for a large term, `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.bytes[start..end])
    }

    /// Adds a text; an empty one stands for a large term.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Adds the texts of another block.
    pub fn append(&mut self, other: &Self) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Approximate bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + size_of::<Self>()
    }
}

/// The numbers of texts in each block, for texts of which the first has the local index `first` in its shard.
pub fn cut(first: u64, lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut sizes = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for (index, length) in lengths.enumerate() {
        let length = if is_large(length) { 0 } else { length };
        let starts_slot = (first + index as u64).is_multiple_of(BLOCK_TERMS as u64);
        if count > 0 && (starts_slot || bytes + length > BLOCK_BYTES) {
            sizes.push(count);
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes += length;
    }
    sizes.extend((count > 0).then_some(count));
    sizes
}

/// Does a text of this length have a key of its own?
pub fn is_large(length: usize) -> bool {
    length > TEXT_MAX
}

/// The bytes of a block of at most [`BLOCK_TERMS`] texts.
pub fn encode<'t>(texts: impl ExactSizeIterator<Item = &'t [u8]>) -> Vec<u8> {
    assert!((1..=BLOCK_TERMS).contains(&texts.len()), "a block of {} terms", texts.len());
    let mut out = vec![VERSION, texts.len() as u8];
    let mut last: &[u8] = &[];
    for text in texts {
        let text = if is_large(text.len()) { &[] } else { text };
        let shared = shared(last, text);
        bits::put_varint(&mut out, shared as u64);
        bits::put_varint(&mut out, text.len() as u64);
        out.extend_from_slice(&text[shared..]);
        last = text;
    }
    let sum = crc32c::crc32c(&out);
    out.extend(sum.to_le_bytes());
    out
}

/// The length of the common prefix of two texts.
fn shared(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let same = words.take_while(|(a, b)| a == b).count() * 8;
    same + one[same..].iter().zip(&other[same..]).take_while(|(a, b)| a == b).count()
}

/// The texts of a block that [`encode`] made.
pub fn decode(bytes: &[u8]) -> Result<Texts, Fault> {
    let mut reader = Reader(checked(bytes)?);
    let (version, count) = (reader.byte()?, usize::from(reader.byte()?));
    if version != VERSION || !(1..=BLOCK_TERMS).contains(&count) {
        return Err(Fault::corrupt("a block of terms of unknown format"));
    }
    let mut texts = Texts::default();
    for _ in 0..count {
        let (shared, length) = (reader.varint()? as usize, reader.varint()? as usize);
        let last = texts.len().checked_sub(1).and_then(|last| texts.get(last)).map_or(0, <[u8]>::len);
        if shared > length || shared > last || is_large(length) {
            return Err(Fault::corrupt("a block of terms with impossible lengths"));
        }
        let start = texts.bytes.len() - last;
        texts.bytes.extend_from_within(start..start + shared);
        texts.push(reader.take(length - shared)?);
    }
    if reader.0.is_empty() { Ok(texts) } else { Err(Fault::corrupt("a block of terms with bytes after its end")) }
}

/// The bytes of a large term.
pub fn encode_large(text: &[u8]) -> Vec<u8> {
    [text, &crc32c::crc32c(text).to_le_bytes()].concat()
}

/// The text in the bytes that [`encode_large`] made.
pub fn decode_large(bytes: &[u8]) -> Result<&[u8], Fault> {
    checked(bytes)
}

fn checked(bytes: &[u8]) -> Result<&[u8], Fault> {
    match bytes.split_last_chunk::<4>() {
        Some((body, sum)) if crc32c::crc32c(body) == u32::from_le_bytes(*sum) => Ok(body),
        _ => Err(Fault::corrupt("terms that do not match their checksum")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let path = "[a-c]{1,4}".prop_map(|end| format!("Ihttp://example.org/{end}").into_bytes());
        prop_oneof![path, prop::collection::vec(any::<u8>(), 1..40)]
    }

    proptest! {
        #[test]
        fn blocks_come_back(texts in prop::collection::vec(text(), 1..=BLOCK_TERMS), bit in any::<prop::sample::Index>()) {
            let mut bytes = encode(texts.iter().map(|text| &text[..]));
            let found = decode(&bytes).expect("our own bytes");
            prop_assert_eq!(found.len(), texts.len());
            for (index, text) in texts.iter().enumerate() {
                prop_assert_eq!(found.get(index), Some(&text[..]));
            }
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn junk_never_panics(junk in prop::collection::vec(any::<u8>(), 0..200), count in any::<u8>()) {
            _ = decode(&junk);
            let body = [&[VERSION, count], &junk[..]].concat();
            _ = decode(&[&body[..], &crc32c::crc32c(&body).to_le_bytes()].concat());
        }

        #[test]
        fn cuts_keep_to_slots_and_sizes(
            first in 0u64..1000,
            lengths in prop::collection::vec(prop_oneof![1usize..100, 20_000usize..50_000], 0..300),
        ) {
            let mut at = 0;
            for size in cut(first, lengths.iter().copied()) {
                let slot = |index: usize| (first + index as u64) / BLOCK_TERMS as u64;
                prop_assert_eq!(slot(at), slot(at + size - 1));
                let bytes: usize = lengths[at..at + size].iter().filter(|length| !is_large(**length)).sum();
                prop_assert!(size == 1 || bytes <= BLOCK_BYTES);
                at += size;
            }
            prop_assert_eq!(at, lengths.len());
        }
    }

    #[test]
    fn a_large_term_is_only_marked() {
        let (small, large) = (b"Sa".to_vec(), vec![b'S'; TEXT_MAX + 1]);
        let bytes = encode([&small[..], &large, &small].into_iter());
        assert!(bytes.len() < 20);
        assert_eq!(decode(&bytes).expect("our own bytes").get(1), Some(&[][..]));
        assert_eq!(decode_large(&encode_large(&large)).expect("our own bytes"), large);
    }
}
