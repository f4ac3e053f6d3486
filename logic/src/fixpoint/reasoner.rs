//! The reasoner: one node's part in an attempt, as a machine.
//!
//! `step(event, emit)` does the work that the event asks for and emits effects. It never waits: what comes early is
//! kept, what comes twice is dropped, and what the shell cannot deliver it sends again when told that time has passed.
//! `local` has the local steps, `accept` what becomes of heads at their home.

mod accept;
mod local;

use self::accept::{Candidates, append};
use super::heads::{ByRelation, Heads};
use super::outbox::{Outbox, SPREAD_LEVEL};
use super::reads::{self, Reads};
use super::state::State;
use crate::columns::{Pair, Run};
use crate::eval::{Batch, Conditions, Scope, Texts, run_stage};
use crate::exchange::route::Territory;
use crate::exchange::{Flow, Message, Payload, PlanKey};
use crate::plan::{Extent, Plan, Program};
use entail_model::{Copy, Fault, NodeId, Reason, Relation, Round};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Rounds ahead of the current one whose messages are kept: a peer can be one round ahead, never two.
const ROUNDS_AHEAD: u32 = 1;

/// Pairs of runs that are kept as groups during an attempt: 32 MiB of memory at most.
const GROUPS_ROOM: u64 = 1 << 20;

/// What reasoning starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The staged facts are new.
    Increment,
    /// These rules are new as well, and are evaluated over everything first.
    NewRules(BTreeSet<usize>),
    /// Everything is derived anew from the asserted facts.
    Rebuild,
}

/// What happens to a reasoner.
#[derive(Clone, Debug)]
pub enum Event {
    /// The coordinator opens a round.
    Open(Round),
    /// A message of a peer.
    Received { from: NodeId, message: Message },
    /// A peer has a message of this round.
    Acknowledged { by: NodeId, round: Round, sequence: u64 },
    /// Time has passed: send again what nobody has acknowledged.
    Tick,
}

/// What a reasoner asks its shell to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Deliver a message to a peer.
    Send { to: NodeId, message: Message },
    /// The round is closed at this node: tell the coordinator.
    Closed(Report),
}

/// What a node says of a closed round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub round: Round,
    /// Is there anything left to do?
    pub active: bool,
    /// New facts at home here in this round, by rule.
    pub derived: Vec<u64>,
    pub sent: BTreeMap<NodeId, u64>,
    pub received: BTreeMap<NodeId, u64>,
    /// In the first round: at most so much was found here of what is to be spread in the second.
    pub to_spread: u64,
}

/// What a reasoner is made of.
pub struct Setup {
    pub territory: Territory,
    pub program: Arc<Program>,
    pub mode: Mode,
    pub state: State,
    pub texts: Arc<dyn Texts + Send + Sync>,
    /// New facts at this node beyond which the attempt is given up.
    pub facts_max: u64,
    /// Set from outside to stop long work.
    pub stop: Arc<AtomicBool>,
}

/// One node's part in an attempt.
pub struct Reasoner {
    setup: Setup,
    conditions: Conditions,
    /// What has to have its in copies in every step. Those of others can wait for the end of the round.
    reads: Reads,
    room_for_groups: AtomicU64,
    round: Round,
    flow: Flow,
    /// The round's heads that came, to be accepted when it closes; copies wait in the state.
    arrived_heads: Candidates,
    outbox: Outbox,
    /// Messages for the next round, from peers that are ahead, and those of this one that came before all that is spread.
    /// They are in no budget: a slow peer's spread relations hold up what all others send.
    early: Vec<(NodeId, Message)>,
    derived: Vec<u64>,
    derived_total: u64,
    is_open: bool,
    /// Does the round's work wait for what is spread?
    is_waiting: bool,
    /// Do late rules wait for the second round?
    waits_for_late: bool,
}

pub(super) type Emit<'e> = &'e mut dyn FnMut(Effect) -> Result<(), Fault>;

