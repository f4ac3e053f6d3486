//! The plan of a leaf: a union of plans, and the coordinator's processing of its rows.

use crate::plan::union::UnionPlan;
use crate::rewrite::fold::Fold;
use oxrdf::Variable;
use std::sync::Arc;

/// The plan of a leaf.
pub struct LeafPlan {
    pub union: Arc<UnionPlan>,
    /// The columns of the leaf's output.
    pub variables: Arc<[Variable]>,
    /// For each column, whether expressions of the coordinator read its terms.
    pub texts: Vec<bool>,
    /// The output of the leaf: its rows, or a fold of them.
    pub fold: Option<Fold>,
}

impl LeafPlan {
    /// The rows of a union, whose terms no expression reads.
    pub fn of(union: &Arc<UnionPlan>) -> Self {
        let texts = vec![false; union.variables.len()];
        Self { union: Arc::clone(union), variables: union.variables.clone().into(), texts, fold: None }
    }
}
