//! A small cache of values computed from terms: most terms of a row occurred in earlier rows.

use super::Rows;
use crate::plan::codes::hash;
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_expression::value::View;
use entail_model::Fault;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Entries of the cache, and bytes of text in them, after which it is cleared.
const KNOWN_MAX: usize = 1 << 16;
const BYTES_MAX: u64 = 4 << 20;

/// Hashes codes.
#[derive(Clone, Copy, Default)]
pub struct ByCode(u64);

impl Hasher for ByCode {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, code: u64) {
        self.0 = hash(&[entail_model::TermId(self.0), entail_model::TermId(code)]);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Values computed from terms, by code.
pub struct Decoded<T> {
    known: HashMap<Code, T, BuildHasherDefault<ByCode>>,
    make: fn(View<'_>) -> T,
    /// The bytes of text that a value holds beside its own size.
    text: fn(&T) -> usize,
    texts: usize,
}

impl<T> Decoded<T> {
    /// An empty cache; `make` computes the value of a term, and `text` returns the bytes of text in a value.
    pub fn new(make: fn(View<'_>) -> T, text: fn(&T) -> usize) -> Self {
        Self { known: HashMap::default(), make, text, texts: 0 }
    }

    /// Computes the values of a column of rows, with one lookup for all texts, if these fit.
    pub fn learn(&mut self, rows: &Rows<'_>, cell: usize) -> Result<Fit<()>, Fault> {
        let texts_max = rows.session.texts_max().min(BYTES_MAX);
        if self.known.len() > KNOWN_MAX || self.texts as u64 > texts_max {
            self.known.clear();
            self.texts = 0;
        }
        let mut last = UNBOUND;
        let mut codes = Vec::new();
        for code in rows.column(cell) {
            if code == last || code == UNBOUND || self.known.contains_key(&code) {
                continue;
            }
            last = code;
            codes.push(code);
        }
        codes.sort_unstable();
        codes.dedup();
        let bytes_max = if rows.times.len() == 1 { u64::MAX } else { rows.session.texts_max() };
        let texts = match rows.session.texts_within(&codes, bytes_max)? {
            Fit::Whole((texts, _)) => texts,
            Fit::Rows(fewer) => return Ok(Fit::fewer(rows.times.len(), fewer as f64 / codes.len() as f64)),
        };
        for (code, text) in codes.into_iter().zip(texts) {
            let made = (self.make)(View::Stored { id: code, text: text.as_deref() });
            // What is made of a value that its id carries is as small as the row.
            self.texts += if text.is_some() { (self.text)(&made) } else { 0 };
            self.known.insert(code, made);
        }
        Ok(Fit::Whole(()))
    }

    /// Bytes of text in memory.
    pub fn bytes(&self) -> usize {
        self.texts
    }

    /// The value of a bound cell of the rows that were computed last.
    pub fn get(&self, code: Code) -> Option<&T> {
        self.known.get(&code)
    }
}
