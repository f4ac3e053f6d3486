//! A simulated node: the real reasoner and state over a simulated disk, with the rules of the real node.
//!
//! - It does no work before it has registered, and registers with its sealed attempts of unknown outcome.
//! - It takes part only in attempts of which the coordinator has told it, on its own connection: a message of another
//!   attempt makes it ask, and is dropped.
//! - One attempt is open; a newer one replaces it, an older one is fenced.
//! - It builds only on the epoch that the attempt names, and never discards a sealed stage before it receives a
//!   decision.

use super::store::{Record, Stage, Store};
use super::wire::{Action, FirstRound, Process, Staging, Wire};
use crate::oracle::Placed;
use entail_coordinator::metalog::Incarnation;
use entail_logic::columns::spine::Spill;
use entail_logic::epoch::{Begun, BegunAttempts, NodeSeal, Verdict};
use entail_logic::eval::Texts;
use entail_logic::exchange::Message;
use entail_logic::exchange::route::ShardMap;
use entail_logic::fixpoint::reasoner::Setup;
use entail_logic::fixpoint::{Effect, Event, Mode, Reasoner, Report, StagedFacts, State, Step};
use entail_model::{Attempt, Epoch, Fault, NodeId, Reason, Round, Secret, TermId};
use std::collections::BTreeSet;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// The largest number of messages that wait for their attempt's reasoner.
const INBOX_MAX: usize = 10_000;

/// The number of ticks between two heartbeats or attempts to register.
const BEATS: u64 = 5;

/// The thread pool that sorts staged facts.
static POOL: LazyLock<rayon::ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started"));

/// One life of a node's process.
pub struct Node {
    pub me: NodeId,
    life: u64,
    incarnation: Option<Incarnation>,
    store: Store,
    begun: BegunAttempts,
    open: Option<Open>,
    /// Messages of attempts up to this one start no work.
    fence: Attempt,
    ticks: u64,
}

/// The open attempt.
struct Open {
    attempt: Attempt,
    secret: Secret,
    staged: StagedFacts,
    removed: StagedFacts,
    sequences: BTreeSet<u64>,
    /// Messages that peers sent before the reasoner existed.
    inbox: Vec<Event>,
    reasoner: Option<Reasoner>,
    closed: Option<Report>,
    gives_up: Arc<AtomicBool>,
    /// The round in which the reasoner gives up.
    gives_up_in: u32,
}

struct NoTexts;

impl Texts for NoTexts {
    fn texts(&self, _ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        Err(Fault::internal("simulated rules have no filters"))
    }
}

impl Node {
    /// Starts a process from its disk.
    pub fn start(me: NodeId, life: u64, store: Store) -> Self {
        let begun = BegunAttempts::default();
        Self { me, life, incarnation: None, store, begun, open: None, fence: Attempt(0), ticks: 0 }
    }

    /// The state on the disk.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Has the coordinator registered this life, as far as the node knows?
    pub fn is_registered(&self) -> bool {
        self.incarnation.is_some()
    }

    /// Handles a message.
    pub fn receive(&mut self, from: Process, wire: Wire, out: &mut Vec<Action>) {
        match wire {
            Wire::Registered { life, incarnation, decisions } => self.registered(life, incarnation, decisions, out),
            _ if self.incarnation.is_none() => {}
            Wire::RegisterAgain { incarnation } if Some(incarnation) == self.incarnation => self.register(out),
            Wire::Told { incarnation, open, decisions } if Some(incarnation) == self.incarnation => {
                self.begun.learn(open);
                for (attempt, epoch) in decisions {
                    self.decide(attempt, epoch, out);
                    send(Process::Coordinator, Wire::Decided { attempt }, out);
                }
            }
            Wire::Stage { begun, .. }
            | Wire::OpenRound { begun, .. }
            | Wire::Seal { begun }
            | Wire::Decide { begun, .. }
            | Wire::Exchange { begun, .. } => {
                let takes_part = self.takes_part(from, begun, matches!(wire, Wire::Decide { .. }), out);
                if takes_part {
                    self.work(from, wire, out);
                }
            }
            Wire::Received { attempt, round, sequence } => {
                if let (Process::Node(by), true) = (from, self.is_open(attempt)) {
                    self.reason(Event::Acknowledged { by, round, sequence }, out);
                }
            }
            Wire::Read { call, epoch } => {
                let missing = || Fault::new(Reason::EpochUnavailable, format!("epoch {epoch} is not here"));
                let snapshot = self.store.snapshot(epoch).ok_or_else(missing);
                let facts = snapshot.map(|snapshot| snapshot.stage.relations.clone());
                send(from, Wire::Facts { call, facts }, out);
            }
            _ => {}
        }
    }

