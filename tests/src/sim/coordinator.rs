//! The simulated coordinator: the real epoch machine and the real log, with one change in progress at a time.
//!
//! Everything but the log is lost in a crash. A new life first aborts, in the log, the attempt that it finds open. An
//! attempt ends when a participating node registers again, or after a timeout. After its answer an attempt is
//! forgotten: a node that missed its outcome receives it in the response to a heartbeat.
//!
//! Differences from `entail-coordinator`:
//! - A lost message is sent again with every tick, while a broken call fails the shell's attempt: here attempts live
//!   longer, and meet more late and duplicate messages.
//! - An attempt fails at the moment when a node registers, and not with the next tick: the log refuses seals of an
//!   older life in both.
//! - Silent nodes are given up by the attempt's age, and not by their heartbeats.

use super::Cluster;
use super::program::{first_round, rules_after};
use super::wire::{Action, Change, FirstRound, LogStep, Process, Staging, Wire};
use crate::oracle::{Placed, copies};
use entail_coordinator::metalog as log;
use entail_coordinator::metalog::{Applied, Crash, Entry, EpochKind, Incarnation, MemoryLog, MetaLog, RequestId};
use entail_logic::epoch::{Begun, Effect, EpochMachine, EpochSetup, Event, NodeSeal, Outcome, Staged, StagedCount};
use entail_model::random::Random;
use entail_model::{Attempt, ClusterId, Epoch, Fault, NodeId, Placement, Reason, Secret};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The largest number of queued requests.
const WAITING_MAX: usize = 3;

/// The age in ticks after which an attempt is aborted.
const ATTEMPT_TICKS: u64 = 600;

/// The round after which rules count as non-terminating; no small graph needs as many.
const ROUNDS_MAX: u32 = 500;

/// The next failure of the log's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFailure {
    Crash(Crash),
    /// The next decision fails for lack of disk space.
    Full,
}

/// One life of the coordinator's process.
pub struct Coordinator {
    cluster: Arc<Cluster>,
    log: MemoryLog,
    is_full: bool,
    random: Random,
    now: u64,
    waiting: VecDeque<Request>,
    run: Option<Run>,
}

/// A change, and the calls that wait for its result.
struct Request {
    id: RequestId,
    change: Arc<Change>,
    calls: Vec<(Process, u64)>,
}

/// The copies of a `Stage` message.
type StagedCopies = Arc<Vec<(Staging, Placed)>>;

/// The change in progress.
struct Run {
    request: Request,
    machine: EpochMachine,
    started: u64,
    previous: Epoch,
    rules_after: Option<log::RuleSets>,
    first: Option<Arc<FirstRound>>,
    /// `Stage` messages without a response.
    unanswered: BTreeMap<(NodeId, u64), StagedCopies>,
    staged: StagedCount,
}

impl Coordinator {
    /// Starts a process on a log. `crash` is the failure of the first entry that it writes.
    pub fn start(
        cluster: Arc<Cluster>,
        entries: Vec<Entry>,
        random: Random,
        crash: Option<Crash>,
    ) -> Result<Self, Fault> {
        let log = MemoryLog::restart(entries)?;
        let mut this = Self { cluster, log, is_full: false, random, now: 0, waiting: VecDeque::new(), run: None };
        this.fail_next(crash.map(LogFailure::Crash));
        // A failure here poisons the log, and so ends the process.
        if this.log.state().cluster().is_none() {
            let shards = this.cluster.vocabulary.shards;
            let cluster = log::Cluster { cluster: ClusterId(1), shards, hash_key: [7; 16] };
            _ = this.append(&Entry::CreateCluster(cluster));
        }
        if let Some(open) = this.log.state().open() {
            let entry = Entry::AbortEpoch { attempt: open.attempt, reason: "the coordinator has restarted".to_owned() };
            _ = this.append(&entry);
        }
        Ok(this)
    }

    /// The attempt that is open in the log, or the number that the next one is at least.
    pub fn last_attempt(&self) -> Attempt {
        let open = self.log.state().open().map(|open| open.attempt);
        open.unwrap_or(Attempt(self.log.entries().len() as u64))
    }

    /// Makes the next entry fail.
    pub fn fail_next(&mut self, failure: Option<LogFailure>) {
        match failure {
            Some(LogFailure::Crash(crash)) => self.log.crash_next(crash),
            Some(LogFailure::Full) => self.is_full = true,
            None => {}
        }
    }

    /// The durable entries.
    pub fn entries(&self) -> &[Entry] {
        self.log.entries()
    }

    /// Must the process end?
    pub fn is_poisoned(&self) -> bool {
        self.log.is_poisoned()
    }

    /// The state that the log's entries produce.
    pub fn state(&self) -> &log::State {
        self.log.state()
    }

