//! One running attempt: makes the calls that the epoch machine requests, and feeds back their results.

mod dry_run;
mod incarnations;
pub mod pace;
mod phase;
mod prepare;
mod round_stats;
mod told;

use super::cached_response::CachedResponse;
use super::{Cached, Change, ChangeProgress, Identity, Purpose, Request, Writer};
use crate::metalog::{Counts, Entry, EpochKind, Incarnation, RuleSets, Seal};
use crate::nodes::Holders;
use crate::staging::FactLoader;
use dry_run::Previews;
use entail_logic::epoch::{Effect, EpochMachine, EpochSetup, Event, NodeSeal, Outcome};
use entail_logic::fixpoint::{Mode, Step};
use entail_logic::plan::broadcast::FACTS_MAX as FACTS_BROADCAST_MAX;
use entail_model::{Attempt, Cancellation, Epoch, Fault, NodeId, Reason, Round};
use entail_node_api::{Encoded, FirstRound, RoundRequest};
use entail_proto::v1::{ChangeSummary, RuleSummary};
use entail_telemetry::{count, fail};
use incarnations::{IncarnationWatch, TICK};
use phase::Phase;
pub use prepare::Sizes;
use round_stats::RoundStats;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{Instrument, Span, info_span};

/// Rounds after which rules count as endless.
const ROUNDS_MAX: u32 = 1_000_000;

/// New facts at one node after which an attempt is aborted.
const FACTS_MAX: u64 = 2_000_000_000;

/// Limit on the characters of an abort's reason in the log; in any encoding their bytes are below the log's limit.
const REASON_CHARS_MAX: usize = 250;

/// One running attempt.
pub(super) struct Run<'a> {
    writer: &'a Writer,
    holders: Arc<Holders>,
    identity: Identity,
    change: Change,
    purpose: Purpose,
    cancel: Cancellation,
    watch: Arc<ChangeProgress>,
    previous: Epoch,
    rules_version: u64,
    started: Instant,
    machine: EpochMachine,
    events: mpsc::Sender<Event>,
    incoming: mpsc::Receiver<Event>,
    loader: Option<Arc<FactLoader>>,
    program: Option<Program>,
    incarnations: IncarnationWatch,
    stats: Arc<Mutex<RoundStats>>,
    /// The change in the number of derived facts.
    derived_net: i64,
    /// What the nodes say in a dry run.
    previews: Arc<Mutex<Previews>>,
    /// Rounds and decisions whose calls are in flight, so that a tick does not repeat them.
    calls: Calls,
    /// The current phase, with its span.
    phase: Option<Phase>,
    /// May rules wait for relations that are broadcast in the second round?
    may_wait: bool,
    /// The time that reasoning may take until recomputing is better; see [`pace`].
    effort_max: Option<Duration>,
    /// When the first round and the seal began.
    reasoning_since: Option<Instant>,
    sealing_since: Option<Instant>,
}

/// A compiled program.
pub struct Compiled {
    program: Encoded<entail_logic::plan::Program>,
    labels: Vec<String>,
}

/// A compiled program and how the nodes apply it.
pub(super) struct Program {
    compiled: Arc<Compiled>,
    mode: Mode,
}

impl Compiled {
    fn of(program: entail_logic::plan::Program) -> Self {
        let labels = program.rules.iter().map(|rule| rule.label.clone()).collect();
        Self { program: Encoded::new(Arc::new(program)), labels }
    }
}

type Calls = Arc<Mutex<BTreeSet<(NodeId, u32)>>>;

/// Keys of calls that do not belong to a round.
const SEAL: u32 = u32::MAX;
const DECIDE: u32 = u32::MAX - 1;