    /// Does a message belong to an attempt that has begun? If that is not known, the coordinator is asked, also for the
    /// outcome where the message tells one.
    fn takes_part(&mut self, from: Process, begun: Begun, is_decision: bool, out: &mut Vec<Action>) -> bool {
        let attempt = begun.attempt;
        match self.begun.judge(begun) {
            Verdict::Admit => return true,
            Verdict::Refuse(fault) if !is_decision => send(from, Wire::Refused { attempt, fault }, out),
            Verdict::Refuse(_) | Verdict::Ask => {
                let incarnation = self.incarnation.expect("only registered nodes get here");
                let decided = is_decision.then_some(attempt);
                send(Process::Coordinator, Wire::OpenAttempt { incarnation, decided }, out);
            }
        }
        false
    }

    /// Handles a message of an attempt that has begun.
    fn work(&mut self, from: Process, wire: Wire, out: &mut Vec<Action>) {
        match wire {
            Wire::Stage { begun, previous, sequence, copies } => {
                let attempt = begun.attempt;
                let result = self.admit(begun, previous).map(|()| self.stage(begun, sequence, &copies));
                self.reply(attempt, result.map(|()| Wire::Staged { attempt, sequence }), out);
            }
            Wire::OpenRound { begun, previous, round, step, first, staged } => {
                let start = |node: &mut Self| match &first {
                    Some(first) => node.start_reasoner(begun, first, staged),
                    None => Ok(()),
                };
                let result = self.admit(begun, previous).and_then(|()| start(self));
                match result {
                    Ok(()) => self.open_round(begun, (round, step), out),
                    Err(fault) => self.reply(begun.attempt, Err(fault), out),
                }
            }
            Wire::Seal { begun } => self.seal(begun.attempt, out),
            Wire::Decide { begun, epoch } => {
                self.decide(begun.attempt, epoch, out);
                send(Process::Coordinator, Wire::Decided { attempt: begun.attempt }, out);
            }
            Wire::Exchange { begun, message } => self.exchange(from, begun, message, out),
            _ => {}
        }
    }

    /// Handles a tick.
    pub fn tick(&mut self, out: &mut Vec<Action>) {
        let is_beat = self.ticks.is_multiple_of(BEATS);
        self.ticks += 1;
        match self.incarnation {
            None if is_beat => self.register(out),
            Some(incarnation) if is_beat => {
                let undecided = self.store.undecided();
                send(Process::Coordinator, Wire::Heartbeat { incarnation, undecided }, out);
            }
            _ => {}
        }
        self.reason(Event::Tick, out);
    }

    fn register(&self, out: &mut Vec<Action>) {
        let wire = Wire::Register { life: self.life, undecided: self.store.undecided() };
        send(Process::Coordinator, wire, out);
    }

    fn registered(
        &mut self,
        life: u64,
        incarnation: Incarnation,
        decisions: Vec<(Attempt, Option<Epoch>)>,
        out: &mut Vec<Action>,
    ) {
        if life == self.life && self.incarnation.is_none_or(|known| known < incarnation) {
            self.incarnation = Some(incarnation);
            decisions.into_iter().for_each(|(attempt, epoch)| self.decide(attempt, epoch, out));
        }
    }

