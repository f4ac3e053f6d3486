//! Relations that are kept as a matrix during an attempt, beside their runs or instead of them.
//!
//! A matrix tells at once whether a candidate is new, so nothing has to be subtracted. Where no plan reads a copy's facts
//! once they are not new any more, they are in the matrix alone, and become a run when the attempt ends. Heads that go to
//! other nodes have a matrix as well, so that each goes once; and so have in copies that nobody reads (`inward.rs`).
//!
//! # Invariants
//! - A relation's matrix holds every fact of the out copy: base, settled, published, pending, recent.
//! - Facts that are in a matrix alone are in none of the copy's runs, recent ones apart.
//! - What is in the matrix of sent heads has been given to the outbox, in this attempt: it need not go again.

use super::inward::Inward;
use super::state::State;
use crate::columns::blocks::Blocks;
use crate::columns::matrix::{Matrix, Row};
use crate::columns::run::CHUNK_PAIRS;
use crate::columns::spine::{RunWriter, Spill};
use crate::columns::{Pair, Run, pairs};
use entail_model::{Copy, Fault, Mark, Relation, TermId};
use std::sync::Arc;

/// Candidates of a relation from which on a matrix may be worth its making.
pub const CANDIDATES_MIN: u64 = 1 << 16;

/// Steps with candidates that tell recursion from a rule that fires once.
const STEPS_MIN: u32 = 3;

/// A matrix may take so many bytes, and some more for each fact: twice what its pairs take in one run. A recursion that
/// has gone on for long will go on, so its steps count as well, squared.
const BYTES_FREE: u64 = 16 << 20;
const BYTES_A_FACT: u64 = 2 * size_of::<Pair>() as u64;
const BYTES_A_STEP: u64 = 256 << 10;

/// What is known of a relation that may become dense.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offered {
    candidates: u64,
    steps: u32,
    /// So many candidates have to come before it is looked at again.
    wait: u64,
    /// What a matrix was thought to take: values are told by samples, which may be of different ones.
    bytes: u64,
}

impl Offered {
    /// Will a matrix of so many facts be asked often enough? What has gone on for so many steps, of which the last had
    /// `count` candidates, will go on for about as many; a few facts that come late by another rule are no recursion.
    fn pays(&self, count: u64, facts: u64) -> bool {
        let expected = count.saturating_mul(u64::from(self.steps)) / 2 * 3;
        self.steps >= STEPS_MIN && self.candidates.min(expected) >= facts
    }
}

/// A relation's matrices.
#[derive(Debug)]
pub struct Dense {
    pub(super) facts: Matrix,
    /// Heads that other nodes have been sent.
    sent: Matrix,
    /// In copies that come from everywhere, where nobody reads them.
    pub(super) into: Option<Inward>,
    /// By copy: are its facts in a matrix alone, and how many are.
    alone: [bool; 2],
    pub(super) unlisted: [u64; 2],
}

/// How a node keeps a relation.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// By copy: does a matrix need no runs beside it? Of in copies that is so where they are at home with their facts.
    pub alone: [bool; 2],
    /// Do in copies come from other nodes, for nobody to read?
    pub collects_in: bool,
}

impl Dense {
    /// The row of a head's subject, of facts or of what has been sent.
    pub fn row(&self, subject: TermId) -> Option<Row<'_>> {
        let mut rows = [&self.facts, &self.sent].into_iter().filter_map(|matrix| matrix.row(subject));
        rows.find(|row| !row.is_empty())
    }

    /// Bytes of the matrices.
    pub(super) fn matrices(&self) -> u64 {
        self.facts.bytes() + self.sent.bytes() + self.into.as_ref().map_or(0, |inward| inward.here.bytes())
    }

    /// The same with what is remembered of them: which facts have given their in copies away.
    fn bytes(&self) -> u64 {
        self.matrices() + if self.into.is_some() { self.facts.bytes() } else { 0 }
    }

    /// Writes what is in the matrix alone as a run.
    fn list(&self, copy: Copy, known: &[Arc<Run>], spill: &Spill) -> Result<Option<Run>, Fault> {
        let mut writer = RunWriter::new(Mark::Derived, self.unlisted[copy as usize], spill);
        let mut buffer: Vec<Pair> = Vec::new();
        let mut write = |buffer: &mut Vec<Pair>| {
            let new = known.iter().try_fold(std::mem::take(buffer), |rest, run| run.subtract_from(rest))?;
            writer.extend(&new)
        };
        let mut visit = |pairs: &mut Vec<Pair>| {
            buffer.extend_from_slice(pairs);
            if buffer.len() >= CHUNK_PAIRS { write(&mut buffer) } else { Ok(()) }
        };
        match (copy, &self.into) {
            (Copy::Out, _) => self.facts.by_keys(&mut visit)?,
            (Copy::In, Some(inward)) => inward.here.by_keys(&mut visit)?,
            (Copy::In, None) => self.facts.by_values(&mut visit)?,
        }
        write(&mut buffer)?;
        writer.finish()
    }
}

