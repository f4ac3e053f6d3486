//! Extends rows by the values that several lists have in common, as worst-case optimal joins do, one variable at a time
//! (Ngo, Porat, Ré, Rudra 2012): of a triangle with two corners bound, the third is in the lists of both corners.
//!
//! ```text
//! row (x, y) ──► p(y, ·)  r(x, ·)  the shorter leads, the longer gallops to its values ──► rows (x, y, z)
//! ```
//! A value that is in one list but not in another never makes a row. Each key of a batch is searched once, in order,
//! and in a later side only for rows that have values in the earlier sides: at most as many searches as when each value
//! of the first list is looked up in the others.

use super::{Batch, Facts, Output, PIECE_ROWS, Scope};
use crate::columns::pairs::{self, Pair};
use crate::columns::{Cursor, Run};
use crate::plan::{Arg, Side, Slot, View};
use entail_model::{Fault, TermId};
use std::mem;
use std::sync::Arc;

pub(super) struct Step<'a> {
    pub scope: &'a Scope<'a>,
    pub slot: Slot,
    pub sides: &'a [Side],
    /// The slots that later operators read, in order; `None` keeps all.
    pub live: Option<&'a [Slot]>,
    /// Are the rows only counted?
    pub is_counted: bool,
}

/// The most chunks of all lists that are held after their search for the rest of the batch: 16 MiB. Chunks of larger
/// relations are read again.
const CHUNKS_HELD_MAX: usize = 64;

/// A key's pairs in one run: their position and an upper bound of their number.
struct Group<'r> {
    start: Cursor<'r>,
    len: u64,
}

/// One side's lists: for each row the groups of its key, of all runs.
struct Lists<'r> {
    groups: Vec<Group<'r>>,
    /// For each row its key and the range of its groups.
    of_row: Vec<(TermId, u32, u32)>,
}

/// A row's list.
#[derive(Clone, Copy)]
struct List<'l, 'r> {
    key: TermId,
    groups: &'l [Group<'r>],
}

impl Step<'_> {
    /// Hands on the rows, extended by their common values.
    pub fn run(&self, batch: &Batch, output: Output<'_>) -> Result<(), Fault> {
        let runs: Vec<Vec<Arc<Run>>> = self.sides.iter().map(|side| runs_of(self.scope.facts, side)).collect();
        let chunks: usize = runs.iter().flatten().map(|run| run.chunks.len()).sum();
        let mut rows: Vec<u32> = (0..batch.rows as u32).collect();
        let mut sides = Vec::with_capacity(runs.len());
        for (side, runs) in self.sides.iter().zip(&runs) {
            let Arg::Slot(key) = side.atom.key_value(side.copy).0 else {
                return Err(Fault::corrupt("a list without a key"));
            };
            let lists = Lists::of(runs, &batch.columns[key], &rows, chunks <= CHUNKS_HELD_MAX)?;
            rows.retain(|row| !lists.row(*row).groups.is_empty());
            sides.push(lists);
        }
        let mut found = CommonValues { step: self, batch, rows: Vec::new(), values: Vec::new(), counted: 0, output };
        let mut lists = Vec::with_capacity(sides.len());
        for row in rows {
            self.scope.check()?;
            lists.clear();
            lists.extend(sides.iter().map(|side| side.row(row)));
            lists.sort_unstable_by_key(List::len);
            self.scope.spend(lists[0].len() as usize)?;
            found.row(row, &lists)?;
        }
        found.flush()
    }
}

fn runs_of(facts: &dyn Facts, side: &Side) -> Vec<Arc<Run>> {
    side.atom.relation().map_or_else(Vec::new, |relation| facts.runs(relation, side.copy, View::All))
}

