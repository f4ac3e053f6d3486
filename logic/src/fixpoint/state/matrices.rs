//! The dense relations of an attempt: when a relation becomes dense, the memory limit of its matrices, and how they become
//! runs.

use super::State;
use crate::columns::blocks::{BitBlocks, Words};
use crate::columns::matrix::Matrix;
use crate::columns::{Pair, Run, pairs};
use crate::fixpoint::deferred_inverse::DeferredInverse;
use crate::fixpoint::dense::{CandidateHistory, Dense, Keeping, matrix_of, values_of};
use entail_model::{Direction, Fault, Mark, Relation, TermId};
use std::sync::Arc;

/// The bytes that a matrix may take: a fixed part, a part for each fact (twice what its pair takes in a run), and a part for
/// the square of the recursion's steps, since a long recursion is expected to continue.
const BYTES_FREE: u64 = 16 << 20;
const BYTES_A_FACT: u64 = 2 * size_of::<Pair>() as u64;
const BYTES_A_STEP: u64 = 256 << 10;

impl State {
    /// Drops the recent runs of matrix-only copies, whose facts are in the matrix.
    pub(super) fn forget_recent(&mut self) {
        for (relation, dense) in &mut self.dense {
            for copy in Direction::BOTH.into_iter().filter(|copy| dense.matrix_only[*copy as usize]) {
                let Some(copies) = self.relations.get_mut(relation) else { continue };
                let recent = copies[copy as usize].added.recent_pending.take();
                dense.unlisted[copy as usize] += recent.map_or(0, |run| run.len);
            }
        }
    }

    /// Counts new facts that are in the matrix only.
    pub fn add_unlisted(&mut self, relation: Relation, copy: Direction, facts: u64) {
        if let Some(dense) = self.dense.get_mut(&relation) {
            dense.unlisted[copy as usize] += facts;
        }
    }

    /// Is a copy kept in a matrix only?
    pub fn is_matrix_only(&self, relation: Relation, copy: Direction) -> bool {
        self.dense.get(&relation).is_some_and(|dense| dense.matrix_only[copy as usize])
    }

    /// The matrices of a relation, if it is dense.
    pub fn dense(&self, relation: Relation) -> Option<&Dense> {
        self.dense.get(&relation)
    }

    /// Is any relation dense?
    pub fn has_matrices(&self) -> bool {
        !self.dense.is_empty()
    }

    /// The most bytes of one matrix of a relation with `facts` facts, if each fact is kept `times` times. All matrices
    /// together may take three quarters of the attempt's memory.
    fn matrix_max(&self, relation: Relation, facts: u64, times: u64) -> u64 {
        let others = self.dense.iter().filter(|(other, _)| **other != relation);
        let others: u64 = others.map(|(_, dense)| dense.bytes()).sum();
        let share = match self.spill.store {
            Some(_) => {
                self.held_max.saturating_sub(self.held_in_broadcast).saturating_mul(size_of::<Pair>() as u64) / 4 * 3
            }
            None => u64::MAX,
        };
        let steps = self.offered.get(&relation).map_or(0, |offered| u64::from(offered.steps));
        let worth = BYTES_FREE + facts * BYTES_A_FACT + steps * steps * BYTES_A_STEP;
        worth.min(share.saturating_sub(others) / times)
    }

    /// How many times the facts of a dense relation are kept.
    fn times(&self, relation: Relation) -> u64 {
        1 + u64::from(self.dense.get(&relation).is_some_and(|dense| dense.deferred_inverse.is_some()))
    }

