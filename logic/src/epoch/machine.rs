//! The epoch machine: one phase at a time; it keeps only the state that later phases need.

use super::reports::RoundReports;
use super::{Effect, EpochSetup, Event, NodeSeal, Outcome, Staged, StagedCount};
use crate::failpoints::is_broken;
use crate::fixpoint::{self, Step};
use entail_model::{Attempt, Epoch, Fault, NodeId, Reason, Round};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One attempt at an epoch; [`epoch`](super) has its invariants.
#[derive(Clone, Debug)]
pub struct EpochMachine {
    nodes: BTreeSet<NodeId>,
    previous: Epoch,
    rounds_max: u32,
    /// The attempt's number, once the log has its beginning.
    attempt: Option<Attempt>,
    staged: StagedCount,
    phase: Phase,
    /// The steps of reasoning that are left, the current one first; and the number of strata.
    steps: VecDeque<Step>,
    strata: u32,
    rounds: u32,
    derived: Vec<u64>,
    over_deleted: u64,
    is_recomputed: bool,
    is_answered: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    /// The log has the request to begin; with the fault that has ended the attempt since, if any.
    Beginning(Option<Fault>),
    Staging,
    Reasoning(RoundReports),
    Sealing(BTreeMap<NodeId, NodeSeal>),
    Committing(Outcome),
    /// The attempt is being aborted because of the fault; `is_asked` while the log has the request.
    Aborting {
        fault: Fault,
        is_asked: bool,
    },
    Deciding(Decision),
    Over,
}

/// The log has the outcome, and it is being sent to the nodes.
#[derive(Clone, Debug)]
struct Decision {
    epoch: Option<Epoch>,
    /// Nodes that have not acknowledged the outcome.
    undecided: BTreeSet<NodeId>,
    /// The undecided nodes that cannot be reached: the answer does not wait for them.
    unreachable: BTreeSet<NodeId>,
    outcome: Outcome,
}

impl EpochMachine {
    /// An epoch that has not started.
    ///
    /// # Panics
    /// Without nodes, or if no round is allowed.
    pub fn new(setup: EpochSetup) -> Self {
        assert!(!setup.nodes.is_empty(), "an epoch needs nodes");
        assert!(setup.rounds_max > 0, "an epoch needs a round");
        Self {
            nodes: setup.nodes.into_iter().collect(),
            previous: setup.previous,
            rounds_max: setup.rounds_max,
            attempt: None,
            staged: StagedCount::new(),
            phase: Phase::New,
            steps: VecDeque::new(),
            strata: 1,
            rounds: 0,
            derived: Vec::new(),
            over_deleted: 0,
            is_recomputed: false,
            is_answered: false,
        }
    }

    /// The attempt, once the log has it.
    pub fn attempt(&self) -> Option<Attempt> {
        self.attempt
    }

    /// The round that is open now.
    pub fn round(&self) -> Option<Round> {
        match &self.phase {
            Phase::Reasoning(reports) => Some(reports.round),
            _ => None,
        }
    }

