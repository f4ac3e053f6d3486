//! The one closed list of failures between a client and the cluster.
//!
//! Each [`Reason`] says whether the same request may succeed later; `proto` maps it to one gRPC status and to
//! `google.rpc` details. Crates have their own error enums and convert them to faults at their boundary.

use crate::id::ShardId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The reason for which a request failed. The names are part of the public interface
/// (`google.rpc.ErrorInfo.reason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The request breaks a rule of the interface: a missing field, an unknown format.
    InvalidRequest,
    /// RDF, SPARQL or rules that do not parse or are not well-formed; with the position if it is known.
    Syntax,
    /// Valid input with a feature that this version does not support; the message names it.
    Unsupported,
    /// A named object does not exist: a rule set, a graph.
    NotFound,
    /// An object of that name exists already, with other content.
    AlreadyExists,
    /// A limit was exceeded: rows, bytes, depth, rounds, time per rule.
    LimitExceeded,
    /// Too many requests are in progress; retry later.
    Overloaded,
    /// The deadline passed before the answer was complete.
    DeadlineExceeded,
    /// The caller disconnected or cancelled the request.
    Cancelled,
    /// The caller has read nothing of an answer for too long, and the answer was given up.
    AnswerUnread,
    /// Shards cannot be reached now; the fault lists them.
    ShardsUnavailable,
    /// The cluster is not ready: too few nodes have registered, or it is shutting down.
    NotReady,
    /// The requested epoch is no longer kept, or not committed yet.
    EpochUnavailable,
    /// The epoch's attempt was aborted; nothing of it is visible.
    EpochAborted,
    /// The request may or may not have been applied; retry with the same request id.
    OutcomeUnknown,
    /// A message of an older attempt, generation or incarnation.
    Fenced,
    /// A node, coordinator or data directory of another cluster.
    WrongCluster,
    /// The data directory is in use by another process.
    DirectoryInUse,
    /// Not enough space on disk.
    DiskFull,
    /// Invalid bytes from disk or wire.
    Corrupt,
    /// A defect of Entail.
    Internal,
}

impl Reason {
    /// Every reason, in order.
    pub const ALL: [Self; 21] = [
        Self::InvalidRequest,
        Self::Syntax,
        Self::Unsupported,
        Self::NotFound,
        Self::AlreadyExists,
        Self::LimitExceeded,
        Self::Overloaded,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::AnswerUnread,
        Self::ShardsUnavailable,
        Self::NotReady,
        Self::EpochUnavailable,
        Self::EpochAborted,
        Self::OutcomeUnknown,
        Self::Fenced,
        Self::WrongCluster,
        Self::DirectoryInUse,
        Self::DiskFull,
        Self::Corrupt,
        Self::Internal,
    ];

    /// The public name, the value of `google.rpc.ErrorInfo.reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Syntax => "SYNTAX",
            Self::Unsupported => "UNSUPPORTED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Overloaded => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::AnswerUnread => "ANSWER_UNREAD",
            Self::ShardsUnavailable => "SHARDS_UNAVAILABLE",
            Self::NotReady => "NOT_READY",
            Self::EpochUnavailable => "EPOCH_UNAVAILABLE",
            Self::EpochAborted => "EPOCH_ABORTED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Fenced => "FENCED",
            Self::WrongCluster => "WRONG_CLUSTER",
            Self::DirectoryInUse => "DIRECTORY_IN_USE",
            Self::DiskFull => "DISK_FULL",
            Self::Corrupt => "CORRUPT",
            Self::Internal => "INTERNAL",
        }
    }

    /// The reason with this public name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// May an identical request succeed later?
    pub fn is_retryable(self) -> bool {
        match self {
            // Load and failures are temporary.
            Self::Overloaded | Self::ShardsUnavailable | Self::NotReady => true,
            // An aborted epoch leaves nothing, and request ids make a repeated write harmless.
            Self::EpochAborted | Self::OutcomeUnknown => true,
            // A query whose pinned epoch a node no longer keeps pins a newer one when it is sent again.
            Self::EpochUnavailable => true,
            // A message was overtaken by a newer attempt: the sender starts over.
            Self::Fenced => true,
            // The caller's own decision or budget.
            Self::DeadlineExceeded | Self::Cancelled | Self::AnswerUnread | Self::LimitExceeded => false,
            // The request itself is wrong.
            Self::InvalidRequest | Self::Syntax | Self::Unsupported | Self::NotFound | Self::AlreadyExists => false,
            // Only an operator can resolve these.
            Self::WrongCluster | Self::DirectoryInUse | Self::DiskFull | Self::Corrupt | Self::Internal => false,
        }
    }
}

/// A position in a text, counted from one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The file or stream, when the request had more than one.
    pub file: Option<String>,
    pub line: u64,
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A failure with its reason, a message, and the position if it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub reason: Reason,
    pub message: String,
    pub position: Option<Position>,
    /// The shards that could not be reached, for [`Reason::ShardsUnavailable`].
    pub shards: Vec<ShardId>,
}

impl Fault {
    /// A fault with a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), position: None, shards: Vec::new() }
    }

    /// Adds the position in the input.
    pub fn at(mut self, line: u64, column: u64) -> Self {
        let file = self.position.and_then(|position| position.file);
        self.position = Some(Position { file, line, column });
        self
    }

    /// Adds the name of the file.
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.position.get_or_insert_with(Position::default).file = Some(file.into());
        self
    }

    /// Adds the shards that could not be reached.
    pub fn with_shards(mut self, shards: Vec<ShardId>) -> Self {
        self.shards = shards;
        self
    }

    /// A fault for invalid bytes from disk or wire.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Reason::Corrupt, message)
    }

    /// A fault for a defect of Entail.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// May the same request succeed later?
    pub fn is_retryable(&self) -> bool {
        self.reason.is_retryable()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Some(position) if position.line > 0 => write!(f, "{position}: {}", self.message),
            Some(Position { file: Some(file), .. }) => write!(f, "{file}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_come_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
        }
    }
}
