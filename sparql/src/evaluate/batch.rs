//! Batches: rows of codes, by columns.

use crate::session::code::{Code, UNBOUND};
use std::borrow::Cow;

/// Rows of a first batch, which is small so that the first rows arrive early, and of later ones.
const ROWS_FIRST: usize = 64;
pub const ROWS_MAX: usize = 4_096;

/// Rows of one operator; its columns are those of the operator's variables.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Vec<Code>>,
}

impl Batch {
    /// No rows, of `width` columns.
    pub fn new(width: usize) -> Self {
        Self { rows: 0, columns: vec![Vec::new(); width] }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = Code>) {
        let mut row = row.into_iter();
        for column in &mut self.columns {
            column.push(row.next().unwrap_or(UNBOUND));
        }
        self.rows += 1;
    }

    /// Puts a row into `codes`.
    pub fn read(&self, row: usize, codes: &mut Vec<Code>) {
        codes.clear();
        codes.extend(self.columns.iter().map(|column| column[row]));
    }

    /// Only these rows.
    pub fn gather(&self, rows: &[u32]) -> Self {
        let column = |column: &Vec<Code>| rows.iter().map(|row| column[*row as usize]).collect();
        Self { rows: rows.len(), columns: self.columns.iter().map(column).collect() }
    }

    /// The rows from `start`, at most `length`; the batch itself if these are all.
    pub fn piece(&self, start: usize, length: usize) -> Cow<'_, Self> {
        if start == 0 && length >= self.rows { Cow::Borrowed(self) } else { Cow::Owned(self.slice(start, length)) }
    }

    /// The rows from `start`, at most `length`.
    pub fn slice(&self, start: usize, length: usize) -> Self {
        let end = self.rows.min(start.saturating_add(length));
        let start = start.min(end);
        Self { rows: end - start, columns: self.columns.iter().map(|column| column[start..end].to_vec()).collect() }
    }
}

/// How many rows the next batch should have: few at first.
#[derive(Clone, Copy, Debug)]
pub struct Growth(usize);

impl Default for Growth {
    fn default() -> Self {
        Self(ROWS_FIRST)
    }
}

impl Growth {
    /// The rows of the next batch.
    pub fn rows(self) -> usize {
        self.0
    }

    /// To be called after each batch.
    pub fn grow(&mut self) {
        self.0 = (self.0 * 4).min(ROWS_MAX);
    }
}
