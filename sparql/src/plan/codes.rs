//! Rows as numbers, for operators that hold many: the cells of a [union](crate::plan::union)'s rows as *codes*, and
//! sets of such rows.
//!
//! ```text
//! code    id of a term, as it is  |  2^63 + 1, 2^63 + 2, ...: a term that no dictionary knows  |  2^64 - 1: unbound
//! ```
//!
//! Invariant: two codes of one query are equal if and only if the cells are.

use crate::plan::union::{Cell, Columns, UnionPlan};
use crate::session::term::EvalTerm;
use entail_logic::plan::Slot;
use entail_model::TermId;
use hashbrown::HashTable;
use oxrdf::Term;
use std::sync::Arc;

/// The code of an unbound cell.
pub const UNBOUND: u64 = TermId::MAX.0;

/// The codes of the rows of a union plan.
pub struct Codes {
    branches: Vec<Vec<Source>>,
    unknown: Vec<Arc<Term>>,
}

/// The source of a cell's code.
#[derive(Clone, Copy)]
enum Source {
    Slot(Slot),
    Same(u64),
}

impl Codes {
    /// The codes for the cells of all branches.
    pub fn of(union: &UnionPlan) -> Self {
        let mut unknown: Vec<Arc<Term>> = Vec::new();
        let mut source = |cell: &Cell| match cell {
            Cell::Slot(slot) => Source::Slot(*slot),
            Cell::Fixed(id) => Source::Same(id.0),
            Cell::Unbound => Source::Same(UNBOUND),
            Cell::Unknown(term) => {
                let place = unknown.iter().position(|known| **known == *term).unwrap_or_else(|| {
                    unknown.push(Arc::new(term.clone()));
                    unknown.len() - 1
                });
                Source::Same(TermId::DEFAULT_GRAPH.0 + 1 + place as u64)
            }
        };
        let branches = union.branches.iter().map(|branch| branch.cells.iter().map(&mut source).collect()).collect();
        Self { branches, unknown }
    }

    /// The code of one cell.
    pub fn get(&self, columns: &Columns, row: usize, cell: usize) -> u64 {
        match self.branches[columns.branch][cell] {
            Source::Slot(slot) => columns.batch.columns[slot][row].0,
            Source::Same(code) => code,
        }
    }

    /// Puts the codes of a row into `codes`.
    pub fn read(&self, columns: &Columns, row: usize, codes: &mut Vec<u64>) {
        codes.clear();
        codes.extend((0..self.branches[columns.branch].len()).map(|cell| self.get(columns, row, cell)));
    }

    /// The cell of a code.
    pub fn term(&self, code: u64) -> Option<EvalTerm> {
        if code == UNBOUND {
            return None;
        }
        let place = code.checked_sub(TermId::DEFAULT_GRAPH.0 + 1);
        let unknown = place.and_then(|place| self.unknown.get(place as usize));
        Some(unknown.map_or(EvalTerm::Id(TermId(code)), |term| EvalTerm::Computed(Arc::clone(term))))
    }
}

/// Distinct rows of one width, numbered in the order of their arrival.
pub struct RowSet {
    width: usize,
    codes: Vec<u64>,
    len: usize,
    index: HashTable<u32>,
}

impl RowSet {
    /// An empty set of rows of `width` codes.
    pub fn new(width: usize) -> Self {
        Self { width, codes: Vec::new(), len: 0, index: HashTable::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The row of a number.
    pub fn get(&self, number: usize) -> &[u64] {
        &self.codes[number * self.width..(number + 1) * self.width]
    }

    /// The number of the row; a new row gets the next number.
    ///
    /// # Panics
    /// If there are 2^32 rows, which no limit allows.
    pub fn insert(&mut self, row: &[u64]) -> usize {
        let (width, codes) = (self.width, &self.codes);
        let at = |number: &u32| &codes[*number as usize * width..(*number as usize + 1) * width];
        let is_same = |number: &u32| at(number) == row;
        match self.index.entry(hash(row), is_same, |number| hash(at(number))) {
            hashbrown::hash_table::Entry::Occupied(found) => *found.get() as usize,
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(u32::try_from(self.len).expect("rows are fewer than bytes that may be held"));
                self.codes.extend_from_slice(row);
                self.len += 1;
                self.len - 1
            }
        }
    }

    /// Adds the row; returns whether it was new.
    pub fn is_new(&mut self, row: &[u64]) -> bool {
        let before = self.len;
        self.insert(row) == before
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.codes.capacity() * size_of::<u64>() + self.index.allocation_size()
    }
}

/// Mixes codes, since neighbouring ids differ only in a few low bits.
pub fn hash(row: &[u64]) -> u64 {
    row.iter().fold(0x243F_6A88_85A3_08D3, |hash, code| {
        let product = u128::from(hash ^ code) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
        (product ^ (product >> 64)) as u64
    })
}
