//! What is made of the terms of codes, kept as long as it is little: most rows have terms that others had before.

use super::Rows;
use crate::query::rows::{UNBOUND, hash};
use crate::query::term::EvalTerm;
use entail_model::{Fault, TermId};
use oxrdf::Term;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Terms of which something is kept, before the rows that come next.
const KNOWN_MAX: usize = 1 << 16;

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
}

impl<T> Decoded<T> {
    /// Nothing yet; `make` is asked once for each term that is not known any more.
    pub fn new(make: fn(Term) -> T) -> Self {
        Self { known: HashMap::default(), make }
    }

    /// Makes all that a column of rows needs, asking for the texts together.
    pub fn learn(&mut self, rows: &Rows<'_>, cell: usize) -> Result<(), Fault> {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
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
                Some(EvalTerm::Computed(term)) => _ = self.known.insert(code, (self.make)(Term::clone(&term))),
                None => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let terms = rows.session.cluster.decode(&ids)?;
        self.known.extend(ids.iter().map(|id: &TermId| id.0).zip(terms.into_iter().map(self.make)));
        Ok(())
    }

    /// What was made of a bound cell of the rows that were learned last.
    pub fn get(&self, code: u64) -> Option<&T> {
        self.known.get(&code)
    }
}
