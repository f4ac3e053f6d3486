//! The changes of a request of several operations, folded in their order.
//!
//! The operations of a request are numbered. Within one, all removals come before all additions. So a request is a list of
//! *steps*, and what becomes of a fact is decided by the last step that names it:
//!
//! ```text
//! steps of a relation    0 removed   0 added   1 removed   2 added      packed blocks, and sorted runs
//!                             └─────────┴──────────┴──────────┘
//! fold                    from the last step to the first, each without the facts of later ones
//!                             └──► facts to be removed, facts to be added
//! ```
//! Clearing a graph is a step that removes the committed runs themselves, by reference, and the steps before it are
//! dropped. Adding a graph to another is a step with the asserted facts of the first, which may be committed runs again.
//! Homes of facts do not depend on their graph, so both are local to a node.
//!
//! Memory: blocks are packed, as those of a load are. Beyond the budget they are sorted and stored as runs; the fold reads
//! these in pieces. A request that only adds facts needs no fold (`StagedFacts`).
//!
//! Invariants of a fold: no fact is given twice, removed facts are asserted in the committed facts, and none of them is
//! among the added ones.

use super::super::base::{Base, Copies};
use super::super::state::StagedColumn;
use super::{Block, column};
use crate::columns::spine::{RunWriter, Spill};
use crate::columns::{PackedPairs, Pair, Run, Spine, pairs};
use entail_model::{Direction, Fact, Fault, Mark, Relation, TermId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Pairs of a column that a fold holds before it gives them away.
const PIECE_PAIRS: usize = 1 << 20;

/// Does a step remove its facts, or add them? In the order in which an operation does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    Removed,
    Added,
}

/// One half of an operation of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// The operation's number in the request.
    pub operation: u32,
    pub effect: Effect,
}

/// The graphs of an operation that clears them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Graphs {
    One(TermId),
    /// All but the default graph.
    Named,
    All,
}

impl Graphs {
    /// Is the graph one of them?
    pub fn contains(self, graph: TermId) -> bool {
        match self {
            Self::One(one) => one == graph,
            Self::Named => graph != TermId::DEFAULT_GRAPH,
            Self::All => true,
        }
    }
}

/// What the removals of a request find, counted in the forward copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalCounts {
    /// Facts that were asserted and are to be removed.
    pub removed: u64,
    /// Facts that were to be removed, but that no user has asserted: rules derive them.
    pub derived_only: u64,
    /// One of those.
    pub example: Option<Fact>,
}

/// What one operation of a request changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCounts {
    pub operation: u32,
    /// Facts that were not asserted before.
    pub added: u64,
    pub removal: RemovalCounts,
}

/// What a fold finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldCounts {
    /// The removals of the whole request.
    pub removal: RemovalCounts,
    /// The operations one by one, if that was asked for.
    pub operations: Vec<OperationCounts>,
}

/// Columns to be removed and added; a column is in each list at most once.
#[derive(Default)]
pub struct Folded {
    pub removed: Vec<StagedColumn<'static>>,
    pub added: Vec<StagedColumn<'static>>,
}

/// The memory and the threads of a fold.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a> {
    pub spill: &'a Spill,
    pub threads: usize,
}

/// The facts of one step of a relation; runs may overlap each other and the blocks.
#[derive(Debug, Default)]
struct Part {
    blocks: Vec<Block>,
    runs: [Vec<Arc<Run>>; 2],
}

type Steps = BTreeMap<Step, Part>;

/// The changes of an attempt's request that are not folded yet.
#[derive(Debug, Default)]
pub struct StagedChanges {
    relations: BTreeMap<Relation, Steps>,
    /// Bytes of all blocks, and of the runs that are in memory.
    held_bytes: usize,
    /// The last operation that changed whole graphs: facts of it and of earlier operations come too late.
    closed: Option<u32>,
    /// Is each operation counted?
    is_counted: bool,
}

impl StagedChanges {
    /// Each operation is to be counted. They have few facts, which stay in memory, and change no whole graphs.
    pub fn count_each(&mut self) {
        self.is_counted = true;
    }

