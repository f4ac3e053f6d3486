//! Batches: rows as columns of ids, with the texts of the terms that filters need.

use super::Texts;
use crate::plan::Slot;
use entail_model::{Fault, TermId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text of a term: its canonical bytes; `None` for inline values, which carry their value.
pub type Text = Option<Arc<[u8]>>;

/// Rows with a column per slot; the columns of unbound slots are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Vec<TermId>>,
    /// The texts of resolved slots.
    pub texts: BTreeMap<Slot, Vec<Text>>,
}

impl Batch {
    /// One row with nothing bound.
    pub fn unit(width: usize) -> Self {
        Self { rows: 1, columns: vec![Vec::new(); width], texts: BTreeMap::new() }
    }

    /// No rows.
    pub fn empty(width: usize) -> Self {
        Self { rows: 0, columns: vec![Vec::new(); width], texts: BTreeMap::new() }
    }

    /// Is the slot bound in these rows?
    pub fn is_bound(&self, slot: Slot) -> bool {
        self.rows > 0 && !self.columns[slot].is_empty()
    }

    /// The rows with these indexes, in this order.
    pub fn take_rows(&self, indexes: &[u32]) -> Self {
        self.take(indexes, |_| true)
    }

    /// The rows with these indexes, in this order, with only the slots in sorted `live`.
    pub fn take_live_rows(&self, indexes: &[u32], live: &[Slot]) -> Self {
        self.take(indexes, |slot| live.binary_search(&slot).is_ok())
    }

    fn take(&self, indexes: &[u32], is_wanted: impl Fn(Slot) -> bool) -> Self {
        let is_identity = indexes.len() == self.rows && indexes.iter().enumerate().all(|(i, row)| i == *row as usize);
        let pick = |(slot, column): (Slot, &Vec<TermId>)| {
            if column.is_empty() || !is_wanted(slot) {
                Vec::new()
            } else if is_identity {
                column.clone()
            } else {
                indexes.iter().map(|row| column[*row as usize]).collect()
            }
        };
        let texts = self.texts.iter().filter(|(slot, _)| is_wanted(**slot));
        let texts =
            texts.map(|(slot, texts)| (*slot, indexes.iter().map(|row| texts[*row as usize].clone()).collect()));
        Self {
            rows: indexes.len(),
            columns: self.columns.iter().enumerate().map(pick).collect(),
            texts: texts.collect(),
        }
    }

    /// Appends the rows of `other`, which binds the same slots.
    pub fn append(&mut self, other: &Self) {
        if self.rows == 0 {
            *self = other.clone();
            return;
        }
        self.rows += other.rows;
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_from_slice(more);
        }
        for (slot, texts) in &mut self.texts {
            texts.extend_from_slice(&other.texts[slot]);
        }
    }

    /// Drops the slots that are not in sorted `live`.
    pub fn project(&mut self, live: &[Slot]) {
        for (slot, column) in self.columns.iter_mut().enumerate() {
            if live.binary_search(&slot).is_err() {
                *column = Vec::new();
            }
        }
        self.texts.retain(|slot, _| live.binary_search(slot).is_ok());
    }

    /// Makes one row of adjacent rows that are equal in `slots`, with their number in `times`. If there is only one slot,
    /// the rows are first sorted by it.
    pub fn tally(&mut self, slots: &[Slot], times: Slot) {
        if let [only] = slots {
            let column = &mut self.columns[*only];
            if !column.is_sorted() {
                column.sort_unstable();
            }
        }
        let columns: Vec<&Vec<TermId>> = slots.iter().map(|slot| &self.columns[*slot]).collect();
        let is_new = |row: usize| row == 0 || columns.iter().any(|column| column[row] != column[row - 1]);
        let first: Vec<u32> = (0..self.rows).filter(|row| is_new(*row)).map(|row| row as u32).collect();
        let ends = first.iter().skip(1).copied().chain([self.rows as u32]);
        let counts = first.iter().zip(ends).map(|(start, end)| TermId(u64::from(end - start))).collect();
        if first.len() < self.rows {
            *self = self.take_rows(&first);
        }
        self.columns[times] = counts;
    }

    /// Sorts the rows and drops repeated ones.
    pub fn distinct(&mut self) {
        let bound: Vec<&Vec<TermId>> = self.columns.iter().filter(|column| !column.is_empty()).collect();
        if bound.is_empty() {
            *self = self.take_rows(if self.rows > 0 { &[0] } else { &[] });
            return;
        }
        let row = |index: u32| bound.iter().map(move |column| column[index as usize]);
        let mut indexes: Vec<u32> = (0..self.rows as u32).collect();
        indexes.sort_unstable_by(|a, b| row(*a).cmp(row(*b)));
        indexes.dedup_by(|a, b| row(*a).eq(row(*b)));
        *self = self.take_rows(&indexes);
    }

    /// Adds the texts of the slot's terms.
    pub fn resolve(&mut self, slot: Slot, texts: &dyn Texts) -> Result<(), Fault> {
        let column = &self.columns[slot];
        let mut ids: Vec<TermId> = column.iter().copied().filter(|id| !id.is_inline()).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = texts.texts(&ids)?;
        let of = |id: &TermId| ids.binary_search(id).ok().map(|index| Arc::clone(&found[index]));
        self.texts.insert(slot, column.iter().map(of).collect());
        Ok(())
    }

    /// Bytes of the columns and texts, for limits.
    pub fn bytes(&self) -> u64 {
        let ids: usize = self.columns.iter().map(|column| column.len() * size_of::<TermId>()).sum();
        let texts = self.texts.values().flatten();
        let texts: usize = texts.map(|text| 16 + text.as_ref().map_or(0, |text| text.len())).sum();
        (ids + texts) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The number of each row of the columns.
    fn counted(batch: &Batch, slots: &[Slot], times: impl Fn(usize) -> u64) -> BTreeMap<Vec<TermId>, u64> {
        let mut counts = BTreeMap::new();
        for row in 0..batch.rows {
            let key = slots.iter().map(|slot| batch.columns[*slot][row]).collect();
            *counts.entry(key).or_default() += times(row);
        }
        counts
    }

    proptest! {
        #[test]
        fn a_tally_tells_how_often_each_row_was_there(
            rows in prop::collection::vec((0u64..4, 0u64..4), 1..60),
            wide in any::<bool>(),
        ) {
            let column = |of: fn(&(u64, u64)) -> u64| rows.iter().map(|row| TermId(of(row))).collect::<Vec<_>>();
            let columns = vec![column(|row| row.0), if wide { column(|row| row.1) } else { Vec::new() }, Vec::new()];
            let slots = if wide { vec![0, 1] } else { vec![0] };
            let mut batch = Batch { rows: rows.len(), columns, ..Batch::default() };
            let before = counted(&batch, &slots, |_| 1);
            batch.tally(&slots, 2);
            let after = counted(&batch, &slots, |row| batch.columns[2][row].0);
            prop_assert_eq!(before, after);
            if !wide {
                prop_assert!(batch.columns[0].is_sorted_by(|one, next| one < next));
            }
        }
    }
}
