//! The reasoner: one node's part in an attempt, as a machine.
//!
//! `step(event, emit)` does the work of an event and emits effects. It never waits: messages that arrive early are
//! deferred, repeated ones are dropped, and messages that the shell could not deliver are sent again at the next tick.
//! `local` has the local steps, `accept` decides which heads become facts.

mod accept;
mod delete;
mod local;

use self::accept::{Candidates, append};
use super::heads::{ByRelation, Heads};
use super::phase::{Phase, Step};
use super::reads::{self, Reads};
use super::state::{Changes, State};
use crate::columns::Pair;
use crate::eval::{Batch, Conditions, Scope, Texts, run_stage};
use crate::exchange::endpoint::{Kind, Opening, Progress};
use crate::exchange::route::ShardMap;
use crate::exchange::{Endpoint, Message, Payload, PlanKey};
use crate::failpoints::is_broken;
use crate::plan::{Extent, Plan, Program};
use entail_model::{Fault, NodeId, Reason, Relation, Round};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pairs of runs that may get a hash index during an attempt: 32 MiB of memory at most.
const INDEX_PAIRS_TOTAL_MAX: u64 = 1 << 20;

/// The facts and rules that are new to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The staged facts are new.
    Increment,
    /// The staged facts and these rules are new; the rules are evaluated over everything first.
    NewRules(BTreeSet<usize>),
    /// All derived facts are dropped and derived again from the asserted facts.
    Rebuild,
    /// Facts go, or rules: the staged facts and the rules `new` are new, the rules `dropped` no longer hold.
    Maintain { new: BTreeSet<usize>, dropped: BTreeSet<usize> },
}

impl Mode {
    /// The steps of an attempt whose rules have so many strata. In all but the first stratum rules have NOTs, so that facts
    /// may go there even if none goes below.
    pub fn steps(&self, strata: usize) -> Vec<Step> {
        let phases = |stratum: u32| match self {
            Self::Rebuild => &[Phase::Recompute][..],
            Self::Increment | Self::NewRules(_) if stratum == 0 => &[Phase::Insert],
            Self::Increment | Self::NewRules(_) | Self::Maintain { .. } => &[Phase::Delete, Phase::Insert],
        };
        let steps = |stratum| phases(stratum).iter().map(move |phase| Step { stratum, phase: *phase });
        (0..strata.max(1) as u32).flat_map(steps).collect()
    }

    /// Does the rule hold once the attempt is committed?
    fn holds(&self, rule: usize) -> bool {
        !matches!(self, Self::Maintain { dropped, .. } if dropped.contains(&rule))
    }

    /// Did the rule hold before the attempt?
    fn held(&self, rule: usize) -> bool {
        match self {
            Self::Increment => true,
            Self::NewRules(new) | Self::Maintain { new, .. } => !new.contains(&rule),
            Self::Rebuild => false,
        }
    }
}

/// An input of a reasoner.
#[derive(Clone, Debug)]
pub enum Event {
    /// The coordinator opens a round of a step.
    Open(Round, Step),
    /// A message from a peer arrived.
    Received { from: NodeId, message: Message },
    /// A peer acknowledged a message of this round.
    Acknowledged { by: NodeId, round: Round, sequence: u64 },
    /// Time has passed: messages without acknowledgement are to be sent again.
    Tick,
}

/// An output of a reasoner, for its shell to carry out.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Deliver a message to a peer.
    Send { to: NodeId, message: Message },
    /// The round is closed at this node: tell the coordinator.
    Closed(Report),
}

/// A node's report of a closed round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub round: Round,
    /// Does the node have work for another round?
    pub active: bool,
    /// New facts at home at this node in this round, by rule; while facts are deleted, facts that are over-deleted.
    pub derived: Vec<u64>,
    pub sent: BTreeMap<NodeId, u64>,
    pub received: BTreeMap<NodeId, u64>,
    /// The node has spent the effort that the change may cost: the attempt should be continued by recomputing.
    pub gave_up: bool,
    /// In the first round: an upper bound of the facts found here that are to be broadcast in the second.
    pub to_broadcast: u64,
}

