//! Groups: rows with the same cells, an accumulator for each aggregate.

use super::aggregate::{Accumulate, accumulator};
use super::{Made, Row, Rows, places};
use crate::plan::codes::{Codes, RowSet};
use crate::plan::union::UnionRows;
use crate::rewrite::fold::Group;
use crate::session::Session;
use crate::session::code::Code;
use crate::session::texts::Fit;
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
    let mut rows = Rows::new(session, inputs.len());
    let mut groups = Groups::new(group, inputs);
    let mut held = session.reservation();
    while let Some(columns) = input.next()? {
        rows.each_of(&columns, &names, input, |rows| {
            let added = groups.add(rows)?;
            held.set(groups.bytes())?;
            Ok(added)
        })?;
    }
    let rows = groups.order().into_iter().map(move |group| {
        // The reservation ends with the last row.
        let _held = &held;
        groups.finish(group)
    });
    Ok(rows)
}

/// The groups so far.
pub struct Groups {
    /// The cells of GROUP BY.
    by: Vec<usize>,
    keys: RowSet,
    accumulators: Vec<Box<dyn Accumulate>>,
}

impl Groups {
    /// No groups yet.
    pub fn new(group: &Group, inputs: &[Variable]) -> Self {
        let accumulators = group.aggregates.iter().map(|(_, aggregate)| accumulator(aggregate, inputs)).collect();
        let mut groups = Self { by: places(inputs, &group.by), keys: RowSet::new(group.by.len()), accumulators };
        if group.by.is_empty() {
            // All rows are one group, even if there are none.
            groups.group(&[]);
        }
        groups
    }

    /// The group of these cells.
    fn group(&mut self, key: &[Code]) -> usize {
        let before = self.keys.len();
        let group = self.keys.insert(key);
        if group == before {
            self.accumulators.iter_mut().for_each(|accumulator| accumulator.begin());
        }
        group
    }

    /// Adds rows, if the texts that the aggregates read fit.
    ///
    /// # Errors
    /// Errors of the cluster; `LimitExceeded` if a value is too large.
    pub fn add(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        for accumulator in &mut self.accumulators {
            if let Fit::Rows(fewer) = accumulator.learn(rows)? {
                return Ok(Fit::Rows(fewer));
            }
        }
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
        self.accumulators.iter().try_for_each(|accumulator| accumulator.check())?;
        Ok(Fit::Whole(()))
    }

    /// The groups, in the order of their cells: not in the order of arrival, which differs from run to run. So a sort above
    /// keeps one order of equal groups.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_unstable_by(|one, other| self.keys.get(*one).cmp(self.keys.get(*other)));
        order
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum::<usize>()
    }

    /// The output row of a group.
    pub fn finish(&self, group: usize) -> Row {
        let key = self.keys.get(group).iter().map(|code| Made::Code(*code));
        key.chain(self.accumulators.iter().map(|accumulator| accumulator.finish(group))).collect()
    }
}