impl<'r> Lists<'r> {
    /// The lists of the keys that some rows have in a column, with their first chunks if `holds`.
    fn of(runs: &'r [Arc<Run>], column: &[TermId], rows: &[u32], holds: bool) -> Result<Self, Fault> {
        let mut keyed: Vec<(TermId, u32)> = rows.iter().map(|row| (column[*row as usize], *row)).collect();
        if !keyed.is_sorted() {
            keyed.sort_unstable();
        }
        let mut cursors: Vec<Cursor<'r>> = runs.iter().map(|run| Cursor::new(run)).collect();
        let mut lists = Self { groups: Vec::new(), of_row: vec![(TermId(0), 0, 0); column.len()] };
        for same in keyed.chunk_by(|a, b| a.0 == b.0) {
            let (key, first) = (same[0].0, lists.groups.len() as u32);
            for cursor in &mut cursors {
                let here = pairs::gallop(cursor.seek((key, TermId(0)))?, |pair| pair.0 == key);
                if here > 0 {
                    let len = here as u64 + cursor.later_chunks_with(key);
                    let start = if holds { cursor.clone() } else { cursor.position() };
                    lists.groups.push(Group { start, len });
                }
            }
            let end = lists.groups.len() as u32;
            same.iter().for_each(|(_, row)| lists.of_row[*row as usize] = (key, first, end));
        }
        Ok(lists)
    }

    fn row(&self, row: u32) -> List<'_, 'r> {
        let (key, first, end) = self.of_row[row as usize];
        List { key, groups: &self.groups[first as usize..end as usize] }
    }
}

impl List<'_, '_> {
    fn len(&self) -> u64 {
        self.groups.iter().map(|group| group.len).sum()
    }

    /// Keeps the values, of sorted ones, that are in the list.
    fn keep(&self, values: &mut Vec<TermId>) -> Result<(), Fault> {
        let mut cursors: Vec<Cursor<'_>> = self.groups.iter().map(|group| group.start.clone()).collect();
        let mut kept = 0;
        for at in 0..values.len() {
            let pair = (self.key, values[at]);
            for cursor in &mut cursors {
                if cursor.seek(pair)?.first() == Some(&pair) {
                    values[kept] = pair.1;
                    kept += 1;
                    break;
                }
            }
        }
        values.truncate(kept);
        Ok(())
    }
}

/// Collects the common values, combined with the rows that they were found for.
struct CommonValues<'f> {
    step: &'f Step<'f>,
    batch: &'f Batch,
    rows: Vec<u32>,
    values: Vec<TermId>,
    /// The number of values, where they are only counted.
    counted: usize,
    output: Output<'f>,
}

impl CommonValues<'_> {
    /// Finds the values that all lists of a row have; the shortest list comes first. Runs of one relation are disjoint,
    /// so no value is found twice.
    fn row(&mut self, row: u32, lists: &[List<'_, '_>]) -> Result<(), Fault> {
        let [shortest, longer, others @ ..] = lists else {
            return Err(Fault::corrupt("one list has nothing in common"));
        };
        let mut common = Vec::new();
        for group in shortest.groups {
            for other in longer.groups {
                let (mut ahead, mut after) = (group.start.clone(), other.start.clone());
                while let Some(first) = of_key(ahead.piece()?, shortest.key).first() {
                    self.step.scope.check()?;
                    let behind = of_key(after.seek((longer.key, first.1))?, longer.key);
                    if behind.is_empty() {
                        break;
                    }
                    let here = of_key(ahead.piece()?, shortest.key);
                    let passed = if others.is_empty() && self.step.is_counted {
                        pairs::common_values(here, behind, |_| self.counted += 1)
                    } else {
                        pairs::common_values(here, behind, |value| common.push(value))
                    };
                    ahead.advance(passed.0);
                    after.advance(passed.1);
                    if others.is_empty() || common.len() >= PIECE_ROWS {
                        self.keep_common(row, &mut common, others)?;
                    }
                }
            }
        }
        self.keep_common(row, &mut common, others)
    }

    /// Adds those common values of two lists that are in all other lists.
    fn keep_common(&mut self, row: u32, common: &mut Vec<TermId>, others: &[List<'_, '_>]) -> Result<(), Fault> {
        if !common.is_empty() && !others.is_empty() {
            common.sort_unstable();
            others.iter().try_for_each(|other| other.keep(common))?;
        }
        self.keep(row, common)
    }

    fn keep(&mut self, row: u32, values: &mut Vec<TermId>) -> Result<(), Fault> {
        if self.step.is_counted {
            self.counted += mem::take(values).len();
            return Ok(());
        }
        self.values.append(values);
        self.rows.resize(self.values.len(), row);
        if self.values.len() >= PIECE_ROWS { self.flush() } else { Ok(()) }
    }

    /// Hands on the collected values.
    fn flush(&mut self) -> Result<(), Fault> {
        if self.counted > 0 {
            let rows = mem::take(&mut self.counted);
            return (self.output)(Batch { rows, ..Batch::empty(self.batch.columns.len()) });
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = mem::take(&mut self.rows);
        let mut piece = match self.step.live {
            None => self.batch.take_rows(&rows),
            Some(live) => self.batch.take_live_rows(&rows, live),
        };
        piece.columns[self.step.slot] = mem::take(&mut self.values);
        (self.output)(piece)
    }
}