impl State {
    /// Moves what is recent of copies that are in a matrix alone out of the runs.
    pub(super) fn forget_recent(&mut self) {
        for (relation, dense) in &mut self.dense {
            for copy in Copy::BOTH.into_iter().filter(|copy| dense.alone[*copy as usize]) {
                let Some(copies) = self.relations.get_mut(relation) else { continue };
                let recent = copies[copy as usize].recent_pending.take();
                dense.unlisted[copy as usize] += recent.map_or(0, |run| run.len);
            }
        }
    }

    /// Adds facts that are in the matrix, of a copy that nobody reads.
    pub fn add_unlisted(&mut self, relation: Relation, copy: Copy, facts: u64) {
        if let Some(dense) = self.dense.get_mut(&relation) {
            dense.unlisted[copy as usize] += facts;
        }
    }

    /// Is a copy's matrix all that its facts need?
    pub fn is_alone(&self, relation: Relation, copy: Copy) -> bool {
        self.dense.get(&relation).is_some_and(|dense| dense.alone[copy as usize])
    }

    /// The matrices of a relation that has any.
    pub fn dense(&self, relation: Relation) -> Option<&Dense> {
        self.dense.get(&relation)
    }

    /// Is anything kept as a matrix?
    pub fn has_matrices(&self) -> bool {
        !self.dense.is_empty()
    }

    /// Bytes that the matrices of a relation with so many facts may take: with all others no more than three quarters of
    /// what an attempt has, and `times` that, where they are kept so often.
    pub(super) fn matrix_max(&self, relation: Relation, facts: u64, times: u64) -> u64 {
        let others = self.dense.iter().filter(|(other, _)| **other != relation);
        let others: u64 = others.map(|(_, dense)| dense.bytes()).sum();
        let share = match self.spill.store {
            Some(_) => {
                self.held_max.saturating_sub(self.held_in_spread).saturating_mul(size_of::<Pair>() as u64) / 4 * 3
            }
            None => u64::MAX,
        };
        let steps = self.offered.get(&relation).map_or(0, |offered| u64::from(offered.steps));
        let worth = BYTES_FREE + facts * BYTES_A_FACT + steps * steps * BYTES_A_STEP;
        worth.min(share.saturating_sub(others) / times)
    }

    /// How often a dense relation's facts are kept.
    pub(super) fn times(&self, relation: Relation) -> u64 {
        1 + u64::from(self.dense.get(&relation).is_some_and(|dense| dense.into.is_some()))
    }

