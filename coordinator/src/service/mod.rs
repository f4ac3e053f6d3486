//! The coordinator's operations for clients, independent of the protocol.
//!
//! ```text
//! api/grpc ──► service: admission, deadline, epoch, cancellation, idempotency, the request's span
//! (others)        │ query, update, load, rules, dump, status, trace
//!                 └──► reader, writer, members
//! ```
//!
//! An edge only translates: it makes a [`Call`], passes a message of `entail.v1` (a plain value), and turns messages and
//! faults into its protocol. No type of a transport is named here.

mod call;
mod dump;
mod load;
mod moment;
mod parts;
mod query;
mod rules;
mod running;
mod status;
mod trace;
mod unread;
mod update;

pub use call::{Call, Principal};

use crate::QUERIES_AT_WORK;
use crate::admission::Admission;
use crate::balance::Balancer;
use crate::members::Members;
use crate::options::Options;
use crate::reader::{Reader, Shared};
use crate::rules::RuleBook;
use crate::staging::Evaluation;
use crate::writer::{Identity, Writer};
use entail_model::{Cancellation, Epoch, Fault, Reason};
use entail_proto::v1::{CancelQueryResponse, ListQueriesResponse};
use running::RunningCalls;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use unread::UnreadAnswers;

/// A running coordinator: its parts, and its operations for clients.
pub struct Coordinator {
    pub options: Options,
    pub members: Arc<Members>,
    pub shared: Arc<Shared>,
    pub writer: Arc<Writer>,
    /// The rule sets of the cluster, parsed.
    pub rules: Arc<RuleBook>,
    pub started: Instant,
    /// Cancelled when the shutdown begins.
    pub leaving: CancellationToken,
    /// Permits for the evaluation of queries, dumps and updates.
    admission: Arc<Admission>,
    /// Answers on their way to clients.
    unread: UnreadAnswers,
    /// Picks the replica of each shard that answers a query.
    balancer: Box<dyn Balancer>,
    running: Arc<RunningCalls>,
}

impl Coordinator {
    /// A coordinator without calls yet.
    pub fn new(options: Options, members: Arc<Members>, shared: Arc<Shared>, balancer: Box<dyn Balancer>) -> Self {
        let rules = Arc::new(RuleBook::default());
        let admission = Arc::new(Admission::new(QUERIES_AT_WORK));
        let evaluation = Evaluation { admission: Arc::clone(&admission), held_bytes_max: options.memory / 4 };
        let parts = (Arc::clone(&members), Arc::clone(&shared), Arc::clone(&rules));
        Self {
            writer: Arc::new(Writer::new(parts, evaluation)),
            unread: UnreadAnswers::new(options.unread_max),
            options,
            members,
            shared,
            rules,
            started: Instant::now(),
            leaving: CancellationToken::new(),
            admission,
            balancer,
            running: Arc::default(),
        }
    }

    /// Can the cluster answer now?
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.leaving.is_cancelled() {
            return Err("shutting down".to_owned());
        }
        self.members.not_ready().map_or(Ok(()), |fault| Err(fault.message))
    }

    /// Queries that were admitted and have not ended.
    pub fn queries_at_work(&self) -> usize {
        self.admission.at_work()
    }

    /// The queries and changes at work, the oldest first.
    pub fn list_queries(&self) -> ListQueriesResponse {
        ListQueriesResponse { queries: self.running.list() }
    }

    /// Cancels a running query or change.
    ///
    /// # Errors
    /// `NotFound` if there is none of this id.
    pub fn cancel_query(&self, id: &str) -> Result<CancelQueryResponse, Fault> {
        self.running.cancel(id).map(|()| CancelQueryResponse {})
    }

    /// A permit to evaluate, as soon as there is one before the deadline.
    ///
    /// # Errors
    /// `Overloaded` if there is none in time, `NotReady` when the coordinator is stopping.
    async fn admitted(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        self.admission.admitted(deadline).await
    }

    /// Gives up answers that their clients do not read, until the task is dropped.
    pub async fn give_up_unread(&self) {
        loop {
            tokio::time::sleep(unread::LOOK).await;
            let given_up = self.unread.give_up(Instant::now(), self.admission.waiting());
            self.shared.metrics.answers_unread.inc_by(given_up);
        }
    }

    /// The last committed epoch.
    fn latest(&self) -> Epoch {
        self.members.log.read(|state| state.epoch())
    }

    /// A reader of a committed epoch, by default the last, for the request of `cancel`.
    fn reader(&self, epoch: Option<Epoch>, cancel: &Cancellation) -> Result<Reader, Fault> {
        let latest = self.latest();
        let epoch = epoch.unwrap_or(latest);
        check_reached(epoch, latest)?;
        let mut holders = self.members.holders()?;
        if holders.links.len() > 1 {
            // One choice for the whole query: its parts route rows to each other by shard.
            // The hasher's keys come from the system's randomness.
            let random = RandomState::new();
            holders = holders.picked(&*self.balancer, |shard| random.hash_one(shard));
        }
        if epoch.0 == 0 {
            // Before the first change there are no facts: no node is called.
            holders.links.clear();
        }
        Ok(Reader {
            shared: Arc::clone(&self.shared),
            holders: Arc::new(holders),
            epoch,
            runtime: tokio::runtime::Handle::current(),
            cancel: cancel.clone(),
            started: AtomicU64::new(0),
        })
    }

    /// The identity of a request with the fingerprint of `parts`; a client without a request id gets a generated one.
    fn identity(&self, id: String, parts: &[&[u8]]) -> Result<Identity, Fault> {
        let id = match id.is_empty() {
            true => format!("server-{:032x}", crate::random::<16>().map(u128::from_le_bytes)?),
            false => id,
        };
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        Identity::new(id, self.shared.key.hash(&text).0 as u64)
    }
}

/// An epoch that is not committed yet cannot be read.
fn check_reached(epoch: Epoch, latest: Epoch) -> Result<(), Fault> {
    if epoch > latest {
        let text = format!("epoch {epoch} is not there yet; the latest is {latest}");
        return Err(Fault::new(Reason::EpochUnavailable, text));
    }
    Ok(())
}

/// What a read of an epoch that the caller named is told: an epoch that is gone does not come back, but the latest epoch may not
/// have reached a node yet.
fn of_named_epoch(fault: Fault, named: Option<u64>, latest: Epoch) -> Fault {
    match named {
        Some(named) if fault.reason == Reason::EpochUnavailable && named < latest.0 => Fault {
            reason: Reason::NotFound,
            message: format!("{}; an epoch is kept for a minute after the next one, so read the latest", fault.message),
            ..fault
        },
        _ => fault,
    }
}

/// Runs blocking work in the current span.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|error| Fault::internal(format!("a request's task failed: {error}")))?
}