    /// Is no work in progress?
    pub fn is_idle(&self) -> bool {
        self.run.is_none() && self.waiting.is_empty()
    }

    fn append(&mut self, entry: &Entry) -> Result<(u64, Applied), Fault> {
        if std::mem::take(&mut self.is_full) {
            return Err(Fault::new(Reason::DiskFull, "no room for the log"));
        }
        self.log.append(entry)
    }

    /// Handles a message.
    pub fn receive(&mut self, now: u64, from: Process, wire: Wire, out: &mut Vec<Action>) {
        self.now = now;
        match (from, wire) {
            (_, Wire::Write { request, call, change }) => self.write(from, request, call, change, out),
            (_, Wire::Cancel { request }) => self.cancel(&request, out),
            (_, Wire::Pin { call }) => {
                let nodes = self.log.state().placement().nodes();
                let not_ready = || Fault::new(Reason::NotReady, "the shards have not been placed yet");
                let pinned = (!nodes.is_empty()).then(|| (self.log.state().epoch(), nodes)).ok_or_else(not_ready);
                send(from, Wire::Pinned { call, result: pinned }, out);
            }
            (Process::Node(node), Wire::Register { life, undecided }) => self.register(node, life, &undecided, out),
            (Process::Node(node), Wire::Heartbeat { incarnation, undecided }) => {
                if self.incarnation(node) != Some(incarnation) {
                    return send(from, Wire::RegisterAgain { incarnation }, out);
                }
                let decisions = self.decisions(&undecided, out);
                send(from, Wire::Told { incarnation, open: None, decisions }, out);
            }
            (Process::Node(node), Wire::OpenAttempt { incarnation, decided })
                if self.incarnation(node) == Some(incarnation) =>
            {
                let open = self.log.state().open().map(|open| begun(open.attempt));
                let decisions = decided.and_then(|attempt| self.outcome(attempt)).into_iter().collect();
                send(from, Wire::Told { incarnation, open, decisions }, out);
            }
            (Process::Node(node), Wire::Staged { attempt, sequence }) => self.staged(node, attempt, sequence, out),
            (Process::Node(node), Wire::Closed { attempt, report }) => {
                self.step(Event::RoundClosed { node, attempt, report }, out);
            }
            (Process::Node(node), Wire::Sealed { attempt, seal }) => {
                self.step(Event::Sealed { node, attempt, seal }, out);
            }
            (Process::Node(node), Wire::Decided { attempt }) => self.step(Event::Decided { node, attempt }, out),
            (Process::Node(node), Wire::Refused { attempt, fault }) if self.attempt() == Some(attempt) => {
                self.step(Event::Failed { node: Some(node), fault }, out);
            }
            _ => {}
        }
        self.begin_next(out);
    }

    /// Handles a tick.
    pub fn tick(&mut self, now: u64, out: &mut Vec<Action>) {
        self.now = now;
        if let Some(run) = &self.run {
            if let Some(attempt) = run.machine.attempt() {
                for ((node, sequence), copies) in &run.unanswered {
                    let (sequence, copies) = (*sequence, Arc::clone(copies));
                    let wire = Wire::Stage { begun: begun(attempt), previous: run.previous, sequence, copies };
                    send(Process::Node(*node), wire, out);
                }
            }
            let is_late = now > run.started + ATTEMPT_TICKS;
            if is_late {
                let fault = Fault::new(Reason::ShardsUnavailable, "the nodes have not answered in time");
                self.step(Event::Failed { node: None, fault }, out);
            }
            self.step(Event::Tick, out);
        }
        self.begin_next(out);
    }

    /// Logs a decision.
    pub fn log(&mut self, now: u64, step: LogStep, out: &mut Vec<Action>) {
        self.now = now;
        let Some(run) = &self.run else { return };
        let event = match step {
            LogStep::Begin => {
                let kind = if run.rules_after.is_some() { EpochKind::Rules } else { EpochKind::Facts };
                let (previous, request) = (run.previous, run.request.id.clone());
                let entry = Entry::BeginEpoch { previous, kind, request, rules: self.log.state().rules().version };
                Event::Begun(self.append(&entry).map(|(index, _)| Attempt(index)))
            }
            LogStep::Commit { attempt, epoch, seals, outcome } => {
                let nodes = seals.iter().map(|(node, seal)| log_seal(*node, seal)).collect();
                let (result, rules) = (summary(&outcome), run.rules_after.clone());
                let entry = Entry::CommitEpoch { attempt, epoch, nodes, result, rules };
                Event::Committed(self.append(&entry).map(|_| epoch))
            }
            LogStep::Abort { attempt, fault } => {
                let entry = Entry::AbortEpoch { attempt, reason: fault.to_string() };
                Event::Aborted(self.append(&entry).map(drop))
            }
        };
        self.step(event, out);
        self.begin_next(out);
    }

