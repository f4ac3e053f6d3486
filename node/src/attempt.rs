//! An attempt at this node: staging, then a thread that runs the reasoner, then the seal.
//!
//! At most one attempt is open. A message of a newer attempt abandons the older one; messages of older or decided
//! attempts are fenced. A sealed attempt is kept until the log's decision is known. Messages come here
//! only if the coordinator has begun their attempt ([`admission`](crate::admission)).

mod effect;
mod staging;

use crate::context::{AddressedShardMap, Context, StoreTexts};
use crate::inbox::Inbox;
use crate::peers::Envelope;
use crate::store::{SealSummary, Snapshot};
use crate::traffic::{self, Receipt, Traffic};
use bytes::Bytes;
use entail_logic::columns::Pair;
use entail_logic::epoch::Begun;
use entail_logic::exchange::Payload;
use entail_logic::fixpoint::reasoner::Setup;
use entail_logic::fixpoint::{Changes, Effect, Event, FoldCounts, Mode, Reasoner, Report, Step};
use entail_logic::plan::Program;
use entail_model::{Attempt, ClusterId, Epoch, Fault, NodeId, Reason, Relation, Round, Secret};
use entail_node_api::{Exchange, FirstRound, FlowId, RelationChange, RoundAnswer};
use entail_telemetry::{count, fail};
pub use staging::Intake;
use staging::Staging;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{Span, info_span};

/// The longest time for which events are handled before the figure of held memory is updated.
const EVENTS_TIME_MAX: Duration = Duration::from_millis(100);

/// The one open attempt, if any.
#[derive(Default)]
pub struct Attempts {
    open: Mutex<Option<Arc<Open>>>,
    /// The last program, encoded and decoded: the next one is often equal.
    program: Mutex<Option<(Bytes, Arc<Program>)>>,
}

/// The open attempt.
pub struct Open {
    pub attempt: Attempt,
    /// What messages of the attempt carry.
    secret: Secret,
    staging: Mutex<Staging>,
    reasoning: Mutex<Option<Arc<Mutex<Reasoner>>>>,
    pub inbox: Inbox<Event>,
    stop: Arc<AtomicBool>,
    progress: Mutex<Progress>,
    changed: Notify,
    bytes_sent: AtomicU64,
    /// Bytes in memory for the attempt.
    held_bytes: AtomicU64,
    /// Has the attempt taken so long that it should go on by recomputing?
    gives_up: Arc<AtomicBool>,
    /// The round that is open at this node, for metrics and traces.
    underway: Mutex<Option<Underway>>,
}

/// An open round.
struct Underway {
    round: Round,
    began: Instant,
    span: Span,
    traffic: Traffic,
    /// The time for which the reasoner has worked in the round; `since` is the start of its present work.
    busy: Duration,
    since: Option<Instant>,
}

impl Underway {
    fn works(&mut self, since: Option<Instant>) {
        self.busy += std::mem::replace(&mut self.since, since).map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Records the round's numbers in its span, and ends the span.
    fn close(mut self, report: &Report, bytes: u64) {
        self.works(None);
        count(&self.span, "entail.derived", report.derived.iter().sum());
        count(&self.span, "entail.sent", report.sent.values().sum());
        count(&self.span, "entail.received", report.received.values().sum());
        count(&self.span, "entail.bytes", bytes);
        count(&self.span, "entail.busy_us", self.busy.as_micros() as u64);
    }
}

#[derive(Default)]
struct Progress {
    asserted: u64,
    staged: FoldCounts,
    closed: Option<Report>,
    /// Bytes that the closed round sent to other nodes.
    round_bytes: u64,
    failed: Option<Fault>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Attempts {
    /// The attempt, opened if it is newer than the open one.
    ///
    /// # Errors
    /// `Fenced` for an attempt that is older than the open one, is decided, or cannot begin before an earlier one is
    /// decided.
    pub fn open(&self, context: &Context, begun: Begun) -> Result<Arc<Open>, Fault> {
        let Begun { attempt, secret } = begun;
        let mut open = lock(&self.open);
        match &*open {
            Some(current) if current.attempt == attempt => return Ok(Arc::clone(current)),
            Some(current) if current.attempt > attempt => {
                let newer = current.attempt;
                return Err(Fault::new(Reason::Fenced, format!("attempt {attempt} is over: {newer} is open")));
            }
            _ => {}
        }
        // The store knows which attempts are over: a late message must not open one again.
        context.store.admit(attempt)?;
        if let Some(current) = open.take() {
            current.give_up();
            context.store.abandon(current.attempt)?;
        }
        let new = Arc::new(Open {
            attempt,
            secret,
            staging: Mutex::default(),
            reasoning: Mutex::default(),
            inbox: Inbox::new(Arc::clone(&context.room)),
            stop: Arc::default(),
            progress: Mutex::default(),
            changed: Notify::new(),
            bytes_sent: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            gives_up: Arc::default(),
            underway: Mutex::default(),
        });
        *open = Some(Arc::clone(&new));
        Ok(new)
    }

    /// The attempt, if it is open and the lock is free.
    pub fn try_open(&self, attempt: Attempt) -> Option<Arc<Open>> {
        let open = self.open.try_lock().ok()?;
        open.as_ref().filter(|open| open.attempt == attempt).cloned()
    }

    /// The program with this encoding.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn program(
        &self,
        encoded: &Bytes,
        decode: impl FnOnce(&[u8]) -> Result<Arc<Program>, Fault>,
    ) -> Result<Arc<Program>, Fault> {
        let mut last = lock(&self.program);
        if let Some((of, program)) = &*last
            && of == encoded
        {
            return Ok(Arc::clone(program));
        }
        let program = decode(encoded)?;
        *last = Some((encoded.clone(), Arc::clone(&program)));
        Ok(program)
    }

