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
    /// The output of the leaf: its rows, or a fold of them.
    pub fold: Option<Fold>,
    /// The expected number of rows.
    pub estimate: f64,
    /// For each column, whether it is a subject or object of the default graph in every row.
    pub nodes: Vec<bool>,
}

impl LeafPlan {
    /// The rows of a union, as they are.
    pub fn of(union: &Arc<UnionPlan>) -> Self {
        Self {
            union: Arc::clone(union),
            variables: union.variables.clone().into(),
            fold: None,
            estimate: 0.0,
            nodes: Vec::new(),
        }
    }
}