    fn write(&mut self, from: Process, id: RequestId, call: u64, change: Arc<Change>, out: &mut Vec<Action>) {
        if let Some(answer) = self.log.state().answer(&id) {
            return send(from, Wire::Written { call, result: Ok(answer.epoch) }, out);
        }
        let mut known = self.run.iter_mut().map(|run| &mut run.request).chain(&mut self.waiting);
        if let Some(request) = known.find(|request| request.id == id) {
            request.calls.push((from, call));
        } else if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(Request { id, change, calls: vec![(from, call)] });
        } else {
            let fault = Fault::new(Reason::Overloaded, format!("{WAITING_MAX} changes are waiting already"));
            send(from, Wire::Written { call, result: Err(fault) }, out);
        }
    }

    fn cancel(&mut self, id: &RequestId, out: &mut Vec<Action>) {
        let fault = Fault::new(Reason::Cancelled, "the caller asked to stop");
        if self.run.as_ref().is_some_and(|run| run.request.id == *id) {
            self.step(Event::Failed { node: None, fault }, out);
        } else if let Some(place) = self.waiting.iter().position(|request| request.id == *id) {
            let request = self.waiting.remove(place).expect("it is there");
            answer(&request, Err(fault), out);
        }
    }

    fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        self.log.state().nodes().get(&node).map(|member| member.incarnation)
    }

    fn decisions(&self, undecided: &[Attempt], out: &mut Vec<Action>) -> Vec<(Attempt, Option<Epoch>)> {
        self.log.state().decisions(undecided).unwrap_or_else(|fault| {
            out.push(Action::Defect(fault.to_string()));
            Vec::new()
        })
    }

    /// The outcome of an attempt, if the log has it; the attempt may have been made up.
    fn outcome(&self, attempt: Attempt) -> Option<(Attempt, Option<Epoch>)> {
        match self.log.state().outcome(attempt) {
            log::Outcome::Committed(epoch) => Some((attempt, Some(epoch))),
            log::Outcome::Aborted => Some((attempt, None)),
            log::Outcome::Open | log::Outcome::Forgotten | log::Outcome::Unknown => None,
        }
    }

    fn register(&mut self, node: NodeId, life: u64, undecided: &[Attempt], out: &mut Vec<Action>) {
        let entry = Entry::RegisterNode { node, name: format!("node-{node}"), address: format!("sim:{node}") };
        let Ok((index, _)) = self.append(&entry) else { return };
        let (incarnation, decisions) = (Incarnation(index), self.decisions(undecided, out));
        send(Process::Node(node), Wire::Registered { life, incarnation, decisions }, out);
        // Whatever the node had not sealed was lost with its old life.
        let fault = Fault::new(Reason::ShardsUnavailable, format!("node {node} has restarted"));
        self.step(Event::Failed { node: Some(node), fault }, out);
    }

    /// Places the shards once all nodes have registered.
    fn place(&mut self) {
        let state = self.log.state();
        let is_whole = self.cluster.nodes.iter().all(|node| state.nodes().contains_key(node));
        if state.placement().holders.is_empty() && is_whole {
            let placement = Placement::propose(None, &self.cluster.nodes, self.cluster.vocabulary.shards);
            _ = self.append(&Entry::Place { placement });
        }
    }

    fn attempt(&self) -> Option<Attempt> {
        self.run.as_ref().and_then(|run| run.machine.attempt())
    }

    fn staged(&mut self, node: NodeId, attempt: Attempt, sequence: u64, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut().filter(|run| run.machine.attempt() == Some(attempt)) else { return };
        let is_new = run.unanswered.remove(&(node, sequence)).is_some();
        if is_new && run.unanswered.is_empty() {
            let staged = run.all_staged(run.staged.clone());
            self.step(staged, out);
        }
    }

    fn begin_next(&mut self, out: &mut Vec<Action>) {
        self.place();
        while self.run.is_none() && !self.log.is_poisoned() {
            let Some(request) = self.waiting.pop_front() else { return };
            let state = self.log.state();
            let nodes: Vec<NodeId> = state.placement().nodes().into_iter().collect();
            if nodes.is_empty() {
                let fault = Fault::new(Reason::NotReady, "the shards have not been placed yet");
                answer(&request, Err(fault), out);
                continue;
            }
            match rules_after(state, &request.change) {
                Ok(rules_after) => {
                    let previous = state.epoch();
                    let machine = EpochMachine::new(EpochSetup { nodes, previous, rounds_max: ROUNDS_MAX });
                    let (started, unanswered, staged) = (self.now, BTreeMap::new(), StagedCount::new());
                    let first = None;
                    let run = Run { request, machine, started, previous, rules_after, first, unanswered, staged };
                    self.run = Some(run);
                    self.step(Event::Start, out);
                }
                Err(fault) => answer(&request, Err(fault), out),
            }
        }
    }

    /// Steps the machine of the change in progress and performs its effects.
    fn step(&mut self, event: Event, out: &mut Vec<Action>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(run) = &mut self.run else { return };
            for effect in run.machine.step(event) {
                if matches!(effect, Effect::Stage { .. }) {
                    run.first = Some(Arc::new(first_round(
                        &self.cluster,
                        self.log.state(),
                        &run.request.change,
                        run.rules_after.as_ref(),
                        &mut self.random,
                    )));
                    run.cut_stages(&self.cluster, self.log.state().placement(), &mut self.random);
                }
                events.extend(run.perform(effect, out));
            }
            if run.machine.is_answered() {
                self.run = None;
            }
        }
    }
}

