//! Combines the rows of a batch with the facts that a match operator has found for them.

use super::matching::Step;
use super::{Batch, Output, PIECE_ROWS};
use crate::columns::pairs::{self, Pair};
use crate::plan::{Arg, Atom, GraphScope, Slot};
use entail_model::{Fault, TermId};

/// The values that a relation binds in all rows that it matches.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub predicate: TermId,
    /// The graph to bind, for a variable graph.
    pub graph: Option<TermId>,
}

/// The value of an argument in a row that binds it.
pub(super) fn value_of(arg: Arg, batch: &Batch, row: u32) -> TermId {
    match arg {
        Arg::Const(term) => term,
        Arg::Slot(slot) => batch.columns[slot][row as usize],
    }
}

/// Collects the matches of one relation and hands them on in pieces.
pub(super) struct Join<'a> {
    pub(super) batch: &'a Batch,
    pub(super) choice: Choice,
    atom: &'a Atom,
    /// Binds the key's slot, when it is unbound.
    bind_key: Option<Slot>,
    pub(super) bind_value: Option<Slot>,
    /// The key and value are the same unbound variable.
    is_diagonal: bool,
    /// Does a match bind a value, without any comparison?
    is_free: bool,
    value: Arg,
    rows: Vec<u32>,
    keys: Vec<TermId>,
    values: Vec<TermId>,
    live: Option<&'a [Slot]>,
    /// The number of matches, where they are only counted.
    counted: Option<usize>,
    output: Output<'a>,
}

impl<'a> Join<'a> {
    pub(super) fn new<'o: 'a>(
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

    /// Counts matches, if they are only counted and all facts match; returns whether it did.
    pub(super) fn count(&mut self, matches: usize) -> bool {
        match &mut self.counted {
            Some(counted) if self.is_free => *counted += matches,
            _ => return false,
        }
        true
    }

    /// Adds the facts of `group` that match `row`.
    pub(super) fn add_group(&mut self, row: u32, group: &[Pair]) -> Result<(), Fault> {
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
    pub(super) fn add_values(&mut self, row: u32, key: TermId, values: &[TermId]) -> Result<(), Fault> {
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

    pub(super) fn push(&mut self, row: u32, pair: Pair) {
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

    pub(super) fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.rows.len() >= PIECE_ROWS { self.flush() } else { Ok(()) }
    }

    /// Hands on the collected matches.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
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
