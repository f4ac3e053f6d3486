//! The reasoner: one node's part in an attempt, as a machine.
//!
//! `step(event, emit)` does the work that the event asks for and emits effects. It never waits: what comes early is
//! kept, what comes twice is dropped, and what the shell cannot deliver it sends again when told that time has passed.

use super::dense::Keeping;
use super::heads::{ByRelation, Heads};
use super::outbox::Outbox;
use super::parts::DeltaPart;
use super::reads::Reads;
use super::state::State;
use crate::columns::{Pair, Run, pairs};
use crate::eval::{Batch, Conditions, Facts, Scope, Texts, run_stage};
use crate::exchange::route::Territory;
use crate::exchange::{Flow, Message, Payload, PlanKey};
use crate::plan::{Head, Plan, Program, RulePlans, Sink};
use entail_model::fact::in_home;
use entail_model::{Copy, Fault, NodeId, Reason, Relation, Round};
use rayon::prelude::*;
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

/// Heads by what they belong to.
type Candidates = BTreeMap<Relation, BTreeMap<usize, Vec<Pair>>>;

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
    /// Messages for the next round, from peers that are ahead.
    early: Vec<(NodeId, Message)>,
    derived: Vec<u64>,
    derived_total: u64,
    is_open: bool,
}

pub(super) type Emit<'e> = &'e mut dyn FnMut(Effect) -> Result<(), Fault>;