/// The pairs of a key, which come first if there are any.
fn of_key(pairs: &[Pair], key: TermId) -> &[Pair] {
    &pairs[..pairs::gallop(pairs, |pair| pair.0 == key)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::run::tests::chunked;
    use crate::eval::{Conditions, Texts};
    use crate::plan::{Atom, GraphScope};
    use entail_model::{Direction, Relation};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Relations by their predicates, each in several runs of small chunks.
    struct InRuns(BTreeMap<TermId, Vec<Arc<Run>>>);

    impl Facts for InRuns {
        fn runs(&self, relation: Relation, _: Direction, _: View) -> Vec<Arc<Run>> {
            self.0.get(&relation.predicate).cloned().unwrap_or_default()
        }

        fn relations(&self) -> Vec<Relation> {
            Vec::new()
        }
    }

    impl Texts for InRuns {
        fn texts(&self, _: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
            Ok(Vec::new())
        }
    }

    fn relation() -> impl Strategy<Value = BTreeSet<Pair>> {
        let few = (0u64..6, 0u64..40).prop_map(|(key, value)| (TermId(key), TermId(value)));
        prop::collection::btree_set(few, 0..150)
    }

    proptest! {
        /// Also where lists go on in other chunks and other runs.
        #[test]
        fn rows_are_those_of_all_lists(
            relations in prop::collection::vec(relation(), 2..5),
            keys in prop::collection::vec(prop::collection::vec(0u64..7, 4), 0..20),
            (runs, size) in (1usize..4, 1usize..30),
        ) {
            let count = relations.len();
            let in_runs = |pairs: &BTreeSet<Pair>| {
                let run = |number: usize| pairs.iter().copied().skip(number).step_by(runs).collect::<Vec<_>>();
                let all = (0..runs).map(run).filter(|run| !run.is_empty());
                all.map(|run| Arc::new(chunked(&run, size))).collect()
            };
            let facts = InRuns((100..).map(TermId).zip(relations.iter().map(in_runs)).collect());
            let side = |number: usize| {
                let (graph, predicate) = (GraphScope::One(TermId(0)), Arg::Const(TermId(100 + number as u64)));
                let atom = Atom { graph, subject: Arg::Slot(number), predicate, object: Arg::Slot(count) };
                Side { atom, copy: Direction::Forward }
            };
            let sides: Vec<Side> = (0..count).map(side).collect();
            let column = |number: usize| keys.iter().map(|row| TermId(row[number])).collect::<Vec<_>>();
            let mut columns: Vec<Vec<TermId>> = (0..count).map(column).collect();
            columns.push(Vec::new());
            let batch = Batch { rows: keys.len(), columns, ..Batch::default() };
            let conditions = Conditions::default();
            let scope = Scope {
                facts: &facts, texts: &facts, conditions: &conditions, stop: None, meter: None, groups: None,
                key_sets: None, rows_left: None,
            };
            let has = |number: usize, row: &[u64], value: u64| {
                relations[number].contains(&(TermId(row[number]), TermId(value)))
            };
            let mut expected = Vec::new();
            for row in &keys {
                let common = (0..40).filter(|value| (0..count).all(|number| has(number, row, *value)));
                expected.extend(common.map(|value| [&row[..count], &[value]].concat()));
            }
            for is_counted in [false, true] {
                let (mut found, mut counted) = (Vec::new(), 0);
                let step = Step { scope: &scope, slot: count, sides: &sides, live: None, is_counted };
                step.run(&batch, &mut |piece| {
                    counted += piece.rows;
                    if !is_counted {
                        let row = |row: usize| piece.columns.iter().map(|column| column[row].0).collect::<Vec<_>>();
                        found.extend((0..piece.rows).map(row));
                    }
                    Ok(())
                }).expect("in memory");
                prop_assert_eq!(counted, expected.len());
                if !is_counted {
                    found.sort();
                    expected.sort();
                    prop_assert_eq!(&found, &expected);
                }
            }
        }
    }
}