    /// Bytes in memory for the open attempt.
    pub fn held_bytes(&self) -> u64 {
        lock(&self.open).as_ref().map_or(0, |open| open.held_bytes.load(Ordering::Relaxed))
    }

    /// Applies the log's decision on an attempt.
    pub fn decide(&self, context: &Context, attempt: Attempt, epoch: Option<Epoch>) -> Result<(), Fault> {
        let mut open = lock(&self.open);
        if let Some(current) = open.take_if(|current| current.attempt <= attempt) {
            current.give_up();
        }
        context.store.decide(attempt, epoch)
    }
}

impl Open {
    /// Stops the thread and drops queued events.
    fn give_up(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.inbox.close();
        self.fail(Fault::new(Reason::EpochAborted, format!("attempt {} was aborted", self.attempt)));
    }

    fn fail(&self, fault: Fault) {
        if let Some(underway) = lock(&self.underway).take() {
            fail(&underway.span, fault.reason.name(), &fault.message);
        }
        lock(&self.progress).failed.get_or_insert(fault);
        self.changed.notify_waiters();
    }

    /// Sets the figure of held memory, which metrics read.
    fn hold(&self, pairs: u64) {
        self.held_bytes.store(pairs * size_of::<Pair>() as u64, Ordering::Relaxed);
    }