    /// Adds facts of a relation, as (subject, object), to a step; `copies` are the copies that belong to this node.
    ///
    /// # Errors
    /// `Internal` if a later operation has changed whole graphs already.
    pub fn add(
        &mut self,
        step: Step,
        (relation, copies): (Relation, &[Direction]),
        facts: impl Iterator<Item = Pair> + Clone,
    ) -> Result<(), Fault> {
        self.check_order(step.operation)?;
        let block =
            Block { copies: Direction::BOTH.map(|copy| copies.contains(&copy)), pairs: PackedPairs::new(facts) };
        self.held_bytes += block.pairs.bytes();
        self.relations.entry(relation).or_default().entry(step).or_default().blocks.push(block);
        Ok(())
    }

    fn check_order(&self, operation: u32) -> Result<(), Fault> {
        match self.closed {
            Some(closed) if operation <= closed => {
                Err(Fault::internal(format!("facts of operation {operation} came after operation {closed}")))
            }
            _ => Ok(()),
        }
    }

    /// Are there no changes?
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// The memory of the changes, as a number of unpacked pairs.
    pub fn held(&self) -> u64 {
        self.held_bytes.div_ceil(size_of::<Pair>()) as u64
    }

    /// The memory of the blocks of the largest relation, as a number of unpacked pairs.
    pub fn largest(&self) -> u64 {
        let bytes = |part: &Part| part.blocks.iter().map(|block| block.pairs.bytes()).sum::<usize>();
        let largest = self.relations.values().map(|steps| steps.values().map(bytes).sum::<usize>()).max();
        largest.unwrap_or(0).div_ceil(size_of::<Pair>()) as u64
    }

    /// Removes every asserted fact of the graphs, as operations before this one have left them.
    ///
    /// # Errors
    /// `Internal` if a later operation has changed whole graphs already.
    pub fn clear(&mut self, operation: u32, graphs: Graphs, base: &Base) -> Result<(), Fault> {
        self.check_order(operation)?;
        self.closed = Some(operation);
        self.relations.retain(|relation, _| !graphs.contains(relation.graph));
        let step = Step { operation, effect: Effect::Removed };
        let mut clear = |(relation, copies): (Relation, &Copies)| {
            let runs = Direction::BOTH.map(|copy| asserted(Some(copies), copy).cloned().collect::<Vec<_>>());
            if runs.iter().any(|runs| !runs.is_empty()) {
                let part = Part { blocks: Vec::new(), runs };
                self.relations.insert(relation, Steps::from([(step, part)]));
            }
        };
        match graphs {
            Graphs::One(graph) => base.of_graph(graph).for_each(&mut clear),
            _ => base.iter().filter(|(relation, _)| graphs.contains(relation.graph)).for_each(&mut clear),
        }
        self.count_held();
        Ok(())
    }

    /// Adds every asserted fact of one graph, as operations before this one have left it, to another.
    ///
    /// # Errors
    /// `Internal` if a later operation has changed whole graphs already; faults of reading and storing runs.
    pub fn transfer(
        &mut self,
        operation: u32,
        (from, to): (TermId, TermId),
        base: &Base,
        resources: Resources<'_>,
    ) -> Result<(), Fault> {
        self.check_order(operation)?;
        self.closed = Some(operation);
        if from == to {
            return Ok(());
        }
        let step = Step { operation, effect: Effect::Added };
        let of_base = base.of_graph(from).map(|(relation, _)| relation);
        let changed = self.relations.keys().copied().filter(|relation| relation.graph == from);
        for relation in of_base.chain(changed).collect::<BTreeSet<Relation>>() {
            let committed = base.get(relation);
            let runs = match self.relations.get(&relation) {
                None => Direction::BOTH.map(|copy| asserted(committed, copy).cloned().collect()),
                Some(steps) => {
                    let [forward, inverse] = Direction::BOTH.map(|copy| left(steps, copy, committed, resources));
                    [forward?, inverse?]
                }
            };
            let target = Relation { graph: to, predicate: relation.predicate };
            if runs.iter().any(|runs: &Vec<Arc<Run>>| !runs.is_empty()) {
                let part = self.relations.entry(target).or_default().entry(step).or_default();
                part.runs.iter_mut().zip(runs).for_each(|(all, runs)| all.extend(runs));
            }
        }
        self.count_held();
        Ok(())
    }

