//! The digest of a node's facts, and counts: over what an attempt adds and removes, independent of how it is divided into
//! runs.
//!
//! The digest of an epoch is the sum of *h* over both copies of every fact of the closure, and of *h'* over both copies of
//! every asserted fact. So it depends on the facts and their marks alone, not on the history of either: a fact that was
//! derived and then asserted counts as one that was asserted and is entailed. Facts of an `Asserted` run count *h + h'*, those
//! of a `Derived` run *h*, those of a `Promoted` run *h'*. A sum can be added to and taken from: each seal costs one addition
//! beside the sums over its own facts.

use super::schema::{Column, Counts};
use entail_logic::columns::{Chunk, Run, pairs};
use entail_model::{Direction, Fault, Mark, Relation, ShardId, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign, Neg};

/// A digest, or a difference of two, in parts by the mark of the runs: a rebuild drops derived and promoted runs without
/// reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    parts: [u64; 3],
}

impl Digest {
    /// A digest with one part.
    pub fn of(mark: Mark, sum: u64) -> Self {
        let mut parts = [0; 3];
        parts[mark as usize] = sum;
        Self { parts }
    }

    /// The digest as one number, which does not depend on the division into runs.
    pub fn total(&self) -> u64 {
        self.parts.iter().copied().fold(0, u64::wrapping_add)
    }

    /// What is left when all derived and promoted runs go.
    pub fn of_asserted_runs(&self) -> Self {
        Self::of(Mark::Asserted, self.parts[Mark::Asserted as usize])
    }
}

impl Add for Digest {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { parts: [0, 1, 2].map(|part| self.parts[part].wrapping_add(other.parts[part])) }
    }
}

impl Neg for Digest {
    type Output = Self;

    fn neg(self) -> Self {
        Self { parts: self.parts.map(u64::wrapping_neg) }
    }
}

/// A change of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountChange {
    pub asserted: i64,
    pub derived: i64,
    pub promoted: i64,
}

impl CountChange {
    /// A change of the pairs of one mark.
    pub fn of(mark: Mark, count: i64) -> Self {
        let if_mark = |other| if mark == other { count } else { 0 };
        Self { asserted: if_mark(Mark::Asserted), derived: if_mark(Mark::Derived), promoted: if_mark(Mark::Promoted) }
    }
}

impl AddAssign for CountChange {
    fn add_assign(&mut self, other: Self) {
        self.asserted += other.asserted;
        self.derived += other.derived;
        self.promoted += other.promoted;
    }
}

impl Neg for CountChange {
    type Output = Self;

    fn neg(self) -> Self {
        Self { asserted: -self.asserted, derived: -self.derived, promoted: -self.promoted }
    }
}

impl Counts {
    /// Facts that users asserted.
    pub fn facts_asserted(&self) -> u64 {
        self.asserted + self.promoted
    }

    /// Facts that are only derived.
    pub fn facts_derived(&self) -> u64 {
        self.derived.saturating_sub(self.promoted)
    }

    /// So many pairs of a mark.
    pub fn of(mark: Mark, count: u64) -> Self {
        let if_mark = |other| if mark == other { count } else { 0 };
        Self { asserted: if_mark(Mark::Asserted), derived: if_mark(Mark::Derived), promoted: if_mark(Mark::Promoted) }
    }

    /// The counts after a change; `None` if a number would be less than zero.
    pub fn changed(self, change: CountChange) -> Option<Self> {
        Some(Self {
            asserted: self.asserted.checked_add_signed(change.asserted)?,
            derived: self.derived.checked_add_signed(change.derived)?,
            promoted: self.promoted.checked_add_signed(change.promoted)?,
        })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.asserted += other.asserted;
        self.derived += other.derived;
        self.promoted += other.promoted;
    }
}

/// The digest over some facts, and their counts by the subject's home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub digest: Digest,
    pub facts: BTreeMap<ShardId, CountChange>,
}

impl Totals {
    /// The totals of a run's pairs as pairs of a mark. Terms have none: different facts have different ids.
    pub fn of(column: Column, mark: Mark, run: &Run) -> Result<Self, Fault> {
        let mut totals = Self::default();
        let Column::Facts(relation, copy) = column else { return Ok(totals) };
        let weight = weight(relation, copy, mark);
        for chunk in &run.chunks {
            totals.digest = totals.digest + Digest::of(mark, chunk.sum()?.wrapping_mul(weight));
            if copy == Direction::Forward {
                totals.count(mark, chunk)?;
            }
        }
        Ok(totals)
    }