impl<'a> Run<'a> {
    /// With `may_wait`, rules may wait for broadcast relations; if these turn out too large, the run fails as [misjudged].
    pub(super) fn new(writer: &'a Writer, request: Request, may_wait: bool) -> Result<Self, Fault> {
        let holders = Arc::new(writer.members.holders()?);
        let (previous, rules_version) = writer.members.log.read(|state| (state.epoch(), state.rules().version));
        if let Change::Rules { based_on, .. } = request.change
            && based_on != rules_version
        {
            return Err(Fault::new(Reason::Fenced, "another change of the rules came first"));
        }
        let nodes: Vec<NodeId> = holders.links.keys().copied().collect();
        let incarnations = IncarnationWatch::new(Arc::clone(&writer.members), Arc::clone(&holders));
        let machine = EpochMachine::new(EpochSetup { nodes, previous, rounds_max: ROUNDS_MAX });
        let (events, incoming) = mpsc::channel(1024);
        Ok(Self {
            writer,
            holders,
            identity: request.identity,
            change: request.change,
            purpose: request.purpose,
            cancel: request.cancel,
            watch: request.watch,
            previous,
            rules_version,
            started: Instant::now(),
            machine,
            events,
            incoming,
            loader: None,
            program: None,
            incarnations,
            stats: Arc::default(),
            derived_net: 0,
            previews: Arc::default(),
            calls: Calls::default(),
            phase: None,
            may_wait,
            effort_max: None,
            reasoning_since: None,
            sealing_since: None,
        })
    }

    /// Runs the machine until it ends; returns as soon as the answer is known.
    pub(super) async fn drive(mut self, cached: &mut Cached) -> Result<ChangeSummary, Fault> {
        let mut answer = None;
        let mut pending = vec![Event::Start];
        let mut ticks = tokio::time::interval(TICK);
        let cancel = self.cancel.clone();
        let mut is_cancelled = false;
        loop {
            for event in std::mem::take(&mut pending) {
                for effect in self.machine.step(event) {
                    if let Effect::Answer(result) = effect {
                        answer = Some(result);
                    } else if let Some(event) = self.perform(effect, cached).await {
                        pending.push(event);
                    }
                }
            }
            if !pending.is_empty() {
                continue;
            }
            if self.machine.is_over() || answer.is_some() {
                break;
            }
            tokio::select! {
                event = self.incoming.recv() => pending.push(event.expect("this run holds a sender")),
                () = cancel.cancelled(), if !is_cancelled => {
                    is_cancelled = true;
                    pending.push(Event::Failed { node: None, fault: cancel.fault() });
                }
                _ = ticks.tick() => pending.extend(self.incarnations.tick()),
            }
        }
        let span = Span::current();
        if self.purpose == Purpose::DryRun
            && let Some(Err(fault)) = &answer
            && *fault == dry_run::fault()
        {
            return self.told().await;
        }
        let outcome = answer.unwrap_or_else(|| Err(Fault::internal("an epoch ended without an answer")));
        let outcome = outcome.inspect_err(|fault| fail(&span, fault.reason.name(), &fault.message))?;
        let summary = self.summary(&outcome).await;
        count(&span, "entail.epoch", summary.epoch);
        count(&span, "entail.asserted", summary.asserted);
        count(&span, "entail.derived", summary.derived);
        count(&span, "entail.rounds", summary.rounds.into());
        Ok(summary)
    }

    async fn perform(&mut self, effect: Effect, cached: &mut Cached) -> Option<Event> {
        match effect {
            Effect::LogBegin => Some(Event::Begun(self.log_begin().await)),
            Effect::Stage { attempt, .. } => {
                let result = self.stage(attempt, cached).instrument(info_span!("stage")).await;
                self.watch.phase.store(1, Ordering::Relaxed);
                self.reasoning_since = Some(Instant::now());
                Some(Event::Staged(result))
            }
            Effect::OpenRound { round: Round(2), .. } if lock(&self.stats).to_broadcast > FACTS_BROADCAST_MAX => {
                Some(Event::Failed { node: None, fault: misjudged() })
            }
            Effect::OpenRound { node, attempt, round, step, first, staged, .. } => {
                self.watch.round.store(round.0, Ordering::Relaxed);
                self.open_round(node, attempt, (round, step), first.then_some(staged));
                None
            }
            Effect::Seal { node, attempt } if self.purpose == Purpose::DryRun => {
                self.preview(node, attempt);
                None
            }
            Effect::Seal { node, attempt } => {
                self.sealing_since.get_or_insert_with(Instant::now);
                self.watch.phase.store(2, Ordering::Relaxed);
                self.seal(node, attempt);
                None
            }
            Effect::LogCommit { attempt, epoch, seals, outcome } => {
                if let Some(since) = self.sealing_since.zip(self.reasoning_since) {
                    cached.pace.learn(outcome.derived.iter().sum(), since.0.duration_since(since.1));
                }
                Some(Event::Committed(self.log_commit(attempt, epoch, seals, &outcome).await))
            }
            Effect::LogAbort { attempt, fault } => {
                match fault == dry_run::fault() {
                    true => tracing::debug!(attempt = attempt.0, "a dry run has ended"),
                    false => tracing::warn!(attempt = attempt.0, %fault, "an attempt was aborted"),
                }
                let entry =
                    Entry::AbortEpoch { attempt, reason: fault.to_string().chars().take(REASON_CHARS_MAX).collect() };
                let append = self.writer.members.log.append(entry).instrument(info_span!("log abort"));
                Some(Event::Aborted(append.await.map(drop)))
            }
            Effect::Decide { node, attempt, epoch } => {
                self.decide(node, attempt, epoch);
                None
            }
            Effect::Answer(_) => None,
        }
    }

