//! Groups: rows with the same cells, an accumulator for each aggregate.

use super::aggregate::{Accumulate, accumulator};
use super::{Row, Rows, places};
use crate::plan::codes::{Codes, RowSet};
use crate::plan::union::UnionRows;
use crate::rewrite::fold::Group;
use crate::session::Session;
use entail_model::Fault;
use oxrdf::Variable;
use std::sync::Arc;

/// Groups all rows of a leaf, whose columns are `inputs`.
pub fn run(
    group: &Group,
    inputs: &[Variable],
    session: &Arc<Session>,
    input: &mut UnionRows,
) -> Result<impl Iterator<Item = Row> + use<>, Fault> {
    let names = Codes::of(input.plan());
    let mut rows = Rows::new(session, &names, inputs.len());
    let mut groups = Groups::new(group, inputs);
    let mut held = session.reservation();
    while let Some(columns) = input.next()? {
        rows.each_of(&columns, input, |rows| {
            groups.add(rows)?;
            held.set(groups.bytes())
        })?;
    }
    // Not in the order of arrival, which differs from run to run: a sort above then keeps one order of equal groups.
    let mut order: Vec<usize> = (0..groups.keys.len()).collect();
    order.sort_unstable_by(|one, other| groups.keys.get(*one).cmp(groups.keys.get(*other)));
    let rows = order.into_iter().map(move |group| {
        // The reservation ends with the last row.
        let _held = &held;
        groups.finish(group, &names)
    });
    Ok(rows)
}

/// The groups so far.
struct Groups {
    /// The cells of GROUP BY.
    by: Vec<usize>,
    keys: RowSet,
    accumulators: Vec<Box<dyn Accumulate>>,
}

impl Groups {
    fn new(group: &Group, inputs: &[Variable]) -> Self {
        let accumulators = group.aggregates.iter().map(|(_, aggregate)| accumulator(aggregate, inputs)).collect();
        let mut groups = Self { by: places(inputs, &group.by), keys: RowSet::new(group.by.len()), accumulators };
        if group.by.is_empty() {
            // All rows are one group, even if there are none.
            groups.group(&[]);
        }
        groups
    }

    /// The group of these cells.
    fn group(&mut self, key: &[u64]) -> usize {
        let before = self.keys.len();
        let group = self.keys.insert(key);
        if group == before {
            self.accumulators.iter_mut().for_each(|accumulator| accumulator.begin());
        }
        group
    }

    fn add(&mut self, rows: &Rows<'_>) -> Result<(), Fault> {
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.learn(rows))?;
        let mut key = Vec::with_capacity(self.by.len());
        // Rows often arrive in the order of a cell.
        let mut last = None;
        for (row, times) in rows.each() {
            let is_same = last.is_some() && self.by.iter().zip(&key).all(|(cell, code)| row[*cell] == *code);
            let group = match last.filter(|_| is_same) {
                Some(group) => group,
                None => {
                    key.clear();
                    key.extend(self.by.iter().map(|cell| row[*cell]));
                    self.group(&key)
                }
            };
            last = Some(group);
            self.accumulators.iter_mut().for_each(|accumulator| accumulator.add(group, row, times));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.keys.bytes() + self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum::<usize>()
    }

    fn finish(&self, group: usize, names: &Codes) -> Row {
        let key = self.keys.get(group).iter().map(|code| names.term(*code));
        key.chain(self.accumulators.iter().map(|accumulator| accumulator.finish(group, names))).collect()
    }
}
