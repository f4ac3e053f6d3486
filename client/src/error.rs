//! The errors of a call.

use entail_model::{Fault, Reason};
use std::io;

/// The reason why a call has no answer, or only the beginning of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's URL is invalid.
    #[error("{url} is not the URL of a server: {why}")]
    Address { url: String, why: String },
    /// The cluster or the connection to it failed; no part of the answer was delivered.
    #[error("{0}")]
    Failed(Fault),
    /// The answer broke off. The delivered part must not be taken for the whole answer. The client does not retry by
    /// itself, since rows would be delivered twice.
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
    /// The fault that the cluster reported, if the error is one.
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