    async fn log_begin(&mut self) -> Result<Attempt, Fault> {
        let kind = match self.change {
            Change::Staged(_) | Change::Update(_) | Change::Group(_) => EpochKind::Facts,
            Change::Rules { .. } => EpochKind::Rules,
        };
        let entry = Entry::BeginEpoch {
            previous: self.previous,
            kind,
            request: self.identity.logged(),
            rules: self.rules_version,
        };
        let members = &self.writer.members;
        let attempt = members.log.append(entry).instrument(info_span!("log begin")).await.map(Attempt)?;
        Arc::make_mut(&mut self.holders).work_for(members.secrets.of_attempt(attempt));
        Ok(attempt)
    }

    /// Makes a call in the background, unless the same call is in flight.
    fn call(&self, node: NodeId, key: u32, call: impl Future<Output = Result<Event, Fault>> + Send + 'static) {
        let calls = Arc::clone(&self.calls);
        if !lock(&calls).insert((node, key)) {
            return;
        }
        let events = self.events.clone();
        tokio::spawn(async move {
            let event = call.await.unwrap_or_else(|fault| Event::Failed { node: Some(node), fault });
            lock(&calls).remove(&(node, key));
            // The run may have ended; then the event is not needed.
            _ = events.send(event).await;
        });
    }

    fn open_round(&mut self, node: NodeId, attempt: Attempt, (round, step): (Round, Step), staged: Option<u64>) {
        let program = self.program.as_ref().expect("rounds open after staging");
        let first = staged.map(|staged| FirstRound {
            mode: program.mode.clone(),
            program: program.compiled.program.clone(),
            placement: Arc::clone(&self.holders.map),
            staged,
            facts_max: FACTS_MAX,
            previous: self.previous,
            effort_max: self.effort_max,
        });
        let request = RoundRequest { attempt, round, step, first };
        let link = self.holders.links[&node].clone();
        let stats = Arc::clone(&self.stats);
        let phase = Phase::enter(&mut self.phase, round.0, || info_span!("round", "entail.round" = i64::from(round.0)));
        let (span, derived) = (phase.span.clone(), Arc::clone(&phase.derived));
        let call = async move {
            let answer = link.call(None, |node, call| node.reason(call, request)).await?;
            if lock(&stats).add(node, &answer) {
                derived.fetch_add(answer.new_facts(), Ordering::Relaxed);
            }
            Ok(Event::RoundClosed { node, attempt, report: answer.report })
        };
        self.call(node, round.0, call.instrument(span));
    }

    fn seal(&mut self, node: NodeId, attempt: Attempt) {
        let link = self.holders.links[&node].clone();
        let incarnation = self.incarnations.incarnation(node).0;
        let stats = Arc::clone(&self.stats);
        let span = Phase::enter(&mut self.phase, SEAL, || info_span!("seal")).span.clone();
        let call = async move {
            let seal = link.call(None, |node, call| node.seal(call, attempt)).await?;
            lock(&stats).derived_net.insert(node, [seal.derived_added, seal.derived_removed]);
            let seal = NodeSeal { incarnation, digest: seal.digest, asserted: seal.asserted, derived: seal.derived };
            Ok(Event::Sealed { node, attempt, seal })
        };
        self.call(node, SEAL, call.instrument(span));
    }

