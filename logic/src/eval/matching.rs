//! The one join operator: extends rows by matching local facts.
//!
//! With the key bound, rows are visited in the order of their keys and gallop through each run (a merge join when both
//! sides are of like size), or in their own order where that is worth keeping and the runs are small; with nothing bound,
//! the copy is scanned. A bound value is checked against each match.

use super::members::Asked;
use super::{Batch, Output, PIECE_ROWS, Scope};
use crate::columns::pairs::{self, Pair};
use crate::columns::{Cursor, Run};
use crate::plan::{Arg, Atom, GraphScope, Slot, View};
use entail_model::{Copy, Fault, Relation, TermId};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Step<'a> {
    pub scope: &'a Scope<'a>,
    pub atom: &'a Atom,
    pub copy: Copy,
    pub view: View,
    /// The slots that somebody reads afterwards, in order; `None` where everything is kept.
    pub live: Option<&'a [Slot]>,
    /// Are the rows only counted?
    pub is_counted: bool,
}

/// What a relation binds in all rows that it matches.
#[derive(Clone, Copy)]
struct Choice {
    predicate: TermId,
    /// The graph to bind, for a variable graph.
    graph: Option<TermId>,
}

impl Step<'_> {
    /// Joins `batch` with the atom's facts.
    pub fn run(&self, batch: &Batch, output: Output<'_>) -> Result<(), Fault> {
        for (choice, graphs, rows) in self.choices(batch) {
            self.scope.check()?;
            let mut join = Join::new(self, batch, choice, output);
            match self.is_key_bound(batch) {
                true => self.probe(&graphs, &rows, &mut join)?,
                false => self.scan(&graphs, &rows, &mut join)?,
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

    /// The relations to read: for each its graphs (several are merged) and the rows that it concerns.
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
                let groups: Vec<(TermId, Vec<u32>)> = match batch.is_bound(*slot) {
                    true => group_rows(&batch.columns[*slot], rows).into_iter().collect(),
                    false => self.graphs_of(predicate).into_iter().map(|graph| (graph, rows.clone())).collect(),
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

    /// Key bound: sorted rows gallop through each run.
    fn probe(&self, graphs: &[TermId], rows: &[u32], join: &mut Join<'_>) -> Result<(), Fault> {
        if self.check_members(graphs, rows, join)? {
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

    /// Key bound, and one value for all rows: asks for each key whether it has that, if so many ask; tells whether it has.
    fn check_members(&self, graphs: &[TermId], rows: &[u32], join: &mut Join<'_>) -> Result<bool, Fault> {
        let (Some(members), [graph], (Arg::Slot(key), Arg::Const(value))) =
            (self.scope.members, graphs, self.atom.key_value(self.copy))
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

    /// Key and value bound: the pairs of the rows are intersected with each run, both in order.
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

    /// Looks the rows' keys up as they come, if all the runs are small; tells whether it has.
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

    /// Key unbound: every row with every fact.
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
                // Bounded work between two looks: a row with one piece of facts.
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

fn value_of(arg: Arg, batch: &Batch, row: u32) -> TermId {
    match arg {
        Arg::Const(term) => term,
        Arg::Slot(slot) => batch.columns[slot][row as usize],
    }
}

fn group_rows(column: &[TermId], rows: Vec<u32>) -> BTreeMap<TermId, Vec<u32>> {
    let mut groups: BTreeMap<TermId, Vec<u32>> = BTreeMap::new();
    for row in rows {
        groups.entry(column[row as usize]).or_default().push(row);
    }
    groups
}

/// Collects the matches of one relation and hands them on in pieces.
struct Join<'a> {
    batch: &'a Batch,
    choice: Choice,
    atom: &'a Atom,
    /// Binds the key's slot, when it is unbound.
    bind_key: Option<Slot>,
    bind_value: Option<Slot>,
    /// The key and value are the same unbound variable.
    is_diagonal: bool,
    /// Does a match bind a value, and nothing that has to be compared?
    is_free: bool,
    value: Arg,
    /// The value must equal the key: `?x p ?x` with ?x bound is a check, handled by `bind_value` being none.
    rows: Vec<u32>,
    keys: Vec<TermId>,
    values: Vec<TermId>,
    live: Option<&'a [Slot]>,
    /// Matches that nobody wants to see, where that is so.
    counted: Option<usize>,
    output: Output<'a>,
}

impl<'a> Join<'a> {
    fn new<'o: 'a>(
        step: &Step<'a>,
        batch: &'a Batch,
        choice: Choice,
        output: &'a mut (dyn FnMut(Batch) -> Result<(), Fault> + 'o),
    ) -> Self {
        let (key, value) = step.atom.key_value(step.copy);
        let unbound = |arg: Arg| arg.slot().filter(|slot| !batch.is_bound(*slot));
        // A predicate or graph variable that is also subject or object is bound by the choice of relation.
        let (bind_key, bind_value) = (unbound(key), unbound(value));
        let is_chosen = |slot: Slot| {
            let graph = matches!(step.atom.graph, GraphScope::Each(graph, _) if graph == slot);
            graph || step.atom.predicate == Arg::Slot(slot)
        };
        let is_diagonal = bind_key.is_some() && bind_key == bind_value;
        Self {
            batch,
            choice,
            atom: step.atom,
            bind_key,
            bind_value,
            is_diagonal,
            is_free: !is_diagonal
                && bind_value.is_some_and(|slot| !is_chosen(slot))
                && bind_key.is_none_or(|slot| !is_chosen(slot)),
            value,
            rows: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            live: step.live,
            counted: step.is_counted.then_some(0),
            output,
        }
    }

    /// Counts matches, if that is all that becomes of them, and all facts match.
    fn count(&mut self, matches: usize) -> bool {
        match &mut self.counted {
            Some(counted) if self.is_free => *counted += matches,
            _ => return false,
        }
        true
    }

    /// Adds the facts of `group` that match `row`.
    fn add_group(&mut self, row: u32, group: &[Pair]) -> Result<(), Fault> {
        let mut rest = group;
        if self.bind_value.is_none() {
            let wanted = value_of(self.value, self.batch, row);
            return self.add_checked(row, group, wanted);
        }
        if self.count(group.len()) {
            return Ok(());
        }
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE_ROWS));
            for pair in now {
                if self.matches_itself(*pair) {
                    self.push(row, *pair);
                }
            }
            rest = later;
            self.flush_if_full()?;
        }
        Ok(())
    }

    /// Adds the facts of a key, which is bound, that match `row`.
    fn add_values(&mut self, row: u32, key: TermId, values: &[TermId]) -> Result<(), Fault> {
        if !self.is_free || self.bind_key.is_some() || self.counted.is_some() {
            let group: Vec<Pair> = values.iter().map(|value| (key, *value)).collect();
            return self.add_group(row, &group);
        }
        for piece in values.chunks(PIECE_ROWS) {
            self.rows.resize(self.rows.len() + piece.len(), row);
            self.values.extend_from_slice(piece);
            self.flush_if_full()?;
        }
        Ok(())
    }

    /// The value is bound: at most one pair per key has it.
    fn add_checked(&mut self, row: u32, group: &[Pair], wanted: TermId) -> Result<(), Fault> {
        if self.bind_key.is_none() {
            let position = pairs::gallop(group, |pair| pair.1 < wanted);
            if let Some(pair) = group.get(position).filter(|pair| pair.1 == wanted) {
                self.push(row, *pair);
            }
            return self.flush_if_full();
        }
        for pair in group.iter().filter(|pair| pair.1 == wanted) {
            if self.matches_itself(*pair) {
                self.push(row, *pair);
            }
        }
        self.flush_if_full()
    }

    /// Do variables that occur twice in the atom get one value?
    fn matches_itself(&self, pair: Pair) -> bool {
        if self.is_diagonal && pair.0 != pair.1 {
            return false;
        }
        let chosen = |slot: Option<Slot>, term: TermId| {
            let Some(slot) = slot else { return true };
            let same_predicate = self.atom.predicate != Arg::Slot(slot) || self.choice.predicate == term;
            let same_graph = match self.atom.graph {
                GraphScope::Each(graph, _) if graph == slot => self.choice.graph == Some(term),
                _ => true,
            };
            same_predicate && same_graph
        };
        chosen(self.bind_key, pair.0) && chosen(self.bind_value, pair.1)
    }

    fn push(&mut self, row: u32, pair: Pair) {
        if let Some(counted) = &mut self.counted {
            *counted += 1;
            return;
        }
        self.rows.push(row);
        if self.bind_key.is_some() {
            self.keys.push(pair.0);
        }
        if self.bind_value.is_some() {
            self.values.push(pair.1);
        }
    }

    fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.rows.len() >= PIECE_ROWS { self.flush() } else { Ok(()) }
    }

    /// Hands on what was collected.
    fn flush(&mut self) -> Result<(), Fault> {
        if let Some(rows) = self.counted.as_mut().map(std::mem::take).filter(|rows| *rows > 0) {
            return (self.output)(Batch { rows, ..Batch::empty(self.batch.columns.len()) });
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let mut piece = match self.live {
            None => self.batch.take_rows(&rows),
            Some(live) => self.batch.take_live_rows(&rows, live),
        };
        if let Arg::Slot(slot) = self.atom.predicate
            && piece.columns[slot].is_empty()
        {
            piece.columns[slot] = vec![self.choice.predicate; rows.len()];
        }
        if let (GraphScope::Each(slot, _), Some(graph)) = (&self.atom.graph, self.choice.graph) {
            piece.columns[*slot] = vec![graph; rows.len()];
        }
        if let Some(slot) = self.bind_value {
            piece.columns[slot] = std::mem::take(&mut self.values);
        }
        if let Some(slot) = self.bind_key {
            piece.columns[slot] = std::mem::take(&mut self.keys);
        }
        (self.output)(piece)
    }
}