    /// Counts facts at their subjects' homes.
    fn count(&mut self, mark: Mark, chunk: &Chunk) -> Result<(), Fault> {
        let mut add = |home: Option<ShardId>, count: u64| {
            if let Some(home) = home {
                *self.facts.entry(home).or_default() += CountChange::of(mark, count as i64);
            }
        };
        let home = chunk.first.0.home();
        if home == chunk.last.0.home() {
            add(home, chunk.len);
            return Ok(());
        }
        chunk
            .pairs()?
            .chunk_by(|a, b| a.0.home() == b.0.home())
            .for_each(|here| add(here[0].0.home(), here.len() as u64));
        Ok(())
    }

    /// Adds totals of other facts.
    pub fn add(&mut self, other: Self) {
        self.digest = self.digest + other.digest;
        other.facts.into_iter().for_each(|(shard, change)| *self.facts.entry(shard).or_default() += change);
    }

    /// Takes away the totals of facts that are removed.
    pub fn take(&mut self, gone: Self) {
        let facts = gone.facts.into_iter().map(|(shard, change)| (shard, -change)).collect();
        self.add(Self { digest: -gone.digest, facts });
    }
}

/// The factor of the sums over a column's runs of a mark: odd where it can be, so that no information is lost.
fn weight(relation: Relation, copy: Direction, mark: Mark) -> u64 {
    let number = |part: u64| {
        let which = (copy as u64) << 1 | part;
        pairs::sum(&[(TermId(relation.graph.0 ^ which << 52), relation.predicate)])
    };
    let closure = || number(0) | 1;
    let asserted = || (number(1) | 1) << 1;
    match mark {
        Mark::Asserted => closure().wrapping_add(asserted()),
        Mark::Derived => closure(),
        Mark::Promoted => asserted(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::columns::Pair;
    use entail_model::TermKind;
    use proptest::prelude::*;

    const COLUMN: Column =
        Column::Facts(Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) }, Direction::Forward);

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        let id = |shard, local| TermId::dictionary(ShardId(shard), local, TermKind::Iri);
        prop::collection::btree_set((0u16..4, 0u64..50, 0u64..50), 2..100)
            .prop_map(move |set| set.into_iter().map(|(shard, a, b)| (id(shard, a), id(1, b))).collect())
    }

    fn total(pieces: &[&[Pair]], mark: Mark) -> Totals {
        let mut total = Totals::default();
        for piece in pieces {
            let Some(run) = Run::resident(mark, piece.to_vec()) else { continue };
            total.add(Totals::of(COLUMN, mark, &run).expect("in memory"));
        }
        total
    }

    proptest! {
        #[test]
        fn how_facts_are_cut_does_not_matter_but_what_they_are(pairs in pairs(), cut in any::<prop::sample::Index>()) {
            let whole = total(&[&pairs], Mark::Asserted);
            let (left, right) = pairs.split_at(cut.index(pairs.len()));
            prop_assert_eq!(&total(&[right, left], Mark::Asserted), &whole);
            prop_assert_ne!(total(&[&pairs[1..]], Mark::Asserted).digest.total(), whole.digest.total());
            prop_assert_ne!(total(&[&pairs], Mark::Derived).digest.total(), whole.digest.total());
            for (shard, change) in &whole.facts {
                let here = pairs.iter().filter(|pair| pair.0.home() == Some(*shard)).count() as i64;
                prop_assert_eq!(*change, CountChange::of(Mark::Asserted, here));
            }
        }

        #[test]
        fn how_facts_came_to_be_does_not_matter(pairs in pairs(), cut in any::<prop::sample::Index>()) {
            let (gone, left) = pairs.split_at(cut.index(pairs.len()));
            let mut rest = total(&[&pairs], Mark::Asserted);
            rest.take(total(&[gone], Mark::Asserted));
            rest.facts.retain(|_, change| *change != CountChange::default());
            prop_assert_eq!(&rest, &total(&[left], Mark::Asserted), "what was there before");
            let mut promoted = total(&[&pairs], Mark::Derived);
            promoted.add(total(&[&pairs], Mark::Promoted));
            prop_assert_eq!(promoted.digest.total(), total(&[&pairs], Mark::Asserted).digest.total());
        }
    }

    #[test]
    fn counts_do_not_wrap() {
        let counts = Counts { asserted: 2, derived: 1, promoted: 1 };
        let less = |mark, count: i64| counts.changed(CountChange::of(mark, -count));
        assert_eq!(less(Mark::Asserted, 2), Some(Counts { asserted: 0, ..counts }));
        assert_eq!((less(Mark::Asserted, 3), less(Mark::Derived, 2), less(Mark::Promoted, 2)), (None, None, None));
    }
}