    /// Makes a matrix for a relation, if that is worth it.
    pub fn consider(&mut self, relation: Relation, candidates: &[&Vec<Pair>], keeping: Keeping) -> Result<(), Fault> {
        let count: u64 = candidates.iter().map(|pairs| pairs.len() as u64).sum();
        let offered = self.offered.entry(relation).or_default();
        offered.candidates += count;
        offered.steps += 1;
        let offered = *offered;
        let Offered { candidates: all, wait, bytes: before, .. } = offered;
        // What grows like this is soon as much as one node alone would look for.
        let from = if count >= all / 2 { self.dense_from.div_ceil(self.nodes) } else { self.dense_from };
        if self.dense.contains_key(&relation) || all < wait.max(from) {
            return Ok(());
        }
        let runs = self.runs_of(relation, Copy::Out);
        let facts = runs.iter().map(|run| run.len).sum::<u64>();
        if self.dense_from > 0 && !offered.pays(count, facts) {
            return Ok(());
        }
        let keys = runs.iter().map(|run| run.keys).max().unwrap_or(0);
        let Keeping { alone, collects_in } = keeping;
        let max = self.matrix_max(relation, facts, 1 + u64::from(collects_in));
        // What is turned about for other nodes goes by whole pages.
        let values = values_of(&runs, candidates)?;
        let (empty, bytes) = match collects_in {
            true => Matrix::for_blocks(keys, &values),
            false => Matrix::for_values(keys, &values),
        };
        let bytes = bytes.max(before);
        let made = match bytes <= max {
            true => matrix_of(empty, &runs, max)?,
            false => None,
        };
        match made {
            Some(facts) => {
                let mut unlisted = [0; 2];
                for copy in Copy::BOTH.into_iter().filter(|copy| alone[*copy as usize]) {
                    unlisted[copy as usize] = self.forget_found(relation, copy)?;
                }
                let into = collects_in.then(|| Inward::new(&facts));
                self.dense.insert(relation, Dense { facts, sent: Matrix::default(), into, alone, unlisted });
            }
            None => {
                let offered = self.offered.entry(relation).or_default();
                (offered.wait, offered.bytes) = (all + all / 4, bytes);
            }
        }
        self.measure_matrices();
        Ok(())
    }

    /// Adds candidates to a relation's matrix, those of each list to what is claimed of it. False, and nothing is added,
    /// if they do not all fit: then there is no matrix any more, and what is claimed is new to the relation's runs.
    pub fn claim_rest(&mut self, relation: Relation, lists: &mut [(Vec<Pair>, Vec<Pair>)]) -> Result<bool, Fault> {
        let unlisted = self.dense.get(&relation).map_or(0, |dense| dense.unlisted[Copy::Out as usize]);
        let listed = self.runs_of(relation, Copy::Out).iter().map(|run| run.len).sum::<u64>();
        let max = self.matrix_max(relation, listed + unlisted, self.times(relation));
        let Some(dense) = self.dense.get_mut(&relation) else { return Ok(false) };
        // All matrices of a relation have one allowance.
        let max = max.saturating_sub(dense.matrices() - dense.facts.bytes());
        if !lists.iter().all(|(_, rest)| dense.facts.place(rest, max)) {
            self.dissolve(relation, lists)?;
            return Ok(false);
        }
        // One list after the other: what several have is the first one's.
        for (claimed, rest) in lists {
            let more = dense.facts.claim_all(rest);
            claimed.extend(more);
            *rest = Vec::new();
        }
        self.measure_matrices();
        Ok(true)
    }

    /// Drops of heads for other nodes what has been sent before; false if that is not known of all.
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

