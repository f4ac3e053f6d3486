//! Why the state refuses an entry, as data, and the fault that the client gets for it.

use super::{Epoch, Incarnation, NodeId, Outcome, RequestId};
use entail_model::{Attempt, ClusterId, Fault, Reason};

/// Why an entry has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no cluster yet")]
    NoCluster,
    #[error("the log belongs to cluster {cluster} already")]
    ClusterExists { cluster: ClusterId },
    #[error("{what} is more than the limit of {limit}")]
    TooLarge { what: &'static str, limit: usize },
    #[error("node {node} has not registered")]
    UnknownNode { node: NodeId },
    #[error("the placement has version {given}, which is not after {current}")]
    StalePlacement { given: u64, current: u64 },
    #[error("the placement has {given} shards, the cluster {expected}")]
    WrongShards { given: usize, expected: usize },
    #[error("the shards have not been placed yet")]
    NotPlaced,
    #[error("attempt {attempt} is in progress")]
    AttemptOpen { attempt: Attempt },
    #[error("attempt {attempt} is not open: {outcome:?}")]
    NotOpen { attempt: Attempt, outcome: Outcome },
    #[error("epoch {given} is not {expected}")]
    WrongEpoch { given: Epoch, expected: Epoch },
    #[error("request {request} became epoch {epoch}")]
    Answered { request: RequestId, epoch: Epoch },
    #[error("version {given} of the rules is not {expected}")]
    WrongRules { given: u64, expected: u64 },
    #[error("rule sets must come with an epoch of rules, in the order of their names")]
    RulesOutOfPlace,
    #[error("node {node} holds shards but has not sealed")]
    MissingSeal { node: NodeId },
    #[error("node {node} has sealed twice, or holds no shards")]
    UnexpectedSeal { node: NodeId },
    #[error("node {node} has sealed as incarnation {given} but is {current} now")]
    StaleSeal { node: NodeId, given: Incarnation, current: Incarnation },
}

impl Refused {
    /// The public reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoCluster | Self::NotPlaced => Reason::NotReady,
            Self::ClusterExists { .. } | Self::Answered { .. } => Reason::AlreadyExists,
            Self::TooLarge { .. } => Reason::LimitExceeded,
            // Changes are made one at a time: a retry can succeed.
            Self::AttemptOpen { .. } => Reason::Overloaded,
            // Decided on an older state: the caller must read the state again.
            Self::StalePlacement { .. } | Self::WrongEpoch { .. } | Self::WrongRules { .. } => Reason::Fenced,
            Self::NotOpen { .. } | Self::StaleSeal { .. } => Reason::Fenced,
            // Only a defective coordinator appends these.
            Self::UnknownNode { .. } | Self::WrongShards { .. } | Self::RulesOutOfPlace => Reason::Internal,
            Self::MissingSeal { .. } | Self::UnexpectedSeal { .. } => Reason::Internal,
        }
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Fault::new(refused.reason(), refused.to_string())
    }
}
