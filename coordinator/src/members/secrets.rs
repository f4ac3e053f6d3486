//! The secrets that this coordinator tells its nodes, so that no message of another process is taken for its own.
//!
//! All are computed from one key, which is drawn when the process starts and told to no process. They end with the process:
//! nodes register again with the next one, and an attempt that was open is aborted.

use crate::metalog::Incarnation;
use entail_model::term::HashKey;
use entail_model::{Attempt, NodeId, Secret};

/// The secrets of one life of the coordinator.
#[derive(Clone, Copy)]
pub struct Secrets {
    key: HashKey,
    first_query: u64,
}

impl Secrets {
    /// The secrets of a random key, and a random first number of queries.
    pub fn new(key: HashKey, first_query: u64) -> Self {
        Self { key, first_query }
    }

    /// The first number of queries: nodes know by it which numbers are this coordinator's.
    pub fn first_query(&self) -> u64 {
        self.first_query
    }

    /// The secret of an attempt.
    pub fn of_attempt(&self, attempt: Attempt) -> Secret {
        self.of("attempt", [attempt.0, 0])
    }

    /// The secret of a node's registration.
    pub fn of_registration(&self, node: NodeId, incarnation: Incarnation) -> Secret {
        self.of("registration", [node.0, incarnation.0])
    }

    fn of(&self, kind: &str, numbers: [u64; 2]) -> Secret {
        let bytes = [kind.as_bytes(), &numbers[0].to_le_bytes(), &numbers[1].to_le_bytes()].concat();
        // Zero means that none was told.
        Secret((self.key.hash(&bytes).0 as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_end_with_the_process() {
        let [one, other] = [1, 2].map(|byte| Secrets::new(HashKey([byte; 16]), 0));
        let attempt = |secrets: &Secrets, number| secrets.of_attempt(Attempt(number));
        assert_eq!(attempt(&one, 7), attempt(&one, 7));
        assert_ne!(attempt(&one, 7), attempt(&one, 8));
        assert_ne!(attempt(&one, 7), attempt(&other, 7));
        let registration = |node, incarnation| one.of_registration(NodeId(node), Incarnation(incarnation));
        assert_ne!(registration(1, 7), registration(2, 7));
        assert_ne!(registration(1, 7), registration(1, 8));
        assert_ne!(registration(7, 0), attempt(&one, 7));
    }
}
