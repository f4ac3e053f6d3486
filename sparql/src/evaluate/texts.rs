//! Canonical bytes of many terms, one after the other, and the cells of a block in them.

use crate::evaluate::answer::Block;
use crate::evaluate::session::Session;
use crate::evaluate::term::EvalTerm;
use entail_model::{Fault, TermId, term};
use oxrdf::Term;

/// Texts one after the other.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// Adds a term's.
    fn push_term(&mut self, term: &Term) {
        term::encode(term.as_ref(), &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds those of others.
    fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// The one at `index`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// The texts of a block's cells, row after row.
pub struct Cells {
    texts: Texts,
    /// Each cell's text.
    at: Vec<Option<u32>>,
}

impl Cells {
    /// Looks up what the block shows, each term once.
    pub fn of(session: &Session, block: &Block) -> Result<Self, Fault> {
        session.check()?;
        let mut at = vec![None; block.cells.len()];
        let mut known = Texts::new();
        let mut ids: Vec<(TermId, u32)> = Vec::with_capacity(block.cells.len());
        for (place, cell) in block.cells.iter().enumerate() {
            match cell {
                None => continue,
                Some(EvalTerm::Computed(term)) => known.push_term(term),
                Some(EvalTerm::Id(id)) => match term::inline_term(*id) {
                    Some(term) => known.push_term(&term),
                    None => {
                        ids.push((*id, place as u32));
                        continue;
                    }
                },
            }
            at[place] = Some(known.len() as u32 - 1);
        }
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        let mut distinct: Vec<TermId> = ids.iter().map(|(id, _)| *id).collect();
        distinct.dedup();
        let mut texts = session.cluster.texts(&distinct)?;
        if texts.len() != distinct.len() {
            return Err(Fault::internal("not every term was decoded"));
        }
        let mut number = 0;
        for (id, place) in ids {
            if distinct[number] != id {
                number += 1;
            }
            at[place as usize] = Some(number as u32);
        }
        if !known.is_empty() {
            // What was known comes after what was looked up.
            let first = texts.len() as u32;
            texts.append(&known);
            let moved = block.cells.iter().zip(&mut at).filter(|(cell, _)| is_known(cell.as_ref()));
            moved.for_each(|(_, at)| *at = at.map(|number| number + first));
        }
        Ok(Self { texts, at })
    }

    /// The text of a cell, counted over all rows; `None` where it is unbound.
    pub fn get(&self, cell: usize) -> Option<&[u8]> {
        self.at[cell].map(|number| self.texts.get(number as usize))
    }

    /// The term of a cell.
    pub fn term(&self, cell: usize) -> Result<Option<Term>, Fault> {
        self.get(cell).map(term::decode).transpose()
    }
}

/// Is a cell's text known without asking anyone?
fn is_known(cell: Option<&EvalTerm>) -> bool {
    match cell {
        Some(EvalTerm::Computed(_)) => true,
        Some(EvalTerm::Id(id)) => id.home().is_none(),
        None => false,
    }
}
