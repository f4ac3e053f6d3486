//! The state that results from the log: a pure machine, entry in, effect out.
//!
//! ```text
//!              Begin                 Commit (epoch grows by one)
//! no attempt ────────► one attempt ──────────────► no attempt
//!                      is open     ──────────────► no attempt
//!                                    Abort
//! ```
//!
//! Invariants:
//! - at most one attempt is open, and every attempt is decided at most once: by the first Commit or Abort in the log;
//! - epochs grow by one, each committed by one attempt, each sealed by every node that holds shards, in the
//!   incarnation that the log has for the node at that point;
//! - a refused entry changes nothing but the index;
//! - the answers to the last [`ANSWERS_MAX`] requests and the outcomes since the last [`COMMITS_MAX`] epochs are kept.
//!   Older attempts are [`Outcome::Forgotten`]; no node can hold a stage of one, since each later commit needed it. A
//!   node that claims one has another log's data, or damaged data: it gets no decision ([`State::decisions`]).

mod answers;
mod check;
mod refused;

pub use answers::Answer;
pub use check::{GROUP_MAX, RESULT_BYTES_MAX};
pub use refused::Refused;

use super::entry::{Cluster, Entry, EpochKind, Incarnation, RequestId, RuleSets, Seal};
use answers::Answers;
use entail_logic::failpoints::is_broken;
use entail_model::{Attempt, Epoch, Fault, NodeId, Placement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of requests whose answers are kept for retries. (They also share a budget of 16 MiB.)
pub const ANSWERS_MAX: usize = 10_000;

/// Number of epochs, back from the latest, whose committing attempt is kept.
pub const COMMITS_MAX: usize = 10_000;

/// The cluster as the log describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The index of the last entry applied.
    index: u64,
    cluster: Option<Cluster>,
    nodes: BTreeMap<NodeId, Member>,
    placement: Placement,
    epoch: Epoch,
    /// The seals of the commit of `epoch`.
    seals: Vec<Seal>,
    rules: RuleSets,
    open: Option<OpenAttempt>,
    /// The last attempt that began.
    last_attempt: Attempt,
    /// The last [`COMMITS_MAX`] attempts that committed, and the last one before them.
    commits: BTreeMap<Attempt, Epoch>,
    forgotten: Attempt,
    answers: Answers,
}

/// A node that has registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub address: String,
    pub incarnation: Incarnation,
}

/// An attempt that is neither committed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    pub attempt: Attempt,
    pub kind: EpochKind,
    pub request: RequestId,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not decided yet.
    Open,
    /// Committed as this epoch.
    Committed(Epoch),
    /// Aborted: not visible, ever.
    Aborted,
    /// Too old: the log has dropped the outcome.
    Forgotten,
    /// The log never began it.
    Unknown,
}

/// The effect of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    Created,
    Registered(Incarnation),
    /// The version of the placement.
    Placed(u64),
    Begun(Attempt),
    Committed(Epoch),
    Aborted(Attempt),
}