/// The parts of a reasoner.
pub struct Setup {
    pub shard_map: ShardMap,
    pub program: Arc<Program>,
    pub mode: Mode,
    pub state: State,
    pub texts: Arc<dyn Texts + Send + Sync>,
    /// The most new facts at this node; with more, the attempt fails.
    pub facts_max: u64,
    /// Set by another thread to stop long work.
    pub stop: Arc<AtomicBool>,
    /// Set by another thread when the attempt has cost so much that recomputing is the cheaper way to go on. Without
    /// effect while everything is recomputed.
    pub give_up: Arc<AtomicBool>,
}

/// One node's part in an attempt.
pub struct Reasoner {
    setup: Setup,
    /// The step that the last round belongs to, and the number of the round within it.
    step: Option<Step>,
    round_of_step: u32,
    conditions: Conditions,
    /// The stratum of each rule.
    strata: Vec<usize>,
    /// The inverse copies that must be kept in order in every step. All others can wait for the end of the round.
    reads: Reads,
    index_budget: AtomicU64,
    endpoint: Endpoint,
    /// Heads that have arrived in this round, to be accepted when it closes; arrived copies are in the state.
    arrived_heads: Candidates,
    derived: Vec<u64>,
    derived_total: u64,
    /// Do late rules wait for the second round?
    waits_for_late: bool,
}

pub(super) type Emit<'e> = &'e mut dyn FnMut(Effect) -> Result<(), Fault>;