    /// Stages changes of asserted facts, which `add` gives, for the epoch after `previous`; a repeated message changes
    /// nothing.
    ///
    /// # Errors
    /// `EpochUnavailable` if the node's last epoch is another one: new facts are relative to `previous`.
    pub fn stage(
        &self,
        context: &Context,
        previous: Epoch,
        sequence: u64,
        add: impl FnOnce(&mut Intake<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut staging = lock(&self.staging);
        let base = base(context, previous)?;
        let taken = staging.take(context, &base, sequence, add);
        self.hold(staging.held());
        taken
    }

    /// Starts a round, if it has not been started.
    pub fn start_round(
        self: &Arc<Self>,
        context: &Arc<Context>,
        (round, step): (Round, Step),
        first: Option<FirstRound>,
    ) -> Result<(), Fault> {
        if let Some(first) = first {
            self.start_reasoner(context, first)?;
        }
        self.begin(round);
        self.inbox.push(Event::Open(round, step), 0)
    }

    /// Begins a round, inside the span of the call that requests it; a round that has begun already continues.
    fn begin(&self, round: Round) {
        let mut underway = lock(&self.underway);
        let progress = lock(&self.progress);
        let is_closed = progress.closed.as_ref().is_some_and(|report| report.round >= round);
        if is_closed || underway.as_ref().is_some_and(|underway| underway.round >= round) {
            return;
        }
        // The new facts of the previous round.
        let delta = progress.closed.as_ref().map_or(progress.asserted, |report| report.derived.iter().sum());
        let span = info_span!("round", "entail.round" = i64::from(round.0), "entail.delta" = delta as i64);
        let traffic = Traffic::new(span.clone());
        let began = Instant::now();
        *underway = Some(Underway { round, began, span, traffic, busy: Duration::ZERO, since: None });
    }

    /// Records that the reasoner works (since the given time) or waits.
    fn works(&self, since: Option<Instant>) {
        if let Some(underway) = &mut *lock(&self.underway) {
            underway.works(since);
        }
    }

    fn start_reasoner(self: &Arc<Self>, context: &Arc<Context>, first: FirstRound) -> Result<(), Fault> {
        let mut reasoning = lock(&self.reasoning);
        if reasoning.is_some() {
            return Ok(());
        }
        let base = base(context, first.previous)?;
        let rebuild = first.mode == Mode::Rebuild;
        let (state, staged) = lock(&self.staging).finish(context, &base, first.staged, rebuild)?;
        {
            let mut progress = lock(&self.progress);
            (progress.asserted, progress.staged) = (state.staged_facts(), staged);
        }
        let shard_maps = AddressedShardMap::new(context.node, &first.placement, &[]);
        let reasoner = Reasoner::new(Setup {
            shard_map: shard_maps.shard_map.clone(),
            program: Arc::clone(first.program.value()),
            mode: first.mode,
            state,
            texts: Arc::new(StoreTexts(Arc::clone(&context.store))),
            facts_max: first.facts_max,
            stop: Arc::clone(&self.stop),
            give_up: Arc::clone(&self.gives_up),
        })?;
        if let Some(time) = first.effort_max {
            self.give_up_after(context, time);
        }
        let reasoner = Arc::new(Mutex::new(reasoner));
        *reasoning = Some(Arc::clone(&reasoner));
        let (open, context) = (Arc::clone(self), Arc::clone(context));
        let cluster = context.cluster()?;
        std::thread::Builder::new()
            .name(format!("attempt-{}", self.attempt))
            .spawn(move || {
                // A panic in the evaluation must end the attempt, not leave it waiting for ever.
                let run = AssertUnwindSafe(|| open.run(&context, cluster, &reasoner, &shard_maps));
                if catch_unwind(run).is_err() {
                    open.fail(Fault::internal("the reasoner has panicked: see the node's log"));
                }
            })
            .map_err(|error| Fault::internal(format!("no thread for the attempt: {error}")))?;
        Ok(())
    }

    /// Lets the reasoner give up after some time, unless the attempt is over by then.
    fn give_up_after(&self, context: &Context, time: Duration) {
        let gives_up = Arc::downgrade(&self.gives_up);
        context.runtime.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(gives_up) = gives_up.upgrade() {
                gives_up.store(true, Ordering::Relaxed);
            }
        });
    }

    /// The attempt's thread: events in, effects out, until it is decided or fails.
    fn run(
        self: &Arc<Self>,
        context: &Arc<Context>,
        cluster: ClusterId,
        reasoner: &Mutex<Reasoner>,
        shard_maps: &AddressedShardMap,
    ) {
        while !self.stop.load(Ordering::Relaxed) {
            let event = match self.inbox.pop(Duration::from_secs(1)) {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(fault) => return self.fail(fault),
            };
            let mut reasoner = lock(reasoner);
            // The pool's threads share the work of a step, and one of them blocks while a peer is slow to take messages.
            // That delays no other work: only one attempt runs, and nothing else uses the pool.
            let mut emit = |effect| self.perform(context, cluster, shard_maps, effect);
            self.works(Some(Instant::now()));
            // Events that have arrived meanwhile are handled as well: each change of threads costs more than most events.
            let began = Instant::now();
            let more = || {
                let is_over = self.stop.load(Ordering::Relaxed) || began.elapsed() > EVENTS_TIME_MAX;
                let event = if is_over { None } else { self.inbox.pop(Duration::ZERO).transpose() };
                // The next round may have begun.
                event.inspect(|_| self.works(Some(Instant::now())))
            };
            let events = std::iter::once(Ok(event)).chain(std::iter::from_fn(more));
            if let Err(fault) = reasoner.step_in(&context.pool, events, &mut emit) {
                self.fail(fault);
                return;
            }
            self.works(None);
            self.hold(reasoner.state().held_pairs());
        }
    }