impl State {
    /// The index of the last entry; zero if there was none.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The cluster's constants; `None` before it is created.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Every node that ever registered.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Member> {
        &self.nodes
    }

    /// Has another node registered at the address of this one since?
    pub fn is_replaced(&self, node: NodeId) -> bool {
        let Some(own) = self.nodes.get(&node) else { return false };
        self.nodes.values().any(|other| other.address == own.address && other.incarnation > own.incarnation)
    }

    /// The node of each shard.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The last committed epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The seals of the last committed epoch.
    pub fn seals(&self) -> &[Seal] {
        &self.seals
    }

    /// The rule sets of the last committed epoch.
    pub fn rules(&self) -> &RuleSets {
        &self.rules
    }

    /// The attempt that is not decided yet. A coordinator aborts it when it starts.
    pub fn open(&self) -> Option<&OpenAttempt> {
        self.open.as_ref()
    }

    /// The stored answer to `request`, if it is among the last.
    pub fn answer(&self, request: &RequestId) -> Option<&Answer> {
        self.answers.get(request)
    }

    /// The outcome of `attempt`.
    pub fn outcome(&self, attempt: Attempt) -> Outcome {
        match self.commits.get(&attempt) {
            Some(epoch) => Outcome::Committed(*epoch),
            None if self.open().is_some_and(|open| open.attempt == attempt) => Outcome::Open,
            None if attempt > self.last_attempt => Outcome::Unknown,
            None if attempt <= self.forgotten => Outcome::Forgotten,
            None => Outcome::Aborted,
        }
    }

    /// The log's decisions on attempts that a node has sealed; attempts that are still open are left out.
    ///
    /// # Errors
    /// [`entail_model::Reason::Corrupt`] for attempts that no node can have sealed under this log.
    pub fn decisions(&self, sealed: &[Attempt]) -> Result<Vec<(Attempt, Option<Epoch>)>, Fault> {
        let decision = |attempt: &Attempt| match self.outcome(*attempt) {
            Outcome::Committed(epoch) => Some(Ok((*attempt, Some(epoch)))),
            Outcome::Aborted => Some(Ok((*attempt, None))),
            Outcome::Open => None,
            Outcome::Forgotten | Outcome::Unknown => {
                let text = format!("the node has sealed attempt {attempt}, which the log cannot have left undecided");
                Some(Err(Fault::corrupt(text)))
            }
        };
        let is_silent = is_broken("answer-undecided");
        sealed.iter().filter(|_| !is_silent).filter_map(decision).collect()
    }

    /// Would `entry` be refused as the next one?
    pub fn check(&self, entry: &Entry) -> Result<(), Refused> {
        check::check(self, entry)
    }

    /// Applies the entry at `index`. A refused one changes nothing but the index: replicated logs order first and
    /// decide here.
    ///
    /// # Panics
    /// If `index` is not after the last one.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Result<Applied, Refused> {
        assert!(index > self.index, "entry {index} after entry {}", self.index);
        let checked = self.check(entry);
        self.index = index;
        checked?;
        Ok(match entry {
            Entry::CreateCluster(cluster) => self.create(cluster),
            Entry::RegisterNode { node, name, address } => self.register(*node, name, address),
            Entry::Place { placement } => self.place(placement),
            Entry::BeginEpoch { kind, request, .. } => self.begin(*kind, request),
            Entry::CommitEpoch { epoch, nodes, result, rules, .. } => {
                self.commit(*epoch, nodes, result, rules.as_ref())
            }
            Entry::AbortEpoch { attempt, .. } => self.abort(*attempt),
            Entry::CommitGroup { epoch, nodes, answers, .. } => self.commit_group(*epoch, nodes, answers),
        })
    }

    fn create(&mut self, cluster: &Cluster) -> Applied {
        self.cluster = Some(cluster.clone());
        Applied::Created
    }

    fn register(&mut self, node: NodeId, name: &str, address: &str) -> Applied {
        let incarnation = Incarnation(self.index);
        self.nodes.insert(node, Member { name: name.to_owned(), address: address.to_owned(), incarnation });
        Applied::Registered(incarnation)
    }

    fn place(&mut self, placement: &Placement) -> Applied {
        self.placement = placement.clone();
        Applied::Placed(placement.version)
    }

    fn begin(&mut self, kind: EpochKind, request: &RequestId) -> Applied {
        let attempt = Attempt(self.index);
        self.last_attempt = attempt;
        self.open = Some(OpenAttempt { attempt, kind, request: request.clone() });
        Applied::Begun(attempt)
    }

    fn commit(&mut self, epoch: Epoch, nodes: &[Seal], result: &[u8], rules: Option<&RuleSets>) -> Applied {
        if let Some(rules) = rules {
            self.rules = rules.clone();
        }
        let open = self.begin_epoch(epoch, nodes);
        self.answers.insert(open.request, Answer { epoch, result: result.to_vec() });
        Applied::Committed(epoch)
    }

    fn commit_group(&mut self, epoch: Epoch, nodes: &[Seal], answers: &[(RequestId, Vec<u8>)]) -> Applied {
        self.begin_epoch(epoch, nodes);
        for (request, result) in answers {
            self.answers.insert(request.clone(), Answer { epoch, result: result.clone() });
        }
        Applied::Committed(epoch)
    }

    /// The open attempt becomes the epoch.
    fn begin_epoch(&mut self, epoch: Epoch, nodes: &[Seal]) -> OpenAttempt {
        let open = self.open.take().expect("only an open attempt passes the check");
        self.epoch = epoch;
        self.seals = nodes.to_vec();
        self.remember(open.attempt, epoch);
        open
    }

    fn remember(&mut self, attempt: Attempt, epoch: Epoch) {
        self.commits.insert(attempt, epoch);
        if self.commits.len() > COMMITS_MAX
            && let Some((oldest, _)) = self.commits.pop_first()
        {
            self.forgotten = oldest;
        }
    }

    fn abort(&mut self, attempt: Attempt) -> Applied {
        self.open = None;
        Applied::Aborted(attempt)
    }
}

#[cfg(test)]
mod tests;