    /// May work on this attempt begin or continue on this node?
    fn admit(&mut self, begun: Begun, previous: Epoch) -> Result<(), Fault> {
        let attempt = begun.attempt;
        if attempt <= self.fence || self.open.as_ref().is_some_and(|open| open.attempt > attempt) {
            return Err(Fault::new(Reason::Fenced, format!("attempt {attempt} is over")));
        }
        let epoch = self.store.epoch();
        if epoch != previous {
            return Err(Fault::new(Reason::NotReady, format!("epoch {previous} has not come: {epoch} is the last")));
        }
        self.open_attempt(begun);
        Ok(())
    }

    fn open_attempt(&mut self, begun: Begun) -> &mut Open {
        let Begun { attempt, secret } = begun;
        let is_new = self.open.as_ref().is_none_or(|open| open.attempt < attempt);
        let open = self.open.take().filter(|_| !is_new);
        self.open.insert(open.unwrap_or(Open {
            attempt,
            secret,
            staged: StagedFacts::default(),
            removed: StagedFacts::default(),
            sequences: BTreeSet::new(),
            inbox: Vec::new(),
            reasoner: None,
            closed: None,
            gives_up: Arc::default(),
            gives_up_in: u32::MAX,
        }))
    }

    fn is_open(&self, attempt: Attempt) -> bool {
        self.open.as_ref().is_some_and(|open| open.attempt == attempt)
    }

    fn base(&self) -> &entail_logic::fixpoint::Base {
        let latest = self.store.snapshot(self.store.epoch());
        &latest.expect("the last epoch is always kept").stage.relations
    }

    fn stage(&mut self, begun: Begun, sequence: u64, copies: &[(Staging, Placed)]) {
        let open = self.open_attempt(begun);
        if open.reasoner.is_none() && open.sequences.insert(sequence) {
            for (staging, Placed { relation, copy, pair, .. }) in copies {
                let (key, value) = *pair;
                let staged = match staging {
                    Staging::Add => &mut open.staged,
                    Staging::Remove => &mut open.removed,
                };
                staged.add(*relation, &[*copy], iter::once(copy.pair(key, value)));
            }
        }
    }

    fn start_reasoner(&mut self, begun: Begun, first: &FirstRound, staged: u64) -> Result<(), Fault> {
        let is_rebuild = first.mode == Mode::Rebuild;
        let mut state = State::new(self.base(), is_rebuild, Spill::default())?;
        let shard_map = ShardMap::of_all_holders(self.me, first.placement.clone());
        let open = self.open_attempt(begun);
        if open.reasoner.is_some() {
            return Ok(());
        }
        if open.sequences.len() as u64 != staged {
            return Err(Fault::new(Reason::Fenced, format!("{} of {staged} stages have come", open.sequences.len())));
        }
        state.remove_all(open.removed.take(), &POOL)?;
        state.stage_all(open.staged.take(), &POOL)?;
        state.finish_staging()?;
        open.gives_up_in = first.gives_up_in;
        open.reasoner = Some(Reasoner::new(Setup {
            shard_map,
            program: Arc::clone(&first.program),
            mode: first.mode.clone(),
            state,
            texts: Arc::new(NoTexts),
            facts_max: u64::MAX,
            stop: Arc::default(),
            give_up: Arc::clone(&open.gives_up),
        })?);
        Ok(())
    }

    fn open_round(&mut self, begun: Begun, (round, step): (Round, Step), out: &mut Vec<Action>) {
        let attempt = begun.attempt;
        let open = self.open_attempt(begun);
        if open.reasoner.is_none() {
            let fault = Fault::new(Reason::Fenced, "the work of earlier rounds is lost");
            return self.reply(attempt, Err(fault), out);
        }
        if let Some(report) = open.closed.clone().filter(|report| report.round == round) {
            return send(Process::Coordinator, Wire::Closed { attempt, report }, out);
        }
        open.gives_up.store(round.0 == open.gives_up_in, Ordering::Relaxed);
        for event in std::mem::take(&mut open.inbox) {
            self.reason(event, out);
        }
        self.reason(Event::Open(round, step), out);
    }

