//! Messages as bytes: little-endian words, columns as they are.
//!
//! ```text
//! round u32 | level u16 | sequence u64 | kind u8 | …
//! ```
//!
//! Invariant: the decoder checks every length before it allocates; bytes that no encoder makes are `Corrupt`.

use super::{Message, Payload, PlanKey};
use crate::columns::Pair;
use crate::columns::blocks::{BitBlocks, Head};
use crate::eval::Batch;
use entail_model::{Fault, Relation, Round, TermId};
use std::sync::Arc;

const ROWS: u8 = 0;
const HEADS: u8 = 1;
const COPIES: u8 = 2;
const CLOSE: u8 = 3;
const BROADCAST: u8 = 4;
const BLOCKS: u8 = 5;
const PAIR_BYTES: usize = 16;
const NO_PIVOT: u32 = u32::MAX;

/// The bytes of a message.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend(message.round.0.to_le_bytes());
    out.extend((message.level as u16).to_le_bytes());
    out.extend(message.sequence.to_le_bytes());
    match &*message.payload {
        Payload::Rows { plan, stage, batch } => {
            out.push(ROWS);
            put_u32(&mut out, plan.rule as u32);
            put_u32(&mut out, plan.pivot.map_or(NO_PIVOT, |pivot| pivot as u32));
            put_u32(&mut out, *stage as u32);
            put_batch(&mut out, batch);
        }
        Payload::Heads { rule, relation, pairs } => {
            out.push(HEADS);
            put_u32(&mut out, *rule as u32);
            put_pairs(&mut out, *relation, pairs);
        }
        Payload::Copies { relation, pairs } => {
            out.push(COPIES);
            put_pairs(&mut out, *relation, pairs);
        }
        Payload::Blocks { relation, blocks } => {
            out.push(BLOCKS);
            put_blocks(&mut out, *relation, blocks);
        }
        Payload::Broadcast { relation, pairs } => {
            out.push(BROADCAST);
            put_pairs(&mut out, *relation, pairs);
        }
        Payload::Close { messages } => {
            out.push(CLOSE);
            out.extend(messages.to_le_bytes());
        }
    }
    out
}

/// The message in bytes that [`encode`] made.
pub fn decode(bytes: &[u8]) -> Result<Message, Fault> {
    let mut reader = Decoder(bytes);
    let round = Round(reader.u32()?);
    let level = usize::from(u16::from_le_bytes(reader.array()?));
    let sequence = reader.u64()?;
    let payload = match reader.u8()? {
        ROWS => {
            let rule = reader.u32()? as usize;
            let pivot = Some(reader.u32()?).filter(|pivot| *pivot != NO_PIVOT).map(|pivot| pivot as usize);
            let stage = reader.u32()? as usize;
            Payload::Rows { plan: PlanKey { rule, pivot }, stage, batch: reader.batch()? }
        }
        HEADS => {
            let rule = reader.u32()? as usize;
            let (relation, pairs) = reader.pairs()?;
            Payload::Heads { rule, relation, pairs }
        }
        COPIES => {
            let (relation, pairs) = reader.sorted_pairs()?;
            Payload::Copies { relation, pairs }
        }
        BLOCKS => {
            let (relation, blocks) = reader.blocks()?;
            Payload::Blocks { relation, blocks }
        }
        BROADCAST => {
            let (relation, pairs) = reader.sorted_pairs()?;
            Payload::Broadcast { relation, pairs }
        }
        CLOSE => Payload::Close { messages: reader.u64()? },
        other => return Err(Fault::corrupt(format!("a message of unknown kind {other}"))),
    };
    reader.end()?;
    Ok(Message { round, level, sequence, payload: Arc::new(payload) })
}

/// The bytes of a batch.
pub fn encode_batch(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + batch.bytes() as usize);
    put_batch(&mut out, batch);
    out
}

/// The batch in bytes that [`encode_batch`] made.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch, Fault> {
    let mut reader = Decoder(bytes);
    let batch = reader.batch()?;
    reader.end()?;
    Ok(batch)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put_ids(out: &mut Vec<u8>, ids: &[TermId]) {
    out.reserve(ids.len() * 8);
    ids.iter().for_each(|id| out.extend(id.0.to_le_bytes()));
}