    fn perform(
        self: &Arc<Self>,
        context: &Arc<Context>,
        cluster: ClusterId,
        shard_maps: &AddressedShardMap,
        effect: Effect,
    ) -> Result<(), Fault> {
        match effect {
            Effect::Closed(report) => {
                context.metrics.round_facts.observe(report.derived.iter().sum::<u64>() as f64);
                let bytes = self.bytes_sent.swap(0, Ordering::Relaxed);
                // Before the caller gets the report.
                if let Some(underway) = lock(&self.underway).take() {
                    context.metrics.round_seconds.observe(underway.began.elapsed().as_secs_f64());
                    underway.close(&report, bytes);
                }
                let mut progress = lock(&self.progress);
                progress.closed = Some(report);
                progress.round_bytes = bytes;
                drop(progress);
                self.changed.notify_waiters();
                Ok(())
            }
            Effect::Send { to, message } => {
                self.bytes_sent.fetch_add(traffic::bytes(&message.payload), Ordering::Relaxed);
                let receipt = self.exchange(to, shard_maps, &message.payload)?;
                let (round, sequence) = (message.round, message.sequence);
                let open = Arc::clone(self);
                let exchange = Exchange { flow: FlowId::Attempt(self.attempt), from: context.node, message };
                let (secret, stop, metrics) = (self.secret, &*self.stop, &context.metrics);
                let envelope = Envelope { cluster, secret, to, exchange, stop, metrics };
                context.peers.send(&context.runtime, shard_maps, envelope, move |result| match result {
                    Ok(()) => {
                        // Before the acknowledgement can close the round.
                        receipt.came();
                        _ = open.inbox.push(Event::Acknowledged { by: to, round, sequence }, 0);
                    }
                    Err(fault) => open.fail(fault),
                })
            }
        }
    }

    /// Counts a payload that is sent to a node in the round's trace.
    fn exchange(&self, to: NodeId, shard_maps: &AddressedShardMap, payload: &Payload) -> Result<Receipt, Fault> {
        match &mut *lock(&self.underway) {
            Some(underway) => underway.traffic.goes(to, || shard_maps.address(to), payload),
            None => Ok(Receipt::default()),
        }
    }

    /// Waits until the round is closed at this node.
    pub async fn closed(&self, round: Round) -> Result<RoundAnswer, Fault> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let progress = lock(&self.progress);
                if let Some(fault) = &progress.failed {
                    return Err(fault.clone());
                }
                if let Some(report) = progress.closed.as_ref().filter(|report| report.round >= round) {
                    return Ok(RoundAnswer {
                        report: report.clone(),
                        asserted: progress.asserted,
                        staged: progress.staged.clone(),
                        bytes_sent: progress.round_bytes,
                    });
                }
            }
            changed.await;
        }
    }

    /// Makes the attempt's runs durable; also returns the numbers of derived facts that have come and gone.
    pub fn seal(&self, context: &Context) -> Result<(SealSummary, [u64; 2]), Fault> {
        let sealed = self.sealed(context)?;
        let derived = effect::derived(&sealed);
        let _timed = context.metrics.seal_seconds.start_timer();
        Ok((context.store.seal(self.attempt, sealed)?, derived))
    }

    /// What a seal would change.
    pub fn preview(&self, context: &Context) -> Result<Vec<(Relation, RelationChange)>, Fault> {
        Ok(effect::of(&self.sealed(context)?).into_iter().collect())
    }

    /// What the store gets.
    fn sealed(&self, context: &Context) -> Result<Changes, Fault> {
        let reasoning = lock(&self.reasoning).clone();
        let changes = match reasoning {
            // The reasoner first, then the pool: the order in which the attempt's thread takes them.
            Some(reasoner) => {
                let mut locked = lock(&reasoner);
                let reasoner = &mut *locked;
                context.pool.install(|| reasoner.changes())?
            }
            None => return Err(Fault::internal("an attempt is sealed before it has reasoned")),
        };
        Ok(changes)
    }
}

/// The last committed epoch, if it is `previous`, on which the attempt builds.
fn base(context: &Context, previous: Epoch) -> Result<Arc<Snapshot>, Fault> {
    let latest = context.store.latest();
    if latest.epoch != previous {
        let text = format!("the node has epoch {}, the attempt builds on {previous}", latest.epoch);
        return Err(Fault::new(Reason::EpochUnavailable, text));
    }
    Ok(latest)
}

#[cfg(test)]
mod tests;