    /// Sorts all blocks and stores them as runs, to free memory, unless each operation is counted.
    ///
    /// # Errors
    /// Faults of the store.
    pub fn store(&mut self, resources: Resources<'_>) -> Result<(), Fault> {
        if self.is_counted {
            return Ok(());
        }
        let all = resources.spill.with_above(0);
        for part in self.relations.values_mut().flat_map(BTreeMap::values_mut) {
            for copy in Direction::BOTH {
                if let Some(run) = sorted(&part.blocks, copy, resources.threads) {
                    part.runs[copy as usize].push(all.place(run)?);
                }
            }
            part.blocks = Vec::new();
        }
        self.count_held();
        Ok(())
    }

    fn count_held(&mut self) {
        let bytes = |part: &Part| {
            let runs = part.runs.iter().flatten().map(|run| run.resident_bytes() as usize).sum::<usize>();
            runs + part.blocks.iter().map(|block| block.pairs.bytes()).sum::<usize>()
        };
        self.held_bytes = self.relations.values().flat_map(BTreeMap::values).map(bytes).sum();
    }

    /// Gives all changes against the committed facts, in pieces, and forgets them.
    ///
    /// # Errors
    /// Those of `give`, and of reading runs.
    pub fn fold(
        &mut self,
        base: &Base,
        resources: Resources<'_>,
        give: &mut dyn FnMut(Folded) -> Result<(), Fault>,
    ) -> Result<FoldCounts, Fault> {
        let operations = if self.is_counted { self.count_operations(base)? } else { Vec::new() };
        let relations = std::mem::take(&mut self.relations);
        self.held_bytes = 0;
        let mut pieces = Pieces { give, folded: Folded::default(), held: 0 };
        let mut counts = RemovalCounts::default();
        for (relation, mut steps) in relations {
            if let Some(blocks) = only_added(&mut steps) {
                pieces.add_unsorted(relation, blocks);
                continue;
            }
            let committed = base.get(relation);
            for copy in Direction::BOTH {
                let place = (relation, copy);
                visit(&steps, copy, &[], resources.threads, &mut |effect, pairs| match effect {
                    Some(Effect::Removed) => {
                        let (asserted, others) = divide(committed, copy, pairs)?;
                        if copy == Direction::Forward {
                            counts.count(relation, committed, &asserted, others)?;
                        }
                        pieces.add(Effect::Removed, place, asserted)
                    }
                    Some(Effect::Added) => pieces.add(Effect::Added, place, pairs),
                    None => Ok(()),
                })?;
            }
        }
        pieces.flush()?;
        Ok(FoldCounts { removal: counts, operations })
    }

    /// What each operation changes, one after the other, counted in the forward copies.
    fn count_operations(&self, base: &Base) -> Result<Vec<OperationCounts>, Fault> {
        let mut counts: BTreeMap<u32, OperationCounts> = BTreeMap::new();
        for (relation, steps) in &self.relations {
            let copy = Direction::Forward;
            let of = |part: &Part| column(&part.blocks, copy, 1);
            let mut all: Vec<Pair> = steps.values().flat_map(of).collect();
            pairs::sort_distinct_on(&mut all, 1);
            let committed = base.get(*relation);
            let (asserted, others) = divide(committed, copy, all)?;
            let absent = subtract_all(others.clone(), of_marks(committed, copy, &[Mark::Derived]))?;
            let derived: HashSet<Pair> = pairs::subtract(&others, &absent).into_iter().collect();
            let mut now: HashSet<Pair> = asserted.into_iter().collect();
            for (step, part) in steps {
                let operation = step.operation;
                let count = counts.entry(operation).or_insert(OperationCounts { operation, ..Default::default() });
                for pair in of(part) {
                    match step.effect {
                        Effect::Added => count.added += u64::from(now.insert(pair)),
                        Effect::Removed if now.remove(&pair) => count.removal.removed += 1,
                        Effect::Removed if derived.contains(&pair) => count.removal.only_derived(*relation, pair, 1),
                        Effect::Removed => {}
                    }
                }
            }
        }
        Ok(counts.into_values().collect())
    }
}

