//! Scans of a node's facts, for dumps and statistics.

use crate::store::Snapshot;
use entail_logic::columns::pairs::gallop;
use entail_logic::columns::run::CHUNK_PAIRS;
use entail_logic::columns::{Pair, Run};
use entail_model::{Direction, Fault, Mark, Relation, TermId};
use entail_node_api::{Block, Scan};
use entail_proto::internal::RelationSize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most classes that are counted individually.
const CLASSES_MAX: usize = 1024;

/// The sizes of all relations of an epoch, from their runs; for `rdf_type` also the size of each class.
pub fn sizes(snapshot: &Snapshot, rdf_type: Option<TermId>) -> Result<Vec<RelationSize>, Fault> {
    let sizes = snapshot.relations.iter().map(|(relation, copies)| {
        let facts = |copy: Direction| copies[copy as usize].iter().filter(|run| run.mark != Mark::Promoted);
        let is_type = rdf_type == Some(relation.predicate);
        let classes = if is_type { classes(facts(Direction::Inverse))? } else { BTreeMap::new() };
        Ok(RelationSize {
            graph: relation.graph.0,
            predicate: relation.predicate.0,
            facts: facts(Direction::Forward).map(|run| run.len).sum(),
            subjects: facts(Direction::Forward).map(|run| run.keys).sum(),
            objects: facts(Direction::Inverse).map(|run| run.keys).sum(),
            classes: classes.keys().map(|class| class.0).collect(),
            class_facts: classes.into_values().collect(),
        })
    });
    sizes.collect()
}

/// The number of facts of each key; empty if there are too many keys.
fn classes<'r>(runs: impl Iterator<Item = &'r Arc<Run>>) -> Result<BTreeMap<TermId, u64>, Fault> {
    let mut classes = BTreeMap::new();
    for run in runs {
        for chunk in &run.chunks {
            // A chunk of one class need not be read.
            if chunk.first.0 == chunk.last.0 {
                *classes.entry(chunk.first.0).or_default() += chunk.len;
                continue;
            }
            let pairs = chunk.pairs()?;
            let mut rest = &pairs[..];
            while let Some((class, _)) = rest.first().copied() {
                let facts = gallop(rest, |pair| pair.0 == class);
                *classes.entry(class).or_default() += facts as u64;
                rest = &rest[facts..];
            }
            if classes.len() > CLASSES_MAX {
                return Ok(BTreeMap::new());
            }
        }
    }
    Ok(classes)
}

/// Sends the forward copies of the requested relations and marks, in blocks.
pub fn facts(snapshot: &Snapshot, scan: Scan, send: &mut dyn FnMut(Block) -> Result<(), Fault>) -> Result<(), Fault> {
    for (relation, copies) in snapshot.relations.iter() {
        if scan.graph.is_some_and(|graph| relation.graph != graph) {
            continue;
        }
        let runs = &copies[Direction::Forward as usize];
        let of = |mark: Mark| runs.iter().filter(move |run| run.mark == mark);
        if scan.asserted {
            for run in of(Mark::Asserted).chain(of(Mark::Promoted)) {
                run.for_each_piece(|piece| send_pieces(relation, piece, send))?;
            }
        }
        if scan.derived {
            let promoted: Vec<&Arc<Run>> = of(Mark::Promoted).collect();
            for run in of(Mark::Derived) {
                run.for_each_piece(|piece| send_pieces(relation, &without(piece, &promoted)?, send))?;
            }
        }
    }
    Ok(())
}

fn without(piece: &[Pair], promoted: &[&Arc<Run>]) -> Result<Vec<Pair>, Fault> {
    promoted.iter().try_fold(piece.to_vec(), |rest, run| run.subtract_from(rest))
}

fn send_pieces(
    relation: Relation,
    piece: &[Pair],
    send: &mut dyn FnMut(Block) -> Result<(), Fault>,
) -> Result<(), Fault> {
    debug_assert!(piece.is_sorted(), "pieces of runs are sorted");
    let mut rest = piece;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(CHUNK_PAIRS));
        send(Block { relation, pairs: now.to_vec() })?;
        rest = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_unless_they_are_many() {
        let run = |pairs: Vec<(u64, u64)>| {
            let pairs = pairs.into_iter().map(|(class, subject)| (TermId(class), TermId(subject))).collect();
            Run::resident(Mark::Derived, pairs).expect("not empty")
        };
        let (first, second) = (run(vec![(1, 1), (1, 2), (4, 1)]), run(vec![(4, 2)]));
        let counted = classes([&first, &second].into_iter()).expect("in memory");
        assert_eq!(counted, BTreeMap::from([(TermId(1), 2), (TermId(4), 2)]));
        let many = run((0..=CLASSES_MAX as u64).map(|class| (class, 1)).collect());
        assert_eq!(classes([&many].into_iter()).expect("in memory"), BTreeMap::new());
    }
}
