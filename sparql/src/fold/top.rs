//! The first rows in an order: a bounded heap, with the last row on top.
//!
//! Rows that are equal in the order are ordered by their codes, so the first rows do not depend on the order
//! of arrival, and a LIMIT with an OFFSET continues exactly after the page before it.

use super::decoded::Decoded;
use super::{Made, Row, Rows, places};
use crate::algebra::order::sort_key;
use crate::plan::codes::Codes;
use crate::plan::union::UnionRows;
use crate::rewrite::fold::{SortOrder, Top};
use crate::session::Session;
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_model::Fault;
use oxrdf::Variable;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

/// The sort key of a cell; `None` for an unbound cell, which comes first.
type Key = Option<Arc<str>>;

/// A row in the heap.
struct Kept {
    keys: Vec<(SortOrder, Key)>,
    row: Arc<[Code]>,
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut keys = self.keys.iter().zip(&other.keys);
        let by_key = keys.find_map(|((by, one), (_, other))| Some(by.apply(one.cmp(other))).filter(|o| o.is_ne()));
        by_key.unwrap_or_else(|| self.row.cmp(&other.row))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Kept {}

/// The first rows of a leaf, whose columns are `inputs`.
pub fn run(
    top: &Top,
    inputs: &[Variable],
    session: &Arc<Session>,
    input: &mut UnionRows,
) -> Result<impl Iterator<Item = Row> + use<>, Fault> {
    let names = Codes::of(input.plan());
    let mut rows = Rows::new(session, inputs.len());
    let mut first = First::new(top, inputs);
    let mut held = session.reservation();
    while top.length > 0
        && let Some(columns) = input.next()?
    {
        rows.each_of(&columns, &names, input, |rows| {
            let added = first.add(rows)?;
            held.set(first.bytes())?;
            Ok(added)
        })?;
    }
    let shown = places(inputs, &top.shown);
    let rows = first.heap.into_sorted_vec().into_iter().map(move |kept| {
        // The reservation ends with the last row.
        let _held = &held;
        shown.iter().map(|cell| Made::Code(kept.row[*cell])).collect()
    });
    Ok(rows)
}

/// The first rows so far.
struct First {
    length: usize,
    by: Vec<(usize, SortOrder)>,
    keys: Vec<Decoded<Arc<str>>>,
    heap: BinaryHeap<Kept>,
    /// The rows in the heap, if each is returned once.
    distinct: Option<HashSet<Arc<[Code]>>>,
    /// The leading code of the last row that was rejected by its leading code alone: all rows with this code are
    /// rejected.
    late: Option<Code>,
    bytes: usize,
}

impl First {
    fn new(top: &Top, inputs: &[Variable]) -> Self {
        let cells = top.by.iter().map(|(variable, by)| (places(inputs, std::slice::from_ref(variable))[0], *by));
        let keys =
            top.by.iter().map(|_| Decoded::new(|view| sort_key(view).into(), |key: &Arc<str>| key.len())).collect();
        Self {
            length: top.length,
            by: cells.collect(),
            keys,
            heap: BinaryHeap::new(),
            distinct: top.distinct.then(HashSet::new),
            late: None,
            bytes: 0,
        }
    }

    /// Adds rows, if the texts that the order reads fit.
    fn add(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        for ((cell, _), keys) in self.by.iter().zip(&mut self.keys) {
            if let Fit::Rows(fewer) = keys.learn(rows, *cell)? {
                return Ok(Fit::Rows(fewer));
            }
        }
        rows.each().for_each(|(row, _)| self.add_row(row));
        Ok(Fit::Whole(()))
    }

    /// Bytes in memory.
    fn bytes(&self) -> usize {
        self.bytes + self.keys.iter().map(Decoded::bytes).sum::<usize>()
    }

    fn add_row(&mut self, row: &[Code]) {
        if self.is_late(row) || self.distinct.as_ref().is_some_and(|rows| rows.contains(row)) {
            return;
        }
        let keys = self.by.iter().zip(&self.keys);
        let keys = keys.map(|((cell, by), keys)| (*by, key(keys, row[*cell]).cloned())).collect();
        let kept = Kept { keys, row: row.into() };
        self.bytes += kept.bytes();
        if let Some(rows) = &mut self.distinct {
            rows.insert(Arc::clone(&kept.row));
        }
        self.heap.push(kept);
        if self.heap.len() > self.length
            && let Some(last) = self.heap.pop()
        {
            self.bytes -= last.bytes();
            if let Some(rows) = &mut self.distinct {
                rows.remove(&last.row);
            }
        }
    }

    /// Is the row after all rows in the full heap?
    fn is_late(&mut self, row: &[Code]) -> bool {
        let begin = self.by.first().map(|(cell, _)| row[*cell]);
        if self.late.is_some() && self.late == begin {
            return true;
        }
        let Some(last) = self.heap.peek().filter(|_| self.heap.len() == self.length) else { return false };
        let cells = self.by.iter().zip(&self.keys).zip(&last.keys);
        let by_key = cells.map(|(((cell, by), keys), (_, last))| by.apply(key(keys, row[*cell]).cmp(&last.as_ref())));
        match by_key.enumerate().find(|(_, ordering)| ordering.is_ne()) {
            Some((place, ordering)) => {
                if place == 0 && ordering.is_gt() {
                    self.late = begin;
                }
                ordering.is_gt()
            }
            None => *row >= *last.row,
        }
    }
}

fn key(keys: &Decoded<Arc<str>>, code: Code) -> Option<&Arc<str>> {
    if code == UNBOUND { None } else { keys.get(code) }
}

impl Kept {
    /// Estimated bytes, with the entries in the heap and in a set.
    fn bytes(&self) -> usize {
        let keys = self.keys.iter().map(|(_, key)| 48 + key.as_ref().map_or(0, |key| key.len()));
        96 + self.row.len() * size_of::<Code>() + keys.sum::<usize>()
    }
}
