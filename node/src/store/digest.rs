//! The digest and counts of an attempt: the digest is over the facts that it adds, and does not depend on their division
//! into runs.

use super::schema::{Column, Counts};
use entail_logic::columns::{Chunk, Run, pairs};
use entail_model::{Direction, Fault, Mark, Relation, ShardId, TermId};
use std::collections::BTreeMap;

/// Sums over runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub digest: u64,
    pub facts: BTreeMap<ShardId, Counts>,
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
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.asserted += other.asserted;
        self.derived += other.derived;
        self.promoted += other.promoted;
    }
}

impl Digest {
    /// Adds a run of a column. Runs of terms are left out: different facts have different ids.
    pub fn add(&mut self, column: Column, run: &Run) -> Result<(), Fault> {
        let Column::Facts(relation, copy) = column else { return Ok(()) };
        let weight = weight(relation, copy, run.mark);
        for chunk in &run.chunks {
            self.digest = self.digest.wrapping_add(chunk.sum()?.wrapping_mul(weight));
            if copy == Direction::Forward {
                self.count(run.mark, chunk)?;
            }
        }
        Ok(())
    }

    /// Counts facts at their subjects' homes.
    fn count(&mut self, mark: Mark, chunk: &Chunk) -> Result<(), Fault> {
        let mut add = |home: Option<ShardId>, count: u64| {
            if let Some(home) = home {
                *self.facts.entry(home).or_default() += Counts::of(mark, count);
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

    /// Adds another digest.
    pub fn merge(&mut self, other: Self) {
        self.digest = self.digest.wrapping_add(other.digest);
        other.facts.into_iter().for_each(|(shard, counts)| *self.facts.entry(shard).or_default() += counts);
    }
}

/// The factor of a column's sums in the digest: odd, so that no information is lost.
fn weight(relation: Relation, copy: Direction, mark: Mark) -> u64 {
    let marks = (copy as u64) << 2 | mark as u64;
    pairs::sum(&[(TermId(relation.graph.0 ^ marks << 52), relation.predicate)]) | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_logic::columns::Pair;
    use entail_model::TermKind;
    use proptest::prelude::*;

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        let id = |shard, local| TermId::dictionary(ShardId(shard), local, TermKind::Iri);
        prop::collection::btree_set((0u16..4, 0u64..50, 0u64..50), 2..100)
            .prop_map(move |set| set.into_iter().map(|(shard, a, b)| (id(shard, a), id(1, b))).collect())
    }

    fn total(pieces: &[&[Pair]], mark: Mark) -> Digest {
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
        let mut total = Digest::default();
        for piece in pieces {
            let Some(run) = Run::resident(mark, piece.to_vec()) else { continue };
            total.add(Column::Facts(relation, Direction::Forward), &run).expect("in memory");
        }
        total
    }

    proptest! {
        #[test]
        fn how_facts_are_cut_does_not_matter_but_what_they_are(pairs in pairs(), cut in any::<prop::sample::Index>()) {
            let whole = total(&[&pairs], Mark::Asserted);
            let (left, right) = pairs.split_at(cut.index(pairs.len()));
            prop_assert_eq!(&total(&[right, left], Mark::Asserted), &whole);
            prop_assert_ne!(total(&[&pairs[1..]], Mark::Asserted).digest, whole.digest);
            prop_assert_ne!(total(&[&pairs], Mark::Derived).digest, whole.digest);
            for (shard, counts) in &whole.facts {
                let here = pairs.iter().filter(|pair| pair.0.home() == Some(*shard)).count();
                prop_assert_eq!((counts.facts_asserted(), counts.facts_derived()), (here as u64, 0));
            }
        }
    }
}
