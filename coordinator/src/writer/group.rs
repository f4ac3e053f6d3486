//! Group commit: small requests of facts alone, from several clients, become one epoch.
//!
//! ```text
//! request ──► pending ──┐
//! request ──► pending ──┼──► the caller whose turn it is takes all of them ──► one attempt, an operation for each ──► answers
//! request ──► pending ──┘
//! ```
//! While an epoch is on its way, other requests come and wait; they are the next group. The group is equal to its requests
//! one after the other: the nodes count the changes of each. Requests with a WHERE are not grouped.
//!
//! A request that cannot be staged fails alone. If the attempt fails for another reason that would come again, such as
//! rules that explode, its requests are tried one by one.

use super::{Cached, CachedResponse, Change, Identity, Purpose, Request, Run, Writer};
use crate::metalog::{GROUP_MAX, RequestId};
use entail_logic::fixpoint::OperationCounts;
use entail_model::{Cancellation, Fault, Reason};
use entail_proto::v1::ChangeSummary;
use entail_sparql::update::Changes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use tracing::{Instrument, info_span};

/// Facts of a request up to which it is grouped.
const FACTS_MAX: usize = 256;

/// Requests that wait for the next group.
#[derive(Default)]
pub struct Pending {
    waiting: Mutex<VecDeque<Waiting>>,
    /// The number of the next request.
    next: AtomicU64,
}

/// A request that waits.
struct Waiting {
    number: u64,
    member: Member,
    cancel: Cancellation,
    reply: oneshot::Sender<Result<ChangeSummary, Fault>>,
}

/// A request of a group.
#[derive(Clone)]
pub struct Member {
    pub identity: Identity,
    pub data: Arc<Changes>,
}

/// A fact that was to be removed but that only rules say, and the rules that may derive it.
#[derive(Clone, Debug, Default)]
pub struct OnlyDerived {
    pub fact: String,
    pub rules: Vec<String>,
}

/// The requests of one epoch, and what becomes of each.
#[derive(Clone)]
pub struct Group {
    pub members: Vec<Member>,
    /// The requests that could not be staged, by their numbers.
    pub failed: Arc<Mutex<BTreeMap<usize, Fault>>>,
    /// The answers of the others.
    answers: Arc<Mutex<BTreeMap<usize, ChangeSummary>>>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        lock(&self.waiting)
    }

    /// Takes the requests of the next group. Of two with one id the second waits, for the answer of the first.
    fn take(&self) -> Vec<Waiting> {
        let mut ids = BTreeSet::new();
        let mut waiting = self.lock();
        let mut later = VecDeque::new();
        let mut taken = Vec::new();
        while let Some(next) = waiting.pop_front() {
            match taken.len() < GROUP_MAX && ids.insert(next.member.identity.id().to_owned()) {
                true => taken.push(next),
                false => later.push_back(next),
            }
        }
        *waiting = later;
        taken
    }

    /// Takes back a request that no group has taken; returns whether there was one.
    fn take_back(&self, number: u64) -> bool {
        let mut waiting = self.lock();
        let place = waiting.iter().position(|waiting| waiting.number == number);
        place.and_then(|place| waiting.remove(place)).is_some()
    }
}

impl Group {
    fn of(members: Vec<Member>) -> Self {
        Self { members, failed: Arc::default(), answers: Arc::default() }
    }

    /// The entry of the log's answers, and the answer of each request, given the epoch's and the counts of each operation.
    pub fn answer(
        &self,
        epoch: &ChangeSummary,
        counts: &[(OperationCounts, OnlyDerived)],
    ) -> Vec<(RequestId, Vec<u8>)> {
        let failed = lock(&self.failed);
        let mut answers = lock(&self.answers);
        let counts: BTreeMap<u32, &(OperationCounts, OnlyDerived)> =
            counts.iter().map(|of| (of.0.operation, of)).collect();
        let mut logged = Vec::with_capacity(self.members.len());
        for (number, member) in self.members.iter().enumerate().filter(|(number, _)| !failed.contains_key(number)) {
            let mut summary = epoch.clone();
            summary.received = (member.data.removed.len() + member.data.added.len()) as u64;
            let (of, named) = counts.get(&(number as u32)).copied().cloned().unwrap_or_default();
            summary.asserted = of.added;
            summary.removed = of.removal.removed;
            summary.derived_only = of.removal.derived_only;
            (summary.derived_only_fact, summary.derived_only_rules) = (named.fact, named.rules);
            let response = CachedResponse { summary: summary.clone(), fingerprint: member.identity.fingerprint };
            logged.push((member.identity.logged(), response.encode()));
            answers.insert(number, summary);
        }
        logged
    }
}

