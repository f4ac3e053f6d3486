//! Staged messages of an attempt: each is taken once, and as a whole, or the attempt fails.
//!
//! Invariant: a sequence number is recorded only with all facts of its message, unless `failed` is set; then no message is
//! taken any more, and no reasoner starts.

use crate::context::Context;
use crate::store::Snapshot;
use entail_logic::columns::spine::Spill;
use entail_logic::fixpoint::{StagedFacts, State};
use entail_model::Fault;
use std::collections::HashSet;

/// The memory for sorting a relation's two columns, as a multiple of its packed facts. As many columns are made at once as
/// there are threads; others wait until one is done and, if memory does not hold it, stored.
const SORTING_TAKES: u64 = 4;

/// Asserted facts of an attempt, before its reasoner starts.
#[derive(Default)]
pub struct Staging {
    state: Option<State>,
    /// The facts that are not sorted yet.
    columns: StagedFacts,
    sequences: HashSet<u64>,
    /// Why the facts of a message are incomplete.
    failed: Option<Fault>,
}

impl Staging {
    /// Takes a message, whose facts `add` adds; a repeated one changes nothing.
    ///
    /// # Errors
    /// The fault for which this message, or an earlier one, was not taken.
    pub fn take(
        &mut self,
        context: &Context,
        base: &Snapshot,
        sequence: u64,
        add: impl FnOnce(&mut StagedFacts) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.check()?;
        if !self.sequences.insert(sequence) {
            return Ok(());
        }
        // Stays if the thread panics.
        self.failed = Some(Fault::internal("a staged message was taken only in part"));
        self.failed = self.add(context, base, add).err();
        self.check()
    }

    fn check(&self) -> Result<(), Fault> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn add(
        &mut self,
        context: &Context,
        base: &Snapshot,
        add: impl FnOnce(&mut StagedFacts) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.state.is_none() {
            self.state = Some(State::new(&base.relations, false, spill(context))?);
        }
        add(&mut self.columns)?;
        let sorted = self.state.as_ref().map_or(0, State::held_pairs);
        let relations = (context.pool.current_num_threads() as u64).div_ceil(2);
        let at_once = self.columns.held().min(relations * self.columns.largest());
        let takes = self.columns.held() + SORTING_TAKES * at_once;
        if sorted + takes > context.resident_pairs_max {
            self.sort(context)?;
        }
        Ok(())
    }

    /// The memory of the staged facts, as a number of unpacked pairs.
    pub fn held(&self) -> u64 {
        self.state.as_ref().map_or(0, State::held_pairs) + self.columns.held()
    }

    /// Sorts the unsorted facts into the state.
    fn sort(&mut self, context: &Context) -> Result<(), Fault> {
        let Some(state) = &mut self.state else { return Ok(()) };
        state.stage_all(self.columns.take(), &context.pool)
    }

    /// The state with everything that `messages` messages have staged, over `base`; for a rebuild there must be none.
    ///
    /// # Errors
    /// `Internal` if the number of taken messages is another one; the fault for which a message was not taken.
    pub fn finish(&mut self, context: &Context, base: &Snapshot, messages: u64, rebuild: bool) -> Result<State, Fault> {
        self.check()?;
        if self.sequences.len() as u64 != messages {
            let text = format!("{} of {messages} staged messages have arrived", self.sequences.len());
            return Err(Fault::internal(text));
        }
        // Staged facts are handed on once, also if this fails.
        self.failed = Some(Fault::internal("staging has ended"));
        self.sort(context)?;
        let mut state = match self.state.take() {
            Some(_) if rebuild => return Err(Fault::internal("facts were staged for a rebuild")),
            Some(state) => state,
            None => State::new(&base.relations, rebuild, spill(context))?,
        };
        state.finish_staging()?;
        Ok(state)
    }
}

fn spill(context: &Context) -> Spill {
    Spill { store: Some(context.store.chunk_store()), above: context.resident_pairs_max }
}