    /// Has the answer been given?
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Is everything done, including the delivery of the outcome to each node?
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Handles an event and returns what to do, in this order.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Start => self.start(&mut effects),
            Event::Begun(result) => self.begun(result, &mut effects),
            Event::Staged(result) => self.staged(result, &mut effects),
            Event::RoundClosed { node, attempt, report } if self.is_current(node, attempt) => {
                if let Phase::Reasoning(reports) = &mut self.phase {
                    reports.add(node, report);
                    self.close_round(&mut effects);
                }
            }
            Event::Sealed { node, attempt, seal } if self.is_current(node, attempt) => {
                if let Phase::Sealing(seals) = &mut self.phase {
                    seals.entry(node).or_insert(seal);
                    self.commit_if_sealed(&mut effects);
                }
            }
            Event::Decided { node, attempt } if self.is_current(node, attempt) => self.decided(node, &mut effects),
            Event::RoundClosed { .. } | Event::Sealed { .. } | Event::Decided { .. } => {}
            Event::Failed { node, fault } => self.failed(node, fault, &mut effects),
            Event::Committed(result) => self.committed(result, &mut effects),
            Event::Aborted(result) => self.aborted(result, &mut effects),
            Event::Tick => self.send_again(&mut effects),
        }
        effects
    }

    /// Does a message belong to this attempt, and come from a node that takes part?
    fn is_current(&self, node: NodeId, attempt: Attempt) -> bool {
        self.nodes.contains(&node) && (self.attempt == Some(attempt) || is_broken("fence-attempt"))
    }

    fn open_attempt(&self) -> Attempt {
        self.attempt.expect("phases after the beginning have an attempt")
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::New) {
            self.phase = Phase::Beginning(None);
            effects.push(Effect::LogBegin);
        }
    }

    fn begun(&mut self, result: Result<Attempt, Fault>, effects: &mut Vec<Effect>) {
        let Phase::Beginning(failure) = &mut self.phase else { return };
        let failure = failure.take();
        match (result, failure) {
            (Ok(attempt), failure) => {
                self.attempt = Some(attempt);
                self.phase = Phase::Staging;
                match failure {
                    Some(fault) => self.abort(fault, effects),
                    None => effects.push(Effect::Stage { attempt, previous: self.previous }),
                }
            }
            (Err(_), Some(fault)) | (Err(fault), None) => self.end(Err(fault), effects),
        }
    }

    fn staged(&mut self, result: Result<Staged, Fault>, effects: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Staging) {
            return;
        }
        match result {
            Ok(Staged { messages, steps }) => {
                self.staged = messages;
                self.steps = if steps.is_empty() { [Step::default()].into() } else { steps.into() };
                self.strata = self.steps.iter().map(|step| step.stratum + 1).max().unwrap_or(1);
                self.open_round(Round(1), effects);
            }
            Err(fault) => self.abort(fault, effects),
        }
    }

    fn open_round(&mut self, round: Round, effects: &mut Vec<Effect>) {
        self.rounds = round.0;
        effects.extend(self.nodes.iter().map(|node| self.round_for(*node, round)));
        self.phase = Phase::Reasoning(RoundReports::new(round));
    }

    fn round_for(&self, node: NodeId, round: Round) -> Effect {
        Effect::OpenRound {
            node,
            attempt: self.open_attempt(),
            previous: self.previous,
            round,
            step: self.steps.front().copied().unwrap_or_default(),
            first: round == Round(1),
            staged: self.staged.get(&node).copied().unwrap_or(0),
        }
    }

    /// Once all nodes have reported: another round, the seal, or the end.
    fn close_round(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Reasoning(reports) = &self.phase else { return };
        if !reports.is_complete(&self.nodes) {
            return;
        }
        if let Err(fault) = reports.check_counts() {
            return self.abort(fault, effects);
        }
        let (round, is_active, gave_up) = (reports.round, reports.is_active(), reports.gave_up());
        match self.steps.front() {
            Some(Step { phase: fixpoint::Phase::Delete, .. }) => self.over_deleted += reports.facts(),
            _ => reports.add_derived_to(&mut self.derived),
        }
        if gave_up {
            self.recompute();
        } else if !is_active {
            self.steps.pop_front();
        }
        if self.steps.is_empty() {
            self.phase = Phase::Sealing(BTreeMap::new());
            let attempt = self.open_attempt();
            effects.extend(self.nodes.iter().map(|node| Effect::Seal { node: *node, attempt }));
        } else if round.0 >= self.rounds_max {
            let message = format!("no fixpoint after {} rounds", self.rounds_max);
            self.abort(Fault::new(Reason::LimitExceeded, message), effects);
        } else {
            self.open_round(round.next(), effects);
        }
    }

    /// Leaves what has been found, and begins again from the asserted facts.
    fn recompute(&mut self) {
        self.steps = Step::recompute(self.strata).collect();
        self.is_recomputed = true;
        self.over_deleted = 0;
        self.derived.clear();
    }

    fn commit_if_sealed(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Sealing(seals) = &self.phase else { return };
        if seals.len() < self.nodes.len() && !is_broken("seal-before-commit") {
            return;
        }
        let (attempt, epoch) = (self.open_attempt(), self.previous.next());
        let asserted = seals.values().map(|seal| seal.asserted).sum();
        let outcome = Outcome {
            epoch,
            rounds: self.rounds,
            derived: self.derived.clone(),
            over_deleted: self.over_deleted,
            is_recomputed: self.is_recomputed,
            asserted,
        };
        effects.push(Effect::LogCommit { attempt, epoch, seals: seals.clone(), outcome: outcome.clone() });
        self.phase = Phase::Committing(outcome);
        if is_broken("log-before-decide") {
            effects.extend(self.nodes.iter().map(|node| Effect::Decide { node: *node, attempt, epoch: Some(epoch) }));
        }
    }

    fn failed(&mut self, node: Option<NodeId>, fault: Fault, effects: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::New => self.end(Err(fault), effects),
            Phase::Beginning(failure) => _ = failure.get_or_insert(fault),
            Phase::Staging | Phase::Reasoning(_) | Phase::Sealing(_) => self.abort(fault, effects),
            // From here the log decides. A disconnected node learns the outcome later: from `Decide`, a heartbeat, or
            // when it registers.
            Phase::Committing(_) | Phase::Aborting { .. } | Phase::Over => {}
            Phase::Deciding(decision) => {
                match node {
                    Some(node) => _ = decision.unreachable.insert(node),
                    None => decision.unreachable.extend(decision.undecided.clone()),
                }
                self.answer_if_decided(effects);
            }
        }
    }

    fn abort(&mut self, fault: Fault, effects: &mut Vec<Effect>) {
        effects.push(Effect::LogAbort { attempt: self.open_attempt(), fault: fault.clone() });
        self.phase = Phase::Aborting { fault, is_asked: true };
    }

    fn committed(&mut self, result: Result<Epoch, Fault>, effects: &mut Vec<Effect>) {
        let Phase::Committing(outcome) = &mut self.phase else { return };
        let mut outcome = std::mem::take(outcome);
        match result {
            Ok(epoch) => {
                outcome.epoch = epoch;
                self.decide(Some(epoch), outcome, effects);
            }
            Err(fault) if fault.reason == Reason::OutcomeUnknown => self.end(Err(fault), effects),
            Err(fault) => self.abort(fault, effects),
        }
    }

    fn aborted(&mut self, result: Result<(), Fault>, effects: &mut Vec<Effect>) {
        let Phase::Aborting { fault, is_asked } = &mut self.phase else { return };
        let fault = fault.clone();
        match result {
            Ok(()) => {
                self.decide(None, Outcome::default(), effects);
                self.answer(Err(fault), effects);
            }
            // The outcome was decided before, or the log is broken: then the coordinator's next life aborts all open
            // attempts.
            Err(refusal) if matches!(refusal.reason, Reason::Fenced | Reason::OutcomeUnknown) => {
                self.end(Err(fault), effects);
            }
            // A full disk, for example. No other attempt can begin before this one is over.
            Err(_) => *is_asked = false,
        }
    }

    fn decide(&mut self, epoch: Option<Epoch>, outcome: Outcome, effects: &mut Vec<Effect>) {
        let decision = Decision { epoch, undecided: self.nodes.clone(), unreachable: BTreeSet::new(), outcome };
        self.phase = Phase::Deciding(decision);
        self.send_again(effects);
    }

    fn decided(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        if let Phase::Deciding(decision) = &mut self.phase {
            decision.undecided.remove(&node);
            self.answer_if_decided(effects);
        }
    }

    /// Answers when every node has the outcome or is out of reach; ends when every node has it.
    fn answer_if_decided(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Deciding(decision) = &self.phase else { return };
        let is_over = decision.undecided.is_empty();
        if decision.undecided.is_subset(&decision.unreachable) && !self.is_answered {
            let outcome = decision.outcome.clone();
            self.answer(Ok(outcome), effects);
        }
        if is_over {
            self.phase = Phase::Over;
        }
    }

    fn end(&mut self, result: Result<Outcome, Fault>, effects: &mut Vec<Effect>) {
        self.answer(result, effects);
        self.phase = Phase::Over;
    }

    fn answer(&mut self, result: Result<Outcome, Fault>, effects: &mut Vec<Effect>) {
        assert!(!self.is_answered, "an epoch has one answer");
        self.is_answered = true;
        effects.push(Effect::Answer(result));
    }

    fn send_again(&mut self, effects: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Reasoning(reports) => {
                effects.extend(reports.missing(&self.nodes).map(|node| self.round_for(node, reports.round)));
            }
            Phase::Sealing(seals) => {
                let attempt = self.open_attempt();
                let missing = self.nodes.iter().filter(|node| !seals.contains_key(node));
                effects.extend(missing.map(|node| Effect::Seal { node: *node, attempt }));
            }
            Phase::Deciding(Decision { epoch, undecided, .. }) => {
                let attempt = self.open_attempt();
                effects.extend(undecided.iter().map(|node| Effect::Decide { node: *node, attempt, epoch: *epoch }));
            }
            Phase::Aborting { fault, is_asked: false } => {
                let fault = fault.clone();
                self.abort(fault, effects);
            }
            // The log and staging belong to the shell, and always answer.
            Phase::New | Phase::Beginning(_) | Phase::Staging | Phase::Committing(_) => {}
            Phase::Aborting { .. } | Phase::Over => {}
        }
    }
}