impl Reasoner {
    /// A reasoner whose staging has ended.
    ///
    /// # Errors
    /// `Corrupt` for a damaged program.
    pub fn new(mut setup: Setup) -> Result<Self, Fault> {
        setup.program.check()?;
        setup.program.check_nodes(setup.shard_map.nodes.len())?;
        setup.state.nodes = setup.shard_map.nodes.len() as u64;
        let read = reads::relations(&setup.program);
        for relation in read.map_or_else(|| setup.state.all_relations(), |read| read.into_iter().collect()) {
            setup.state.open(relation);
        }
        let plans = setup.program.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full]));
        let conditions = Conditions::of(plans)?;
        let derived = vec![0; setup.program.rules.len()];
        let strata = setup.program.strata_of_rules();
        let reads = Reads::of(&setup.program);
        let waits_for_late = !setup.program.broadcast_late.is_empty();
        let endpoint = Endpoint::new(Kind::Attempt, setup.shard_map.peers());
        Ok(Self {
            setup,
            step: None,
            round_of_step: 0,
            conditions,
            strata,
            reads,
            index_budget: AtomicU64::new(INDEX_PAIRS_TOTAL_MAX),
            endpoint,
            arrived_heads: Candidates::new(),
            derived,
            derived_total: 0,
            waits_for_late,
        })
    }

    /// The attempt's facts.
    pub fn state(&self) -> &State {
        &self.setup.state
    }

    /// The net changes of the attempt, once the fixpoint is reached.
    pub fn changes(&mut self) -> Result<Changes, Fault> {
        self.setup.state.list_all()?;
        self.setup.state.changes()
    }

    /// Handles one event.
    ///
    /// # Errors
    /// Any fault of the facts, the texts or `emit`; `LimitExceeded`, `Cancelled`; `Corrupt` for messages that no peer
    /// with this program sends. The attempt cannot go on after an error.
    pub fn step(&mut self, event: Event, emit: Emit<'_>) -> Result<(), Fault> {
        match event {
            Event::Open(round, _) if round <= self.round() => Ok(()),
            Event::Open(round, step) => {
                self.open(round, step, emit)?;
                self.advance(emit)
            }
            Event::Received { from, message } => {
                self.receive(from, message, emit)?;
                self.advance(emit)
            }
            Event::Acknowledged { by, round, sequence } => {
                self.endpoint.acknowledge(by, round, sequence);
                Ok(())
            }
            Event::Tick => self.endpoint.send_again(&mut |to, message| emit(Effect::Send { to, message })),
        }
    }

    fn round(&self) -> Round {
        self.endpoint.round()
    }

    /// Handles events one after the other, with parallel work on the given pool's threads.
    ///
    /// # Errors
    /// Any error of [`step`](Self::step) or `events`.
    pub fn step_in(
        &mut self,
        pool: &rayon::ThreadPool,
        mut events: impl Iterator<Item = Result<Event, Fault>> + Send,
        emit: &mut (dyn FnMut(Effect) -> Result<(), Fault> + Send),
    ) -> Result<(), Fault> {
        pool.install(|| events.try_for_each(|event| self.step(event?, &mut |effect| emit(effect))))
    }

    fn open(&mut self, round: Round, step: Step, emit: Emit<'_>) -> Result<(), Fault> {
        if round != self.round().next() || self.endpoint.is_open() {
            return Err(Fault::internal(format!("round {round} opened in round {}", self.round())));
        }
        if self.step == Some(step) {
            self.round_of_step += 1;
            self.setup.state.next_round()?;
        } else {
            self.begin(step)?;
        }
        let levels = match self.is_first() {
            true => self.setup.program.levels(),
            false => self.setup.program.later_levels(),
        };
        let opening = if self.to_broadcast().is_empty() { Opening::Work } else { Opening::Broadcast };
        self.endpoint.open(round, levels, opening);
        self.derived.iter_mut().for_each(|count| *count = 0);
        self.take_arrivals()?;
        match opening {
            Opening::Broadcast => self.broadcast(emit)?,
            Opening::Work => self.work(emit)?,
        }
        self.take_deferred(emit)
    }

    fn begin(&mut self, step: Step) -> Result<(), Fault> {
        (self.step, self.round_of_step) = (Some(step), 1);
        self.derived_total = 0;
        self.waits_for_late = !self.setup.program.broadcast_late.is_empty();
        if step.phase == Phase::Recompute {
            self.arrived_heads.clear();
        }
        self.setup.state.begin(step)
    }

    /// Is this the first round of its step?
    fn is_first(&self) -> bool {
        self.round_of_step == 1
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.step.is_some_and(|step| step.phase == phase)
    }

    /// Does a rule take part in this step?
    fn takes_part(&self, rule: usize) -> bool {
        let is_in_force =
            if self.is_in(Phase::Delete) { self.setup.mode.held(rule) } else { self.setup.mode.holds(rule) };
        is_in_force && self.is_in_stratum(rule)
    }

    /// Is the rule of the step's stratum?
    fn is_in_stratum(&self, rule: usize) -> bool {
        self.stratum_of(rule) == self.stratum()
    }

    fn stratum(&self) -> usize {
        self.step.map_or(0, |step| step.stratum as usize)
    }

    fn stratum_of(&self, rule: usize) -> usize {
        self.strata[rule]
    }

    /// Has the attempt cost so much that it should be continued by recomputing?
    fn gives_up(&self) -> bool {
        !self.is_in(Phase::Recompute) && self.setup.give_up.load(Ordering::Relaxed)
    }

    /// The facts that every node must have before it works in the round.
    fn to_broadcast(&self) -> &[Extent] {
        match self.round_of_step {
            1 => &self.setup.program.broadcast,
            2 => &self.setup.program.broadcast_late,
            _ => &[],
        }
    }

    /// Sends this node's facts of the relations to broadcast.
    fn broadcast(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let extents = self.to_broadcast().to_vec();
        let relations: BTreeSet<Relation> = extents.iter().map(|extent| extent.relation).collect();
        for relation in relations {
            let facts = self.setup.state.own_facts(relation, &extents)?;
            self.endpoint.broadcast(relation, &facts, &mut |to, message| emit(Effect::Send { to, message }))?;
        }
        self.endpoint.end_broadcast(&mut |to, message| emit(Effect::Send { to, message }))
    }

    /// Called when every peer's broadcast facts have arrived.
    fn end_broadcast(&mut self) -> Result<(), Fault> {
        let copies = self.setup.program.broadcast_copies();
        let copies = copies.into_iter().map(|(extent, copy)| (extent.relation, copy)).collect();
        let extents = self.to_broadcast().to_vec();
        self.setup.state.finish_broadcast(&extents, &copies)?;
        if !self.is_first() && std::mem::take(&mut self.waits_for_late) {
            self.run_late_rules()?;
        }
        Ok(())
    }

    /// Does all work that starts from facts of this node.
    fn work(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        self.saturate(emit)?;
        self.give_in_copies(emit)?;
        self.start_shipped(emit)?;
        let deliver = &mut |to, message| emit(Effect::Send { to, message });
        self.endpoint.flush_heads(deliver)?;
        self.endpoint.end_own_work(deliver)
    }

    /// Receives the deferred messages again.
    fn take_deferred(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let mut deferred = self.endpoint.take_deferred().into_iter();
        deferred.try_for_each(|(from, message)| self.receive(from, message, emit))
    }

    /// Makes the facts that the last exchange brought the first local step's delta.
    fn take_arrivals(&mut self) -> Result<(), Fault> {
        self.setup.state.take_copies()?;
        let heads = std::mem::take(&mut self.arrived_heads);
        let found = self.accept(heads, Candidates::new())?;
        self.setup.state.add_recent(found)
    }

    fn check_limits(&self) -> Result<(), Fault> {
        if self.setup.stop.load(Ordering::Relaxed) {
            return Err(Fault::new(Reason::Cancelled, "the attempt was stopped"));
        }
        if self.derived_total > self.setup.facts_max {
            let limit = self.setup.facts_max;
            return Err(Fault::new(
                Reason::LimitExceeded,
                format!("the rules derived more than {limit} facts at one node"),
            ));
        }
        Ok(())
    }

    fn is_single(&self) -> bool {
        self.setup.shard_map.nodes.len() == 1
    }

    /// Sends heads to their homes; those at home at this node go to `local`.
    fn route_heads(&mut self, rule: usize, heads: ByRelation, local: &mut Candidates) -> Result<(), Fault> {
        for (relation, pairs) in heads {
            if self.is_single() {
                append(local, relation, rule, pairs);
                continue;
            }
            let mut others: BTreeMap<NodeId, Vec<Pair>> = BTreeMap::new();
            if self.setup.shard_map.are_mine(&pairs)? {
                append(local, relation, rule, pairs);
                continue;
            }
            // In sorted pairs those of one shard are adjacent.
            for group in pairs.chunk_by(|a, b| a.0.home() == b.0.home()) {
                let Some(node) = self.setup.shard_map.home_node(group[0].0)? else { continue };
                let list = if node == self.setup.shard_map.me {
                    local.entry(relation).or_default().entry(rule).or_default()
                } else {
                    others.entry(node).or_default()
                };
                list.extend_from_slice(group);
            }
            for (node, mut pairs) in others {
                let is_claimed = self.setup.state.claim_sent(relation, &mut pairs);
                let outbox = self.endpoint.outbox();
                let list =
                    if is_claimed { outbox.claimed(node, rule, relation) } else { outbox.heads(node, rule, relation) };
                list.extend_from_slice(&pairs);
            }
        }
        Ok(())
    }

    /// Evaluates level 0 of the shipped rules: all rows that start from facts of this node.
    fn start_shipped(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        let whole = self.whole_plans(&program);
        self.run_here(&program, &whole)?;
        for key in whole {
            if plan_of(&program, key)?.stages.len() > 1 {
                self.run_shipped(key, emit)?;
            }
        }
        for (index, rule) in program.rules.iter().enumerate() {
            if !self.takes_part(index) {
                continue;
            }
            // Staged facts are new in the first round only, and no others are new in a broadcast relation.
            let is_over = !self.is_first() && rule.is_local();
            let ships = |pivot: &usize| !is_over && rule.ships(*pivot);
            for pivot in (0..rule.deltas.len()).filter(ships) {
                self.run_shipped(PlanKey { rule: index, pivot: Some(pivot) }, emit)?;
            }
        }
        Ok(())
    }

    /// The plans that are evaluated over everything in this round: of new rules, of rules that go, and of rules that may
    /// derive deleted facts again.
    fn whole_plans(&self, program: &Program) -> Vec<PlanKey> {
        if !self.is_first() {
            return Vec::new();
        }
        let mut plans = Vec::new();
        for (index, rule) in program.rules.iter().enumerate() {
            let mut add = |pivots: Range<usize>| {
                plans.extend(pivots.map(|pivot| PlanKey { rule: index, pivot: Some(pivot) }));
            };
            let (held, holds, is_here) =
                (self.setup.mode.held(index), self.setup.mode.holds(index), self.is_in_stratum(index));
            let is_whole = match self.step.map(|step| step.phase) {
                Some(Phase::Delete) => {
                    if is_here && held && holds {
                        add(rule.appeared());
                    }
                    !holds
                }
                Some(Phase::Recompute) => holds,
                Some(Phase::Insert) | None => {
                    if is_here && held && holds {
                        add(rule.disappeared());
                    }
                    if self.may_rederive(index) {
                        add(rule.rederived());
                    }
                    !held
                }
            };
            if is_whole && is_here {
                plans.push(PlanKey { rule: index, pivot: None });
            }
        }
        plans
    }

    /// Are there deleted facts that the rule may derive again?
    fn may_rederive(&self, rule: usize) -> bool {
        // Rules of several strata may derive the same fact.
        self.stratum_of(rule) <= self.stratum()
            && self.setup.mode.holds(rule)
            && self.setup.state.has_deleted()
            && !is_broken("rederive")
    }

    /// Runs a plan from its start at this node, if it starts here.
    fn run_shipped(&mut self, key: PlanKey, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        let plan = plan_of(&program, key)?;
        if !self.setup.shard_map.starts(plan) || self.gives_up() {
            return Ok(());
        }
        self.run_stages(key, 0, Batch::unit(plan.width), emit)
    }

    /// Runs a stage and the stages after it as far as rows stay here.
    fn run_stages(&mut self, key: PlanKey, stage: usize, batch: Batch, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        let plan = plan_of(&program, key)?;
        let mut work = vec![(stage, batch)];
        while let Some((stage, batch)) = work.pop() {
            self.check_limits()?;
            let last = stage + 1 == plan.stages.len();
            let mut heads = Heads::new(plan, |_| None);
            let mut rows = Batch::empty(plan.width);
            let facts = self.setup.state.shared();
            let scope = Scope {
                facts: &facts,
                texts: &*self.setup.texts,
                conditions: &self.conditions,
                stop: Some(&self.setup.stop),
                meter: None,
                groups: None,
                key_sets: None,
                rows_left: None,
            };
            run_stage(&scope, plan, stage, batch, &mut |mut piece| {
                self.check_limits()?;
                if last {
                    heads.add(&piece);
                } else {
                    piece.project(&plan.stages[stage].live);
                    rows.append(&piece);
                }
                Ok(())
            })?;
            if last {
                let Heads { rule, pairs, .. } = heads;
                self.keep_heads(rule, pairs)?;
            } else if rows.rows > 0 {
                rows.distinct();
                let here = self.route_rows(plan, (key, stage + 1), rows, emit)?;
                work.extend(here.map(|batch| (stage + 1, batch)));
            }
            self.endpoint.flush_heads(&mut |to, message| emit(Effect::Send { to, message }))?;
        }
        Ok(())
    }

    /// Keeps heads of shipped rules until the end of the round, whether their home is this node or another.
    fn keep_heads(&mut self, rule: usize, heads: ByRelation) -> Result<(), Fault> {
        let mut local = std::mem::take(&mut self.arrived_heads);
        let result = self.route_heads(rule, heads, &mut local);
        self.arrived_heads = local;
        result
    }

    /// Puts rows for other nodes into the outbox; returns the rows that stay.
    fn route_rows(
        &mut self,
        plan: &Plan,
        (key, stage): (PlanKey, usize),
        rows: Batch,
        emit: Emit<'_>,
    ) -> Result<Option<Batch>, Fault> {
        let mut by_node = self.setup.shard_map.split(&plan.stages[stage].route, rows)?;
        let here = by_node.remove(&self.setup.shard_map.me);
        for (node, batch) in by_node {
            let deliver = &mut |to, message| emit(Effect::Send { to, message });
            self.endpoint.add_rows(node, (key, stage), &batch, deliver)?;
        }
        Ok(here)
    }

    fn receive(&mut self, from: NodeId, message: Message, emit: Emit<'_>) -> Result<(), Fault> {
        let Some((level, payload)) = self.endpoint.receive(from, message)? else { return Ok(()) };
        match payload {
            Payload::Rows { plan: key, stage, batch } => {
                let program = Arc::clone(&self.setup.program);
                self.endpoint.check_rows(plan_of(&program, key)?, level, stage, &batch)?;
                self.run_stages(key, stage, batch, emit)?;
            }
            Payload::Heads { rule, relation, pairs } => {
                if rule >= self.derived.len() {
                    return Err(Fault::corrupt(format!("a head of rule {rule}")));
                }
                append(&mut self.arrived_heads, relation, rule, pairs);
            }
            Payload::Copies { relation, pairs } => self.setup.state.keep_copies(relation, &pairs)?,
            Payload::Blocks { relation, blocks } => self.setup.state.keep_blocks(relation, blocks)?,
            Payload::Broadcast { relation, pairs } => {
                let mut extents = self.to_broadcast().iter();
                if !self.endpoint.is_broadcasting() || !extents.any(|extent| extent.relation == relation) {
                    return Err(Fault::corrupt(format!("facts of {relation:?}, which is not broadcast")));
                }
                self.setup.state.keep_broadcast(relation, &pairs);
            }
            Payload::Close { .. } => {}
        }
        Ok(())
    }

    /// Closes each level whose input is complete; after the last one, the round.
    fn advance(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        loop {
            match self.endpoint.advance(&mut |to, message| emit(Effect::Send { to, message }))? {
                Progress::Waiting => return Ok(()),
                Progress::BroadcastComplete => {
                    self.end_broadcast()?;
                    self.work(emit)?;
                    self.take_deferred(emit)?;
                }
                Progress::Closed => {
                    self.setup.state.sort_later()?;
                    return emit(Effect::Closed(self.report()));
                }
            }
        }
    }

    fn report(&self) -> Report {
        let has_shipped = self.setup.program.rules.iter().any(|rule| !rule.is_local());
        let state = &self.setup.state;
        let arrived = !self.arrived_heads.is_empty() || state.has_arrivals() || state.owes_any();
        Report {
            round: self.round(),
            active: arrived || self.waits_for_late || (has_shipped && state.has_unpublished()),
            derived: self.derived.clone(),
            sent: self.endpoint.flow().sent_counts(),
            received: self.endpoint.flow().received_counts(),
            gave_up: self.gives_up(),
            to_broadcast: if self.round() == Round(1) { self.found_to_broadcast() } else { 0 },
        }
    }

    /// The facts of late broadcast relations that this round has found: facts at home here, and heads from other nodes
    /// that have not been examined.
    fn found_to_broadcast(&self) -> u64 {
        let program = &self.setup.program;
        let derives = |number: &usize| program.derives_late(&program.rules[*number]);
        let facts = (0..program.rules.len()).filter(derives).map(|number| self.derived[number]).sum::<u64>();
        let is_late = |relation: &Relation| program.broadcast_late.iter().any(|extent| extent.relation == *relation);
        let arrived = self.arrived_heads.iter().filter(|(relation, _)| is_late(relation));
        let arrived = arrived.flat_map(|(_, by_rule)| by_rule).filter(|(number, _)| derives(number));
        facts + arrived.map(|(_, pairs)| pairs.len() as u64).sum::<u64>()
    }
}

fn plan_of(program: &Program, key: PlanKey) -> Result<&Plan, Fault> {
    let rule = program.rules.get(key.rule).ok_or_else(|| Fault::corrupt(format!("no rule {}", key.rule)))?;
    rule.plan(key.pivot).ok_or_else(|| Fault::corrupt(format!("rule {} has no plan for {:?}", key.rule, key.pivot)))
}
