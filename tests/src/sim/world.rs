//! The simulator's event loop.

use super::client::Client;
use super::coordinator::{Coordinator, LogFailure};
use super::judge::{Judge, Violation};
use super::network::{Network, Weather};
use super::node::Node;
use super::reader::Reader;
use super::store::Disk;
use super::stranger;
use super::wire::{Action, Change, LogStep, Process, Timer, Wire};
use super::{Cluster, Options, Summary};
use crate::oracle::Vocabulary;
use entail_coordinator::metalog::{Crash, Entry};
use entail_model::random::Random;
use entail_model::{Attempt, Epoch, NodeId, ShardCount};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The number of ticks between two periodic events of a process.
const BEAT: u64 = 10;

/// The latest time at which faults stop.
const STORM_TICKS: u64 = 4_000;

/// The number of ticks within which everything must be done after the faults have stopped.
const CALM_TICKS: u64 = 20_000;

/// A future event.
enum Happening {
    Deliver {
        from: Process,
        to: Process,
        wire: Wire,
    },
    /// A process handles a tick, if it is still in this life.
    Beat {
        process: Process,
        life: u64,
    },
    Wake {
        process: Process,
        timer: Timer,
    },
    Log {
        life: u64,
        step: LogStep,
    },
    Restart(Process),
    Heal,
}

/// The host of a node: its disk, and its process if it runs.
struct Home {
    disk: Disk,
    node: Option<Node>,
}

/// The complete state of a simulation.
pub struct World {
    random: Random,
    now: u64,
    /// By time, then in the order in which they were scheduled.
    queue: BTreeMap<(u64, u64), Happening>,
    happenings: u64,
    cluster: Arc<Cluster>,
    network: Network,
    log: Vec<Entry>,
    coordinator: Option<Coordinator>,
    homes: BTreeMap<NodeId, Home>,
    /// The number of starts of each process.
    lives: BTreeMap<Process, u64>,
    clients: Vec<Client>,
    reader: Reader,
    judge: Judge,
    healed: Option<u64>,
    keeps_trace: bool,
    summary: Summary,
}

impl World {
    /// Creates the simulation of a seed.
    pub fn new(options: Options) -> Self {
        let mut random = Random::new(options.seed);
        let shards = ShardCount::new(*random.pick(&[4, 8])).expect("powers of two");
        let vocabulary = Vocabulary { shards };
        let nodes: Vec<NodeId> = (1..=random.among(2..=4)).map(NodeId).collect();
        let rules = (0..6).map(|_| vocabulary.rule(&mut random)).collect();
        let cluster = Arc::new(Cluster { nodes, vocabulary, rules });
        let clients = (0..random.among(1..=3)).map(|number| {
            let changes = (0..random.among(1..=4)).map(|_| change(&cluster, &mut random)).collect();
            Client::new(number, changes, random.fork())
        });
        let clients = clients.collect();
        let weather = Weather::storm(&mut random);
        let homes = cluster.nodes.iter().map(|node| (*node, Home { disk: Disk::default(), node: None }));
        Self {
            now: 0,
            queue: BTreeMap::new(),
            happenings: 0,
            network: Network::new(weather, random.fork()),
            log: Vec::new(),
            coordinator: None,
            homes: homes.collect(),
            lives: BTreeMap::new(),
            clients,
            reader: Reader::new(random.fork()),
            judge: Judge::new(Arc::clone(&cluster)),
            cluster,
            healed: None,
            keeps_trace: options.trace,
            summary: Summary::default(),
            random,
        }
    }

    /// Runs the simulation to its end.
    pub fn run(mut self) -> Summary {
        let violation = self.live().err();
        let Self { mut summary, now, judge, .. } = self;
        summary.ticks = now;
        summary.epochs = judge.epoch().0;
        summary.aborts = judge.aborts;
        summary.violation = violation;
        summary
    }