    /// Gives up a relation's matrix: what is in it alone becomes runs, but for what has just been claimed.
    fn dissolve(&mut self, relation: Relation, lists: &[(Vec<Pair>, Vec<Pair>)]) -> Result<(), Fault> {
        let mut claimed: Vec<Pair> = lists.iter().flat_map(|(claimed, _)| claimed).copied().collect();
        pairs::sort_distinct(&mut claimed);
        let mut turned: Vec<Pair> = claimed.iter().map(|(key, value)| (*value, *key)).collect();
        pairs::sort_distinct(&mut turned);
        if let Some(Dense { facts, into: Some(inward), .. }) = self.dense.get_mut(&relation) {
            let mut owed = Blocks::default();
            inward.give(facts, |keys, values, words| {
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

    /// Makes runs of everything that is in matrices alone, and gives the matrices up.
    pub fn list_all(&mut self) -> Result<(), Fault> {
        let relations: Vec<Relation> = self.dense.keys().copied().collect();
        for relation in relations {
            let listed = self.listed(relation, [Vec::new(), Vec::new()])?;
            // Before its runs need room.
            self.dense.remove(&relation);
            self.measure_matrices();
            self.add_listed(relation, listed)?;
        }
        Ok(())
    }

    /// Runs of what is in a relation's matrix alone, but for these pairs of each copy.
    fn listed(&mut self, relation: Relation, but: [Vec<Pair>; 2]) -> Result<[Option<Run>; 2], Fault> {
        let known = Copy::BOTH.map(|copy| {
            let mut runs = self.runs_of(relation, copy);
            runs.extend(Run::resident(Mark::Derived, but[copy as usize].clone()));
            runs
        });
        let Some(dense) = self.dense.get_mut(&relation) else { return Ok([None, None]) };
        let list = |copy: Copy| match dense.unlisted[copy as usize] {
            0 => Ok(None),
            _ => dense.list(copy, &known[copy as usize], &self.spill),
        };
        let (out, into) = rayon::join(|| list(Copy::Out), || list(Copy::In));
        dense.unlisted = [0; 2];
        Ok([out?, into?])
    }

    fn add_listed(&mut self, relation: Relation, listed: [Option<Run>; 2]) -> Result<(), Fault> {
        for (copy, run) in Copy::BOTH.into_iter().zip(listed) {
            if let Some(run) = run {
                self.add_pending(relation, copy, Arc::new(run))?;
            }
        }
        Ok(())
    }

    pub(super) fn measure_matrices(&mut self) {
        let bytes: u64 = self.dense.values().map(Dense::bytes).sum();
        self.held_in_matrices = bytes / size_of::<Pair>() as u64;
    }
}

/// The values of candidates and of some of the facts.
fn values_of(runs: &[Arc<Run>], candidates: &[&Vec<Pair>]) -> Result<Vec<TermId>, Fault> {
    let mut values = Vec::new();
    for run in runs {
        values.extend(run.chunks[0].pairs()?.iter().take(CHUNK_PAIRS).map(|pair| pair.1));
    }
    values.extend(candidates.iter().flat_map(|pairs| pairs.iter()).map(|pair| pair.1));
    Ok(values)
}

/// The pairs of runs as a matrix; none if that takes too much.
fn matrix_of(empty: Matrix, runs: &[Arc<Run>], bytes_max: u64) -> Result<Option<Matrix>, Fault> {
    let mut matrix = empty;
    // Before there are rows, so that each has all columns.
    let mut fits = true;
    for run in runs {
        run.for_each_piece(|piece| {
            // Values that are scattered take as much room as facts do.
            fits = fits && matrix.bytes() <= bytes_max;
            if fits {
                matrix.place_values(piece);
            }
            Ok(())
        })?;
    }
    for run in runs {
        run.for_each_piece(|piece| {
            fits = fits && matrix.place(piece, bytes_max);
            if fits {
                piece.iter().for_each(|pair| _ = matrix.insert(*pair));
            }
            Ok(())
        })?;
        if !fits {
            return Ok(None);
        }
    }
    Ok(Some(matrix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step from which on a matrix pays, of candidates that are all new.
    fn pays_at(counts: impl IntoIterator<Item = u64>) -> Option<u32> {
        let (mut offered, mut facts) = (Offered::default(), 0);
        let mut counts = counts.into_iter();
        counts.find_map(|count| {
            offered.candidates += count;
            offered.steps += 1;
            let pays = offered.candidates >= CANDIDATES_MIN && offered.pays(count, facts);
            facts += count;
            pays.then_some(offered.steps)
        })
    }

    #[test]
    fn recursion_pays_and_a_few_late_facts_do_not() {
        // The closure of a chain, of a grid, and of a random graph.
        assert_eq!(pays_at((0..2000).map(|step| 2000 - step)), Some(34));
        assert_eq!(pays_at((1..200).map(|step| step * 10_000)), Some(4));
        assert_eq!(pays_at([12_000, 41_000, 140_000, 470_000]), Some(3));
        // What follows from many facts, and once more from the few that another rule has added to them.
        assert_eq!(pays_at([528_402, 36_340, 36_340]), None);
        assert_eq!(pays_at([36_340, 528_402, 36_340, 0]), None);
    }
}