    fn decide(&mut self, node: NodeId, attempt: Attempt, epoch: Option<Epoch>) {
        let link = self.holders.links[&node].clone();
        let span = Phase::enter(&mut self.phase, DECIDE, || info_span!("tell")).span.clone();
        let call = async move {
            link.call(None, |node, call| node.decide(call, attempt, epoch)).await?;
            Ok(Event::Decided { node, attempt })
        };
        self.call(node, DECIDE, call.instrument(span));
    }

    async fn log_commit(
        &mut self,
        attempt: Attempt,
        epoch: Epoch,
        seals: BTreeMap<NodeId, NodeSeal>,
        outcome: &Outcome,
    ) -> Result<Epoch, Fault> {
        let rules = match &self.change {
            Change::Rules { sets, .. } => Some(sets.clone()),
            Change::Staged(_) | Change::Update(_) | Change::Group(_) => None,
        };
        let version = self.rules_version + 1;
        let stored = rules.iter().flatten().map(|parsed| parsed.set.clone()).collect();
        let stored = rules.is_some().then_some(RuleSets { version, sets: stored });
        let before =
            self.writer.members.log.read(|state| state.seals().iter().map(|seal| seal.counts.derived).sum::<u64>());
        let after = seals.values().map(|seal| seal.derived).sum::<u64>();
        self.derived_net = after.cast_signed() - before.cast_signed();
        let nodes = seals.iter().map(|(node, seal)| Seal {
            node: *node,
            incarnation: Incarnation(seal.incarnation),
            digest: seal.digest,
            counts: Counts { asserted: seal.asserted, derived: seal.derived },
        });
        let nodes = nodes.collect();
        let summary = self.summary(outcome).await;
        let entry = match &self.change {
            Change::Group(group) => {
                let answers = group.answer(&summary, &self.described_operations().await);
                Entry::CommitGroup { attempt, epoch, nodes, answers }
            }
            _ => {
                let result = CachedResponse { summary, fingerprint: self.identity.fingerprint }.encode();
                Entry::CommitEpoch { attempt, epoch, nodes, result, rules: stored }
            }
        };
        self.writer.members.log.append(entry).instrument(info_span!("log commit")).await?;
        if let Some(rules) = rules {
            self.writer.rules.committed(version, rules);
        }
        Ok(epoch)
    }

    async fn summary(&self, outcome: &Outcome) -> ChangeSummary {
        let mut summary = self.counts(outcome);
        self.describe_removals(&mut summary).await;
        summary
    }

    fn counts(&self, outcome: &Outcome) -> ChangeSummary {
        let labels = self.program.iter().flat_map(|program| &program.compiled.labels);
        let rules = labels
            .zip(&outcome.derived)
            .map(|(label, derived)| RuleSummary { rule: label.chars().take(200).collect(), derived: *derived });
        let stats = lock(&self.stats);
        // Facts that were deleted on the way and came back are no news.
        let removes = self.loader.as_ref().is_some_and(|loader| loader.removes());
        let [came, went] = stats.derived_net(self.derived_net);
        ChangeSummary {
            epoch: outcome.epoch.0,
            asserted: stats.asserted,
            derived: if removes { came } else { outcome.derived.iter().sum() },
            derived_net: self.derived_net,
            rounds: outcome.rounds,
            seconds: self.started.elapsed().as_secs_f64(),
            bytes_exchanged: stats.bytes,
            rules: rules.take(1000).collect(),
            received: self.loader.as_ref().map_or(0, |loader| loader.received()),
            removed: stats.removal.removed,
            derived_removed: went,
            derived_only: stats.removal.derived_only,
            ..ChangeSummary::default()
        }
    }
}

/// The fault of an attempt whose rules would wait for relations too large to broadcast; the attempt is repeated without.
pub(super) fn misjudged() -> Fault {
    Fault::new(Reason::EpochAborted, "the relations to broadcast are larger than estimated")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