impl Run {
    /// Splits the facts of the change into a few messages for each node.
    fn cut_stages(&mut self, cluster: &Cluster, placement: &Placement, random: &mut Random) {
        let Change::Facts { added, removed } = &*self.request.change else { return };
        let mut by_node: BTreeMap<NodeId, Vec<(Staging, Placed)>> = BTreeMap::new();
        for (staging, facts) in [(Staging::Add, added), (Staging::Remove, removed)] {
            for copy in copies(facts, placement, cluster.vocabulary.rdf_type()) {
                by_node.entry(copy.node).or_default().push((staging, copy));
            }
        }
        for (node, copies) in by_node {
            let size = random.among(1..=copies.len() as u64) as usize;
            for (sequence, piece) in (0u64..).zip(copies.chunks(size)) {
                self.unanswered.insert((node, sequence), Arc::new(piece.to_vec()));
                *self.staged.entry(node).or_default() += 1;
            }
        }
    }

    /// All facts are staged, in so many messages.
    fn all_staged(&self, messages: StagedCount) -> Event {
        let steps = self.first.iter().flat_map(|first| first.mode.steps(first.program.strata.len())).collect();
        Event::Staged(Ok(Staged { messages, steps }))
    }

    fn perform(&self, effect: Effect, out: &mut Vec<Action>) -> Option<Event> {
        match effect {
            Effect::LogBegin => out.push(Action::Log(LogStep::Begin)),
            Effect::Stage { .. } if self.unanswered.is_empty() => return Some(self.all_staged(StagedCount::new())),
            Effect::Stage { attempt, previous } => {
                for ((node, sequence), copies) in &self.unanswered {
                    let (sequence, copies) = (*sequence, Arc::clone(copies));
                    let begun = begun(attempt);
                    send(Process::Node(*node), Wire::Stage { begun, previous, sequence, copies }, out);
                }
            }
            Effect::OpenRound { node, attempt, previous, round, step, first, staged } => {
                let (first, begun) = (self.first.clone().filter(|_| first), begun(attempt));
                send(Process::Node(node), Wire::OpenRound { begun, previous, round, step, first, staged }, out);
            }
            Effect::Seal { node, attempt } => send(Process::Node(node), Wire::Seal { begun: begun(attempt) }, out),
            Effect::LogCommit { attempt, epoch, seals, outcome } => {
                out.push(Action::Log(LogStep::Commit { attempt, epoch, seals, outcome }));
            }
            Effect::LogAbort { attempt, fault } => out.push(Action::Log(LogStep::Abort { attempt, fault })),
            Effect::Decide { node, attempt, epoch } => {
                send(Process::Node(node), Wire::Decide { begun: begun(attempt), epoch }, out);
            }
            Effect::Answer(result) => answer(&self.request, result.map(|outcome| outcome.epoch), out),
        }
        None
    }
}

/// An attempt with its secret, of which strangers know nothing.
fn begun(attempt: Attempt) -> Begun {
    Begun { attempt, secret: Secret(!attempt.0) }
}

fn log_seal(node: NodeId, seal: &NodeSeal) -> log::Seal {
    let counts = log::Counts { asserted: seal.asserted, derived: seal.derived };
    log::Seal { node, incarnation: Incarnation(seal.incarnation), digest: seal.digest, counts }
}

/// The answer as it is stored in the log: the total number of derived facts, or the largest number if facts may have come back.
fn summary(outcome: &Outcome) -> Vec<u8> {
    // Facts that were deleted and came back count as derived.
    let may_repeat = outcome.over_deleted > 0 || outcome.is_recomputed;
    let derived = if may_repeat { u64::MAX } else { outcome.derived.iter().sum() };
    derived.to_le_bytes().to_vec()
}

fn answer(request: &Request, result: Result<Epoch, Fault>, out: &mut Vec<Action>) {
    for (process, call) in &request.calls {
        send(*process, Wire::Written { call: *call, result: result.clone() }, out);
    }
}

fn send(to: Process, wire: Wire, out: &mut Vec<Action>) {
    out.push(Action::Send { to, wire });
}