/// The facts of a request, if it is grouped.
pub fn data_of(request: &Request) -> Option<Arc<Changes>> {
    let Change::Update(update) = &request.change else { return None };
    let is_small = |data: &&Arc<Changes>| data.removed.len() + data.added.len() <= FACTS_MAX;
    update.data.as_ref().filter(is_small).filter(|_| request.purpose == Purpose::Commit).cloned()
}

impl Writer {
    /// Commits a request of facts with others that wait at the same time.
    pub(super) async fn commit_in_group(
        self: &Arc<Self>,
        request: Request,
        data: Arc<Changes>,
    ) -> Result<ChangeSummary, Fault> {
        let _place = self.place()?;
        let Request { identity, cancel, .. } = request;
        let (reply, mut answer) = oneshot::channel();
        let number = self.pending.next.fetch_add(1, Ordering::Relaxed);
        let member = Member { identity, data };
        self.pending.lock().push_back(Waiting { number, member, cancel: cancel.clone(), reply });
        // A task of its own: a caller that goes away must not end the group.
        let writer = Arc::clone(self);
        tokio::spawn(async move { writer.lead().await }.in_current_span());
        let lost = || Fault::internal("the writer's task failed");
        tokio::select! {
            result = &mut answer => result.unwrap_or_else(|_| Err(lost())),
            () = cancel.cancelled() => match self.pending.take_back(number) {
                true => Err(cancel.fault()),
                // It is being committed.
                false => answer.await.unwrap_or_else(|_| Err(lost())),
            },
        }
    }

    /// Commits what waits, when the writer is free. There is a task for each request that waits, and each takes at least one, so
    /// none is left; most tasks find nothing.
    async fn lead(&self) {
        let mut turn = self.turn.lock().instrument(info_span!("admission")).await;
        let waiting = self.pending.take();
        if !waiting.is_empty() {
            self.commit_group(waiting, &mut turn).await;
        }
    }

    async fn commit_group(&self, waiting: Vec<Waiting>, turn: &mut Cached) {
        let mut members = Vec::with_capacity(waiting.len());
        let mut replies = Vec::with_capacity(waiting.len());
        for Waiting { member, cancel, reply, .. } in waiting {
            match cancel.check().and_then(|()| self.answered(&member.identity)) {
                Ok(None) => {
                    members.push(member);
                    replies.push(reply);
                }
                // The caller may have gone.
                Ok(Some(answer)) => _ = reply.send(Ok(answer)),
                Err(fault) => _ = reply.send(Err(fault)),
            }
        }
        let results = self.run_group(members, turn).await;
        for (reply, result) in replies.into_iter().zip(results) {
            _ = reply.send(result);
        }
    }

    /// The result of each request.
    async fn run_group(&self, members: Vec<Member>, turn: &mut Cached) -> Vec<Result<ChangeSummary, Fault>> {
        if members.is_empty() {
            return Vec::new();
        }
        let count = members.len();
        let fault = match self.run_once(members.clone(), turn).await {
            Ok(results) => return results,
            Err(fault) => fault,
        };
        let comes_again = !fault.is_retryable() && fault.reason != Reason::OutcomeUnknown;
        if count == 1 || !comes_again {
            return vec![Err(fault); count];
        }
        let mut results = Vec::with_capacity(count);
        for member in members {
            let alone = self.run_once(vec![member], turn).await;
            results.push(alone.and_then(|mut results| results.pop().unwrap_or_else(|| Err(fault.clone()))));
        }
        results
    }

    /// Runs one attempt for all of the requests.
    async fn run_once(
        &self,
        members: Vec<Member>,
        turn: &mut Cached,
    ) -> Result<Vec<Result<ChangeSummary, Fault>>, Fault> {
        self.members.ensure_placement().await?;
        let (identity, started) = (members[0].identity.clone(), Instant::now());
        let group = Group::of(members);
        let change = Change::Group(group.clone());
        let (cancel, watch) = (Cancellation::default(), Arc::default());
        let request = Request { identity, change, purpose: Purpose::Commit, cancel, watch };
        let result = Run::new(self, request, true)?.drive(turn).instrument(info_span!("epoch")).await;
        self.shared.metrics.epoch("facts", started.elapsed(), &result);
        result?;
        let (failed, mut answers) = (lock(&group.failed), lock(&group.answers));
        let result = |number| match failed.get(&number) {
            Some(fault) => Err(fault.clone()),
            None => answers.remove(&number).ok_or_else(|| Fault::internal("a request without its answer")),
        };
        Ok((0..group.members.len()).map(result).collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