    /// Makes a relation dense if a matrix pays.
    pub fn consider(&mut self, relation: Relation, candidates: &[&Vec<Pair>], keeping: Keeping) -> Result<(), Fault> {
        let count: u64 = candidates.iter().map(|pairs| pairs.len() as u64).sum();
        let offered = self.offered.entry(relation).or_default();
        offered.candidates += count;
        offered.steps += 1;
        let offered = *offered;
        let CandidateHistory { candidates: all, wait, bytes: before, .. } = offered;
        // A relation that grows this fast soon has as many candidates at this node as it would have at a single node.
        let from = if count >= all / 2 { self.dense_from.div_ceil(self.nodes) } else { self.dense_from };
        if self.dense.contains_key(&relation) || all < wait.max(from) {
            return Ok(());
        }
        let runs = self.runs_of(relation, Direction::Forward);
        let facts = runs.iter().map(|run| run.len).sum::<u64>();
        if self.dense_from > 0 && !offered.pays(count, facts) {
            return Ok(());
        }
        let keys = runs.iter().map(|run| run.keys).max().unwrap_or(0);
        let Keeping { matrix_only, collects_inverse } = keeping;
        let max = self.matrix_max(relation, facts, 1 + u64::from(collects_inverse));
        // Inverse copies for other nodes are made in whole pages.
        let values = values_of(&runs, candidates)?;
        let (empty, bytes) =
            if collects_inverse { Matrix::for_blocks(keys, &values) } else { Matrix::for_values(keys, &values) };
        let bytes = bytes.max(before);
        let made = if bytes <= max { matrix_of(empty, &runs, max)? } else { None };
        match made {
            Some(facts) => {
                let mut unlisted = [0; 2];
                for copy in Direction::BOTH.into_iter().filter(|copy| matrix_only[*copy as usize]) {
                    unlisted[copy as usize] = self.forget_found(relation, copy)?;
                }
                let deferred_inverse = collects_inverse.then(|| DeferredInverse::new(&facts));
                let dense = Dense { facts, sent: Matrix::default(), deferred_inverse, matrix_only, unlisted };
                self.dense.insert(relation, dense);
            }
            None => {
                let offered = self.offered.entry(relation).or_default();
                (offered.wait, offered.bytes) = (all + all / 4, bytes);
            }
        }
        self.measure_matrices();
        Ok(())
    }

    /// Adds candidates (the second part of each list) to a relation's matrix, and moves the new ones to the claimed pairs of
    /// their list. If they do not all fit, nothing is added, the matrix is dissolved, the claimed pairs are new to the
    /// relation's runs, and the result is false.
    pub fn claim_rest(&mut self, relation: Relation, lists: &mut [(Vec<Pair>, Vec<Pair>)]) -> Result<bool, Fault> {
        let unlisted = self.dense.get(&relation).map_or(0, |dense| dense.unlisted[Direction::Forward as usize]);
        let listed = self.runs_of(relation, Direction::Forward).iter().map(|run| run.len).sum::<u64>();
        let max = self.matrix_max(relation, listed + unlisted, self.times(relation));
        let Some(dense) = self.dense.get_mut(&relation) else { return Ok(false) };
        // The limit is for all matrices of the relation together.
        let max = max.saturating_sub(dense.matrices() - dense.facts.bytes());
        if !lists.iter().all(|(_, rest)| dense.facts.place(rest, max)) {
            self.dissolve(relation, lists)?;
            return Ok(false);
        }
        // One list after the other: a fact of several lists belongs to the first.
        for (claimed, rest) in lists {
            let more = dense.facts.claim_all(rest);
            claimed.extend(more);
            *rest = Vec::new();
        }
        self.measure_matrices();
        Ok(true)
    }

    /// Drops heads that have been sent to other nodes before; false if the matrix of sent heads cannot hold all heads.
    pub fn claim_sent(&mut self, relation: Relation, heads: &mut Vec<Pair>) -> bool {
        let max = self.matrix_max(relation, heads.len() as u64, self.times(relation));
        let Some(dense) = self.dense.get_mut(&relation) else { return false };
        let max = max.saturating_sub(dense.matrices() - dense.sent.bytes());
        let is_known = dense.sent.place(heads, max);
        if is_known {
            dense.sent.insert_all(heads);
        }
        self.measure_matrices();
        is_known
    }

    /// Drops a relation's matrices: matrix-only facts become runs, except for those that have just been claimed.
    fn dissolve(&mut self, relation: Relation, lists: &[(Vec<Pair>, Vec<Pair>)]) -> Result<(), Fault> {
        let mut claimed: Vec<Pair> = lists.iter().flat_map(|(claimed, _)| claimed).copied().collect();
        pairs::sort_distinct(&mut claimed);
        let mut turned: Vec<Pair> = claimed.iter().map(|(key, value)| (*value, *key)).collect();
        pairs::sort_distinct(&mut turned);
        if let Some(Dense { facts, deferred_inverse: Some(inverse), .. }) = self.dense.get_mut(&relation) {
            let mut owed = BitBlocks::default();
            inverse.give(facts, |keys, values, words| {
                owed.push(keys, values, words);
                Ok(())
            })?;
            let mut owed = std::mem::take(&mut owed).pairs();
            owed.retain(|pair| turned.binary_search(pair).is_err());
            self.owed.push((relation, owed));
        }
        let listed = self.listed(relation, [claimed, turned])?;
        self.dense.remove(&relation);
        self.offered.entry(relation).or_default().wait = u64::MAX;
        self.measure_matrices();
        self.add_listed(relation, listed)
    }