impl Reasoner {
    /// A reasoner whose staging has ended.
    ///
    /// # Errors
    /// `Corrupt` for a program that is damaged.
    pub fn new(mut setup: Setup) -> Result<Self, Fault> {
        setup.program.check()?;
        setup.state.nodes = setup.territory.nodes.len() as u64;
        let read = reads::relations(&setup.program);
        for relation in read.map_or_else(|| setup.state.all_relations(), |read| read.into_iter().collect()) {
            setup.state.open(relation);
        }
        let plans = setup.program.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full]));
        let conditions = Conditions::of(plans)?;
        let derived = vec![0; setup.program.rules.len()];
        let reads = Reads::of(&setup.program);
        let waits_for_late = !setup.program.spread_late.is_empty();
        Ok(Self {
            setup,
            conditions,
            reads,
            room_for_groups: AtomicU64::new(GROUPS_ROOM),
            round: Round(0),
            flow: Flow::new(Round(0), Vec::new(), 0),
            arrived_heads: Candidates::new(),
            outbox: Outbox::default(),
            early: Vec::new(),
            derived,
            derived_total: 0,
            is_open: false,
            is_waiting: false,
            waits_for_late,
        })
    }

    /// The attempt's facts.
    pub fn state(&self) -> &State {
        &self.setup.state
    }

    /// Everything that the attempt adds, once the fixpoint is reached.
    pub fn added(&mut self) -> Result<Vec<(Relation, Copy, Arc<Run>)>, Fault> {
        self.setup.state.list_all()?;
        Ok(self.setup.state.added())
    }

    /// Does what the event asks for.
    ///
    /// # Errors
    /// Whatever the facts, texts or `emit` give; `LimitExceeded`, `Cancelled`; `Corrupt` for messages that no peer of
    /// this program sends. The attempt cannot go on after an error.
    pub fn step(&mut self, event: Event, emit: Emit<'_>) -> Result<(), Fault> {
        match event {
            Event::Open(round) => self.open(round, emit),
            Event::Received { from, message } => self.receive(from, message, emit),
            Event::Acknowledged { by, round, sequence } => {
                if round == self.round {
                    self.flow.acknowledge(by, sequence);
                }
                Ok(())
            }
            Event::Tick => self.send_again(emit),
        }
    }

    /// Like [`step`](Self::step) for one event after the other, with parallel work on the given pool's threads.
    ///
    /// # Errors
    /// Also what `events` gives.
    pub fn step_in(
        &mut self,
        pool: &rayon::ThreadPool,
        mut events: impl Iterator<Item = Result<Event, Fault>> + Send,
        emit: &mut (dyn FnMut(Effect) -> Result<(), Fault> + Send),
    ) -> Result<(), Fault> {
        pool.install(|| events.try_for_each(|event| self.step(event?, &mut |effect| emit(effect))))
    }

    fn send_again(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        self.flow.unacknowledged().try_for_each(|(to, message)| emit(Effect::Send { to, message: message.clone() }))
    }

    fn open(&mut self, round: Round, emit: Emit<'_>) -> Result<(), Fault> {
        if round <= self.round {
            return Ok(());
        }
        if round != self.round.next() || self.is_open {
            return Err(Fault::internal(format!("round {round} opened in round {}", self.round)));
        }
        self.round = round;
        self.is_open = true;
        self.is_waiting = !self.to_spread().is_empty();
        self.outbox.ahead = usize::from(self.is_waiting);
        let levels = match round {
            Round(1) => self.setup.program.levels(),
            _ => self.setup.program.later_levels(),
        };
        self.flow = Flow::new(round, self.setup.territory.peers(), levels + self.outbox.ahead);
        self.derived.iter_mut().for_each(|count| *count = 0);
        if round > Round(1) {
            self.setup.state.next_round()?;
        }
        self.take_arrivals()?;
        match self.is_waiting {
            true => self.spread(emit)?,
            false => self.work(emit)?,
        }
        self.take_early(emit)?;
        self.advance(emit)
    }

    /// What every node is to have before it works in this round.
    fn to_spread(&self) -> &[Extent] {
        match self.round {
            Round(1) => &self.setup.program.spread,
            Round(2) => &self.setup.program.spread_late,
            _ => &[],
        }
    }

    /// Sends that.
    fn spread(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let extents = self.to_spread().to_vec();
        let relations: BTreeSet<Relation> = extents.iter().map(|extent| extent.relation).collect();
        for relation in relations {
            let facts = self.setup.state.own_facts(relation, &extents)?;
            Outbox::spread(relation, &facts, &mut self.flow, emit)?;
        }
        self.outbox.close_level(SPREAD_LEVEL, &mut self.flow, emit)
    }

    /// All that is spread has come.
    fn end_spread(&mut self) -> Result<(), Fault> {
        let copies = self.setup.program.spread_copies();
        let copies = copies.into_iter().map(|(extent, copy)| (extent.relation, copy)).collect();
        let extents = self.to_spread().to_vec();
        self.setup.state.finish_spread(&extents, &copies)?;
        if self.round > Round(1) && std::mem::take(&mut self.waits_for_late) {
            self.run_late_rules()?;
        }
        Ok(())
    }

    /// Everything that starts from facts of this node.
    fn work(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        self.saturate(emit)?;
        self.give_in_copies(emit)?;
        self.start_shipped(emit)?;
        self.outbox.flush_full(&mut self.flow, emit)?;
        self.outbox.close_level(self.outbox.ahead + 1, &mut self.flow, emit)
    }

    /// Takes what came before it could be worked on.
    fn take_early(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let early = std::mem::take(&mut self.early);
        early.into_iter().try_for_each(|(from, message)| self.receive(from, message, emit))
    }

    /// What the last exchange brought becomes the first local step's delta.
    fn take_arrivals(&mut self) -> Result<(), Fault> {
        self.setup.state.take_copies()?;
        let heads = std::mem::take(&mut self.arrived_heads);
        let found = self.accept(heads, Candidates::new())?;
        self.setup.state.add_recent(found)
    }

    fn check_limits(&self) -> Result<(), Fault> {
        if self.setup.stop.load(Ordering::Relaxed) {
            return Err(Fault::new(Reason::Cancelled, "the attempt was given up"));
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
        self.setup.territory.nodes.len() == 1
    }

    /// Sends heads to their homes; those at home here go to `local`.
    fn route_heads(&mut self, rule: usize, heads: ByRelation, local: &mut Candidates) -> Result<(), Fault> {
        for (relation, pairs) in heads {
            if self.is_single() {
                append(local, relation, rule, pairs);
                continue;
            }
            let mut others: BTreeMap<NodeId, Vec<Pair>> = BTreeMap::new();
            if self.setup.territory.are_mine(&pairs)? {
                append(local, relation, rule, pairs);
                continue;
            }
            // Those of one shard lie side by side, where they are sorted.
            for group in pairs.chunk_by(|a, b| a.0.home() == b.0.home()) {
                let Some(node) = self.setup.territory.home_node(group[0].0)? else { continue };
                let list = match node == self.setup.territory.me {
                    true => local.entry(relation).or_default().entry(rule).or_default(),
                    false => others.entry(node).or_default(),
                };
                list.extend_from_slice(group);
            }
            for (node, mut pairs) in others {
                let list = match self.setup.state.claim_sent(relation, &mut pairs) {
                    true => self.outbox.claimed(node, rule, relation),
                    false => self.outbox.heads(node, rule, relation),
                };
                list.extend_from_slice(&pairs);
            }
        }
        Ok(())
    }

    /// Level 0 of the shipped rules: everything that starts from facts of this node.
    fn start_shipped(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        self.run_new_rules(&program)?;
        for (index, rule) in program.rules.iter().enumerate() {
            if self.is_new_rule(index) && rule.full.stages.len() > 1 {
                self.run_shipped(PlanKey { rule: index, pivot: None }, 0, Batch::unit(rule.full.width), emit)?;
            }
            // What was staged is not new any more, and nothing else is of a spread relation.
            let is_over = self.round > Round(1) && rule.is_local();
            let ships = |pivot: usize| !is_over && rule.ships(pivot);
            for (pivot, plan) in rule.deltas.iter().enumerate().filter(|(pivot, _)| ships(*pivot)) {
                let key = PlanKey { rule: index, pivot: Some(pivot) };
                self.run_shipped(key, 0, Batch::unit(plan.width), emit)?;
            }
        }
        Ok(())
    }

    /// New rules are evaluated over everything in the first round.
    fn is_new_rule(&self, index: usize) -> bool {
        self.round == Round(1)
            && match &self.setup.mode {
                Mode::Increment => false,
                Mode::NewRules(rules) => rules.contains(&index),
                Mode::Rebuild => true,
            }
    }

    /// Runs a stage and the stages after it as far as rows stay here.
    fn run_shipped(&mut self, key: PlanKey, stage: usize, batch: Batch, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        let plan = plan_of(&program, key)?;
        if stage == 0 && !self.setup.territory.starts(plan) {
            return Ok(());
        }
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
                stop: None,
                meter: None,
                groups: None,
                members: None,
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
                let here = self.route_rows(plan, key, stage + 1, rows)?;
                work.extend(here.map(|batch| (stage + 1, batch)));
            }
            self.outbox.flush_full(&mut self.flow, emit)?;
        }
        Ok(())
    }

    /// Heads of shipped rules wait for the end of the round, wherever their home is.
    fn keep_heads(&mut self, rule: usize, heads: ByRelation) -> Result<(), Fault> {
        let mut local = std::mem::take(&mut self.arrived_heads);
        let result = self.route_heads(rule, heads, &mut local);
        self.arrived_heads = local;
        result
    }

    /// Puts rows for other nodes into the outbox; gives back those that stay.
    fn route_rows(&mut self, plan: &Plan, key: PlanKey, stage: usize, rows: Batch) -> Result<Option<Batch>, Fault> {
        let mut parts = self.setup.territory.split(&plan.stages[stage].route, rows)?;
        let here = parts.remove(&self.setup.territory.me);
        for (node, batch) in parts {
            self.outbox.add_rows(node, key, stage, &batch);
        }
        Ok(here)
    }

    fn receive(&mut self, from: NodeId, message: Message, emit: Emit<'_>) -> Result<(), Fault> {
        if message.round < self.round || (message.round == self.round && !self.is_open) {
            return Ok(());
        }
        if message.round > self.round {
            if message.round.0 > self.round.0 + ROUNDS_AHEAD {
                return Err(Fault::corrupt(format!("a message of round {} in round {}", message.round, self.round)));
            }
            self.early.push((from, message));
            return Ok(());
        }
        if message.level == 0 || message.level > self.flow.levels() {
            return Err(Fault::corrupt(format!("a message of level {}", message.level)));
        }
        if self.is_waiting && message.level > SPREAD_LEVEL {
            self.early.push((from, message));
            return Ok(());
        }
        if !self.flow.receive(from, &message) {
            return Ok(());
        }
        // Of another process it belongs to nobody else; a node of this one keeps it until it knows that it came.
        match Arc::unwrap_or_clone(message.payload) {
            Payload::Rows { plan, stage, batch } => {
                let of = plan_of(&self.setup.program, plan)?;
                let is_stage = (1..of.stages.len()).contains(&stage) && stage + self.outbox.ahead == message.level;
                if !is_stage || batch.columns.len() != of.width {
                    return Err(Fault::corrupt("rows that do not fit their plan"));
                }
                self.run_shipped(plan, stage, batch, emit)?;
            }
            Payload::Heads { rule, relation, pairs } => {
                if rule >= self.derived.len() {
                    return Err(Fault::corrupt(format!("a head of rule {rule}")));
                }
                append(&mut self.arrived_heads, relation, rule, pairs);
            }
            Payload::Copies { relation, pairs } => {
                self.setup.state.keep_copies(relation, &pairs)?;
            }
            Payload::Blocks { relation, blocks } => self.setup.state.keep_blocks(relation, blocks)?,
            Payload::Spread { relation, pairs } => {
                if !self.is_waiting || !self.to_spread().iter().any(|extent| extent.relation == relation) {
                    return Err(Fault::corrupt(format!("facts of {relation:?}, which is not spread")));
                }
                self.setup.state.keep_spread(relation, &pairs);
            }
            Payload::Close { .. } => {}
        }
        self.advance(emit)
    }

    /// Closes each level whose input is complete; after the last one, the round.
    fn advance(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        while self.is_open {
            let Some(done) = self.flow.complete_level() else { return Ok(()) };
            if self.is_waiting {
                self.is_waiting = false;
                self.end_spread()?;
                self.work(emit)?;
                self.take_early(emit)?;
            } else if done < self.flow.levels() {
                self.outbox.close_level(done + 1, &mut self.flow, emit)?;
            }
            // What came early may have closed the round just now.
            if self.is_open && self.flow.is_done() {
                self.is_open = false;
                self.setup.state.sort_later()?;
                emit(Effect::Closed(self.report()))?;
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let has_shipped = self.setup.program.rules.iter().any(|rule| !rule.is_local());
        let state = &self.setup.state;
        let arrived = !self.arrived_heads.is_empty() || state.has_arrivals() || state.owes_any();
        Report {
            round: self.round,
            active: arrived || self.waits_for_late || (has_shipped && state.has_unpublished()),
            derived: self.derived.clone(),
            sent: self.flow.sent_counts(),
            received: self.flow.received_counts(),
            to_spread: if self.round == Round(1) { self.found_to_spread() } else { 0 },
        }
    }

    /// What this round has found of what is spread late: facts, and heads of other nodes' that have not been looked at.
    fn found_to_spread(&self) -> u64 {
        let program = &self.setup.program;
        let derives = |number: &usize| program.derives_late(&program.rules[*number]);
        let facts = (0..program.rules.len()).filter(derives).map(|number| self.derived[number]).sum::<u64>();
        let is_late = |relation: &Relation| program.spread_late.iter().any(|extent| extent.relation == *relation);
        let arrived = self.arrived_heads.iter().filter(|(relation, _)| is_late(relation));
        let arrived = arrived.flat_map(|(_, by_rule)| by_rule).filter(|(number, _)| derives(number));
        facts + arrived.map(|(_, pairs)| pairs.len() as u64).sum::<u64>()
    }
}

fn plan_of(program: &Program, key: PlanKey) -> Result<&Plan, Fault> {
    let rule = program.rules.get(key.rule).ok_or_else(|| Fault::corrupt(format!("no rule {}", key.rule)))?;
    match key.pivot {
        None => Ok(&rule.full),
        Some(pivot) => rule.deltas.get(pivot).ok_or_else(|| Fault::corrupt(format!("no pivot {pivot}"))),
    }
}