fn put_pairs(out: &mut Vec<u8>, relation: Relation, pairs: &[Pair]) {
    put_ids(out, &[relation.graph, relation.predicate]);
    put_u32(out, pairs.len() as u32);
    let start = out.len();
    out.resize(start + pairs.len() * PAIR_BYTES, 0);
    for (bytes, (key, value)) in out[start..].as_chunks_mut::<PAIR_BYTES>().0.iter_mut().zip(pairs) {
        bytes[..8].copy_from_slice(&key.0.to_le_bytes());
        bytes[8..].copy_from_slice(&value.0.to_le_bytes());
    }
}

fn put_blocks(out: &mut Vec<u8>, relation: Relation, blocks: &BitBlocks) {
    put_ids(out, &[relation.graph, relation.predicate]);
    put_u32(out, blocks.heads().len() as u32);
    put_u32(out, blocks.words().len() as u32);
    out.reserve(blocks.bytes() as usize);
    for head in blocks.heads() {
        put_ids(out, &[head.keys, head.values, TermId(head.mask)]);
    }
    blocks.words().iter().for_each(|word| out.extend(word.to_le_bytes()));
}

fn put_batch(out: &mut Vec<u8>, batch: &Batch) {
    put_u32(out, batch.rows as u32);
    put_u32(out, batch.columns.len() as u32);
    for column in &batch.columns {
        out.push(u8::from(!column.is_empty()));
        put_ids(out, column);
    }
    put_u32(out, batch.texts.len() as u32);
    for (slot, texts) in &batch.texts {
        put_u32(out, *slot as u32);
        for text in texts {
            put_u32(out, text.as_ref().map_or(u32::MAX, |text| text.len() as u32));
            out.extend_from_slice(text.as_deref().unwrap_or_default());
        }
    }
}

struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], Fault> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| Fault::corrupt("a message that is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.take(N)?.try_into().expect("as many bytes as asked for"))
    }

    fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn ids(&mut self, count: usize) -> Result<Vec<TermId>, Fault> {
        let bytes = self.take(count.checked_mul(8).ok_or_else(|| Fault::corrupt("too many ids"))?)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|word| TermId(u64::from_le_bytes(*word))).collect())
    }

    fn pairs(&mut self) -> Result<(Relation, Vec<Pair>), Fault> {
        let relation = Relation { graph: TermId(self.u64()?), predicate: TermId(self.u64()?) };
        let count = self.u32()? as usize;
        let bytes = self.take(count.checked_mul(PAIR_BYTES).ok_or_else(|| Fault::corrupt("too many pairs"))?)?;
        let id = |bytes: &[u8; 8]| TermId(u64::from_le_bytes(*bytes));
        let pair = |bytes: &[[u8; 8]; 2]| (id(&bytes[0]), id(&bytes[1]));
        Ok((relation, bytes.as_chunks::<8>().0.as_chunks::<2>().0.iter().map(pair).collect()))
    }

    fn sorted_pairs(&mut self) -> Result<(Relation, Vec<Pair>), Fault> {
        let (relation, pairs) = self.pairs()?;
        if pairs.is_sorted_by(|a, b| a < b) {
            Ok((relation, pairs))
        } else {
            Err(Fault::corrupt("pairs that are not sorted"))
        }
    }

    fn blocks(&mut self) -> Result<(Relation, BitBlocks), Fault> {
        let relation = Relation { graph: TermId(self.u64()?), predicate: TermId(self.u64()?) };
        let (heads, words) = (self.u32()? as usize, self.u32()? as usize);
        let heads = self.ids(heads.checked_mul(3).ok_or_else(|| Fault::corrupt("too many blocks"))?)?;
        let head = |[keys, values, mask]: &[TermId; 3]| Head { keys: *keys, values: *values, mask: mask.0 };
        let heads = heads.as_chunks::<3>().0.iter().map(head).collect();
        let words = self.ids(words)?.into_iter().map(|word| word.0).collect();
        let blocks =
            BitBlocks::from_parts(heads, words).ok_or_else(|| Fault::corrupt("blocks that do not fit their words"))?;
        Ok((relation, blocks))
    }

    fn batch(&mut self) -> Result<Batch, Fault> {
        let rows = self.u32()? as usize;
        let width = self.u32()? as usize;
        if width > self.0.len() {
            return Err(Fault::corrupt("more columns than bytes"));
        }
        let mut batch = Batch { rows, ..Batch::empty(width) };
        for column in &mut batch.columns {
            if self.u8()? == 1 {
                *column = self.ids(rows)?;
            }
        }
        for _ in 0..self.u32()? {
            let slot = self.u32()? as usize;
            let texts = (0..rows).map(|_| self.text()).collect::<Result<Vec<_>, Fault>>()?;
            batch.texts.insert(slot, texts);
        }
        Ok(batch)
    }

    fn text(&mut self) -> Result<Option<Arc<[u8]>>, Fault> {
        match self.u32()? {
            u32::MAX => Ok(None),
            length => Ok(Some(self.take(length as usize)?.into())),
        }
    }

    fn end(&self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::corrupt("a message with bytes after its end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::block_buffer::BlockBuffer;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn payloads() -> impl Strategy<Value = Payload> {
        let pairs = prop::collection::btree_set((any::<u64>(), any::<u64>()), 0..20)
            .prop_map(|set| set.into_iter().map(|(a, b)| (TermId(a), TermId(b))).collect::<Vec<_>>());
        let relation =
            (any::<u64>(), any::<u64>()).prop_map(|(a, b)| Relation { graph: TermId(a), predicate: TermId(b) });
        let rows = (1usize..5, prop::option::of(0usize..9), any::<bool>()).prop_map(|(rows, pivot, resolved)| {
            let column: Vec<TermId> = (0..rows as u64).map(TermId).collect();
            let text: Vec<Option<Arc<[u8]>>> =
                (0..rows).map(|n| (n % 2 == 0).then(|| vec![n as u8; n].into())).collect();
            let texts = if resolved { BTreeMap::from([(1, text)]) } else { BTreeMap::new() };
            let batch = Batch { rows, columns: vec![Vec::new(), column], texts };
            Payload::Rows { plan: PlanKey { rule: 7, pivot }, stage: 2, batch }
        });
        let blocks = prop::collection::vec((0u64..9, 0u64..9, 1u64.., 0usize..64), 0..5).prop_map(|all| {
            let page = |number: u64| TermId(number << 8);
            let mut blocks = BitBlocks::default();
            for (keys, values, word, at) in all {
                let mut words = [0; 64];
                (words[at], words[63 - at]) = (word, 1);
                blocks.push(page(keys), page(values), &words);
            }
            blocks
        });
        prop_oneof![
            rows,
            (relation.clone(), blocks).prop_map(|(relation, blocks)| Payload::Blocks { relation, blocks }),
            (relation.clone(), pairs.clone()).prop_map(|(relation, pairs)| Payload::Heads { rule: 3, relation, pairs }),
            (relation.clone(), pairs.clone()).prop_map(|(relation, pairs)| Payload::Copies { relation, pairs }),
            (relation, pairs).prop_map(|(relation, pairs)| Payload::Broadcast { relation, pairs }),
            any::<u64>().prop_map(|messages| Payload::Close { messages }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back(payload in payloads(), sequence in any::<u64>(), cut in any::<prop::sample::Index>()) {
            let message = Message { round: Round(5), level: 3, sequence, payload: Arc::new(payload) };
            let bytes = encode(&message);
            prop_assert_eq!(&decode(&bytes).expect("our own bytes"), &message);
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn junk_never_panics(junk in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = decode(&junk);
            _ = decode_batch(&junk);
        }

        #[test]
        fn what_is_damaged_never_panics(
            payload in payloads(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let message = Message { round: Round(3), level: 2, sequence: 9, payload: Arc::new(payload) };
            let mut bytes = encode(&message);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(Message { payload, .. }) = decode(&bytes)
                && let Payload::Blocks { blocks, .. } = &*payload
            {
                let (mut buffer, mut found) = (BlockBuffer::default(), Vec::new());
                buffer.add(blocks.clone());
                buffer.by_keys(|pairs| {
                    found.append(pairs);
                    Ok(())
                }).expect("nothing fails here");
                prop_assert!(found.is_sorted_by(|a, b| a < b) && found.len() as u64 <= blocks.len());
            }
        }
    }
}
