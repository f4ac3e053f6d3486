//! The one join operator: extends rows by matching local facts.
//!
//! With the key bound, rows are visited in the order of their keys and gallop through each run (a merge join when both
//! sides are of similar size), or in their own order where it is to be kept and the runs are small; with the key unbound,
//! the copy is scanned. A bound value is checked against each match.

use super::described::Described;
use super::join::{Choice, Join, value_of};
use super::key_sets::Asked;
use super::{Batch, Output, Scope};
use crate::columns::pairs::{self, Pair};
use crate::columns::{Cursor, Run};
use crate::plan::{Arg, Atom, GraphScope, Slot, View};
use entail_model::{Direction, Fault, Relation, TermId};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Step<'a> {
    pub scope: &'a Scope<'a>,
    pub atom: &'a Atom,
    pub copy: Direction,
    pub view: View,
    /// The slots that later operators read, in order; `None` keeps all.
    pub live: Option<&'a [Slot]>,
    /// Are the rows only counted?
    pub is_counted: bool,
}

impl Step<'_> {
    /// Joins `batch` with the atom's facts.
    pub fn run(&self, batch: &Batch, output: Output<'_>) -> Result<(), Fault> {
        if let Some(described) = Described::of(self, batch) {
            return described.run(self, batch, output);
        }
        for (choice, graphs, rows) in self.choices(batch) {
            self.scope.check()?;
            let mut join = Join::new(self, batch, choice, output);
            if self.is_key_bound(batch) {
                self.probe(&graphs, &rows, &mut join)?
            } else {
                self.scan(&graphs, &rows, &mut join)?
            }
            join.flush()?;
        }
        Ok(())
    }

    fn is_key_bound(&self, batch: &Batch) -> bool {
        match self.atom.key_value(self.copy).0 {
            Arg::Const(_) => true,
            Arg::Slot(slot) => batch.is_bound(slot),
        }
    }

    /// The relations to read, each with its graphs (several are merged) and the rows that read it.
    fn choices(&self, batch: &Batch) -> Vec<(Choice, Vec<TermId>, Vec<u32>)> {
        let all = || (0..batch.rows as u32).collect::<Vec<u32>>();
        let by_predicate = match self.atom.predicate {
            Arg::Const(predicate) => BTreeMap::from([(predicate, all())]),
            Arg::Slot(slot) if batch.is_bound(slot) => group_rows(&batch.columns[slot], all()),
            Arg::Slot(_) => {
                let mut predicates: Vec<TermId> = self.scope.facts.relations().iter().map(|r| r.predicate).collect();
                predicates.sort_unstable();
                predicates.dedup();
                predicates.into_iter().map(|predicate| (predicate, all())).collect()
            }
        };
        let with_graphs = by_predicate.into_iter().map(|(predicate, rows)| self.in_graphs(batch, predicate, rows));
        with_graphs.flatten().collect()
    }

    fn in_graphs(&self, batch: &Batch, predicate: TermId, rows: Vec<u32>) -> Vec<(Choice, Vec<TermId>, Vec<u32>)> {
        let merged = Choice { predicate, graph: None };
        match &self.atom.graph {
            GraphScope::One(graph) => vec![(merged, vec![*graph], rows)],
            GraphScope::Union(graphs) => vec![(merged, graphs.clone(), rows)],
            GraphScope::UnionOfAll => vec![(merged, self.graphs_of(predicate), rows)],
            GraphScope::Each(slot, listed) => {
                let allowed = |graph: &TermId| {
                    *graph != TermId::DEFAULT_GRAPH && listed.as_ref().is_none_or(|listed| listed.contains(graph))
                };
                let groups: Vec<(TermId, Vec<u32>)> = if batch.is_bound(*slot) {
                    group_rows(&batch.columns[*slot], rows).into_iter().collect()
                } else {
                    // One unbound variable for both: the graph has the name of the predicate.
                    let is_same = self.atom.predicate == Arg::Slot(*slot);
                    let graphs = self.graphs_of(predicate).into_iter();
                    graphs.filter(|graph| !is_same || *graph == predicate).map(|graph| (graph, rows.clone())).collect()
                };
                let groups = groups.into_iter().filter(|(graph, _)| allowed(graph));
                groups.map(|(graph, rows)| (Choice { predicate, graph: Some(graph) }, vec![graph], rows)).collect()
            }
        }
    }

    fn graphs_of(&self, predicate: TermId) -> Vec<TermId> {
        let relations = self.scope.facts.relations();
        relations.into_iter().filter(|r| r.predicate == predicate).map(|r| r.graph).collect()
    }

    fn relation_runs(&self, graph: TermId, predicate: TermId) -> Vec<Arc<Run>> {
        self.scope.facts.runs(Relation { graph, predicate }, self.copy, self.view)
    }

    /// For a bound key: sorted rows gallop through each run.
    fn probe(&self, graphs: &[TermId], rows: &[u32], join: &mut Join<'_>) -> Result<(), Fault> {
        if self.check_key_set(graphs, rows, join)? {
            return Ok(());
        }
        if let [graph] = graphs
            && self.scope.groups.is_none()
            && join.bind_value.is_none()
        {
            return self.check_pairs(*graph, rows, join);
        }
        let key = self.atom.key_value(self.copy).0;
        let mut keyed: Vec<(TermId, u32)> = rows.iter().map(|row| (value_of(key, join.batch, *row), *row)).collect();
        if !keyed.is_sorted() {
            if self.probe_in_order(graphs, &keyed, join)? {
                return Ok(());
            }
            keyed.sort_unstable();
        }
        let keys: Vec<TermId> = keyed.iter().map(|(key, _)| *key).collect();
        let mut merged = BTreeMap::new();
        for graph in graphs {
            for run in self.relation_runs(*graph, join.choice.predicate) {
                let mut result = Ok(());
                run.for_each_match(&keys, |index, group| {
                    if graphs.len() > 1 {
                        let values: &mut Vec<TermId> = merged.entry(index).or_default();
                        values.extend(group.iter().map(|pair| pair.1));
                    } else if result.is_ok() {
                        result = join.add_group(keyed[index].1, group);
                    }
                })?;
                result?;
            }
        }
        for (index, mut values) in merged {
            values.sort_unstable();
            values.dedup();
            let group: Vec<Pair> = values.into_iter().map(|value| (keys[index], value)).collect();
            join.add_group(keyed[index].1, &group)?;
        }
        Ok(())
    }

    /// For a bound key and one value for all rows: looks each key up in the set of keys with that value, if that is probed
    /// often enough; returns whether it did.
    fn check_key_set(&self, graphs: &[TermId], rows: &[u32], join: &mut Join<'_>) -> Result<bool, Fault> {
        let (Some(members), [graph], (Arg::Slot(key), Arg::Const(value))) =
            (self.scope.key_sets, graphs, self.atom.key_value(self.copy))
        else {
            return Ok(false);
        };
        if self.view == View::Delta {
            return Ok(false);
        }
        let relation = Relation { graph: *graph, predicate: join.choice.predicate };
        let asked = Asked { relation, copy: self.copy, view: self.view, value };
        let runs = self.relation_runs(*graph, relation.predicate);
        let Some(keys) = members.of(asked, rows.len() as u64, &runs)? else { return Ok(false) };
        for row in rows {
            let key = join.batch.columns[key][*row as usize];
            if !keys.get(key).is_empty() {
                join.push(*row, (key, value));
                join.flush_if_full()?;
            }
        }
        Ok(true)
    }

    /// For bound key and value: the pairs of the rows are intersected with each run, both in order.
    fn check_pairs(&self, graph: TermId, rows: &[u32], join: &mut Join<'_>) -> Result<(), Fault> {
        let (key, value) = self.atom.key_value(self.copy);
        let pair_of = |row: u32| (value_of(key, join.batch, row), value_of(value, join.batch, row));
        let mut wanted: Vec<(Pair, u32)> = rows.iter().map(|row| (pair_of(*row), *row)).collect();
        if !wanted.is_sorted() {
            wanted.sort_unstable();
        }
        for run in self.relation_runs(graph, join.choice.predicate) {
            let (mut cursor, mut at) = (Cursor::new(&run), 0);
            while let Some((pair, row)) = wanted.get(at) {
                let Some(found) = cursor.seek(*pair)?.first() else { break };
                if found == pair {
                    join.push(*row, *pair);
                    join.flush_if_full()?;
                    at += 1;
                } else {
                    at += pairs::gallop(&wanted[at..], |(pair, _)| pair < found);
                }
            }
        }
        Ok(())
    }

    /// Looks the rows' keys up in the order of the rows, if all runs are small; returns whether it did.
    fn probe_in_order(&self, graphs: &[TermId], keyed: &[(TermId, u32)], join: &mut Join<'_>) -> Result<bool, Fault> {
        let (Some(room), [graph]) = (self.scope.groups, graphs) else { return Ok(false) };
        let runs = self.relation_runs(*graph, join.choice.predicate);
        let mut groups = Vec::with_capacity(runs.len());
        for run in &runs {
            let Some(of_run) = run.groups(keyed.len() as u64, room)? else { return Ok(false) };
            groups.push(of_run);
        }
        for (key, row) in keyed {
            for of_run in &groups {
                join.add_values(*row, *key, of_run.get(*key))?;
            }
        }
        Ok(true)
    }

    /// For an unbound key: combines every row with every fact.
    fn scan(&self, graphs: &[TermId], rows: &[u32], join: &mut Join<'_>) -> Result<(), Fault> {
        if graphs.len() > 1 {
            let mut merged = Vec::new();
            for graph in graphs {
                for run in self.relation_runs(*graph, join.choice.predicate) {
                    merged.extend(run.to_vec()?);
                }
            }
            pairs::sort_distinct(&mut merged);
            return rows.iter().try_for_each(|row| join.add_group(*row, &merged));
        }
        for graph in graphs {
            for run in self.relation_runs(*graph, join.choice.predicate) {
                if join.count(run.len as usize * rows.len()) {
                    continue;
                }
                // Bounded work between two checks of `stop`: one row with one piece of facts.
                run.for_each_piece(|piece| {
                    rows.iter().try_for_each(|row| {
                        self.scope.check()?;
                        self.scope.spend(piece.len())?;
                        join.add_group(*row, piece)
                    })
                })?;
            }
        }
        Ok(())
    }
}

fn group_rows(column: &[TermId], rows: Vec<u32>) -> BTreeMap<TermId, Vec<u32>> {
    let mut groups: BTreeMap<TermId, Vec<u32>> = BTreeMap::new();
    for row in rows {
        groups.entry(column[row as usize]).or_default().push(row);
    }
    groups
}
