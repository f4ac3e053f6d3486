//! A small cache of values computed from decoded terms: most terms of a row occurred in earlier rows.

use super::Rows;
use crate::plan::codes::{UNBOUND, hash};
use crate::session::term::EvalTerm;
use entail_model::Fault;
use oxrdf::Term;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Entries of the cache, and bytes of text in them, after which it is cleared.
const KNOWN_MAX: usize = 1 << 16;
const BYTES_MAX: usize = 4 << 20;

/// Hashes codes.
#[derive(Clone, Copy, Default)]
pub struct ByCode(u64);

impl Hasher for ByCode {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, code: u64) {
        self.0 = hash(&[self.0, code]);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Values computed from terms, by code.
pub struct Decoded<T> {
    known: HashMap<u64, T, BuildHasherDefault<ByCode>>,
    make: fn(Term) -> T,
    /// The bytes of text that a value holds beside its own size.
    text: fn(&T) -> usize,
    texts: usize,
}

impl<T> Decoded<T> {
    /// An empty cache; `make` computes the value of a term, and `text` returns the bytes of text in a value.
    pub fn new(make: fn(Term) -> T, text: fn(&T) -> usize) -> Self {
        Self { known: HashMap::default(), make, text, texts: 0 }
    }

    fn keep(&mut self, code: u64, term: Term) {
        let made = (self.make)(term);
        self.texts += (self.text)(&made);
        self.known.insert(code, made);
    }

    /// Computes the values of a column of rows, with one lookup for all texts.
    pub fn learn(&mut self, rows: &Rows<'_>, cell: usize) -> Result<(), Fault> {
        if self.known.len() > KNOWN_MAX || self.texts > BYTES_MAX {
            self.known.clear();
            self.texts = 0;
        }
        let mut last = UNBOUND;
        let mut ids = Vec::new();
        for code in rows.column(cell) {
            if code == last || code == UNBOUND || self.known.contains_key(&code) {
                continue;
            }
            last = code;
            match rows.names.term(code) {
                Some(EvalTerm::Id(id)) => ids.push(id),
                Some(EvalTerm::Computed(term)) => self.keep(code, Term::clone(&term)),
                None => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let terms = rows.session.cluster.decode(&ids)?;
        ids.iter().zip(terms).for_each(|(id, term)| self.keep(id.0, term));
        Ok(())
    }

    /// The value of a bound cell of the rows that were computed last.
    pub fn get(&self, code: u64) -> Option<&T> {
        self.known.get(&code)
    }
}
