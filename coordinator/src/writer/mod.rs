//! The one writer: brings changes into epochs, one at a time.
//!
//! The protocol is `entail-logic`'s [`EpochMachine`]; this shell makes its calls and feeds back what they gave. Work
//! waits in line for the writer's lock; too long a line is refused.

mod cached_response;
mod run;

use crate::members::Members;
use crate::metalog::RequestId;
use crate::reader::Shared;
use crate::rules::{Ids, ParsedSet, RuleBook};
use crate::staging::FactLoader;
use cached_response::CachedResponse;
use entail_model::{Cancellation, Fault, Reason};
use entail_proto::v1::ChangeSummary;
use futures::future::BoxFuture;
use run::{Compiled, Run, Sizes};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore};
use tracing::{Instrument, info_span};

/// Changes that wait for the writer.
const WAITING_MAX: usize = 256;

/// Brings facts to the nodes while the attempt is open.
pub type Stage = Box<dyn FnOnce(Arc<FactLoader>) -> BoxFuture<'static, Result<(), Fault>> + Send>;

/// What an epoch changes.
pub enum Change {
    /// Adds asserted facts.
    Facts(Stage),
    /// Replaces the rule sets of version `based_on`. `added` are the names of sets whose rules are new; with `rebuild`,
    /// everything is derived anew.
    Rules { based_on: u64, sets: Vec<Arc<ParsedSet>>, added: BTreeSet<String>, rebuild: bool },
}

impl Change {
    /// What people call it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Facts(_) => "facts",
            Self::Rules { .. } => "rules",
        }
    }
}

/// How far a running change is.
#[derive(Debug, Default)]
pub struct ChangeProgress {
    pub round: AtomicU32,
    /// 0 before staging has ended, 1 while reasoning, 2 while committing.
    pub phase: AtomicU32,
}

/// What tells requests apart.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client's name for the request, the same on every retry.
    pub id: String,
    /// A hash of what is asked for, so that another request under the same id is not taken for a retry.
    pub fingerprint: u64,
}

/// A change that a client asked for.
pub struct Request {
    pub identity: Identity,
    pub change: Change,
    pub cancel: Cancellation,
    pub watch: Arc<ChangeProgress>,
}

impl Request {
    /// The same again, of a change that brings no facts.
    fn again(&self) -> Option<Self> {
        let change = match &self.change {
            Change::Rules { based_on, sets, added, rebuild } => {
                Change::Rules { based_on: *based_on, sets: sets.clone(), added: added.clone(), rebuild: *rebuild }
            }
            Change::Facts(_) => return None,
        };
        let (identity, cancel, watch) = (self.identity.clone(), self.cancel.clone(), Arc::clone(&self.watch));
        Some(Self { identity, change, cancel, watch })
    }
}

/// The writer.
pub struct Writer {
    members: Arc<Members>,
    shared: Arc<Shared>,
    rules: Arc<RuleBook>,
    turn: Mutex<Cached>,
    places: Semaphore,
}

/// What the writer keeps between epochs.
#[derive(Default)]
struct Cached {
    /// The ids of the constants in the rules of a version.
    ids: Option<(u64, Arc<Ids>)>,
    /// The program that they were compiled to, and for what.
    program: Option<(Sizes, Arc<Compiled>)>,
}

impl Writer {
    /// A writer that has nothing to do yet.
    pub fn new(members: Arc<Members>, shared: Arc<Shared>, rules: Arc<RuleBook>) -> Self {
        Self { members, shared, rules, turn: Mutex::default(), places: Semaphore::new(WAITING_MAX) }
    }

    /// Changes that are at work or wait.
    pub fn in_flight(&self) -> usize {
        WAITING_MAX - self.places.available_permits().min(WAITING_MAX)
    }

    /// The answer that a request was given before, if it was.
    ///
    /// # Errors
    /// `AlreadyExists` if another request had this id.
    pub fn answered(&self, identity: &Identity) -> Result<Option<ChangeSummary>, Fault> {
        let id = RequestId(identity.id.clone());
        let Some(answer) = self.members.log.read(|state| state.answer(&id).cloned()) else { return Ok(None) };
        let CachedResponse { summary, fingerprint } = CachedResponse::decode(&answer.result)?;
        if fingerprint != identity.fingerprint {
            let text = format!("the request id {id} belongs to another request, which became epoch {}", answer.epoch);
            return Err(Fault::new(Reason::AlreadyExists, text));
        }
        Ok(Some(summary))
    }

    /// Commits a change as one epoch, when its turn has come.
    ///
    /// The work is a task of its own: a caller that goes away cancels it, and then the attempt is still given up in an
    /// orderly way. An attempt that nobody ends stays open in the log, and no other could begin.
    ///
    /// # Errors
    /// Whatever went wrong; unless the reason is `OutcomeUnknown`, nothing was changed.
    pub async fn commit(self: &Arc<Self>, request: Request) -> Result<ChangeSummary, Fault> {
        let owner = request.cancel.cancel_on_drop();
        let writer = Arc::clone(self);
        let task = tokio::spawn(async move { writer.take_turn(request).await }.in_current_span());
        let result = task.await;
        owner.disarm();
        result.unwrap_or_else(|error| Err(Fault::internal(format!("the writer's task failed: {error}"))))
    }

    async fn take_turn(&self, request: Request) -> Result<ChangeSummary, Fault> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| Fault::new(Reason::Overloaded, format!("{WAITING_MAX} changes are waiting already")))?;
        let mut turn = tokio::select! {
            turn = self.turn.lock().instrument(info_span!("admission")) => turn,
            () = request.cancel.cancelled() => return Err(request.cancel.fault()),
        };
        if let Some(answer) = self.answered(&request.identity)? {
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
        self.shared.metrics.epoch(kind, started.elapsed(), &result);
        result
    }
}
