//! What a call can fail with.

use entail_model::{Fault, Reason};
use std::io;

/// Why a call has no answer, or only the beginning of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL of the server cannot be used.
    #[error("{url} is not the URL of a server: {why}")]
    Address { url: String, why: String },
    /// The cluster, or the way to it, failed; nothing of the answer was delivered.
    #[error("{0}")]
    Failed(Fault),
    /// The answer broke off. What was delivered is a part of it and must not be taken for the whole; the client does
    /// not ask again by itself, since rows would come twice.
    #[error("the answer broke off after {bytes} bytes: {fault}")]
    Interrupted { fault: Fault, bytes: u64 },
    /// The answer is larger than the caller allowed.
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// A file to load could not be read; nothing was loaded.
    #[error("{name}: {error}")]
    Source { name: String, error: io::Error },
}

impl Error {
    /// The fault that the cluster told, where it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Failed(fault) | Self::Interrupted { fault, .. } => Some(fault),
            Self::Address { .. } | Self::TooLarge { .. } | Self::Source { .. } => None,
        }
    }

    /// May the same request succeed later?
    pub fn is_retryable(&self) -> bool {
        self.fault().is_some_and(Fault::is_retryable)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Failed(fault) => fault,
            Error::Interrupted { fault, .. } => Self { message, ..fault },
            Error::TooLarge { .. } => Self::new(Reason::LimitExceeded, message),
            Error::Address { .. } | Error::Source { .. } => Self::new(Reason::InvalidRequest, message),
        }
    }
}
