//! The plan of a leaf: a union of plans, and what the coordinator makes of its rows.

use crate::plan::union::UnionPlan;
use crate::rewrite::fold::Fold;
use oxrdf::Variable;
use std::sync::Arc;

/// The plan of a leaf.
pub struct LeafPlan {
    pub union: Arc<UnionPlan>,
    /// The columns that the leaf gives.
    pub variables: Arc<[Variable]>,
    /// For each column, whether expressions of the coordinator read its terms.
    pub texts: Vec<bool>,
    /// What is given in place of the rows.
    pub fold: Option<Fold>,
}

impl LeafPlan {
    /// The rows of a union, whose terms no expression reads.
    pub fn of(union: &Arc<UnionPlan>) -> Self {
        let texts = vec![false; union.variables.len()];
        Self { union: Arc::clone(union), variables: union.variables.clone().into(), texts, fold: None }
    }
}