    /// Makes runs of all matrix-only facts, and drops all matrices.
    pub fn list_all(&mut self) -> Result<(), Fault> {
        let relations: Vec<Relation> = self.dense.keys().copied().collect();
        for relation in relations {
            let listed = self.listed(relation, [Vec::new(), Vec::new()])?;
            // Freed before its runs need the memory.
            self.dense.remove(&relation);
            self.measure_matrices();
            self.add_listed(relation, listed)?;
        }
        Ok(())
    }

    /// Runs of the matrix-only facts of a relation, by direction, except for given pairs.
    fn listed(&mut self, relation: Relation, except: [Vec<Pair>; 2]) -> Result<[Option<Run>; 2], Fault> {
        let known = Direction::BOTH.map(|copy| {
            let mut runs = self.runs_of(relation, copy);
            runs.extend(Run::resident(Mark::Derived, except[copy as usize].clone()));
            runs
        });
        let Some(dense) = self.dense.get_mut(&relation) else { return Ok([None, None]) };
        let list = |copy: Direction| match dense.unlisted[copy as usize] {
            0 => Ok(None),
            _ => dense.list(copy, &known[copy as usize], &self.spill),
        };
        let (forward, inverse) = rayon::join(|| list(Direction::Forward), || list(Direction::Inverse));
        dense.unlisted = [0; 2];
        Ok([forward?, inverse?])
    }

    fn add_listed(&mut self, relation: Relation, listed: [Option<Run>; 2]) -> Result<(), Fault> {
        for (copy, run) in Direction::BOTH.into_iter().zip(listed) {
            if let Some(run) = run {
                self.add_pending(relation, copy, Arc::new(run))?;
            }
        }
        Ok(())
    }

    /// Records that new facts, which are in the matrix, owe their inverse copies; false if the copies cannot be deferred.
    pub fn defer_inverse(&mut self, relation: Relation, facts: u64) -> bool {
        let inverse = self.dense.get_mut(&relation).and_then(|dense| dense.deferred_inverse.as_mut());
        inverse.map(|inverse| inverse.owed += facts).is_some()
    }

    /// Does any fact owe its inverse copy?
    pub fn owes_any(&self) -> bool {
        self.dense.values().any(|dense| dense.deferred_inverse.as_ref().is_some_and(|inverse| inverse.owed > 0))
    }

    /// Calls `visit` with all owed inverse copies, in blocks by object. Afterwards none is owed.
    pub fn give_inverse(
        &mut self,
        mut visit: impl FnMut(Relation, TermId, TermId, &Words) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (relation, Dense { facts, deferred_inverse, .. }) in &mut self.dense {
            let Some(inverse) = deferred_inverse else { continue };
            inverse.give(facts, |keys, values, words| visit(*relation, keys, values, words))?;
        }
        Ok(())
    }

    /// Keeps inverse copies that arrive as blocks, of facts of this node or of another. Each copy arrives once.
    pub fn keep_blocks(&mut self, relation: Relation, blocks: BitBlocks) -> Result<(), Fault> {
        let unlisted = self.dense.get(&relation).map_or(0, |dense| dense.unlisted[Direction::Inverse as usize]);
        let max = self.matrix_max(relation, unlisted, self.times(relation));
        if let Some(dense) = self.dense.get_mut(&relation)
            && dense.matrices() + blocks.bytes() <= max
            && let Some(inverse) = &mut dense.deferred_inverse
        {
            dense.unlisted[Direction::Inverse as usize] += blocks.len();
            inverse.local.add(blocks);
            self.measure_matrices();
            return Ok(());
        }
        self.keep_copies(relation, &blocks.pairs())
    }

    fn measure_matrices(&mut self) {
        let bytes: u64 = self.dense.values().map(Dense::bytes).sum();
        self.held_in_matrices = bytes / size_of::<Pair>() as u64;
    }
}
