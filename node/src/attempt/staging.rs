//! Staged messages of an attempt: each is taken once, and as a whole, or the attempt fails.
//!
//! Invariant: a sequence number is recorded only with everything in its message, unless `failed` is set; then no message is
//! taken any more, and no reasoner starts.

use crate::context::Context;
use crate::store::Snapshot;
use entail_logic::columns::Pair;
use entail_logic::columns::spine::Spill;
use entail_logic::fixpoint::staging::{Folded, Resources};
use entail_logic::fixpoint::{Base, FoldCounts, Graphs, StagedChanges, StagedEffect, StagedFacts, StagedStep, State};
use entail_model::{Direction, Fault, Relation, TermId};
use std::collections::HashSet;

/// The memory for sorting a relation's two columns, as a multiple of its packed facts. As many columns are made at once as
/// there are threads; others wait until one is done and, if memory does not hold it, stored.
const SORTING_TAKES: u64 = 4;

/// Changes of asserted facts of an attempt, before its reasoner starts.
#[derive(Default)]
pub struct Staging {
    state: Option<State>,
    content: Content,
    sequences: HashSet<u64>,
    /// Why the content of a message is incomplete.
    failed: Option<Fault>,
}

/// What has been staged and is not in the state yet.
#[derive(Default)]
struct Content {
    /// New facts of an attempt that only adds facts.
    facts: StagedFacts,
    /// The operations of a request.
    changes: StagedChanges,
}

/// Takes the content of one message.
pub struct Intake<'a> {
    content: &'a mut Content,
    base: &'a Base,
    resources: Resources<'a>,
}

impl Intake<'_> {
    /// Takes facts of a relation, as (subject, object), with the copies that belong to this node. Without an operation they
    /// are added, in any order with others.
    ///
    /// # Errors
    /// `Internal` for facts that come too late, and for removals without an operation.
    pub fn facts(
        &mut self,
        (operation, effect): (Option<u32>, StagedEffect),
        (relation, copies): (Relation, &[Direction]),
        facts: impl Iterator<Item = Pair> + Clone,
    ) -> Result<(), Fault> {
        match (operation, effect) {
            (Some(operation), effect) => {
                self.content.changes.add(StagedStep { operation, effect }, (relation, copies), facts)
            }
            (None, StagedEffect::Added) => {
                self.content.facts.add(relation, copies, facts);
                Ok(())
            }
            (None, StagedEffect::Removed) => Err(Fault::internal("a removal that belongs to no operation")),
        }
    }

    /// Each operation is to be counted.
    pub fn count_each(&mut self) {
        self.content.changes.count_each();
    }

    /// Removes all facts of the graphs, as operations before this one have left them.
    ///
    /// # Errors
    /// `Internal` for an operation that comes too late.
    pub fn clear(&mut self, operation: Option<u32>, graphs: Graphs) -> Result<(), Fault> {
        self.content.changes.clear(numbered(operation)?, graphs, self.base)
    }

    /// Adds all facts of a graph, as operations before this one have left it, to another.
    ///
    /// # Errors
    /// `Internal` for an operation that comes too late; faults of the store.
    pub fn transfer(&mut self, operation: Option<u32>, from: TermId, to: TermId) -> Result<(), Fault> {
        self.content.changes.transfer(numbered(operation)?, (from, to), self.base, self.resources)
    }
}

fn numbered(operation: Option<u32>) -> Result<u32, Fault> {
    operation.ok_or_else(|| Fault::internal("a change of graphs that belongs to no operation"))
}

impl Staging {
    /// Takes a message, whose content `add` gives; a repeated one changes nothing.
    ///
    /// # Errors
    /// The fault for which this message, or an earlier one, was not taken.
    pub fn take(
        &mut self,
        context: &Context,
        base: &Snapshot,
        sequence: u64,
        add: impl FnOnce(&mut Intake<'_>) -> Result<(), Fault>,
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
        add: impl FnOnce(&mut Intake<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let spill = spill(context);
        if self.state.is_none() {
            self.state = Some(State::new(&base.relations, false, spill.clone())?);
        }
        let resources = resources(context, &spill);
        add(&mut Intake { content: &mut self.content, base: &base.relations, resources })?;
        let sorted = self.state.as_ref().map_or(0, State::held_pairs);
        let Content { facts, changes } = &mut self.content;
        let at_once = |held: u64, largest: u64| {
            let relations = (context.pool.current_num_threads() as u64).div_ceil(2);
            SORTING_TAKES * held.min(relations * largest)
        };
        let takes = facts.held() + changes.held() + at_once(facts.held(), facts.largest());
        // The largest relation of several operations is looked for only if it can matter.
        if sorted + takes + SORTING_TAKES * changes.held() > context.resident_pairs_max
            && sorted + takes + at_once(changes.held(), changes.largest()) > context.resident_pairs_max
        {
            context.pool.install(|| changes.store(resources))?;
            self.sort(context)?;
        }
        Ok(())
    }

    /// The memory of the staged facts, as a number of unpacked pairs.
    pub fn held(&self) -> u64 {
        self.state.as_ref().map_or(0, State::held_pairs) + self.content.facts.held() + self.content.changes.held()
    }

    /// Sorts the unsorted new facts into the state.
    fn sort(&mut self, context: &Context) -> Result<(), Fault> {
        let Some(state) = &mut self.state else { return Ok(()) };
        state.stage_all(self.content.facts.take(), &context.pool)
    }

    /// The state with everything that `messages` messages have staged, over `base`, and what the removals found; for a
    /// rebuild nothing may be staged.
    ///
    /// # Errors
    /// `Internal` if the number of taken messages is another one; the fault for which a message was not taken.
    pub fn finish(
        &mut self,
        context: &Context,
        base: &Snapshot,
        messages: u64,
        rebuild: bool,
    ) -> Result<(State, FoldCounts), Fault> {
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
        let counts = fold(&mut self.content.changes, &mut state, context, base)?;
        state.finish_staging()?;
        Ok((state, counts))
    }
}

/// Folds the operations into the state.
fn fold(
    changes: &mut StagedChanges,
    state: &mut State,
    context: &Context,
    base: &Snapshot,
) -> Result<FoldCounts, Fault> {
    if changes.is_empty() {
        return Ok(FoldCounts::default());
    }
    let spill = spill(context);
    changes.fold(&base.relations, resources(context, &spill), &mut |Folded { removed, added }| {
        state.remove_all(removed, &context.pool)?;
        state.stage_all(added, &context.pool)
    })
}

fn spill(context: &Context) -> Spill {
    Spill { store: Some(context.store.chunk_store()), above: context.resident_pairs_max }
}

fn resources<'a>(context: &Context, spill: &'a Spill) -> Resources<'a> {
    Resources { spill, threads: context.pool.current_num_threads() }
}