impl Reasoner {
    /// A reasoner whose staging has ended.
    ///
    /// # Errors
    /// `Corrupt` for a program that is damaged.
    pub fn new(setup: Setup) -> Result<Self, Fault> {
        setup.program.check()?;
        let plans = setup.program.rules.iter().flat_map(|rule| rule.deltas.iter().chain([&rule.full]));
        let conditions = Conditions::of(plans)?;
        let derived = vec![0; setup.program.rules.len()];
        let reads = Reads::of(&setup.program);
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

    /// Like [`step`](Self::step), with parallel work on the given pool's threads.
    pub fn step_in(
        &mut self,
        pool: &rayon::ThreadPool,
        event: Event,
        emit: &mut (dyn FnMut(Effect) -> Result<(), Fault> + Send),
    ) -> Result<(), Fault> {
        pool.install(|| self.step(event, &mut |effect| emit(effect)))
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
        self.flow = Flow::new(round, self.setup.territory.peers(), self.setup.program.levels());
        self.derived.iter_mut().for_each(|count| *count = 0);
        if round > Round(1) {
            self.setup.state.next_round()?;
        }
        self.take_arrivals()?;
        self.saturate(emit)?;
        self.start_shipped(emit)?;
        self.outbox.flush_full(&mut self.flow, emit)?;
        self.outbox.close_level(1, &mut self.flow, emit)?;
        for (from, message) in std::mem::take(&mut self.early) {
            self.receive(from, message, emit)?;
        }
        self.advance(emit)
    }

    /// What the last exchange brought becomes the first local step's delta.
    fn take_arrivals(&mut self) -> Result<(), Fault> {
        self.setup.state.take_copies()?;
        let heads = std::mem::take(&mut self.arrived_heads);
        let found = self.accept(heads, Candidates::new())?;
        self.setup.state.add_recent(found)
    }

    /// Evaluates the local rules to their fixpoint.
    fn saturate(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        while self.setup.state.has_recent() {
            self.check_limits()?;
            let (candidates, claimed) = self.run_local_rules()?;
            let found = self.accept(candidates, claimed)?;
            self.setup.state.step(found)?;
            self.outbox.flush_claimed(&mut self.flow, emit)?;
        }
        Ok(())
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

    /// One local step: every local rule over the delta. Gives the candidates, and what of them is known to be new.
    fn run_local_rules(&mut self) -> Result<(Candidates, Candidates), Fault> {
        let program = Arc::clone(&self.setup.program);
        let mut heads = Vec::new();
        let mut together = Vec::new();
        for rule in program.rules.iter().filter(|rule| rule.is_local()) {
            // What several rules find is the first one's, so those that claim facts take turns.
            match self.has_dense_heads(rule) {
                true => heads.extend(self.run_parts(&self.parts(rule))?),
                false => together.extend(self.parts(rule)),
            }
        }
        heads.extend(self.run_parts(&together)?);
        let (mut local, mut claimed) = (Candidates::new(), Candidates::new());
        for heads in heads {
            self.route_claimed(heads.rule, heads.claimed, &mut claimed)?;
            self.route_heads(heads.rule, heads.pairs, &mut local)?;
        }
        Ok((local, claimed))
    }

    fn has_dense_heads(&self, rule: &RulePlans) -> bool {
        let state = &self.setup.state;
        let is_dense = |head: &Head| head.relation().is_some_and(|relation| state.dense(relation).is_some());
        let heads = |plan: &Plan| matches!(&plan.sink, Sink::Emit { heads, .. } if heads.iter().any(is_dense));
        state.has_matrices() && rule.deltas.iter().any(heads)
    }

    /// The parts of a local rule's work in this step.
    fn parts<'p>(&self, rule: &'p RulePlans) -> Vec<(&'p Plan, usize, usize)> {
        let facts = self.setup.state.local();
        let parts = rule.deltas.iter().flat_map(|plan| {
            let of = facts.parts(plan);
            (0..of).map(move |number| (plan, number, of))
        });
        parts.collect()
    }

    fn run_parts(&self, parts: &[(&Plan, usize, usize)]) -> Result<Vec<FoundHeads>, Fault> {
        let facts = self.setup.state.local();
        let run = |(plan, number, of): &(&Plan, usize, usize)| {
            self.run_source(plan, &DeltaPart { facts: &facts, number: *number, of: *of })
        };
        match parts {
            [only] => Ok(vec![run(only)?]),
            _ => parts.par_iter().map(run).collect(),
        }
    }

    /// Runs the single stage of a local plan.
    fn run_source(&self, plan: &Plan, facts: &dyn Facts) -> Result<FoundHeads, Fault> {
        let scope = Scope {
            facts,
            texts: &*self.setup.texts,
            conditions: &self.conditions,
            stop: None,
            meter: None,
            groups: Some(&self.room_for_groups),
            rows_left: None,
        };
        let mut heads = Heads::new(plan, |relation| self.setup.state.dense(relation));
        run_stage(&scope, plan, 0, Batch::unit(plan.width), &mut |rows| {
            self.check_limits()?;
            heads.add(&rows);
            Ok(())
        })?;
        heads.sort_distinct();
        Ok(FoundHeads { rule: heads.rule, pairs: heads.pairs, claimed: heads.claimed })
    }

    /// Keeps the claimed heads that are at home here, and sends the others.
    fn route_claimed(&mut self, rule: usize, heads: ByRelation, local: &mut Candidates) -> Result<(), Fault> {
        for (relation, pairs) in heads {
            if self.is_single() {
                append(local, relation, rule, pairs);
                continue;
            }
            // They come by subject, most of them.
            for group in pairs.chunk_by(|a, b| a.0 == b.0) {
                let Some(node) = self.setup.territory.home_node(group[0].0)? else { continue };
                let list = match node == self.setup.territory.me {
                    true => local.entry(relation).or_default().entry(rule).or_default(),
                    false => self.outbox.claimed(node, rule, relation),
                };
                list.extend_from_slice(group);
            }
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
            for group in pairs.chunk_by(|a, b| a.0 == b.0) {
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

    /// What is new becomes facts of the local copies; in copies for other nodes go to the outbox.
    fn accept(&mut self, candidates: Candidates, claimed: Candidates) -> Result<Found, Fault> {
        let mut candidates = candidates;
        let single = self.is_single();
        for (relation, rules) in &candidates {
            let is_idle = |copy: Copy| !self.reads.reads_earlier(relation.predicate, copy);
            let keeping = Keeping {
                alone: [is_idle(Copy::Out), single && is_idle(Copy::In)],
                collects_in: !single && !self.reads.reads(relation.predicate, Copy::In),
            };
            self.setup.state.consider(*relation, &rules.values().collect::<Vec<_>>(), keeping)?;
        }
        let mut found = self.accept_claimed(&mut candidates, claimed)?;
        self.accept_candidates(candidates, &mut found)?;
        Ok(found)
    }

    /// Takes the candidates of dense relations: what was claimed is new, the rest is asked for.
    fn accept_claimed(&mut self, candidates: &mut Candidates, mut claimed: Candidates) -> Result<Found, Fault> {
        let mut found = Found::new();
        let all = claimed.keys().chain(candidates.keys());
        let dense: BTreeSet<Relation> = all.copied().filter(|of| self.setup.state.dense(*of).is_some()).collect();
        for relation in dense {
            let mut rules: BTreeMap<usize, (Vec<Pair>, Vec<Pair>)> = BTreeMap::new();
            for (rule, pairs) in claimed.remove(&relation).unwrap_or_default() {
                rules.entry(rule).or_default().0 = pairs;
            }
            for (rule, pairs) in candidates.remove(&relation).unwrap_or_default() {
                rules.entry(rule).or_default().1 = pairs;
            }
            let (rules, mut lists): (Vec<usize>, Vec<_>) = rules.into_iter().unzip();
            let is_dense = self.setup.state.claim_rest(relation, &mut lists)?;
            for (rule, (claimed, rest)) in rules.iter().zip(&mut lists) {
                if is_dense {
                    self.count(*rule, claimed.len() as u64);
                } else {
                    append(candidates, relation, *rule, std::mem::take(claimed));
                    append(candidates, relation, *rule, std::mem::take(rest));
                }
            }
            let new = lists.into_iter().map(|(claimed, _)| claimed).reduce(pairs::unite);
            self.place(relation, new.unwrap_or_default(), &mut found)?;
        }
        Ok(found)
    }

    fn count(&mut self, rule: usize, facts: u64) {
        self.derived[rule] += facts;
        self.derived_total += facts;
    }

    /// Subtracts from the candidates what is known.
    fn accept_candidates(&mut self, candidates: Candidates, found: &mut Found) -> Result<(), Fault> {
        let state = &self.setup.state;
        let new: Vec<Accepted> = candidates
            .into_par_iter()
            .map(|(relation, rules)| {
                let mut all: Vec<Pair> = Vec::new();
                let mut counts = Vec::new();
                for (rule, mut pairs) in rules {
                    pairs::sort_distinct(&mut pairs);
                    let mut new = state.subtract_known(relation, pairs)?;
                    if !all.is_empty() {
                        new = pairs::subtract(&new, &all);
                    }
                    counts.push((rule, new.len() as u64));
                    all = if all.is_empty() { new } else { pairs::merge(&all, &new) };
                }
                Ok((relation, counts, all))
            })
            .collect::<Result<_, Fault>>()?;
        for (relation, counts, pairs) in new {
            counts.into_iter().for_each(|(rule, count)| self.count(rule, count));
            self.place(relation, pairs, found)?;
        }
        Ok(())
    }

    /// Puts new facts where they belong.
    fn place(&mut self, relation: Relation, pairs: Vec<Pair>, found: &mut Found) -> Result<(), Fault> {
        if self.must_place(relation, Copy::In, pairs.len()) {
            self.place_in_copies(relation, &pairs, found)?;
        }
        if self.must_place(relation, Copy::Out, pairs.len()) && !pairs.is_empty() {
            found.insert((relation, Copy::Out), pairs);
        }
        Ok(())
    }

    /// Must a copy's new facts be put in order? Those of which nobody asks may be in a matrix alone.
    fn must_place(&mut self, relation: Relation, copy: Copy, facts: usize) -> bool {
        let state = &mut self.setup.state;
        let must = self.reads.reads(relation.predicate, copy) || !state.is_alone(relation, copy);
        if !must {
            state.add_unlisted(relation, copy, facts as u64);
        }
        must
    }

    fn place_in_copies(&mut self, relation: Relation, pairs: &[Pair], found: &mut Found) -> Result<(), Fault> {
        let single = self.is_single();
        let mut here = Vec::new();
        for (subject, object) in pairs {
            if single {
                here.push((*object, *subject));
                continue;
            }
            let home = in_home(*subject, relation.predicate, *object, self.setup.program.rdf_type);
            let home = home.ok_or_else(|| Fault::internal("a fact with an inline subject"))?;
            let node = self.setup.territory.holder(home)?;
            let list = match node == self.setup.territory.me {
                true => &mut here,
                false => self.outbox.copies(node, relation),
            };
            list.push((*object, *subject));
        }
        if !self.reads.reads(relation.predicate, Copy::In) {
            return match self.setup.state.collect_in(relation, &here) {
                true => Ok(()),
                false => self.setup.state.add_later(relation, &here),
            };
        }
        if !here.is_empty() {
            found.insert((relation, Copy::In), here);
        }
        Ok(())
    }

    /// Level 0 of the shipped rules: everything that starts from facts of this node.
    fn start_shipped(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        let program = Arc::clone(&self.setup.program);
        for (index, rule) in program.rules.iter().enumerate() {
            if self.is_new_rule(index) {
                self.run_shipped(PlanKey { rule: index, pivot: None }, 0, Batch::unit(rule.full.width), emit)?;
            }
            if !rule.is_local() {
                for (pivot, plan) in rule.deltas.iter().enumerate() {
                    let key = PlanKey { rule: index, pivot: Some(pivot) };
                    self.run_shipped(key, 0, Batch::unit(plan.width), emit)?;
                }
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
        if !self.flow.receive(from, &message) {
            return Ok(());
        }
        match &*message.payload {
            Payload::Rows { plan, stage, batch } => {
                let width = plan_of(&self.setup.program, *plan)?.width;
                if *stage != message.level || batch.columns.len() != width {
                    return Err(Fault::corrupt("rows that do not fit their plan"));
                }
                self.run_shipped(*plan, *stage, batch.clone(), emit)?;
            }
            Payload::Heads { rule, relation, pairs } => {
                if *rule >= self.derived.len() {
                    return Err(Fault::corrupt(format!("a head of rule {rule}")));
                }
                self.arrived_heads.entry(*relation).or_default().entry(*rule).or_default().extend_from_slice(pairs);
            }
            Payload::Copies { relation, pairs } => {
                self.setup.state.keep_copies(*relation, pairs)?;
            }
            Payload::Close { .. } => {}
        }
        self.advance(emit)
    }

    /// Closes each level whose input is complete; after the last one, the round.
    fn advance(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        while self.is_open {
            let Some(done) = self.flow.complete_level() else { return Ok(()) };
            if done < self.flow.levels() {
                self.outbox.close_level(done + 1, &mut self.flow, emit)?;
            }
            if self.flow.is_done() {
                self.is_open = false;
                self.setup.state.sort_later()?;
                emit(Effect::Closed(self.report()))?;
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let has_shipped = self.setup.program.rules.iter().any(|rule| !rule.is_local());
        let arrived = !self.arrived_heads.is_empty() || self.setup.state.has_arrivals();
        Report {
            round: self.round,
            active: arrived || (has_shipped && self.setup.state.has_unpublished()),
            derived: self.derived.clone(),
            sent: self.flow.sent_counts(),
            received: self.flow.received_counts(),
        }
    }
}

/// What a part of a rule's work has found.
struct FoundHeads {
    rule: usize,
    pairs: ByRelation,
    claimed: ByRelation,
}

/// Adds a rule's pairs.
fn append(candidates: &mut Candidates, relation: Relation, rule: usize, pairs: Vec<Pair>) {
    let list = candidates.entry(relation).or_default().entry(rule).or_default();
    match list.is_empty() {
        true => *list = pairs,
        false => list.extend(pairs),
    }
}

/// A relation's new facts: how many of which rule, and which.
type Accepted = (Relation, Vec<(usize, u64)>, Vec<Pair>);

/// New facts by copy.
type Found = BTreeMap<(Relation, Copy), Vec<Pair>>;

fn plan_of(program: &Program, key: PlanKey) -> Result<&Plan, Fault> {
    let rule = program.rules.get(key.rule).ok_or_else(|| Fault::corrupt(format!("no rule {}", key.rule)))?;
    match key.pivot {
        None => Ok(&rule.full),
        Some(pivot) => rule.deltas.get(pivot).ok_or_else(|| Fault::corrupt(format!("no pivot {pivot}"))),
    }
}
