//! Filters: expressions over rows.
//!
//! Expressions are sent as programs and prepared once per plan. They see terms as stored: a batch has their ids, and the
//! texts of those that the expression reads.

use super::{Batch, Scope};
use crate::plan::{Condition, Op, Plan};
use entail_expression::{Budget, Columns, Context, Evaluator, Program, Source};
use entail_model::Fault;
use std::collections::HashMap;

/// Bytes of the strings that a filter may hold at a time. It evaluates up to 1,024 rows at once, fewer of long texts.
const STRINGS_BYTES_MAX: u64 = 64 << 20;

/// The prepared conditions of some plans.
#[derive(Default)]
pub struct Conditions {
    evaluators: HashMap<Program, Evaluator>,
}

impl Conditions {
    /// Prepares every condition of the plans.
    ///
    /// # Errors
    /// `Corrupt` for a damaged program.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Result<Self, Fault> {
        let mut evaluators = HashMap::new();
        let ops = plans.into_iter().flat_map(|plan| &plan.stages).flat_map(|stage| &stage.ops);
        let conditions = ops.flat_map(|op| match op {
            Op::Filter(condition) => std::slice::from_ref(condition),
            Op::AntiMatch { conditions, .. } => conditions,
            Op::Match { .. } | Op::Intersect { .. } | Op::Resolve { .. } => &[],
        });
        for Condition { program } in conditions {
            if !evaluators.contains_key(program) {
                evaluators.insert(program.clone(), Evaluator::new(program.clone())?);
            }
        }
        Ok(Self { evaluators })
    }

    /// The indexes of the rows for which the condition's effective boolean value is true.
    ///
    /// # Errors
    /// `Cancelled` when the work must end, `LimitExceeded` when it builds strings that are too long, `Unsupported` for a
    /// regular expression that cannot be evaluated.
    pub fn keep(&self, condition: &Condition, batch: &Batch, scope: &Scope<'_>) -> Result<Vec<u32>, Fault> {
        let evaluator = self
            .evaluators
            .get(&condition.program)
            .ok_or_else(|| Fault::internal("a condition that was not prepared"))?;
        let check = || scope.check();
        evaluator.keep(&columns(batch), &Context::default(), &mut Budget::new(STRINGS_BYTES_MAX, &check))
    }
}

/// The columns of a batch, as expressions read them.
fn columns(batch: &Batch) -> Columns<'_> {
    let texts = |slot| batch.texts.get(&slot).map_or(&[][..], Vec::as_slice);
    let sources = batch.columns.iter().enumerate().map(|(slot, ids)| match ids.len() {
        0 => Source::Unbound,
        _ => Source::Ids { ids, texts: texts(slot) },
    });
    Columns { rows: batch.rows, sources: sources.collect() }
}
