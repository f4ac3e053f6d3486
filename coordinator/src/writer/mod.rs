//! The one writer: commits changes as epochs, one at a time.
//!
//! The protocol is `entail-logic`'s [`EpochMachine`]; this shell makes the machine's calls and feeds back their results.
//! Changes wait for the writer's lock; when too many wait, more are refused.

mod cached_response;
mod described;
mod group;
mod identity;
mod run;

use crate::members::Members;
use crate::reader::Shared;
use crate::rules::{Ids, ParsedSet, RuleBook};
use crate::staging::{Evaluation, Load, Update};
use cached_response::CachedResponse;
use entail_model::{Cancellation, Fault, Reason};
use entail_proto::v1::ChangeSummary;
use group::Pending;
pub use group::{Group, OnlyDerived};
pub use identity::Identity;
use run::pace::Pace;
use run::{Compiled, Run, Sizes};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tracing::{Instrument, info_span};

/// Changes that wait for the writer.
const WAITING_MAX: usize = 256;

/// What an epoch changes, as data: it can be kept, and staged again by another attempt (except for a load, whose client
/// sends its facts once).
pub enum Change {
    /// The facts of a load.
    Staged(Load),
    /// A SPARQL update.
    Update(Update),
    /// Small requests of facts, in their order.
    Group(Group),
    /// Replaces the rule sets of version `based_on`.
    Rules { based_on: u64, sets: Vec<Arc<ParsedSet>> },
}

impl Change {
    /// The name of the kind in metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Staged(_) | Self::Update(_) | Self::Group(_) => "facts",
            Self::Rules { .. } => "rules",
        }
    }
}

/// What a change is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It becomes an epoch.
    Commit,
    /// Its effect is only told: the attempt is aborted.
    DryRun,
}

/// The progress of a running change.
#[derive(Debug, Default)]
pub struct ChangeProgress {
    pub round: AtomicU32,
    /// 0 before staging has ended, 1 while reasoning, 2 while committing.
    pub phase: AtomicU32,
}

/// A change requested by a client.
pub struct Request {
    pub identity: Identity,
    pub change: Change,
    pub purpose: Purpose,
    pub cancel: Cancellation,
    pub watch: Arc<ChangeProgress>,
}

impl Request {
    /// A second copy of the request, if its change can be staged again.
    fn again(&self) -> Option<Self> {
        let change = match &self.change {
            Change::Rules { based_on, sets } => Change::Rules { based_on: *based_on, sets: sets.clone() },
            Change::Update(update) => Change::Update(update.clone()),
            Change::Group(group) => Change::Group(group.clone()),
            Change::Staged(_) => return None,
        };
        let (identity, cancel, watch) = (self.identity.clone(), self.cancel.clone(), Arc::clone(&self.watch));
        Some(Self { identity, change, purpose: self.purpose, cancel, watch })
    }
}

/// The writer.
pub struct Writer {
    members: Arc<Members>,
    shared: Arc<Shared>,
    rules: Arc<RuleBook>,
    evaluation: Evaluation,
    pending: Pending,
    turn: Mutex<Cached>,
    places: Semaphore,
}

/// Cached between epochs.
#[derive(Default)]
struct Cached {
    /// The ids of the constants in the rules, with the rules' version.
    ids: Option<(u64, Arc<Ids>)>,
    /// The compiled program, with the sizes that it was compiled for.
    program: Option<(Sizes, Arc<Compiled>)>,
    /// The program for changes that delete facts, likewise.
    maintenance: Option<(Sizes, Arc<Compiled>)>,
    /// How fast the rules derive facts here.
    pace: Pace,
}

impl Writer {
    /// An idle writer.
    pub fn new((members, shared, rules): (Arc<Members>, Arc<Shared>, Arc<RuleBook>), evaluation: Evaluation) -> Self {
        let pending = Pending::default();
        Self {
            members,
            shared,
            rules,
            evaluation,
            pending,
            turn: Mutex::default(),
            places: Semaphore::new(WAITING_MAX),
        }
    }

    /// Changes that run or wait.
    pub fn in_flight(&self) -> usize {
        WAITING_MAX - self.places.available_permits().min(WAITING_MAX)
    }

    /// The stored answer to a request, if it was answered before.
    ///
    /// # Errors
    /// `AlreadyExists` if another request had this id.
    pub fn answered(&self, identity: &Identity) -> Result<Option<ChangeSummary>, Fault> {
        let (id, rival) = (identity.logged(), identity.rival());
        let answer = self.members.log.read(|state| state.answer(&id).or(state.answer(&rival)).cloned());
        let Some(answer) = answer else { return Ok(None) };
        let CachedResponse { summary, fingerprint } = CachedResponse::decode(&answer.result)?;
        if fingerprint != identity.fingerprint {
            let (id, epoch) = (identity.id(), answer.epoch);
            let text = format!("the request id {id} belongs to another request, which became epoch {epoch}");
            return Err(Fault::new(Reason::AlreadyExists, text));
        }
        Ok(Some(summary))
    }

    /// Commits a change as one epoch, when the writer is free.
    ///
    /// The work is a task of its own: a caller that goes away cancels it, and the attempt is still aborted in the log. An
    /// attempt that is never decided would stay open there and block all others.
    ///
    /// # Errors
    /// Any fault of the change; unless the reason is `OutcomeUnknown`, nothing was changed.
    pub async fn commit(self: &Arc<Self>, request: Request) -> Result<ChangeSummary, Fault> {
        if let Some(data) = group::data_of(&request) {
            return self.commit_in_group(request, data).await;
        }
        let owner = request.cancel.cancel_on_drop();
        let writer = Arc::clone(self);
        let task = tokio::spawn(async move { writer.take_turn(request).await }.in_current_span());
        let result = task.await;
        owner.disarm();
        result.unwrap_or_else(|error| Err(Fault::internal(format!("the writer's task failed: {error}"))))
    }

    /// A place among the changes that run or wait.
    fn place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let full = |_| Fault::new(Reason::Overloaded, format!("{WAITING_MAX} changes are waiting already"));
        self.places.try_acquire().map_err(full)
    }

    async fn take_turn(&self, request: Request) -> Result<ChangeSummary, Fault> {
        let _place = self.place()?;
        let mut turn = tokio::select! {
            turn = self.turn.lock().instrument(info_span!("admission")) => turn,
            () = request.cancel.cancelled() => return Err(request.cancel.fault()),
        };
        if request.purpose == Purpose::Commit
            && let Some(answer) = self.answered(&request.identity)?
        {
            return Ok(answer);
        }
        self.members.ensure_placement().await?;
        let (kind, started) = (request.change.kind(), Instant::now());
        let again = request.again();
        let run = Run::new(self, request, true)?;
        let mut result = run.drive(&mut turn).instrument(info_span!("epoch")).await;
        if let (Err(fault), Some(request)) = (&result, again)
            && *fault == run::misjudged()
        {
            result = match Run::new(self, request, false) {
                Ok(run) => run.drive(&mut turn).instrument(info_span!("epoch")).await,
                Err(fault) => Err(fault),
            };
        }
        let is_dry = result.as_ref().is_ok_and(|summary| summary.dry_run);
        if !is_dry {
            self.shared.metrics.epoch(kind, started.elapsed(), &result);
        }
        result
    }
}
