//! The texts of terms that a query reads: looked up, kept for later batches, and counted as its memory.
//!
//! A batch is cut by the bytes of its texts, not by its rows alone: a thousand rows may have a thousand literals of 16 MiB.

use super::code::{self, Code};
use super::memory::{Cache, Memory};
use super::{Session, lock};
use entail_expression::value::Text;
use entail_model::{Fault, TermId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Bytes of texts that one batch may have at a time: at most, and as a part of the query's memory.
const AT_ONCE_BYTES_MAX: u64 = 16 << 20;
const AT_ONCE_SHARE: u64 = 16;

/// Bytes of texts that a query keeps: at most, and as a part of its memory.
const KEPT_BYTES_MAX: u64 = 64 << 20;
const KEPT_SHARE: u64 = 4;

/// The result of work on some rows, if their texts are within a limit.
pub enum Fit<T> {
    Whole(T),
    /// The texts of all rows are too long; these many rows may fit.
    Rows(usize),
}

impl<T> Fit<T> {
    /// How many of `rows` rows to try, if a part of their texts, as a fraction, was within the limit: fewer, but not far fewer, as
    /// other rows may have shorter texts.
    pub fn fewer(rows: usize, part: f64) -> Self {
        Self::Rows(((rows as f64 * part.clamp(0.25, 0.9)) as usize).max(1))
    }
}

impl Session {
    /// Bytes of texts that one batch may have at a time.
    pub fn texts_max(&self) -> u64 {
        (self.held_max() / AT_ONCE_SHARE).min(AT_ONCE_BYTES_MAX)
    }

    /// The canonical bytes of each term, whatever their size; none for unbound cells and for ids that carry their value.
    pub fn texts(&self, codes: &[Code]) -> Result<Vec<Option<Text>>, Fault> {
        let ids = stored(codes);
        let mut found = Vec::with_capacity(ids.len());
        while found.len() < ids.len() {
            found.append(&mut self.stored_texts(&ids[found.len()..], AT_ONCE_BYTES_MAX)?);
        }
        Ok(self.by_code(codes, &ids, &found))
    }

    /// The canonical bytes of the term of each row, as [`Self::texts`] gives them, and the bytes of all of them, if these are at
    /// most `bytes_max`. Those of one row always fit.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    pub fn texts_within(&self, codes: &[Code], bytes_max: u64) -> Result<Fit<(Vec<Option<Text>>, u64)>, Fault> {
        let ids = stored(codes);
        let bytes_max = if codes.len() <= 1 { u64::MAX } else { bytes_max };
        let found = self.stored_texts(&ids, bytes_max)?;
        let bytes: u64 = found.iter().map(|text| text.len() as u64).sum();
        if found.len() < ids.len() || bytes > bytes_max {
            return Ok(Fit::fewer(codes.len(), found.len() as f64 / ids.len() as f64));
        }
        Ok(Fit::Whole((self.by_code(codes, &ids, &found), bytes)))
    }

    /// The text of each code, of which `found` has those of the dictionary's `ids`.
    fn by_code(&self, codes: &[Code], ids: &[TermId], found: &[Text]) -> Vec<Option<Text>> {
        let interner = lock(&self.interner);
        let mut last: Option<(Code, Option<Text>)> = None;
        let text = |code: &Code| {
            if let Some((_, text)) = last.as_ref().filter(|(known, _)| known == code) {
                return text.clone();
            }
            let text = match ids.binary_search(code) {
                Ok(at) => Some(found[at].clone()),
                Err(_) => interner.text(*code).cloned(),
            };
            last = Some((*code, text.clone()));
            text
        };
        codes.iter().map(text).collect()
    }

    /// The texts of the first dictionary ids, in order: up to the one with which they have more than `bytes_max` bytes.
    fn stored_texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Vec<Text>, Fault> {
        let mut found = self.texts.get(ids);
        let missing: Vec<TermId> =
            ids.iter().zip(&found).filter(|(_, text)| text.is_none()).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            self.check()?;
            let given = self.cluster.texts(&missing, bytes_max)?;
            if given.is_empty() || given.len() > missing.len() {
                return Err(Fault::internal("not every term was decoded"));
            }
            let slots = ids.iter().zip(&mut found).filter(|(_, slot)| slot.is_none());
            self.texts.keep(slots.take(given.len()).enumerate().map(|(next, (id, slot))| {
                let text = Text::from(given.get(next));
                *slot = Some(text.clone());
                (*id, text)
            }));
        }
        let mut bytes = 0;
        let is_within = |text: &Text| {
            let is_before = bytes <= bytes_max;
            bytes += text.len() as u64;
            is_before
        };
        Ok(found.into_iter().map_while(|text| text).take_while(is_within).collect())
    }
}