    /// Passes an event to the reasoner, if there is one.
    fn reason(&mut self, event: Event, out: &mut Vec<Action>) {
        let Some(open) = &mut self.open else { return };
        let Some(reasoner) = &mut open.reasoner else { return };
        let attempt = open.attempt;
        let begun = Begun { attempt, secret: open.secret };
        let closed = &mut open.closed;
        let result = reasoner.step(event, &mut |effect| {
            let (to, wire) = match effect {
                Effect::Send { to, message } => (Process::Node(to), Wire::Exchange { begun, message }),
                Effect::Closed(report) => {
                    *closed = Some(report.clone());
                    (Process::Coordinator, Wire::Closed { attempt, report })
                }
            };
            send(to, wire, out);
            Ok(())
        });
        if let Err(fault) = result {
            // The attempt cannot continue on this node.
            open.reasoner = None;
            self.reply(attempt, Err(fault), out);
        }
    }

    fn exchange(&mut self, from: Process, begun: Begun, message: Message, out: &mut Vec<Action>) {
        let attempt = begun.attempt;
        let Process::Node(peer) = from else { return };
        let (round, sequence) = (message.round, message.sequence);
        if attempt > self.fence && self.open.as_ref().is_none_or(|open| open.attempt <= attempt) {
            let open = self.open_attempt(begun);
            let event = Event::Received { from: peer, message };
            if open.reasoner.is_some() {
                self.reason(event, out);
            } else if open.inbox.len() < INBOX_MAX {
                open.inbox.push(event);
            } else {
                return;
            }
        }
        send(from, Wire::Received { attempt, round, sequence }, out);
    }

    fn seal(&mut self, attempt: Attempt, out: &mut Vec<Action>) {
        if self.store.sealed(attempt).is_none() {
            let open = self.open.as_ref().filter(|open| open.attempt == attempt);
            let Some(reasoner) = open.and_then(|open| open.reasoner.as_ref()) else {
                let fault = Fault::new(Reason::Fenced, format!("attempt {attempt} is not here"));
                return self.reply(attempt, Err(fault), out);
            };
            let stage = Stage::new(self.base(), reasoner.state());
            self.write(Record::Sealed { attempt, stage }, out);
        }
        // For a repeated request as well: it is unknown whether the first sync was reached.
        out.push(Action::Sync);
        let stage = self.store.sealed(attempt).expect("it was just sealed");
        let incarnation = self.incarnation.expect("only registered nodes get here").0;
        let seal = NodeSeal { incarnation, ..stage.seal };
        send(Process::Coordinator, Wire::Sealed { attempt, seal }, out);
    }

    fn decide(&mut self, attempt: Attempt, epoch: Option<Epoch>, out: &mut Vec<Action>) {
        self.fence = self.fence.max(attempt);
        self.open.take_if(|open| open.attempt <= attempt);
        if self.store.sealed(attempt).is_some() {
            if let Some(epoch) = epoch.filter(|epoch| *epoch != self.store.epoch().next()) {
                let last = self.store.epoch();
                return out.push(Action::Defect(format!("node {} is to follow epoch {last} by {epoch}", self.me)));
            }
            self.write(Record::Decided { attempt, epoch }, out);
        } else if let Some(epoch) = epoch.filter(|epoch| *epoch > self.store.epoch()) {
            out.push(Action::Defect(format!("node {} has not sealed what became epoch {epoch}", self.me)));
        }
    }

    fn write(&mut self, record: Record, out: &mut Vec<Action>) {
        self.store.apply(&record);
        out.push(Action::Write(record));
    }

    fn reply(&self, attempt: Attempt, result: Result<Wire, Fault>, out: &mut Vec<Action>) {
        let wire = result.unwrap_or_else(|fault| Wire::Refused { attempt, fault });
        send(Process::Coordinator, wire, out);
    }
}

fn send(to: Process, wire: Wire, out: &mut Vec<Action>) {
    out.push(Action::Send { to, wire });
}
