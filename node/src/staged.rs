//! Gives the content of staged messages to an attempt, encoded or by reference.

use crate::attempt::Intake;
use entail_logic::fixpoint::StagedEffect;
use entail_model::{Direction, Fault, TermId};
use entail_node_api::{OperationFacts, StagedChange, StagedFacts, wire};
use entail_proto::convert;
use entail_proto::internal::stage_request::Graphs;
use entail_proto::internal::{StageRequest, StagedBlock, StagedOperation, TransferGraph};

/// Gives the content of an encoded message. Its blocks are not copied.
///
/// # Errors
/// `Corrupt` and `InvalidRequest` for a message that does not decode; those of the intake.
pub fn request(intake: &mut Intake<'_>, request: &StageRequest) -> Result<(), Fault> {
    let operation = request.operation;
    if !request.operations.is_empty() {
        intake.count_each();
    }
    for StagedOperation { operation, removed, added } in &request.operations {
        for (effect, blocks) in [(StagedEffect::Removed, removed), (StagedEffect::Added, added)] {
            blocks.iter().try_for_each(|block| add_block(intake, (Some(*operation), effect), block))?;
        }
    }
    match &request.graphs {
        Some(Graphs::Clear(clear)) => intake.clear(operation, wire::graphs(clear)?)?,
        Some(Graphs::Transfer(TransferGraph { from, to })) => {
            intake.transfer(operation, TermId(*from), TermId(*to))?;
        }
        None => {}
    }
    for (effect, blocks) in [(StagedEffect::Removed, &request.removed), (StagedEffect::Added, &request.blocks)] {
        for block in blocks {
            add_block(intake, (operation, effect), block)?;
        }
    }
    Ok(())
}

/// Gives the content of a message of this process.
///
/// # Errors
/// Those of the intake.
pub fn change(intake: &mut Intake<'_>, operation: Option<u32>, change: &StagedChange) -> Result<(), Fault> {
    match change {
        StagedChange::Facts { removed, added } => add_facts(intake, operation, removed, added),
        StagedChange::Group(operations) => {
            intake.count_each();
            operations.iter().try_for_each(|of| {
                let OperationFacts { operation, removed, added } = of;
                add_facts(intake, Some(*operation), removed, added)
            })
        }
        StagedChange::Clear(graphs) => intake.clear(operation, *graphs),
        StagedChange::Transfer { from, to } => intake.transfer(operation, *from, *to),
    }
}

fn add_facts(
    intake: &mut Intake<'_>,
    operation: Option<u32>,
    removed: &[StagedFacts],
    added: &[StagedFacts],
) -> Result<(), Fault> {
    for (effect, facts) in [(StagedEffect::Removed, removed), (StagedEffect::Added, added)] {
        for StagedFacts { relation, copies, pairs } in facts {
            intake.facts((operation, effect), (*relation, copies), pairs.iter().copied())?;
        }
    }
    Ok(())
}

/// Gives the facts of a block.
fn add_block(intake: &mut Intake<'_>, place: (Option<u32>, StagedEffect), block: &StagedBlock) -> Result<(), Fault> {
    let copies: Vec<Direction> = convert::copies(block.copies)?.collect();
    let relation = convert::relation(block.graph, block.predicate);
    intake.facts(place, (relation, &copies), convert::pairs(&block.pairs)?)
}
