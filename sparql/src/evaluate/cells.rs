//! The cells of a block of rows as the canonical bytes of their terms, as many rows at a time as the memory for texts has room
//! for.

use crate::cluster::{Interrupt, Texts};
use crate::evaluate::answer::Block;
use crate::session::Session;
use crate::session::code::{Code, UNBOUND, is_computed, is_stored};
use crate::session::texts::Fit;
use entail_model::{Fault, TermId, term};
use oxrdf::Term;
use std::ops::ControlFlow;

/// The texts of some cells, row after row.
pub struct Cells {
    texts: Texts,
    /// Each cell's text.
    at: Vec<Option<u32>>,
}

/// Receives rows of a block with their cells; returns whether to continue.
pub type Receiver<'r> = &'r mut dyn FnMut(usize, &Cells) -> Result<ControlFlow<()>, Interrupt>;

impl Cells {
    /// Passes the rows of a block to `receive`, with the texts of their cells.
    pub fn of_block(session: &Session, block: &Block, receive: Receiver<'_>) -> Result<ControlFlow<()>, Interrupt> {
        let (mut row, mut at_once, mut held) = (0, block.rows, session.reservation());
        while row < block.rows {
            at_once = at_once.min(block.rows - row);
            let cells = &block.cells[row * block.width..(row + at_once) * block.width];
            match Self::of(session, cells, at_once)? {
                Fit::Rows(fewer) => at_once = fewer,
                Fit::Whole(cells) => {
                    held.set(cells.texts.bytes())?;
                    if receive(at_once, &cells)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    row += at_once;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Looks up the texts of the cells of some rows, each term once. Those of one row always fit.
    fn of(session: &Session, cells: &[Code], rows: usize) -> Result<Fit<Self>, Interrupt> {
        session.check()?;
        let bytes_max = session.texts_max();
        let is_over = |texts: &Texts| rows > 1 && texts.bytes() as u64 > bytes_max;
        let mut at = vec![None; cells.len()];
        let mut known = Texts::new();
        let mut ids: Vec<(TermId, u32)> = Vec::with_capacity(cells.len());
        for (place, cell) in cells.iter().enumerate() {
            if *cell == UNBOUND {
                continue;
            }
            if is_stored(*cell) {
                ids.push((*cell, place as u32));
                continue;
            }
            push_text(session, *cell, &mut known)?;
            if is_over(&known) {
                return Ok(Fit::fewer(rows, place as f64 / cells.len() as f64));
            }
            at[place] = Some(known.len() as u32 - 1);
        }
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        let mut distinct: Vec<TermId> = ids.iter().map(|(id, _)| *id).collect();
        distinct.dedup();
        let mut texts = Texts::new();
        while texts.len() < distinct.len() {
            let more = session.cluster.texts(&distinct[texts.len()..], bytes_max)?;
            if more.is_empty() {
                return Err(Fault::internal("not every term was decoded").into());
            }
            match texts.is_empty() {
                true => texts = more,
                false => texts.append(&more),
            }
            if is_over(&texts) {
                return Ok(Fit::fewer(rows, texts.len() as f64 / distinct.len() as f64));
            }
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
            let moved = cells.iter().zip(&mut at).filter(|(cell, _)| !is_stored(**cell));
            moved.for_each(|(_, at)| *at = at.map(|number| number + first));
        }
        Ok(Fit::Whole(Self { texts, at }))
    }

    /// The text of a cell, by its index over all rows; `None` if it is unbound.
    pub fn get(&self, cell: usize) -> Option<&[u8]> {
        self.at[cell].map(|number| self.texts.get(number as usize))
    }

    /// The term of a cell.
    pub fn term(&self, cell: usize) -> Result<Option<Term>, Fault> {
        self.get(cell).map(term::decode).transpose()
    }

    /// The terms of all cells.
    pub fn terms(&self) -> Result<Vec<Option<Term>>, Fault> {
        (0..self.at.len()).map(|cell| self.term(cell)).collect()
    }
}

/// Adds the text of a term that the dictionary does not have.
fn push_text(session: &Session, cell: Code, texts: &mut Texts) -> Result<(), Fault> {
    match term::inline_term(cell) {
        Some(term) => texts.push_term(&term),
        None if is_computed(cell) => match session.computed(cell) {
            Some(text) => texts.push(&text),
            None => return Err(Fault::internal("a computed term that the query does not know")),
        },
        None => return Err(Fault::corrupt("an id that is no term")),
    }
    Ok(())
}
