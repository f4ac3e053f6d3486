//! Adds encoded blocks of asserted facts to an attempt's staged facts.

use entail_logic::fixpoint::StagedFacts;
use entail_model::{Direction, Fault};
use entail_proto::convert;
use entail_proto::internal::StagedBlock;

/// Adds the facts of a block.
///
/// # Errors
/// `Corrupt` for truncated pairs, and for unknown directions.
pub fn add_block(facts: &mut StagedFacts, block: &StagedBlock) -> Result<(), Fault> {
    let copies: Vec<Direction> = convert::copies(block.copies)?.collect();
    let relation = convert::relation(block.graph, block.predicate);
    facts.add(relation, &copies, convert::pairs(&block.pairs)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::{Relation, TermId};

    #[test]
    fn what_is_damaged_is_refused() {
        let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: TermId(4) };
        let whole = convert::staged_block(relation, &[Direction::Forward], &[(TermId(1), TermId(2))]);
        let cut = StagedBlock { pairs: whole.pairs.slice(..15), ..whole.clone() };
        let mut facts = StagedFacts::default();
        add_block(&mut facts, &whole).expect("whole");
        assert_eq!(facts.take().len(), 1);
        for damaged in [cut, StagedBlock { copies: 0, ..whole.clone() }, StagedBlock { copies: 4, ..whole }] {
            assert!(add_block(&mut facts, &damaged).is_err(), "{damaged:?}");
        }
        assert!(facts.take().is_empty());
    }
}
