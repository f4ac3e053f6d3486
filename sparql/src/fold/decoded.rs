//! What is made of the terms of codes, kept as long as it is little: most rows have terms that others had before.

use super::Rows;
use crate::evaluate::rows::{UNBOUND, hash};
use crate::evaluate::term::EvalTerm;
use entail_model::Fault;
use oxrdf::Term;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Terms of which something is kept, before the rows that come next, and the bytes of its texts: no more than that, whatever
/// the query may hold.
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

/// What is made of terms.
pub struct Decoded<T> {
    known: HashMap<u64, T, BuildHasherDefault<ByCode>>,
    make: fn(Term) -> T,
    /// What is made takes so much beside its own size.
    text: fn(&T) -> usize,
    texts: usize,
}

impl<T> Decoded<T> {
    /// Nothing yet; `make` is asked once for each term that is not known any more, and `text` for the bytes of a text in
    /// what it makes.
    pub fn new(make: fn(Term) -> T, text: fn(&T) -> usize) -> Self {
        Self { known: HashMap::default(), make, text, texts: 0 }
    }

    fn keep(&mut self, code: u64, term: Term) {
        let made = (self.make)(term);
        self.texts += (self.text)(&made);
        self.known.insert(code, made);
    }

    /// Makes all that a column of rows needs, asking for the texts together.
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

    /// What was made of a bound cell of the rows that were learned last.
    pub fn get(&self, code: u64) -> Option<&T> {
        self.known.get(&code)
    }
}