    fn live(&mut self) -> Result<(), Violation> {
        self.plan(0, Happening::Restart(Process::Coordinator));
        for node in self.cluster.nodes.clone() {
            self.plan(0, Happening::Restart(Process::Node(node)));
        }
        for number in 0..self.clients.len() as u64 {
            self.plan(number * 7, Happening::Wake { process: Process::Client(number), timer: Timer::Next });
        }
        self.plan(20, Happening::Wake { process: Process::Reader, timer: Timer::Next });
        self.plan(STORM_TICKS, Happening::Heal);
        while let Some(((time, _), happening)) = self.queue.pop_first() {
            self.now = time;
            self.happen(happening)?;
            if self.clients.iter().all(Client::is_done) {
                self.heal();
            }
            match self.healed {
                Some(_) if self.is_quiet() => return self.check_end(),
                Some(since) if self.now > since + CALM_TICKS => return Err("nothing moves any more".to_owned()),
                _ => {}
            }
        }
        Err("nothing is left to happen".to_owned())
    }

    fn plan(&mut self, after: u64, happening: Happening) {
        self.queue.insert((self.now + after, self.happenings), happening);
        self.happenings += 1;
    }

    fn trace(&mut self, line: impl FnOnce() -> String) {
        if self.keeps_trace {
            let line = format!("{:>6} {}", self.now, line());
            self.summary.trace.push(line);
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        let mut out = Vec::new();
        let process = match happening {
            Happening::Heal => {
                self.heal();
                return Ok(());
            }
            Happening::Restart(process) => return self.start(process),
            Happening::Deliver { from, to, wire } => {
                self.trace(|| format!("{from} -> {to}: {wire:?}"));
                self.deliver(from, to, wire, &mut out);
                to
            }
            Happening::Beat { process, life } => {
                if self.lives.get(&process) != Some(&life) {
                    return Ok(());
                }
                self.beat(process, &mut out);
                self.plan(BEAT, Happening::Beat { process, life });
                process
            }
            Happening::Wake { process, timer } => {
                self.wake(process, timer, &mut out);
                process
            }
            Happening::Log { life, step } => {
                if self.lives.get(&Process::Coordinator) != Some(&life) {
                    return Ok(());
                }
                self.trace(|| format!("the log: {step:?}"));
                self.fail_log();
                if let Some(coordinator) = &mut self.coordinator {
                    coordinator.log(self.now, step, &mut out);
                }
                Process::Coordinator
            }
        };
        self.look_at(process)?;
        self.act(process, out)
    }

    fn deliver(&mut self, from: Process, to: Process, wire: Wire, out: &mut Vec<Action>) {
        if matches!(wire, Wire::Register { .. }) {
            self.fail_log();
        }
        match to {
            Process::Coordinator => {
                if let Some(coordinator) = &mut self.coordinator {
                    coordinator.receive(self.now, from, wire, out);
                }
            }
            Process::Node(node) => {
                if let Some(node) = self.homes.get_mut(&node).and_then(|home| home.node.as_mut()) {
                    node.receive(from, wire, out);
                }
            }
            Process::Client(number) => self.clients[number as usize].receive(self.now, wire, out),
            Process::Reader => self.reader.receive(from, wire, out),
            Process::Stranger => {}
        }
    }

    fn beat(&mut self, process: Process, out: &mut Vec<Action>) {
        match process {
            Process::Coordinator => {
                if let Some(coordinator) = &mut self.coordinator {
                    coordinator.tick(self.now, out);
                }
            }
            Process::Node(node) => {
                if let Some(node) = self.homes.get_mut(&node).and_then(|home| home.node.as_mut()) {
                    node.tick(out);
                }
            }
            Process::Client(_) | Process::Reader | Process::Stranger => {}
        }
        self.stray(process);
        if self.random.chance(self.network.weather.cut) {
            let nodes = self.cluster.nodes.iter().map(|node| Process::Node(*node));
            let others: Vec<Process> = nodes.chain([Process::Coordinator]).filter(|other| *other != process).collect();
            let (other, until) = (*self.random.pick(&others), self.now + self.random.among(10..=500));
            self.trace(|| format!("{process} and {other} are cut off from each other until {until}"));
            self.network.cut(process, other, until);
        }
    }

    /// May let a stranger send a node a message.
    fn stray(&mut self, to: Process) {
        let Process::Node(node) = to else { return };
        if !self.random.chance(self.network.weather.stray) {
            return;
        }
        let last = self.coordinator.as_ref().map_or(Attempt(0), Coordinator::last_attempt);
        let epoch = self.homes[&node].node.as_ref().map_or(Epoch(0), |node| node.store().epoch());
        let wire = stranger::stray(last, epoch, &mut self.random);
        // An exchange is of a peer, or of one that says so.
        let from = if matches!(wire, Wire::Exchange { .. }) { Process::Node(node) } else { Process::Stranger };
        self.plan(1, Happening::Deliver { from, to, wire });
    }

    fn wake(&mut self, process: Process, timer: Timer, out: &mut Vec<Action>) {
        match process {
            Process::Client(number) => self.clients[number as usize].wake(self.now, timer, out),
            Process::Reader => self.reader.wake(timer, self.judge.acknowledged(), out),
            Process::Coordinator | Process::Node(_) | Process::Stranger => {}
        }
    }

    /// May let the next entry of the log fail.
    fn fail_log(&mut self) {
        if self.random.chance(self.network.weather.log_failure) {
            let failures =
                [LogFailure::Crash(Crash::BeforeDurable), LogFailure::Crash(Crash::AfterDurable), LogFailure::Full];
            let failure = *self.random.pick(&failures);
            self.trace(|| format!("the next entry of the log meets {failure:?}"));
            if let Some(coordinator) = &mut self.coordinator {
                coordinator.fail_next(Some(failure));
            }
        }
    }

    /// Performs the actions of a process, unless it crashes in between.
    fn act(&mut self, process: Process, actions: Vec<Action>) -> Result<(), Violation> {
        let can_crash = matches!(process, Process::Coordinator | Process::Node(_));
        for action in actions {
            if can_crash && self.random.chance(self.network.weather.crash) {
                return self.crash(process);
            }
            self.perform(process, action)?;
        }
        if process == Process::Coordinator && self.coordinator.as_ref().is_some_and(Coordinator::is_poisoned) {
            self.crash(process)?;
        }
        Ok(())
    }

    fn perform(&mut self, process: Process, action: Action) -> Result<(), Violation> {
        match action {
            Action::Send { to, wire } => self.send(process, to, wire)?,
            Action::Write(record) => self.home(process).disk.write(record),
            Action::Sync => self.home(process).disk.sync(),
            Action::Log(step) => {
                let life = self.lives[&Process::Coordinator];
                let after = self.random.among(1..=self.network.weather.delay_max);
                self.plan(after, Happening::Log { life, step });
            }
            Action::Wake { after, timer } => self.plan(after, Happening::Wake { process, timer }),
            Action::Concluded { request, result, in_doubt } => {
                self.trace(|| format!("{request} is over: {result:?}"));
                self.judge.look_at_outcome(request, &result, in_doubt)?;
            }
            Action::HasRead { epoch, parts } => {
                self.summary.reads += 1;
                self.judge.look_at_read(epoch, &parts)?;
            }
            Action::Defect(what) => return Err(what),
        }
        Ok(())
    }

    fn send(&mut self, from: Process, to: Process, wire: Wire) -> Result<(), Violation> {
        match &wire {
            Wire::Write { request, change, .. } => self.judge.note_request(request, change),
            Wire::Written { result, .. } => self.judge.look_at_answer(result)?,
            _ => {}
        }
        for time in self.network.deliveries(self.now, from, to, wire.comes_once()) {
            self.summary.messages += 1;
            self.plan(time - self.now, Happening::Deliver { from, to, wire: wire.clone() });
        }
        Ok(())
    }

    fn home(&mut self, process: Process) -> &mut Home {
        let Process::Node(node) = process else { panic!("{process} has no disk") };
        self.homes.get_mut(&node).expect("every node has a home")
    }

    /// Lets the judge check the state of a process.
    fn look_at(&mut self, process: Process) -> Result<(), Violation> {
        match process {
            Process::Coordinator => {
                let entries = self.coordinator.as_ref().map_or(&self.log[..], Coordinator::entries);
                self.judge.look_at_log(entries)
            }
            Process::Node(id) => {
                let Some(node) = self.homes.get(&id).and_then(|home| home.node.as_ref()) else { return Ok(()) };
                let epoch = node.store().epoch();
                let snapshot = node.store().snapshot(epoch).expect("the last epoch is always kept");
                self.judge.look_at_node(id, epoch, snapshot)
            }
            Process::Client(_) | Process::Reader | Process::Stranger => Ok(()),
        }
    }

    fn crash(&mut self, process: Process) -> Result<(), Violation> {
        self.trace(|| format!("{process} crashes"));
        self.summary.crashes += 1;
        match process {
            Process::Coordinator => {
                if let Some(coordinator) = self.coordinator.take() {
                    self.log = coordinator.entries().to_vec();
                }
            }
            Process::Node(node) => {
                let home = self.homes.get_mut(&node).expect("every node has a home");
                home.node = None;
                home.disk.crash(&mut self.random);
            }
            Process::Client(_) | Process::Reader | Process::Stranger => {
                return Err(format!("{process} cannot crash"));
            }
        }
        let after = self.random.among(1..=200);
        self.plan(after, Happening::Restart(process));
        Ok(())
    }

    fn start(&mut self, process: Process) -> Result<(), Violation> {
        let life = self.lives.entry(process).or_default();
        *life += 1;
        let life = *life;
        self.trace(|| format!("{process} starts life {life}"));
        match process {
            Process::Coordinator => {
                let crashes = [Crash::BeforeDurable, Crash::AfterDurable];
                let fails = self.random.chance(self.network.weather.log_failure);
                let crash = fails.then(|| *self.random.pick(&crashes));
                let (cluster, entries, random) = (Arc::clone(&self.cluster), self.log.clone(), self.random.fork());
                let coordinator = Coordinator::start(cluster, entries, random, crash);
                self.coordinator = Some(coordinator.map_err(|fault| format!("the log cannot be read: {fault}"))?);
            }
            Process::Node(id) => {
                let home = self.homes.get_mut(&id).expect("every node has a home");
                home.node = Some(Node::start(id, life, home.disk.open()));
            }
            Process::Client(_) | Process::Reader | Process::Stranger => {
                return Err(format!("{process} needs no start"));
            }
        }
        let after = self.random.among(1..=BEAT);
        self.plan(after, Happening::Beat { process, life });
        self.look_at(process)?;
        self.act(process, Vec::new())
    }

    fn heal(&mut self) {
        if self.healed.is_none() {
            self.trace(|| "the weather calms down".to_owned());
            self.healed = Some(self.now);
            self.network.heal();
        }
    }

    /// Is all work done, and its outcome known to every process?
    fn is_quiet(&self) -> bool {
        let Some(coordinator) = self.coordinator.as_ref().filter(|coordinator| coordinator.is_idle()) else {
            return false;
        };
        let knows_all = |node: &Node| {
            node.is_registered()
                && node.store().epoch() == coordinator.state().epoch()
                && node.store().undecided().is_empty()
        };
        self.clients.iter().all(Client::is_done)
            && self.homes.values().all(|home| home.node.as_ref().is_some_and(knows_all))
    }

    fn check_end(&mut self) -> Result<(), Violation> {
        let state = self.coordinator.as_ref().expect("a quiet world has a coordinator").state();
        match state.open() {
            Some(open) => Err(format!("attempt {} was never decided", open.attempt)),
            None => Ok(()),
        }
    }
}

/// A random change for a client.
fn change(cluster: &Cluster, random: &mut Random) -> Change {
    if random.chance(6_000) {
        let added = cluster.vocabulary.facts(random, 10);
        // There are few possible facts, so that some of these are there.
        let removed = if random.chance(5_000) { cluster.vocabulary.facts(random, 60) } else { BTreeSet::new() };
        return Change::Facts { removed: removed.difference(&added).copied().collect(), added };
    }
    let set = random.pick(&["a", "b"]).to_string();
    let numbers: Vec<usize> =
        (0..random.among(1..=2)).map(|_| random.below(cluster.rules.len() as u64) as usize).collect();
    Change::Rules { set, rules: (!random.chance(1_500)).then_some(numbers) }
}