impl RemovalCounts {
    fn count(
        &mut self,
        relation: Relation,
        committed: Option<&Copies>,
        asserted: &[Pair],
        others: Vec<Pair>,
    ) -> Result<(), Fault> {
        self.removed += asserted.len() as u64;
        if others.is_empty() {
            return Ok(());
        }
        let derived = of_marks(committed, Direction::Forward, &[Mark::Derived]);
        let absent = subtract_all(others.clone(), derived)?;
        let derived = pairs::subtract(&others, &absent);
        if let Some(first) = derived.first() {
            self.only_derived(relation, *first, derived.len() as u64);
        }
        Ok(())
    }

    /// Counts facts that only rules derive, one of which is given.
    fn only_derived(&mut self, relation: Relation, (subject, object): Pair, facts: u64) {
        let Relation { graph, predicate } = relation;
        self.derived_only += facts;
        self.example.get_or_insert(Fact { graph, predicate, subject, object });
    }
}

/// Columns on their way out of a fold.
struct Pieces<'a> {
    give: &'a mut dyn FnMut(Folded) -> Result<(), Fault>,
    folded: Folded,
    held: usize,
}

impl Pieces<'_> {
    /// Adds facts of one column, each once.
    fn add(&mut self, effect: Effect, (relation, copy): (Relation, Direction), pairs: Vec<Pair>) -> Result<(), Fault> {
        if pairs.is_empty() {
            return Ok(());
        }
        let is_there = |column: &StagedColumn<'_>| column.relation == relation && column.copy == copy;
        if self.of(effect).last().is_some_and(is_there) || self.held >= PIECE_PAIRS {
            self.flush()?;
        }
        self.held += pairs.len();
        let len = pairs.len() as u64;
        self.of(effect).push(StagedColumn { relation, copy, len, pairs: Box::new(move |_| pairs) });
        Ok(())
    }

    /// Adds blocks of new facts, whose columns are made later.
    fn add_unsorted(&mut self, relation: Relation, blocks: Vec<Block>) {
        let blocks = Arc::new(blocks);
        for copy in Direction::BOTH {
            let of_copy = blocks.iter().filter(|block| block.has(copy));
            let len = of_copy.map(|block| block.pairs.len() as u64).sum();
            if len > 0 {
                let blocks = Arc::clone(&blocks);
                let pairs = Box::new(move |threads| column(&blocks, copy, threads));
                self.folded.added.push(StagedColumn { relation, copy, len, pairs });
            }
        }
    }

    fn of(&mut self, effect: Effect) -> &mut Vec<StagedColumn<'static>> {
        match effect {
            Effect::Removed => &mut self.folded.removed,
            Effect::Added => &mut self.folded.added,
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.held = 0;
        (self.give)(std::mem::take(&mut self.folded))
    }
}

/// The blocks of a relation that has only additions, in one step and in memory.
fn only_added(steps: &mut Steps) -> Option<Vec<Block>> {
    let (step, part) = steps.first_key_value()?;
    let is_it = steps.len() == 1 && step.effect == Effect::Added && part.runs.iter().all(Vec::is_empty);
    if is_it { steps.pop_first().map(|(_, part)| part.blocks) } else { None }
}

