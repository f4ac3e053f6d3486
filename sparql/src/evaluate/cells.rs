//! The cells of a block of rows as the canonical bytes of their terms.

use crate::cluster::{Interrupt, Texts};
use crate::evaluate::answer::Block;
use crate::session::Session;
use crate::session::code::{UNBOUND, is_computed, is_stored};
use entail_model::{Fault, TermId, term};
use oxrdf::Term;

/// The texts of a block's cells, row after row.
pub struct Cells {
    texts: Texts,
    /// Each cell's text.
    at: Vec<Option<u32>>,
}

impl Cells {
    /// Looks up the texts of the block's cells, each term once.
    pub fn of(session: &Session, block: &Block) -> Result<Self, Interrupt> {
        session.check()?;
        let mut at = vec![None; block.cells.len()];
        let mut known = Texts::new();
        let mut ids: Vec<(TermId, u32)> = Vec::with_capacity(block.cells.len());
        for (place, cell) in block.cells.iter().enumerate() {
            if *cell == UNBOUND {
                continue;
            }
            if is_stored(*cell) {
                ids.push((*cell, place as u32));
                continue;
            }
            match term::inline_term(*cell) {
                Some(term) => known.push_term(&term),
                None if is_computed(*cell) => match session.computed(*cell) {
                    Some(text) => known.push(&text),
                    None => return Err(Fault::internal("a computed term that the query does not know").into()),
                },
                None => return Err(Fault::corrupt("an id that is no term").into()),
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
            return Err(Fault::internal("not every term was decoded").into());
        }
        let mut number = 0;
        for (id, place) in ids {
            if distinct[number] != id {
                number += 1;
            }
            at[place as usize] = Some(number as u32);
        }
        if !known.is_empty() {
            // Texts that needed no lookup come after those that did.
            let first = texts.len() as u32;
            texts.append(&known);
            let moved = block.cells.iter().zip(&mut at).filter(|(cell, _)| !is_stored(**cell));
            moved.for_each(|(_, at)| *at = at.map(|number| number + first));
        }
        Ok(Self { texts, at })
    }

    /// The text of a cell, by its index over all rows; `None` if it is unbound.
    pub fn get(&self, cell: usize) -> Option<&[u8]> {
        self.at[cell].map(|number| self.texts.get(number as usize))
    }

    /// The term of a cell.
    pub fn term(&self, cell: usize) -> Result<Option<Term>, Fault> {
        self.get(cell).map(term::decode).transpose()
    }
}
