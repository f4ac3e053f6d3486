//! Rows as numbers, for operators that hold many: the cells of a [union](crate::plan::union)'s rows as codes, and sets of
//! such rows.

use crate::plan::union::{Cell, Columns, UnionPlan};
use crate::session::code::{Code, UNBOUND};
use hashbrown::HashTable;

/// The codes of the rows of a union plan.
pub struct Codes {
    branches: Vec<Vec<Cell>>,
}

impl Codes {
    /// The codes for the cells of all branches.
    pub fn of(union: &UnionPlan) -> Self {
        Self { branches: union.branches.iter().map(|branch| branch.cells.clone()).collect() }
    }

    /// The code of one cell.
    pub fn get(&self, columns: &Columns, row: usize, cell: usize) -> Code {
        match self.branches[columns.branch][cell] {
            Cell::Slot(slot) => columns.batch.columns[slot][row],
            Cell::Fixed(code) => code,
            Cell::Unbound => UNBOUND,
        }
    }

    /// Puts the codes of a row into `codes`.
    pub fn read(&self, columns: &Columns, row: usize, codes: &mut Vec<Code>) {
        codes.clear();
        codes.extend((0..self.branches[columns.branch].len()).map(|cell| self.get(columns, row, cell)));
    }

    /// Appends the codes of a cell in some rows to a column.
    pub fn extend(&self, columns: &Columns, rows: std::ops::Range<usize>, cell: usize, column: &mut Vec<Code>) {
        match self.branches[columns.branch][cell] {
            Cell::Slot(slot) => column.extend_from_slice(&columns.batch.columns[slot][rows]),
            Cell::Fixed(code) => column.extend(rows.map(|_| code)),
            Cell::Unbound => column.extend(rows.map(|_| UNBOUND)),
        }
    }
}

/// Distinct rows of one width, numbered in the order of their arrival.
pub struct RowSet {
    width: usize,
    codes: Vec<Code>,
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
    pub fn get(&self, number: usize) -> &[Code] {
        &self.codes[number * self.width..(number + 1) * self.width]
    }

    /// The number of the row; a new row gets the next number.
    ///
    /// # Panics
    /// If there are 2^32 rows, which no limit allows.
    pub fn insert(&mut self, row: &[Code]) -> usize {
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
    pub fn is_new(&mut self, row: &[Code]) -> bool {
        let before = self.len;
        self.insert(row) == before
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.codes.capacity() * size_of::<Code>() + self.index.allocation_size()
    }
}

/// Mixes codes, since neighbouring ids differ only in a few low bits.
pub fn hash(row: &[Code]) -> u64 {
    hash_each(row.iter().copied())
}

/// Mixes codes as [`hash`] does.
pub fn hash_each(row: impl Iterator<Item = Code>) -> u64 {
    row.fold(0x243F_6A88_85A3_08D3, |hash, code| {
        let product = u128::from(hash ^ code.0) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
        (product ^ (product >> 64)) as u64
    })
}
