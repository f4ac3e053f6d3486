//! Over-deletion: the heads of instances that have lost a fact or their rule.
//!
//! An instance of the old state is met once: in the step or round in which the first of its facts is deleted, since until then
//! its other facts are read as facts that are there. So all heads of lost instances are candidates, and what stays is derived
//! by instances whose facts all stay; those of the deleted facts that have such an instance too come back in the next phase.
//! This is the over-deletion of DRed (Gupta, Mumick, Subrahmanian: Maintaining Views Incrementally, SIGMOD 1993).

use super::Reasoner;
use super::accept::{Candidates, FoundFacts};
use crate::columns::{Pair, pairs};
use crate::failpoints::is_broken;
use entail_model::{Direction, Fault};

impl Reasoner {
    /// Deletes those candidates that are derived and not asserted, and sends the deletions of inverse copies to their homes.
    pub(super) fn accept_deletions(&mut self, candidates: Candidates) -> Result<FoundFacts, Fault> {
        let mut found = FoundFacts::new();
        if is_broken("over-delete") && self.derived.iter().any(|deleted| *deleted > 0) {
            return Ok(found);
        }
        for (relation, rules) in candidates {
            let mut left: Vec<Pair> = Vec::new();
            for (rule, mut pairs) in rules {
                pairs::sort_distinct(&mut pairs);
                let deleted = self.setup.state.delete_derived(relation, pairs)?;
                self.count(rule, deleted.len() as u64);
                left = if left.is_empty() { deleted } else { pairs::merge(&left, &deleted) };
            }
            if left.is_empty() {
                continue;
            }
            let here = self.send_in_copies(relation, &left)?;
            if !here.is_empty() {
                found.insert((relation, Direction::Inverse), here);
            }
            found.insert((relation, Direction::Forward), left);
        }
        Ok(found)
    }
}