/// Visits each pair of a column that a step names, once, with the effect of the last such step; and the `committed` pairs
/// that no step names. Pieces are sorted.
fn visit(
    steps: &Steps,
    copy: Direction,
    committed: &[Arc<Run>],
    threads: usize,
    visit: &mut dyn FnMut(Option<Effect>, Vec<Pair>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut later = Later::default();
    for (step, part) in steps.iter().rev() {
        let blocks = sorted(&part.blocks, copy, threads);
        for run in part.runs[copy as usize].iter().chain(&blocks) {
            later.pieces_of(run, &mut |pairs| visit(Some(step.effect), pairs))?;
            later.push(run)?;
        }
    }
    committed.iter().try_for_each(|run| later.pieces_of(run, &mut |pairs| visit(None, pairs)))
}

/// The pairs of later steps.
#[derive(Default)]
struct Later {
    /// Disjoint runs in memory.
    resident: Spine,
    stored: Vec<Arc<Run>>,
}

impl Later {
    /// Visits the pairs of a run that no later step names.
    fn pieces_of(&self, run: &Run, visit: &mut dyn FnMut(Vec<Pair>) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut held = Vec::new();
        run.for_each_piece(|piece| {
            for piece in piece.chunks(PIECE_PAIRS) {
                let rest = self.without(piece.to_vec())?;
                if held.len() + rest.len() > PIECE_PAIRS {
                    visit(std::mem::take(&mut held))?;
                }
                if held.is_empty() { held = rest } else { held.extend(rest) }
            }
            Ok(())
        })?;
        if held.is_empty() { Ok(()) } else { visit(held) }
    }

    fn without(&self, pairs: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        subtract_all(pairs, self.resident.runs.iter().chain(&self.stored))
    }

    fn push(&mut self, run: &Arc<Run>) -> Result<(), Fault> {
        if run.resident_bytes() == 0 {
            self.stored.push(Arc::clone(run));
            return Ok(());
        }
        // Many small steps become few runs.
        match Run::resident(Mark::Asserted, self.without(run.to_vec()?)?) {
            Some(new) => self.resident.push(new, &Spill::default()),
            None => Ok(()),
        }
    }
}

/// The asserted pairs of a column after its steps, as runs.
fn left(
    steps: &Steps,
    copy: Direction,
    committed: Option<&Copies>,
    resources: Resources<'_>,
) -> Result<Vec<Arc<Run>>, Fault> {
    let committed: Vec<Arc<Run>> = asserted(committed, copy).cloned().collect();
    let mut runs = Vec::new();
    visit(steps, copy, &committed, resources.threads, &mut |effect, pairs| {
        if effect != Some(Effect::Removed) {
            let mut writer = RunWriter::new(Mark::Asserted, pairs.len() as u64, resources.spill);
            writer.extend(&pairs)?;
            runs.extend(writer.finish()?.map(Arc::new));
        }
        Ok(())
    })?;
    Ok(runs)
}

/// The pairs of blocks as one run in memory.
fn sorted(blocks: &[Block], copy: Direction, threads: usize) -> Option<Arc<Run>> {
    if blocks.is_empty() { None } else { Run::resident(Mark::Asserted, column(blocks, copy, threads)) }
}

fn of_marks<'b>(
    committed: Option<&'b Copies>,
    copy: Direction,
    marks: &'static [Mark],
) -> impl Iterator<Item = &'b Arc<Run>> {
    let runs = committed.map_or(&[][..], |copies| &copies[copy as usize][..]);
    runs.iter().filter(move |run| marks.contains(&run.mark))
}

/// The committed runs of asserted facts.
fn asserted(committed: Option<&Copies>, copy: Direction) -> impl Iterator<Item = &Arc<Run>> {
    of_marks(committed, copy, &[Mark::Asserted, Mark::Promoted])
}

/// The sorted pairs that are asserted, and the others.
fn divide(committed: Option<&Copies>, copy: Direction, pairs: Vec<Pair>) -> Result<(Vec<Pair>, Vec<Pair>), Fault> {
    let others = subtract_all(pairs.clone(), asserted(committed, copy))?;
    let asserted = if others.is_empty() { pairs } else { pairs::subtract(&pairs, &others) };
    Ok((asserted, others))
}

fn subtract_all<'a>(pairs: Vec<Pair>, mut runs: impl Iterator<Item = &'a Arc<Run>>) -> Result<Vec<Pair>, Fault> {
    let rest = runs.try_fold(pairs, |rest, run| {
        if rest.is_empty() {
            return ControlFlow::Break(Ok(rest));
        }
        match run.subtract_from(rest) {
            Ok(rest) => ControlFlow::Continue(rest),
            Err(fault) => ControlFlow::Break(Err(fault)),
        }
    });
    match rest {
        ControlFlow::Continue(rest) => Ok(rest),
        ControlFlow::Break(result) => result,
    }
}

#[cfg(test)]
mod tests;
