//! The identity of a request, by which one that is sent again is recognised.
//!
//! ```text
//! request R                   log: R
//! load R with commit_every    log: R␟0, R␟1, ...     an epoch and an answer for each part
//! ```
//!
//! Invariants: no request of a client has the id of another one's part, as ids of clients have no control characters; and
//! R is the id of one request, whether it is logged as a whole or in parts.

use crate::metalog::RequestId;
use entail_model::{Fault, Reason};

/// Between the id of a load and the number of a part.
const PART: char = '\u{1f}';

/// Limit on the bytes of a client's id.
const ID_BYTES_MAX: usize = 200;

/// The identity of a request, or of a part of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    id: String,
    part: Option<u32>,
    /// A hash of the request's content, so that another request under the same id is not taken for a retry.
    pub fingerprint: u64,
}

impl Identity {
    /// The identity of a request under the client's id, which is the same on every retry.
    ///
    /// # Errors
    /// `InvalidRequest` for an id that is too long or has control characters.
    pub fn new(id: String, fingerprint: u64) -> Result<Self, Fault> {
        let invalid = |text| Err(Fault::new(Reason::InvalidRequest, text));
        if id.len() > ID_BYTES_MAX {
            return invalid(format!("a request id has at most {ID_BYTES_MAX} bytes"));
        }
        if id.chars().any(char::is_control) {
            return invalid("the request id has control characters".to_owned());
        }
        Ok(Self { id, part: None, fingerprint })
    }

    /// The client's id of the whole request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The identity of a part of the request.
    pub fn part(&self, number: u32) -> Self {
        Self { part: Some(number), ..self.clone() }
    }

    /// The id in the log.
    pub fn logged(&self) -> RequestId {
        match self.part {
            None => RequestId(self.id.clone()),
            Some(number) => RequestId(format!("{}{PART}{number}", self.id)),
        }
    }

    /// Another id in the log, which has an answer if another request has this request's id.
    pub fn rival(&self) -> RequestId {
        match self.part {
            None => self.part(0).logged(),
            Some(_) => RequestId(self.id.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(id: &str) -> Identity {
        Identity::new(id.to_owned(), 7).expect("a valid id")
    }

    #[test]
    fn no_request_has_the_id_of_a_part() {
        let load = identity("R");
        let parts: Vec<RequestId> = (0..12).map(|number| load.part(number).logged()).collect();
        for part in &parts {
            let claimed = Identity::new(part.0.clone(), 7).expect_err("no client has it");
            assert_eq!(claimed.reason, Reason::InvalidRequest);
        }
        for other in ["R", "R#0", "R0", "R 0", "R-0"] {
            assert!(!parts.contains(&identity(other).logged()), "{other}");
        }
        for (one, other) in parts.iter().zip(&parts[1..]) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_whole_request_and_parts_of_one_id_meet() {
        let load = identity("R");
        assert_eq!(load.rival(), load.part(0).logged());
        for number in [0, 1, 9] {
            assert_eq!(load.part(number).rival(), load.logged());
        }
    }

    #[test]
    fn an_id_has_a_limit() {
        assert!(Identity::new("é".repeat(100), 7).is_ok());
        let long = Identity::new("é".repeat(101), 7).expect_err("202 bytes");
        assert_eq!(long.message, "a request id has at most 200 bytes");
    }
}
