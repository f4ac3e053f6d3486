//! The one writer: commits changes as epochs, one at a time.
//!
//! The protocol is `entail-logic`'s [`EpochMachine`]; this shell makes the machine's calls and feeds back their results.
//! Changes wait for the writer's lock; when too many wait, more are refused.

mod cached_response;
mod identity;
mod run;

use crate::members::Members;
use crate::reader::Shared;
use crate::rules::{Ids, ParsedSet, RuleBook};
use crate::staging::FactLoader;
use cached_response::CachedResponse;
use entail_model::{Cancellation, Fault, Reason};
use entail_proto::v1::ChangeSummary;
use futures::future::BoxFuture;
pub use identity::Identity;
use run::{Compiled, Run, Sizes};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore};
use tracing::{Instrument, info_span};

/// Changes that wait for the writer.
const WAITING_MAX: usize = 256;

/// Stages facts at the nodes while the attempt is open.
pub type Stage = Box<dyn FnOnce(Arc<FactLoader>) -> BoxFuture<'static, Result<(), Fault>> + Send>;

/// What an epoch changes.
pub enum Change {
    /// Adds asserted facts.
    Facts(Stage),
    /// Replaces the rule sets of version `based_on`. `added` are the names of sets whose rules are new; with `rebuild`,
    /// all derived facts are derived anew.
    Rules { based_on: u64, sets: Vec<Arc<ParsedSet>>, added: BTreeSet<String>, rebuild: bool },
}

impl Change {
    /// The name of the kind in metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Facts(_) => "facts",
            Self::Rules { .. } => "rules",
        }
    }
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
    pub cancel: Cancellation,
    pub watch: Arc<ChangeProgress>,
}

impl Request {
    /// A second copy of the request, if its change stages no facts.
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

/// Cached between epochs.
#[derive(Default)]
struct Cached {
    /// The ids of the constants in the rules, with the rules' version.
    ids: Option<(u64, Arc<Ids>)>,
    /// The compiled program, with the sizes that it was compiled for.
    program: Option<(Sizes, Arc<Compiled>)>,
}

impl Writer {
    /// An idle writer.
    pub fn new(members: Arc<Members>, shared: Arc<Shared>, rules: Arc<RuleBook>) -> Self {
        Self { members, shared, rules, turn: Mutex::default(), places: Semaphore::new(WAITING_MAX) }
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