/// The dictionary's ids among codes, in order, each once.
fn stored(codes: &[Code]) -> Vec<TermId> {
    let mut ids: Vec<TermId> = codes.iter().copied().filter(|code| code::is_stored(*code)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Texts by id, each counted as memory of the query.
pub struct KeptTexts {
    memory: Arc<Memory>,
    bytes_max: u64,
    texts: Mutex<Texts>,
}

#[derive(Default)]
struct Texts {
    known: HashMap<TermId, Text>,
    bytes: u64,
}

impl KeptTexts {
    /// No texts; the memory may empty them.
    pub fn new(memory: &Arc<Memory>) -> Arc<Self> {
        let bytes_max = KEPT_BYTES_MAX.min(memory.max() / KEPT_SHARE);
        let kept = Arc::new(Self { memory: Arc::clone(memory), bytes_max, texts: Mutex::default() });
        let cache: Arc<dyn Cache> = Arc::clone(&kept) as _;
        memory.add_cache(Arc::downgrade(&cache));
        kept
    }

    /// The texts of ids, as far as they are kept.
    pub fn get(&self, ids: &[TermId]) -> Vec<Option<Text>> {
        let texts = lock(&self.texts);
        ids.iter().map(|id| texts.known.get(id).cloned()).collect()
    }

    /// Keeps texts for later batches.
    pub fn keep(&self, given: impl Iterator<Item = (TermId, Text)>) {
        let mut texts = lock(&self.texts);
        let before = texts.bytes;
        for (id, text) in given {
            let bytes = 64 + text.len() as u64;
            if texts.bytes + bytes > self.bytes_max {
                *texts = Texts::default();
            }
            if bytes <= self.bytes_max {
                texts.bytes += bytes;
                texts.known.insert(id, text);
            }
        }
        // Texts alone are no reason to fail: they are emptied when something else needs the room.
        self.memory.count(before, texts.bytes);
    }
}

impl Cache for KeptTexts {
    fn clear(&self) {
        let texts = std::mem::take(&mut *lock(&self.texts));
        self.memory.count(texts.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::memory::Reservation;
    use entail_model::{Reason, ShardId, TermKind};

    fn id(number: u64) -> TermId {
        TermId::dictionary(ShardId(0), number, TermKind::Literal)
    }

    #[test]
    fn decoded_terms_are_held_until_rows_need_the_room() {
        let memory = Memory::new(400_000);
        let kept = KeptTexts::new(&memory);
        kept.keep([(id(1), vec![b'S'; 50_000].into())].into_iter());
        assert!(memory.held() > 50_000);
        let mut held = Reservation::new(Arc::clone(&memory));
        assert_eq!(held.set(390_000), Ok(()));
        assert_eq!(memory.held(), 390_000);
        assert_eq!(held.set(400_001).unwrap_err().reason, Reason::LimitExceeded);
    }

    #[test]
    fn decoded_terms_take_a_part_of_the_memory() {
        let memory = Memory::new(400_000);
        let kept = KeptTexts::new(&memory);
        kept.keep((0..100).map(|number| (id(number), vec![b'S'; 10_000].into())));
        kept.keep([(id(100), vec![b'S'; 200_000].into())].into_iter());
        assert!(memory.held() <= 100_000, "{} bytes", memory.held());
    }

    #[test]
    fn fewer_rows_are_tried_until_one_is_left() {
        let mut rows = 4_096;
        for _ in 0..7 {
            let Fit::Rows(fewer) = Fit::<()>::fewer(rows, 0.0) else { panic!("not whole") };
            rows = fewer;
        }
        assert_eq!(rows, 1);
        assert!(matches!(Fit::<()>::fewer(100, 0.999), Fit::Rows(90)));
    }
}
